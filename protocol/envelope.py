"""COSE_Sign1 in one closed profile: every byte is fixed except kid, payload and signature.

    D2 84 | 4D A2 01 32 04 48 kid[8] | A0 | payload as bstr | 58 40 signature[64]

Protected header {1: -19 (Ed25519, RFC 9864), 4: kid}; the unprotected header is empty. The external AAD names the
use, so a signature made for one use is worthless for another and one key per handheld is enough. Source: RFC 9052,
section 4.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_HEAD = bytes.fromhex("d284 4d a2 01 32 04 48".replace(" ", ""))
_KID_END = len(_HEAD) + 8
_UNPROTECTED = 0xA0
_SIGNATURE_HEAD = b"\x58\x40"
_SIGNATURE_TAIL = 2 + 64
RECORD_BYTES_MAX = 4096  # A record with ten open bills and the longest texts is below 1,500.
MESSAGE_BYTES_MAX = 16 * 2**20  # A package of 10,000 stops; no caller accepts more than it expects.


class Purpose(bytes, Enum):
    """What a signature is made for: the external AAD."""

    RECORD = b"ghithu/1/record"
    ACK = b"ghithu/1/ack"
    PACKAGE = b"ghithu/1/package"
    POLICY = b"ghithu/1/policy"
    REQUEST = b"ghithu/1/request"
    ENROL = b"ghithu/1/enrol"
    CODES = b"ghithu/1/codes"


class EnvelopeError(ValueError):
    """The bytes are not a message of this profile."""


class SignatureError(ValueError):
    """The signature is not by the key that the message names, or was made for another use."""


class PublicKeyError(ValueError):
    """A public key that must not be enrolled."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A message cut into its parts by bytes alone; nothing in it has been believed yet."""

    kid: bytes
    payload: bytes
    signature: bytes
    size: int


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A public key with the name that messages give it."""

    raw: bytes
    kid: bytes
    key: Ed25519PublicKey

    @classmethod
    def of(cls, raw: bytes) -> "VerifyKey":
        return cls(raw, key_id(raw), Ed25519PublicKey.from_public_bytes(raw))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the name that messages give it."""

    private: Ed25519PrivateKey
    kid: bytes
    public: bytes

    @classmethod
    def of(cls, seed: bytes) -> "SigningKey":
        """seed: 32 bytes, the RFC 8032 private key."""
        private = Ed25519PrivateKey.from_private_bytes(seed)
        public = private.public_key().public_bytes_raw()
        return cls(private, key_id(public), public)

    def secret(self, purpose: bytes) -> bytes:
        """A secret that only the holder of this key has, another for each purpose: 32 bytes."""
        return hmac.digest(self.private.private_bytes_raw(), purpose, "sha256")


def key_id(public_key: bytes) -> bytes:
    """Name of a public key: the first eight bytes of its SHA-256."""
    return sha256(public_key).digest()[:8]


def seal(payload: bytes, key: SigningKey, purpose: Purpose) -> bytes:
    """The signed message of a payload."""
    protected = _HEAD[3:] + key.kid
    signature = key.private.sign(_to_be_signed(protected, payload, purpose))
    return _HEAD + key.kid + b"\xa0" + _byte_string(payload) + _SIGNATURE_HEAD + signature


def frame(message: bytes, at: int = 0, size_max: int = RECORD_BYTES_MAX) -> Frame:
    """Cut the message that starts at `at`; what follows it is left alone. Raises EnvelopeError."""
    body = at + _KID_END + 1
    if message[at : at + len(_HEAD)] != _HEAD or len(message) <= body or message[body - 1] != _UNPROTECTED:
        raise EnvelopeError("not a message of this profile")
    length, start = _byte_string_head(message, body)
    end = start + length + _SIGNATURE_TAIL
    if end - at > size_max:
        raise EnvelopeError(f"longer than {size_max} bytes")
    if end > len(message) or message[start + length : start + length + 2] != _SIGNATURE_HEAD:
        raise EnvelopeError("cut short, or the signature is not 64 bytes")
    return Frame(
        message[at + len(_HEAD) : at + _KID_END], message[start : start + length], message[end - 64 : end], end - at
    )


