"""Records: one full sample of every kind, its bytes for ever, and what a payload must be to be read.

The messages in tests/vectors/records.json are what handhelds in the field have signed. When a kind is added, or one
is changed before it was ever in the field, write them anew on purpose: `python -m tests.protocol.test_records`.
"""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocol import codec
from protocol.chain import EMPTY, Tip, digest, follows
from protocol.codec import FieldError, Wire
from protocol.envelope import (
    RECORD_BYTES_MAX,
    EnvelopeError,
    Purpose,
    SigningKey,
    VerifyKey,
    open_sealed,
)
from protocol.fields import Bytes, Int, Items, Text
from protocol.records import (
    HANDHELD_KINDS,
    HUB_KINDS,
    OPEN_BILLS_MAX,
    RECORD_KINDS,
    BankCredited,
    CashCollected,
    CashCounted,
    CashReceived,
    CodeGiven,
    CollectionVoided,
    ContactNoted,
    ContactOutcome,
    DayClosed,
    DayTotals,
    Decision,
    Denomination,
    DeviceEnrolled,
    DeviceStatus,
    Evidence,
    ExtractImported,
    FileRef,
    HandheldRecord,
    Header,
    HeadRef,
    LogInOpened,
    PackageIssued,
    PackageRef,
    PaperKind,
    PaperPrinted,
    PaperReturned,
    PersonChange,
    PersonChanged,
    PolicyIssued,
    PrintOutcome,
    ReadingSkipped,
    ReadingTaken,
    Record,
    RuleOverridden,
    ShiftClosed,
    ShiftOpened,
    StatusMoment,
    SupervisorDecided,
    TariffIssued,
    VoidReason,
)
from protocol.sealed import Sealed, UnreadableError, collector_of, parse, payload_of, position, seal_record
from protocol.tariff import Bill, BillLine
from protocol.values import ClockEvidence, ClockSource, Fix, Imei, NoFix

VECTORS = Path(__file__).parents[1] / "vectors" / "records.json"
HANDHELD_SEED = bytes(range(32))
HUB_SEED = bytes(range(100, 132))
AT_MS = 1_793_487_956_000
CUSTOMER, PERIOD, DAY = "02050007026", "2026-10", "2026-10-17"
COLLECTOR, CASHIER = "an.tran", "thu.quy"
BILL = Bill(
    lines=(
        BillLine(version="CT-2024", m3=10, price_vnd=7_000, gross_vnd=70_000),
        BillLine(version="CT-2024", m3=4, price_vnd=8_500, gross_vnd=34_000),
    ),
    gross_vnd=104_000,
    net_vnd=99_048,
    vat_vnd=4_952,
    fee_vnd=9_905,
    total_vnd=113_905,
)
EVIDENCE = Evidence(
    clock=ClockEvidence(b"bootboot", 3_600_000, AT_MS - 7, -250, ClockSource.HUB),
    imei=Imei("490154203237518"),
    fix=Fix(100_451_600, 1_057_468_500, 42, 3),
    collector=COLLECTOR,
    package=PackageRef("CT-02-05", 12),
    ack=sha256(b"ack").digest(),
)
INTENT = b"one tap 16 bytes"
NOTES = (Denomination(100_000, 2), Denomination(500, 3))

READING = ReadingTaken(
    customer=CUSTOMER,
    period=PERIOD,
    index=134,
    code="replaced_periodic",
    previous_index=9_876,
    use_m3=14,
    days=30,
    tariff="CT-2024",
    bill_no=f"{CUSTOMER}-{PERIOD}",
    bill=BILL,
    hold="CONSUMPTION_DROP",
    removed_index=9_880,
    installed_index=124,
    confirmed=("FAR_ABOVE_EXPECTED", "ABOVE_REGISTER"),
    photo=sha256(b"photo").digest(),
)
COLLECTION = CashCollected(
    customer=CUSTOMER,
    period=PERIOD,
    amount_vnd=163_000,
    bills=(f"{CUSTOMER}-2026-09", f"{CUSTOMER}-2026-10"),
    bills_vnd=(50_000, 113_905),
    bill_periods=("2026-09", "2026-10"),
    receipt_no=17,
    reading=sha256(b"reading").digest(),
    credit_vnd=1_000,
    rounding_vnd=95,
)

