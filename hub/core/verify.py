"""What may enter: frame, key, signature, strict decode, position, chain. Nothing untrusted reaches the CBOR library
earlier.

Refused is whatever fails up to the chain; everything behind a good signature and an unbroken chain is stored, even what
cannot be read. So no record can stop a handheld's queue. Source: records.md, what is refused and what is stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from protocol import codec
from protocol.chain import digest
from protocol.codec import CodecError, FieldError
from protocol.envelope import EnvelopeError, Frame, Purpose, SignatureError, VerifyKey, split, verify
from protocol.records import HandheldRecord, Header, Record
from protocol.sealed import Position, UnreadableError, collector_of, parse, position
from protocol.wire import UPLOAD_BYTES_MAX, UPLOAD_RECORDS_MAX, RefusalCode


class RefusedError(Exception):
    """A call or a record that is not accepted. index: of the record in the upload."""

    def __init__(self, code: str, sentence: str, index: int = 0) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.index = index


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A record with a good signature and a place in a chain. record is None when it cannot be read: `unreadable` says
    why.
    """

    message: bytes
    digest: bytes
    position: Position
    customer: str
    collector: str
    header: Header | None
    record: Record | None
    unreadable: str = ""


class Placement(Enum):
    """Where an arrival goes."""

    KNOWN = "known"
    NEXT = "next"
    FORK = "fork"
    GAP = "gap"


def frames(body: bytes) -> list[tuple[bytes, Frame]]:
    """The messages of an upload, cut by bytes. All must be of one handheld. Raises RefusedError."""
    if len(body) > UPLOAD_BYTES_MAX:
        raise RefusedError(RefusalCode.TOO_LARGE, f"an upload may have {UPLOAD_BYTES_MAX} bytes")
    parts: list[tuple[bytes, Frame]] = []
    try:
        for part in split(body):
            if len(parts) == UPLOAD_RECORDS_MAX:
                raise RefusedError(RefusalCode.TOO_LARGE, f"an upload may have {UPLOAD_RECORDS_MAX} records")
            parts.append(part)
    except EnvelopeError as error:
        if not parts:
            raise RefusedError(RefusalCode.NOT_A_RECORD, str(error)) from error
    if not parts:
        raise RefusedError(RefusalCode.NOT_A_RECORD, "an upload has at least one record")
    return parts


def arrivals(parts: list[tuple[bytes, Frame]], key: VerifyKey) -> tuple[list[Arrival], RefusedError | None]:
    """The valid prefix of an upload, and why the next record was refused, if one was."""
    found: list[Arrival] = []
    for index, (message, part) in enumerate(parts):
        try:
            found.append(arrival(message, part, key))
        except SignatureError as error:
            return found, RefusedError(RefusalCode.BAD_SIGNATURE, str(error), index)
        except (CodecError, FieldError) as error:
            return found, RefusedError(RefusalCode.NOT_CBOR, str(error), index)
    return found, None


def arrival(message: bytes, part: Frame, key: VerifyKey) -> Arrival:
    """One record, believed as far as its signature reaches. Raises SignatureError, CodecError or FieldError."""
    verify(part, key, Purpose.RECORD)
    value = codec.decode(part.payload)
    place = position(value)
    assert isinstance(value, dict)
    header: Header | None = None
    record: Record | None = None
    unreadable = ""
    try:
        header, record = parse(value)
        if not isinstance(record, HandheldRecord):
            header, record, unreadable = None, None, f"a handheld does not make {type(record).__name__}"
    except UnreadableError as error:
        unreadable = str(error)
    return Arrival(
        message=message,
        digest=digest(message),
        position=place,
        customer=getattr(record, "customer", None) or "",
        collector=collector_of(value) or "",
        header=header,
        record=record,
        unreadable=unreadable,
    )


def place(position: Position, own_digest: bytes, known: Mapping[int, set[bytes]]) -> Placement:
    """Where a record goes. known: digests the hub has by seq; seq 0 holds the zeros before every chain.

    A second record at a known seq whose prev is known is a fork, not a break.
    """
    if own_digest in known.get(position.seq, ()):
        return Placement.KNOWN
    if position.prev not in known.get(position.seq - 1, ()):
        return Placement.GAP
    return Placement.FORK if known.get(position.seq) else Placement.NEXT
