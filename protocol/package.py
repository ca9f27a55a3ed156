"""What the hub signs and sends down: the policy of a unit and the route package of a collector.

Both carry a version that only grows. A handheld refuses an older one, and keeps a new one only after it has verified
all of it. Expiry blocks opening a new shift, never an open one.
"""

from dataclasses import dataclass
from typing import Annotated

from protocol import codec
from protocol.envelope import Purpose, SigningKey, VerifyKey, open_sealed, seal
from protocol.fields import (
    M3,
    BillNo,
    Code,
    Coordinate,
    CustomerId,
    DateText,
    Days,
    Digest,
    Index,
    Int,
    Items,
    Millis,
    Name,
    OptionalText,
    PeriodText,
    Text,
    Vnd,
    VndPositive,
)
from protocol.records import OPEN_BILLS_MAX, Seq, UserCode
from protocol.tariff import Bill, Tariff
from protocol.verifier import PHC_LENGTH_MAX

STOPS_MAX = 10_000  # Three times the longest route met.
PACKAGE_BYTES_MAX = 16 * 2**20  # STOPS_MAX stops of 1,200 bytes, and room.
POLICY_BYTES_MAX = 96 * 2**10  # 64 collectors of 1,200 bytes, and room.
LOGIN_DAYS = 7  # A week in the hills without a network; the least that a policy may grant.
RETYPE_FROM_VND = 2_000_000  # Some ten household bills: a slip here is a day's wages.
COLLECTORS_MAX = 64  # Of one unit; a policy names them all.
PerMille = Annotated[int, Int(0, 1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorCard:
    """Who papers name, and who may log in.

    verifier: Argon2id in PHC form (`protocol.verifier`); without one nobody logs in as this person. opened: how often
    the branch has let this person try again; a number that has grown forgives the wrong tries counted so far.
    """

    code: UserCode
    name: Name
    phone: Annotated[str, Text(0, 20)]
    verifier: Annotated[str, Text(1, PHC_LENGTH_MAX)] | None = None
    opened: Annotated[int, Int(0, 10**6)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules' numbers and the words of papers, per unit.

    drop_per_mille, drop_m3_min: R2 of product.md. targets: of read and collect rates. cash_rounding_vnd: 1 = none.
    disagree_m3, disagree_per_mille: when two readings are for a person to judge.
    login_days: how long log-in works without a word from the hub; LOGIN_DAYS where it is not said. retype_from_vnd:
    from this amount on the collector keys the last three digits before taking it.
    """

    unit: Code
    version: Seq
    issued_ms: Millis
    expires_ms: Millis
    utility_name: Name
    branch_name: Name
    hotline: Annotated[str, Text(0, 20)]
    bank_bin: Annotated[str, Text(6, 6, "[0-9]{6}")]
    bank_account: Annotated[str, Text(1, 19, "[0-9A-Za-z]{1,19}")]
    drop_per_mille: PerMille = 300
    drop_m3_min: M3 = 3
    read_target_per_mille: PerMille = 990
    collect_target_per_mille: PerMille = 950
    cash_rounding_vnd: Annotated[int, Int(1, 10_000)] = 1
    disagree_m3: M3 = 2
    disagree_per_mille: PerMille = 100
    pay_by_days: Days = 10
    collectors: Annotated[tuple[CollectorCard, ...], Items(0, COLLECTORS_MAX)] = ()
    login_days: Annotated[int, Int(LOGIN_DAYS, 62)] | None = None
    retype_from_vnd: VndPositive | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """The register at a stop. digits: of whole m3."""

    serial: Annotated[str, Text(1, 32)]
    make: Annotated[str, Text(0, 40)]
    size_mm: Annotated[int, Int(1, 1000)]
    digits: Annotated[int, Int(3, 9)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastUse:
    """One earlier period: what the office holds of it."""

    period: PeriodText
    reading_date: DateText
    index: Index
    use_m3: M3
    days: Days
    code: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBill:
    """A bill not yet settled. amount_vnd: what is still open of it."""

    bill_no: BillNo
    period: PeriodText
    amount_vnd: VndPositive


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownReading:
    """The reading of this period that the hub has already, for a republished package."""

    digest: Digest
    index: Index
    code: Code
    use_m3: M3
    bill: Bill | None = None
    open_vnd: Vnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One customer on the route. history: newest last, at most three periods."""

    customer: CustomerId
    register_no: Code
    name: Name
    address: Annotated[str, Text(1, 300)]
    phone: Annotated[str, Text(0, 20)]
    collect_address: OptionalText
    walk_seq: Annotated[int, Int(1, 10**6)]
    route_day: Annotated[int, Int(1, 31)]
    latitude_e7: Coordinate
    longitude_e7: Coordinate
    area: Code
    category: Code
    business_type: Annotated[str, Text(0, 120)]
    payment_method: Code
    meter: Meter
    history: Annotated[tuple[PastUse, ...], Items(1, 3)]
    arrears: Annotated[tuple[OpenBill, ...], Items(0, OPEN_BILLS_MAX)]
    credit_vnd: Vnd
    persons: Annotated[int, Int(1, 1000)] | None = None
    known: KnownReading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePackage:
    """All a collector needs for one route and period, offline. changes: the hub's counter when it was signed."""

    unit: Code
    route: Code
    branch: Name
    version: Seq
    period: PeriodText
    collector: UserCode
    issued_ms: Millis
    expires_ms: Millis
    tariff: Tariff
    stops: Annotated[tuple[Stop, ...], Items(0, STOPS_MAX)]
    changes: Annotated[int, Int(0, 2**31 - 1)]


def seal_package(package: RoutePackage, key: SigningKey) -> bytes:
    """The signed message of a package, read back before anybody is given it. Raises FieldError on what cannot be
    read.
    """
    message = seal(codec.encode(codec.pack(package)), key, Purpose.PACKAGE)
    assert open_package(message, VerifyKey.of(key.public)) == package, "a package must read back as it was made"
    return message


def open_package(message: bytes, key: VerifyKey) -> RoutePackage:
    """Verify and read a package. Raises EnvelopeError, SignatureError, CodecError or FieldError."""
    payload = open_sealed(message, key, Purpose.PACKAGE, PACKAGE_BYTES_MAX)
    return codec.unpack(RoutePackage, codec.decode(payload))


def seal_policy(policy: Policy, key: SigningKey) -> bytes:
    """The signed message of a policy, read back before anybody is given it. Raises FieldError on what cannot be
    read.
    """
    message = seal(codec.encode(codec.pack(policy)), key, Purpose.POLICY)
    assert open_policy(message, VerifyKey.of(key.public)) == policy, "a policy must read back as it was made"
    return message


def open_policy(message: bytes, key: VerifyKey) -> Policy:
    """Verify and read a policy. Raises EnvelopeError, SignatureError, CodecError or FieldError."""
    payload = open_sealed(message, key, Purpose.POLICY, POLICY_BYTES_MAX)
    return codec.unpack(Policy, codec.decode(payload))
