"""From a record with its header to the signed message and back.

`position` reads only keys 1 to 4, which the chain needs: a record that fails there is refused. Everything behind a good
signature and an unbroken chain is stored, so `parse` reports what it cannot understand as UnreadableError, and the hub
keeps the record for a person or a newer hub.
"""

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from protocol import codec
from protocol.chain import Tip, digest
from protocol.codec import FieldError, Wire
from protocol.envelope import Purpose, SigningKey, frame, seal
from protocol.fields import Bytes, CustomerId, Digest, Int, Millis, PeriodText, Text
from protocol.meaning import require_meaning
from protocol.records import (
    HUB_KINDS,
    RECORD_KINDS,
    VERSION,
    Evidence,
    HandheldRecord,
    Header,
    PackageRef,
    Record,
    Seq,
    UserCode,
)
from protocol.values import ClockEvidence, Fix, Imei, NoFix


class UnreadableError(ValueError):
    """An authentic record of a kind or version not known here, or with a field out of range."""


class Position(NamedTuple):
    """What the chain needs of a record."""

    version: int
    kind: int
    seq: int
    prev: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """A record as it is kept and sent, beside what it says."""

    message: bytes
    digest: bytes
    header: Header
    record: Record

    @property
    def tip(self) -> Tip:
        """The chain's end once this record is in it."""
        return Tip(self.header.seq, self.digest)


_read_version = codec.reader(Annotated[int, Int(1, 2**31 - 1)])
_read_kind = codec.reader(Annotated[int, Int(0, 2**31 - 1)])
_read_seq = codec.reader(Seq)
_read_digest = codec.reader(Digest)
_read_millis = codec.reader(Millis)
_read_clock = codec.reader(ClockEvidence)
_read_imei = codec.reader(Annotated[Imei, Text(15, 15)])
_read_fix = codec.reader(Fix)
_read_no_fix = codec.reader(NoFix)
_read_user = codec.reader(UserCode)
_read_package = codec.reader(PackageRef)
_read_intent = codec.reader(Annotated[bytes, Bytes(16, 16)])
_read_customer = codec.reader(CustomerId)
_read_period = codec.reader(PeriodText)
_write_clock = codec.writer(ClockEvidence)
_write_fix = codec.writer(Fix)
_write_package = codec.writer(PackageRef)


def payload_of(header: Header, record: Record) -> dict[int, Wire]:
    """The payload map of records.md: 1 version, 2 kind, 3 seq, 4 prev, 5 at_ms, 6..12 evidence, 13, 14, 20 body."""
    fields: dict[int, Wire] = {1: VERSION, 2: record.KIND, 3: header.seq, 4: header.prev, 5: header.at_ms}
    if (evidence := header.evidence) is not None:
        fields[6] = _write_clock(evidence.clock)
        fields[7] = str(evidence.imei)
        fields[8] = evidence.fix.value if isinstance(evidence.fix, NoFix) else _write_fix(evidence.fix)
        fields[9] = evidence.collector
        fields[10] = _write_package(evidence.package)
        fields[11] = evidence.ack
    if header.intent is not None:
        fields[12] = header.intent
    for key, name in ((13, "customer"), (14, "period")):
        if (content := getattr(record, name, None)) is not None:
            fields[key] = content
    fields[20] = codec.pack(record)
    return fields


def seal_record(header: Header, record: Record, key: SigningKey) -> Sealed:
    """Sign a record. The result has been through the hub's own decoder: nobody signs what cannot be read.

    Raises EnvelopeError where the message would be longer than the hub takes: all behind it would wait for ever.
    """
    payload = codec.dump(payload_of(header, record))
    assert parse(codec.decode(payload)) == (header, record), "a record must read back as it was made"
    message = seal(payload, key, Purpose.RECORD)
    frame(message)
    return Sealed(message, digest(message), header, record)


def position(value: Wire) -> Position:
    """Keys 1 to 4 of a decoded payload. Raises FieldError: without them there is no place in the chain."""
    if not isinstance(value, dict):
        raise FieldError("record", "must be a map")
    version, kind = value.get(1), value.get(2)
    return Position(
        _read_version(version, "version"),
        _read_kind(kind, "kind"),
        _read_seq(value.get(3), "seq"),
        _read_digest(value.get(4), "prev"),
    )


def parse(value: Wire) -> tuple[Header, Record]:
    """Header and record of a decoded payload. Raises UnreadableError when it is not one known here."""
    try:
        place = position(value)
        assert isinstance(value, dict)
        if place.version != VERSION:
            raise UnreadableError(f"version {place.version} is not known here")
        cls = RECORD_KINDS.get(place.kind)
        if cls is None:
            raise UnreadableError(f"kind {place.kind} is not known here")
        if unknown := value.keys() - _KEYS[cls]:
            raise FieldError("record", f"key {min(unknown)} does not belong to {cls.__name__}")
        record = _record(value, cls)
        require_meaning(record)
        return _header(value, place, cls), record
    except FieldError as error:
        raise UnreadableError(str(error)) from error


def collector_of(value: Wire) -> str | None:
    """Collector of a payload that may otherwise be unreadable."""
    content = value.get(9) if isinstance(value, dict) else None
    return content if isinstance(content, str) else None


def _header(value: dict[int, Any], place: Position, cls: type[Record]) -> Header:
    evidence = None
    if issubclass(cls, HandheldRecord):
        fix = value.get(8)
        evidence = Evidence(
            clock=_read_clock(value.get(6), "clock"),
            imei=_read_imei(value.get(7), "imei"),
            fix=_read_no_fix(fix, "fix") if isinstance(fix, int) else _read_fix(fix, "fix"),
            collector=_read_user(value.get(9), "collector"),
            package=_read_package(value.get(10), "package"),
            ack=_read_digest(value.get(11), "ack"),
        )
    intent = value.get(12)
    return Header(
        seq=place.seq,
        prev=place.prev,
        at_ms=_read_millis(value.get(5), "at_ms"),
        intent=None if intent is None else _read_intent(intent, "intent"),
        evidence=evidence,
    )


def _record(value: dict[int, Any], cls: type[Record]) -> Record:
    arguments = codec.unpack_fields(cls, value.get(20), cls.__name__)
    for key, name, read in ((13, "customer", _read_customer), (14, "period", _read_period)):
        content = value.get(key)
        if content is not None:
            arguments[name] = read(content, name)
        elif name in _REQUIRED[cls]:
            raise FieldError(f"{cls.__name__}.{name}", "is missing")
    return cls(**arguments)


def _keys_of(cls: type[Record]) -> frozenset[int]:
    keys = {1, 2, 3, 4, 5, 12, 20}
    if cls.KIND not in HUB_KINDS:
        keys |= {6, 7, 8, 9, 10, 11}
    return frozenset(keys | {key for key, name in ((13, "customer"), (14, "period")) if hasattr(cls, name)})


def _required_of(cls: type[Record]) -> frozenset[str]:
    fields = cls.__dataclass_fields__
    return frozenset(
        name for name in Record.HOISTED if name in fields and not codec.strip_optional(fields[name].type)[1]
    )


_KEYS = {cls: _keys_of(cls) for cls in RECORD_KINDS.values()}
_REQUIRED = {cls: _required_of(cls) for cls in RECORD_KINDS.values()}