def split(sequence: bytes) -> Iterator[tuple[bytes, Frame]]:
    """Messages of a CBOR sequence (RFC 8742), cut by bytes. Raises EnvelopeError at the first that does not fit."""
    at = 0
    while at < len(sequence):
        part = frame(sequence, at)
        yield sequence[at : at + part.size], part
        at += part.size


def verify(part: Frame, key: VerifyKey, purpose: Purpose) -> None:
    """Raise SignatureError unless the key made this message for this use."""
    if part.kid != key.kid:
        raise SignatureError("signed by another key")
    try:
        key.key.verify(part.signature, _to_be_signed(_HEAD[3:] + part.kid, part.payload, purpose))
    except InvalidSignature as error:
        raise SignatureError("the signature does not fit") from error


def open_sealed(message: bytes, key: VerifyKey, purpose: Purpose, size_max: int = RECORD_BYTES_MAX) -> bytes:
    """Payload of one whole message by this key for this use. Raises EnvelopeError or SignatureError."""
    part = frame(message, 0, size_max)
    if part.size != len(message):
        raise EnvelopeError("bytes after the message")
    verify(part, key, purpose)
    return part.payload


def _to_be_signed(protected: bytes, payload: bytes, purpose: Purpose) -> bytes:
    return (
        b"\x84\x6aSignature1" + _byte_string(protected) + _byte_string(purpose.value) + _byte_string(payload)
    )


def _byte_string(content: bytes) -> bytes:
    length = len(content)
    if length < 24:
        return bytes((0x40 | length,)) + content
    if length < 1 << 8:
        return bytes((0x58, length)) + content
    if length < 1 << 16:
        return b"\x59" + length.to_bytes(2) + content
    return b"\x5a" + length.to_bytes(4) + content


def _byte_string_head(data: bytes, at: int) -> tuple[int, int]:
    """(length, position of the content) of the byte string at `at`; refuses a length that is not minimal."""
    first = data[at]
    if 0x40 <= first < 0x58:
        return first - 0x40, at + 1
    if not 0x58 <= first <= 0x5A:
        raise EnvelopeError("the payload is not a byte string")
    size = 1 << (first - 0x58)
    length = int.from_bytes(data[at + 1 : at + 1 + size])
    if length < (24 if size == 1 else 1 << (4 * size)):
        raise EnvelopeError("the payload's length is cut short or not minimal")
    return length, at + 1 + size


# Edwards curve arithmetic for one question only: may this key be enrolled? OpenSSL loads all small-order keys, and for
# those a signature can be forged without a private key. Constants: RFC 8032, section 5.1.
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


def require_sound_public_key(raw: bytes) -> None:
    """Raise PublicKeyError unless `raw` is a canonical curve point of large order. Runs once, at enrolment."""
    if len(raw) != 32:
        raise PublicKeyError("a public key has 32 bytes")
    number = int.from_bytes(raw, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= _P:
        raise PublicKeyError("the key is not in canonical form")
    x = _x_of(y, sign)
    if x is None:
        raise PublicKeyError("the key is not on the curve")
    point = (x, y)
    for _ in range(3):
        point = _add(point, point)
    if point == (0, 1):
        raise PublicKeyError("the key is of small order: anyone could sign for it")


def _x_of(y: int, sign: int) -> int | None:
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P != 0:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - square) % _P != 0 or (x == 0 and sign == 1):
        return None
    return _P - x if x % 2 != sign else x


def _add(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    (x1, y1), (x2, y2) = first, second
    product = _D * x1 * x2 * y1 * y2 % _P
    x3 = (x1 * y2 + x2 * y1) * pow(1 + product, -1, _P) % _P
    y3 = (y1 * y2 + x1 * x2) * pow(1 - product, -1, _P) % _P
    return x3, y3
