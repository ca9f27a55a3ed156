"""A supervisor's single-use codes, that work without a network.

A code has ten digits: the first two are its number on the handheld it was made for, the others are chance. The hub
sends down slow, salted hashes of a few, signed for one handheld; a route package is a collector's, so they travel
beside it. A record made by a code carries the code's number and a proof that it was known; the hub, which can make
every code again, checks both. Source: product.md, collection rules.
"""

import hmac
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from protocol import codec
from protocol.envelope import Purpose, SigningKey, VerifyKey, open_sealed, seal
from protocol.fields import Bytes, Code, Items
from protocol.records import CodeNo, DeviceNo, Seq

CODE_DIGITS = 10  # Two of number and eight of chance: typed on a keypad, told over a telephone.
CODES_MAX = 16  # What a handheld holds at once.
CODES_BYTES_MAX = 4096
SALT_BYTES = 16
HASH_BYTES = 32
PROOF_BYTES = 16
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1  # As for passwords; 10**8 guesses are some fifty days of one core.


class CodeHash(NamedTuple):
    """What a handheld can check a code against."""

    number: CodeNo
    salt: Annotated[bytes, Bytes(SALT_BYTES, SALT_BYTES)]
    hash: Annotated[bytes, Bytes(HASH_BYTES, HASH_BYTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorCodes:
    """The codes of one handheld. version grows with every message; numbers are never used again."""

    unit: Code
    device: DeviceNo
    version: Seq
    codes: Annotated[tuple[CodeHash, ...], Items(0, CODES_MAX)]


def seal_codes(codes: SupervisorCodes, key: SigningKey) -> bytes:
    """The signed message, read back before anybody is given it."""
    message = seal(codec.encode(codec.pack(codes)), key, Purpose.CODES)
    assert open_codes(message, VerifyKey.of(key.public)) == codes, "codes must read back as they were made"
    return message


def open_codes(message: bytes, key: VerifyKey) -> SupervisorCodes:
    """Verify and read. Raises EnvelopeError, SignatureError, CodecError or FieldError."""
    return codec.unpack(SupervisorCodes, codec.decode(open_sealed(message, key, Purpose.CODES, CODES_BYTES_MAX)))


def is_code(text: str) -> bool:
    """Whether a text has the form of a code."""
    return len(text) == CODE_DIGITS and text.isascii() and text.isdigit()


def number_of(code: str) -> int:
    """The number of a code on its handheld."""
    return int(code[:2])


def code_hash(code: str, salt: bytes) -> bytes:
    """The slow hash of a code: 40 ms on a desk."""
    kdf = Argon2id(salt=salt, length=HASH_BYTES, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB)
    return kdf.derive(code.encode("ascii"))


def code_proof(code: str, about: bytes) -> bytes:
    """Proof that a code was known when a record was made. about: digest of the reading, or the collector's code for a
    log-in: a proof is worth nothing for anything else.
    """
    return hmac.digest(code.encode("ascii"), about, "sha256")[:PROOF_BYTES]