# One of each kind, with every field that it can have.
SAMPLES: dict[type[Record], Record] = {
    type(record): record
    for record in (
        ShiftOpened(period=PERIOD, business_date=DAY, software="1.0.0"),
        READING,
        COLLECTION,
        CollectionVoided(
            customer=CUSTOMER,
            period=PERIOD,
            collection=sha256(b"collection").digest(),
            reason=VoidReason.WRONG_AMOUNT,
            note="Khách đổi ý,\nhẹn mai",
        ),
        ReadingSkipped(
            customer=CUSTOMER, period=PERIOD, code="house_closed", photo=sha256(b"door").digest()
        ),
        PaperPrinted(
            period=PERIOD,
            paper=PaperKind.RECEIPT,
            about=sha256(b"collection").digest(),
            print_no=2,
            outcome=PrintOutcome.NOT_PRINTED,
            customer=CUSTOMER,
            reason="out-of-paper",
        ),
        ContactNoted(
            customer=CUSTOMER,
            period=PERIOD,
            outcome=ContactOutcome.PAYS_LATER,
            come_back="2026-10-20",
            note="Sau 17 giờ",
        ),
        RuleOverridden(
            customer=CUSTOMER,
            period=PERIOD,
            reading=sha256(b"reading").digest(),
            hold="CONSUMPTION_DROP",
            reason="Khách đi vắng nửa tháng",
            code_no=3,
            proof=bytes(range(16)),
        ),
        CashCounted(period=PERIOD, business_date=DAY, notes=NOTES, total_vnd=201_500),
        DeviceStatus(
            period=PERIOD,
            moment=StatusMoment.BATTERY_LOW,
            software="1.0.0",
            unsent=12,
            battery_percent=9,
            charging=0,
            storage_free_mib=2_048,
            clock="behind-records",
            printer="out-of-paper",
        ),
        LogInOpened(period=PERIOD, code_no=4, proof=bytes(range(16, 32))),
        ShiftClosed(
            period=PERIOD,
            business_date=DAY,
            totals=DayTotals(
                read=180,
                skipped=4,
                collected=120,
                collected_vnd=13_668_600,
                voided=1,
                voided_vnd=113_905,
                printed=190,
                reprinted=6,
                receipt_first=17,
                receipt_last=136,
            ),
        ),
        ExtractImported(
            period=PERIOD,
            files=(FileRef("khách hàng.csv", sha256(b"1").digest()), FileRef("history.csv", sha256(b"2").digest())),
            customers=2_757,
            arrears_vnd=310_000_000,
            by="it.hoa",
        ),
        PolicyIssued(version=3, policy=sha256(b"policy").digest(), by="it.hoa"),
        TariffIssued(tariff=sha256(b"tariff").digest(), by="it.hoa"),
        PackageIssued(
            period=PERIOD,
            route="CT-02-05",
            version=12,
            collector=COLLECTOR,
            issued_ms=AT_MS - 86_400_000,
            expires_ms=AT_MS + 30 * 86_400_000,
            package=sha256(b"package").digest(),
            by="it.hoa",
        ),
        DeviceEnrolled(
            device=7,
            public_key=SigningKey.of(HANDHELD_SEED).public,
            imei=Imei("490154203237518"),
            collector=COLLECTOR,
            by="it.hoa",
        ),
        BankCredited(
            period=PERIOD,
            bank_bin="970436",
            transaction="FT26290000001",
            value_ms=AT_MS,
            account="100004360001",
            amount_vnd=113_905,
            content="MBVCB.9.02050007026.CT tu 16427",
            match="customer-in-text",
            customer=CUSTOMER,
        ),
        CashReceived(collector=COLLECTOR, business_date=DAY, amount_vnd=201_500, notes=NOTES, by=CASHIER),
        PaperReturned(customer=CUSTOMER, collection=sha256(b"collection").digest(), by=CASHIER),
        SupervisorDecided(
            decision=Decision.ADOPT_BRANCH,
            subject=sha256(b"tip").digest(),
            reason="Máy cũ được phục hồi từ bản sao",
            by="gs.minh",
            customer=CUSTOMER,
            device=7,
            collector=COLLECTOR,
            business_date=DAY,
        ),
        DayClosed(
            collector=COLLECTOR,
            business_date=DAY,
            heads=(HeadRef(7, 412, sha256(b"head").digest()), HeadRef(9, 3, sha256(b"other").digest())),
            expected_vnd=13_554_695,
            received_vnd=13_554_000,
            difference_vnd=-695,
            by="gs.minh",
            reason="Thiếu tiền lẻ",
        ),
        CodeGiven(
            device=7, code_no=3, reason="Khách đi vắng nửa tháng", by="gs.minh", customer=CUSTOMER
        ),
        PersonChanged(person=COLLECTOR, change=PersonChange.PASSWORD, by="it.hoa"),
    )
}


