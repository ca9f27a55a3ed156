"""Each maker's records form one chain: every record names the digest of the one before it."""

from hashlib import sha256
from typing import NamedTuple

NO_DIGEST = bytes(32)


class Tip(NamedTuple):
    """The last record of a chain; `Tip(0, NO_DIGEST)` before the first."""

    seq: int
    digest: bytes


EMPTY = Tip(0, NO_DIGEST)


def digest(message: bytes) -> bytes:
    """Name of a record: SHA-256 of the whole message, signature included."""
    return sha256(message).digest()


def follows(seq: int, prev: bytes, tip: Tip) -> bool:
    """Whether a record at `seq` that names `prev` is the next of the chain that ends at `tip`."""
    return seq == tip.seq + 1 and prev == tip.digest
