"""A verifier is read with bounds before anybody computes with it."""

import os

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given
from hypothesis import strategies as st

from protocol.verifier import PHC_LENGTH_MAX, VerifierError, parse_phc

GOOD = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"


@pytest.mark.parametrize(("salt", "length"), [(8, 16), (16, 32), (32, 32)])
def test_what_the_library_writes_is_read_as_it_was_made(salt: int, length: int) -> None:
    secret = os.urandom(salt)
    kdf = Argon2id(salt=secret, length=length, iterations=1, lanes=1, memory_cost=8 * 2**10)
    phc = parse_phc(text := kdf.derive_phc_encoded(b"mot hai ba"))
    assert len(text) <= PHC_LENGTH_MAX
    again = Argon2id(
        salt=phc.salt, length=len(phc.hash), iterations=phc.passes, lanes=phc.lanes, memory_cost=phc.memory_kib
    )
    assert (phc.salt, again.derive(b"mot hai ba")) == (secret, phc.hash)


HOSTILE = """
m=19456   -> m=4294967295       # four terabytes of memory
m=19456   -> m=65537
m=19456   -> m=8                # so weak that a stolen store gives every password away
t=2       -> t=4000000000
t=2       -> t=11
t=2       -> t=0
p=1       -> p=16777215
p=1       -> p=5
m=19456,t=2 -> m=65536,t=10     # each in its range, and ten seconds together
argon2id  -> argon2i
argon2id  -> argon2d
v=19      -> v=16
c2FsdHNhbHRzYWx0c2FsdA -> c2FsdA
c2FsdHNhbHRzYWx0c2FsdA -> c2FsdHNhbHRzYWx0c2FsdAAAA # no whole number of bytes
m=19456   -> m=0019456
$MDEy     -> $$MDEy
m=19456   -> m=١٩٤٥٦            # digits of another script
"""


@pytest.mark.parametrize("row", [row.split("#")[0].strip() for row in HOSTILE.strip().splitlines()])
def test_a_hostile_verifier_is_refused_before_it_costs_anything(row: str) -> None:
    part, other = (side.strip() for side in row.split("->"))
    assert part in GOOD
    parse_phc(GOOD)
    with pytest.raises(VerifierError):
        parse_phc(GOOD.replace(part, other))


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(VerifierError):
        parse_phc(text)


def test_a_verifier_with_something_behind_it_is_refused() -> None:
    for tail in ("\n", " ", "=", "$", "$data"):
        with pytest.raises(VerifierError):
            parse_phc(GOOD + tail)