def header_for(cls: type[Record], tip: Tip = EMPTY) -> Header:
    evidence = EVIDENCE if issubclass(cls, HandheldRecord) else None
    return Header(seq=tip.seq + 1, prev=tip.digest, at_ms=AT_MS, intent=INTENT, evidence=evidence)


def chains() -> Iterator[tuple[str, Sealed]]:
    """A handheld's chain and the hub's, one record of each kind in the order of their numbers."""
    for seed, kinds in ((HANDHELD_SEED, HANDHELD_KINDS), (HUB_SEED, HUB_KINDS)):
        key, tip = SigningKey.of(seed), EMPTY
        for kind in sorted(kinds):
            cls: type[Record] = RECORD_KINDS[kind]
            sealed = seal_record(header_for(cls, tip), SAMPLES[cls], key)
            tip = sealed.tip
            yield cls.__name__, sealed


def vectors() -> dict[str, dict[str, str]]:
    """As written: {class: {message, digest}} in hex."""
    found: dict[str, dict[str, str]] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return found


def write_vectors() -> None:
    made = {name: {"message": one.message.hex(), "digest": one.digest.hex()} for name, one in chains()}
    VECTORS.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def sample_payload(cls: type[Record]) -> dict[int, Any]:
    """The payload of a full sample, free to be spoilt."""
    decoded: Any = codec.decode(codec.encode(payload_of(header_for(cls), SAMPLES[cls])))
    assert isinstance(decoded, dict)
    return decoded


KINDS = list(RECORD_KINDS.values())
every_kind = pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.__name__)


# Bytes.


def test_the_bytes_of_every_kind_are_those_once_signed() -> None:
    made = {name: {"message": one.message.hex(), "digest": one.digest.hex()} for name, one in chains()}
    assert made == vectors()


@every_kind
def test_a_signed_message_can_be_checked_without_us(cls: type[Record]) -> None:
    """By the CBOR library and SHA-256 alone: signature, name, chain place and kind."""
    vector = vectors()[cls.__name__]
    message = bytes.fromhex(vector["message"])
    assert sha256(message).hexdigest() == vector["digest"]
    protected, unprotected, payload, signature = cbor2.loads(message).value
    seed = HANDHELD_SEED if issubclass(cls, HandheldRecord) else HUB_SEED
    public = SigningKey.of(seed).public
    signed = cbor2.dumps(["Signature1", protected, b"ghithu/1/record", payload])
    Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    content = cbor2.loads(payload)
    assert unprotected == {}
    assert cbor2.loads(protected)[4] == sha256(public).digest()[:8]
    assert (content[1], content[2], content[5], content[12]) == (1, cls.KIND, AT_MS, INTENT)
    assert cbor2.dumps(content, canonical=True) == payload


@every_kind
def test_a_signed_message_reads_as_the_record_it_was(cls: type[Record]) -> None:
    key = VerifyKey.of(SigningKey.of(HANDHELD_SEED if issubclass(cls, HandheldRecord) else HUB_SEED).public)
    message = bytes.fromhex(vectors()[cls.__name__]["message"])
    header, record = parse(codec.decode(open_sealed(message, key, Purpose.RECORD)))
    assert record == SAMPLES[cls]
    assert replace(header, seq=1, prev=EMPTY.digest) == header_for(cls)


