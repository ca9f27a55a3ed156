"""Bodies and limits of the calls between handheld and hub (records.md, API).

All bodies are CBOR by `protocol.codec`; an upload is a CBOR sequence of signed records, optionally one gzip member.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from protocol import codec
from protocol.codes import CODES_BYTES_MAX
from protocol.envelope import Purpose, SigningKey, VerifyKey, open_sealed, seal
from protocol.fields import Bytes, Code, CustomerId, Digest, Int, Items, Millis, PeriodText, Text, Vnd
from protocol.package import POLICY_BYTES_MAX, OpenBill
from protocol.records import OPEN_BILLS_MAX, DeviceNo, UserCode
from protocol.values import Imei

UPLOAD_BYTES_MAX = 2**20  # After inflating; at 2 kB/s a phone link carries it in nine minutes.
UPLOAD_RECORDS_MAX = 1000  # A commit of this many takes the hub about a third of a second.
REQUEST_WINDOW_MS = 5 * 60_000  # How far a request's clock may be off; the answer carries the hub's time to retry with.
REQUEST_HEADER = "X-Ghithu-Request"
RECORDS_TYPE = "application/cbor-seq"
BODY_TYPE = "application/cbor"
PHOTO_BYTES_MAX = 512 * 2**10  # A dial that a person can read takes a third of it.
PHOTO_CHUNK_BYTES_MAX = 64 * 2**10  # What a link at 2 kB/s carries in half a minute, and then need not carry again.
CHANGES_MAX = 10_000  # One per stop of the longest route.
Sequence = Annotated[int, Int(0, 2**31 - 1)]
KeyBytes = Annotated[bytes, Bytes(32, 32)]
Nonce = Annotated[bytes, Bytes(16, 16)]


class RefusalCode:
    """Machine codes of refusals."""

    TOO_LARGE = "too-large"
    NOT_CBOR = "not-cbor"
    NOT_A_RECORD = "not-a-record"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"
    GAP = "gap"
    BAD_REQUEST = "bad-request"
    REVOKED = "revoked"
    NOT_CONFIRMED = "not-confirmed"
    BAD_CODE = "bad-code"
    TIMED_OUT = "timed-out"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """These records are durably stored. digest: of the record at to_seq. Signed by the hub."""

    device: DeviceNo
    from_seq: Sequence
    to_seq: Sequence
    digest: Digest
    hub_ms: Millis
    changes: Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a call was not done. have_*: the head the hub has. index: first record refused. ack: for the kept prefix."""

    code: Annotated[str, Text(1, 40)]
    sentence: Annotated[str, Text(1, 400)]
    hub_ms: Millis
    index: Sequence | None = None
    have_seq: Sequence | None = None
    have_digest: Digest | None = None
    ack: Annotated[bytes, Bytes(1, 4096)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last record the hub has of a handheld."""

    seq: Sequence
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class HubTime:
    """The hub's clock, signed. nonce is given back where one was sent, for enrolment."""

    hub_ms: Millis
    nonce: Nonce


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A handheld asks in. proof: HMAC-SHA-256 by the one-time code over public key, IMEI and the hub's nonce."""

    public_key: KeyBytes
    imei: Annotated[Imei, Text(15, 15)]
    nonce: Nonce
    proof: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What an admitted handheld must remember. It may work once a person at the branch has confirmed its IMEI."""

    device: DeviceNo
    unit: Code
    collector: UserCode
    hub_key: KeyBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestClaim:
    """What a handheld signs for a call that is not an upload. made: last seq it has, so the hub knows what is
    missing.
    """

    method: Annotated[str, Text(1, 10)]
    path: Annotated[str, Text(1, 400)]
    body: Digest
    at_ms: Millis
    nonce: Nonce
    made: Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class StopChange:
    """What the hub holds of one customer, in which period, as of its counter `version`. reading: the digest that made
    this period's bill, if one has.

    open_bills: still unpaid, this period's included, oldest first. settled_vnd: what is paid of this period's bill.
    """

    customer: CustomerId
    period: PeriodText
    version: Sequence
    credit_vnd: Vnd
    payment_method: Code
    open_bills: Annotated[tuple[OpenBill, ...], Items(0, OPEN_BILLS_MAX + 1)]
    settled_vnd: Vnd
    reading: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Stops of one route that changed, up to a counter of the hub."""

    route: Code
    version: Sequence
    stops: Annotated[tuple[StopChange, ...], Items(0, CHANGES_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Signed policy, route packages and supervisor's codes, as they were signed."""

    policy: Annotated[bytes, Bytes(1, POLICY_BYTES_MAX)]
    packages: Annotated[tuple[Annotated[bytes, Bytes(1, 16 * 2**20)], ...], Items(0, 32)]
    codes: Annotated[bytes, Bytes(1, CODES_BYTES_MAX)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoHave:
    """How many bytes of a photo the hub has, from its beginning: where to go on. As many as it has in all: it is
    kept.
    """

    have: Sequence


def body(value: object) -> bytes:
    """Bytes of a body."""
    return codec.encode(codec.pack(value))


def seal_ack(ack: Ack, key: SigningKey) -> bytes:
    """The signed ack."""
    return seal(body(ack), key, Purpose.ACK)


def open_ack(message: bytes, key: VerifyKey) -> Ack:
    """Verify and read an ack. Raises EnvelopeError, SignatureError, CodecError or FieldError."""
    return codec.unpack(Ack, codec.decode(open_sealed(message, key, Purpose.ACK)))


def claim_for(*, method: str, path: str, content: bytes, at_ms: int, nonce: bytes, made: int) -> RequestClaim:
    """The claim of a call with this body."""
    return RequestClaim(
        method=method, path=path, body=sha256(content).digest(), at_ms=at_ms, nonce=nonce, made=made
    )


def enrolment_proof_input(public_key: bytes, imei: str, nonce: bytes) -> bytes:
    """What the one-time code authenticates: fixed lengths, so that nothing can be shifted between the parts."""
    assert len(public_key) == 32
    assert len(nonce) == 16
    return public_key + nonce + imei.encode()
