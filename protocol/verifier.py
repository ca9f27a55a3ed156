"""Password verifiers: Argon2id in PHC form, read with bounds before anybody computes with them.

A verifier comes from a signed policy, and still its parameters are a bill that somebody else writes: four terabytes of
memory would stop a handheld for good. Source: RFC 9106; the PHC string format.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass

PHC_LENGTH_MAX = 160  # With the longest salt and hash allowed below.
MEMORY_KIB_MIN, MEMORY_KIB_MAX = 8 * 2**10, 64 * 2**10  # OWASP asks for 19 MiB; a handheld has 1 GiB beside a browser.
PASSES_MAX = 10
LANES_MAX = 4
WORK_KIB_MAX = 256 * 2**10  # Memory times passes: about half a second on a desk, two on a handheld.
SALT_BYTES_MIN, SALT_BYTES_MAX = 8, 32
HASH_BYTES_MIN, HASH_BYTES_MAX = 16, 32

_PHC = re.compile(
    r"\$argon2id\$v=19\$m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,9})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
)


class VerifierError(ValueError):
    """The text is no verifier that this program computes with; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phc:
    """A verifier taken apart. memory_kib, passes, lanes: what one try costs."""

    memory_kib: int
    passes: int
    lanes: int
    salt: bytes
    hash: bytes


def parse_phc(text: str) -> Phc:
    """Read a verifier. Raises VerifierError for another algorithm, a cost out of bounds, or a salt or hash that is too
    short or too long.
    """
    found = _PHC.fullmatch(text) if len(text) <= PHC_LENGTH_MAX else None
    if found is None:
        raise VerifierError("not an Argon2id verifier in PHC form")
    memory_kib, passes, lanes = (int(number) for number in found.group(1, 2, 3))
    if not MEMORY_KIB_MIN <= memory_kib <= MEMORY_KIB_MAX:
        raise VerifierError(f"{memory_kib} KiB of memory are not between {MEMORY_KIB_MIN} and {MEMORY_KIB_MAX}")
    if passes > PASSES_MAX or lanes > LANES_MAX:
        raise VerifierError(f"more than {PASSES_MAX} passes or {LANES_MAX} lanes")
    if memory_kib * passes > WORK_KIB_MAX:
        raise VerifierError(f"{passes} passes over {memory_kib} KiB are more than {WORK_KIB_MAX} KiB in all")
    salt, digest = _unpadded(found.group(4)), _unpadded(found.group(5))
    if not SALT_BYTES_MIN <= len(salt) <= SALT_BYTES_MAX or not HASH_BYTES_MIN <= len(digest) <= HASH_BYTES_MAX:
        raise VerifierError("the salt or the hash is too short or too long")
    return Phc(memory_kib=memory_kib, passes=passes, lanes=lanes, salt=salt, hash=digest)


def _unpadded(text: str) -> bytes:
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except Base64Error as error:
        raise VerifierError("the salt or the hash is not base64") from error