def test_the_vectors_are_two_unbroken_chains() -> None:
    for kinds in (HANDHELD_KINDS, HUB_KINDS):
        tip = EMPTY
        for kind in sorted(kinds):
            message = bytes.fromhex(vectors()[RECORD_KINDS[kind].__name__]["message"])
            place = position(codec.decode(cbor2.loads(message).value[2]))
            assert follows(place.seq, place.prev, tip)
            assert place.kind == kind
            tip = Tip(place.seq, digest(message))


# Fields.


@every_kind
def test_the_sample_has_every_field(cls: type[Record]) -> None:
    assert [item.name for item in fields(cls) if getattr(SAMPLES[cls], item.name) is None] == []


@every_kind
def test_optional_fields_left_out_come_back_left_out(cls: type[Record]) -> None:
    optional = {item.name: None for item in fields(cls) if item.default is None}
    bare = replace(SAMPLES[cls], **optional)
    if isinstance(bare, CashCollected):
        bare = replace(bare, amount_vnd=sum(bare.bills_vnd))
    if isinstance(bare, PaperPrinted):
        bare = replace(bare, paper=PaperKind.DAY_SLIP)
    header = replace(header_for(cls), intent=None)
    payload = codec.encode(payload_of(header, bare))
    assert parse(codec.decode(payload)) == (header, bare)
    assert len(payload) < len(codec.encode(payload_of(header_for(cls), SAMPLES[cls])))


@every_kind
def test_customer_and_period_stand_in_the_header_map_only(cls: type[Record]) -> None:
    payload = sample_payload(cls)
    assert payload.get(13) == getattr(SAMPLES[cls], "customer", None)
    assert payload.get(14) == getattr(SAMPLES[cls], "period", None)
    assert CUSTOMER not in payload[20].values()
    assert len(payload[20]) == len([item for item in fields(cls) if item.name not in Record.HOISTED])


def test_evidence_is_the_handhelds_alone() -> None:
    for cls in KINDS:
        found = sample_payload(cls).keys() & {6, 7, 8, 9, 10, 11}
        assert len(found) == (6 if cls.KIND in HANDHELD_KINDS else 0)


@pytest.mark.parametrize("reason", NoFix)
def test_a_record_without_position_says_why(reason: NoFix) -> None:
    header = replace(header_for(ReadingTaken), evidence=replace(EVIDENCE, fix=reason))
    payload = payload_of(header, SAMPLES[ReadingTaken])
    assert payload[8] == reason.value
    assert parse(payload)[0] == header


def test_the_collector_is_known_even_where_the_rest_is_not() -> None:
    payload = sample_payload(ReadingTaken)
    payload[2], payload[20] = 999, {}
    assert collector_of(payload) == COLLECTOR
    assert collector_of({9: 7}) is None
    assert collector_of({}) is None
    assert collector_of([]) is None


# Refused, or kept as unreadable.

NO_PLACE: list[tuple[str, dict[int, Wire]]] = [
    ("version 0", {1: 0}),
    ("version beyond", {1: 2**31}),
    ("version as text", {1: "1"}),
    ("kind as text", {2: "2"}),
    ("kind below zero", {2: -1}),
    ("kind beyond", {2: 2**31}),
    ("seq 0", {3: 0}),
    ("seq beyond", {3: 2**31}),
    ("prev too short", {4: bytes(31)}),
    ("prev as text", {4: "0" * 32}),
]


@pytest.mark.parametrize(("what", "change"), NO_PLACE)
def test_a_payload_without_a_place_in_the_chain_is_refused(what: str, change: dict[int, Wire]) -> None:
    payload = {**sample_payload(ReadingTaken), **change}
    with pytest.raises(FieldError):
        position(payload)
    with pytest.raises(UnreadableError):
        parse(payload)


@pytest.mark.parametrize("key", [1, 2, 3, 4])
def test_a_payload_that_lacks_its_place_is_refused(key: int) -> None:
    payload = sample_payload(ReadingTaken)
    del payload[key]
    with pytest.raises(FieldError):
        position(payload)


