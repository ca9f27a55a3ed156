"""Supervisor codes at the hub: made again whenever they are needed, and each use of one judged. Pure.

No code is stored. Code `number` of handheld `device` follows from the hub's signing seed, so a stolen database opens
nothing, and a hub that is rebuilt from its log still knows every code. Source: product.md, collection rules.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol.codes import CODE_DIGITS, code_proof
from protocol.records import LogInOpened, Record, RuleOverridden
from protocol.values import DAY_MS

NUMBERS = 100  # Of one handheld: a code names its number in two digits.
CLOCK_SLACK_MS = DAY_MS  # A handheld's clock may be slow; nobody types a code a day before it was given.
_INFO = b"ghithu/1/codes"  # Keeps the derived key apart from whatever else may come of the seed.
_CHANCE_DIGITS = CODE_DIGITS - 2


class CodeFault(Enum):
    """Why a use of a code does not hold: (Vietnamese, English)."""

    WRONG_PROOF = ("mã ghi trong bản ghi không đúng", "the record does not prove that the code was known")
    USED_BEFORE = ("mã đã được dùng trước đó", "the code was used before")
    NOT_GIVEN = ("trung tâm chưa cấp mã này", "the code had not been given")
    OTHER_CUSTOMER = ("mã được cấp cho khách hàng khác", "the code was given for another customer")

    def about(self, number: int) -> str:
        """In one sentence for the case file. number: of the code."""
        vietnamese, english = self.value
        return f"Mã số {number:02d}: {vietnamese} · code {number:02d}: {english}"


NO_FAULTS: Mapping[bytes, CodeFault] = MappingProxyType({})


class GivenCode(NamedTuple):
    """A code that a supervisor was shown. at_ms: of the hub's clock. customer: what for, "" where none was named."""

    at_ms: int
    customer: str


class CodeUse(NamedTuple):
    """A record that relies on a code. about: what its proof must be over. customer: "" for a log-in."""

    seq: int
    digest: bytes
    at_ms: int
    number: int
    proof: bytes
    about: bytes
    customer: str


def code_key(seed: bytes) -> bytes:
    """The key of all codes. seed: 32 bytes, of the hub's signing key."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO).derive(seed)


def code_of(key: bytes, device: int, number: int) -> str:
    """A code: its number in two digits, then eight that only the hub can make. number: 0..99."""
    assert 0 <= number < NUMBERS
    chance = int.from_bytes(hmac.digest(key, f"{device}:{number}".encode("ascii"), "sha256"))
    return f"{number:02d}{chance % 10**_CHANCE_DIGITS:0{_CHANCE_DIGITS}d}"


def use_of(record: Record | None, *, seq: int, digest: bytes, at_ms: int, collector: str) -> CodeUse | None:
    """The use of a code that a record is, if it is one. collector: whom its header names."""
    match record:
        case RuleOverridden():
            about, customer = record.reading, record.customer
        case LogInOpened():
            about, customer = collector.encode("ascii"), ""
        case _:
            return None
    return CodeUse(seq, digest, at_ms, record.code_no, record.proof, about, customer)


def faults(
    uses: Iterable[CodeUse], given: Mapping[int, GivenCode], made_again: Callable[[int], str]
) -> dict[bytes, CodeFault]:
    """Uses of one handheld's codes that do not hold, by the digest of their record; any order.

    given: by number. made_again: the code of a number. Of two uses the first along the chain counts, and a use without
    the right proof uses nothing up.
    """
    found: dict[bytes, CodeFault] = {}
    spent: set[int] = set()
    for use in sorted(uses):
        given_code = given.get(use.number)
        if not hmac.compare_digest(use.proof, code_proof(made_again(use.number), use.about)):
            found[use.digest] = CodeFault.WRONG_PROOF
            continue
        if use.number in spent:
            found[use.digest] = CodeFault.USED_BEFORE
        elif given_code is None or given_code.at_ms > use.at_ms + CLOCK_SLACK_MS:
            found[use.digest] = CodeFault.NOT_GIVEN
        elif use.customer and given_code.customer and given_code.customer != use.customer:
            found[use.digest] = CodeFault.OTHER_CUSTOMER
        spent.add(use.number)
    return found