@pytest.mark.parametrize("value", [[], 1, "x", b"", [[1]]], ids=repr)
def test_what_is_no_map_has_no_place(value: Wire) -> None:
    with pytest.raises(FieldError):
        position(value)
    with pytest.raises(UnreadableError):
        parse(value)


@pytest.mark.parametrize(
    "change",
    [{1: 2}, {1: 2**31 - 1}, {2: 999}, {2: 2**31 - 1}, {2: 0}, {20: {}}, {20: []}, {21: 1}, {15: 1}, {5: -1}],
    ids=repr,
)
def test_what_only_a_newer_hub_may_know_keeps_its_place(change: dict[int, Wire]) -> None:
    payload = {**sample_payload(ReadingTaken), **change}
    assert position(payload).seq == 1
    with pytest.raises(UnreadableError):
        parse(payload)


@every_kind
def test_a_record_under_another_kind_is_unreadable(cls: type[Record]) -> None:
    for other in KINDS:
        if other is not cls:
            with pytest.raises(UnreadableError):
                parse({**sample_payload(cls), 2: other.KIND})


# Size.


def declared(annotation: Any) -> tuple[Any, object]:
    """Type and bound of a field's annotation."""
    if get_origin(annotation) is not Annotated:
        return annotation, None
    base, *bounds = get_args(annotation)
    return base, bounds[-1]


def longest(annotation: Any) -> Wire:
    """The value that takes the most bytes, by declaration alone."""
    base, bound = declared(annotation)

    def in_bytes(value: Wire) -> int:
        return len(codec.encode(value))

    if hasattr(base, "_fields"):
        return [longest(hint) for hint in get_type_hints(base, include_extras=True).values()]
    if hasattr(base, "__dataclass_fields__"):
        return {field.key: longest(field.annotation) for field in codec.plan(base)}
    match bound:
        case None:
            values: list[Wire] = [member.value for member in base]
            return max(values, key=in_bytes)
        case Int(low, high):
            return max(low, high, key=in_bytes)
        case Bytes(_, high):
            return bytes(high)
        case Text(_, high, pattern):
            return ("a" if pattern else "ạ") * high  # No letter of the language has more than three bytes.
        case Items(_, high):
            return [longest(get_args(base)[0])] * high
        case _:
            raise AssertionError(annotation)


@every_kind
def test_the_longest_record_fits_a_message(cls: type[Record]) -> None:
    header = payload_of(header_for(cls), SAMPLES[cls])
    for key, length in ((13, 16), (9, 32)):
        if key in header:
            header[key] = "x" * length
    header[20] = longest(cls)
    size = len(codec.encode(header)) + 90
    assert size <= RECORD_BYTES_MAX


def test_a_record_longer_than_a_message_is_never_signed() -> None:
    """The hub could not cut it from an upload, and everything behind it would wait for ever."""
    line = BillLine(version="v" * 40, m3=1, price_vnd=10**7, gross_vnd=10**7)
    total_vnd = 64 * 10**7
    bill = Bill(lines=(line,) * 64, gross_vnd=total_vnd, net_vnd=total_vnd, vat_vnd=0, fee_vnd=0, total_vnd=total_vnd)
    record = replace(READING, bill=bill)
    with pytest.raises((EnvelopeError, UnreadableError)):  # Nothing readable is so long; either check may come first.
        seal_record(header_for(ReadingTaken), record, SigningKey.of(HANDHELD_SEED))


def test_two_years_of_open_bills_fit_one_collection() -> None:
    count = OPEN_BILLS_MAX + 1
    record = replace(
        COLLECTION,
        amount_vnd=count * 10**8 - 1_000 + 95,
        bills=tuple(f"{number:032d}" for number in range(count)),
        bills_vnd=(10**8,) * count,
        bill_periods=("2026-10",) * count,
    )
    assert len(seal_record(header_for(CashCollected), record, SigningKey.of(HANDHELD_SEED)).message) < 1_800


if __name__ == "__main__":
    write_vectors()
