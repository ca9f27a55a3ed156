"""A supervisor's codes: signed for one handheld, and a proof that is worth nothing elsewhere."""

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from protocol.codec import FieldError
from protocol.codes import (
    CODES_BYTES_MAX,
    CODES_MAX,
    HASH_BYTES,
    SALT_BYTES,
    CodeHash,
    SupervisorCodes,
    code_hash,
    code_proof,
    is_code,
    number_of,
    open_codes,
    seal_codes,
)
from protocol.envelope import Purpose, SignatureError, SigningKey, VerifyKey, open_sealed

KEY = SigningKey.of(bytes(range(32)))
READ_WITH = VerifyKey.of(KEY.public)
FULL = SupervisorCodes(
    unit="ab",
    device=7,
    version=3,
    codes=tuple(CodeHash(number, bytes([number]) * SALT_BYTES, bytes(HASH_BYTES)) for number in range(CODES_MAX)),
)


def test_a_full_message_fits_and_reads_back() -> None:
    message = seal_codes(FULL, KEY)
    assert len(message) <= CODES_BYTES_MAX
    assert open_codes(message, READ_WITH) == FULL


def test_codes_are_signed_for_nothing_else() -> None:
    message = seal_codes(FULL, KEY)
    for purpose in set(Purpose) - {Purpose.CODES}:
        with pytest.raises(SignatureError):
            open_sealed(message, READ_WITH, purpose)
    with pytest.raises(SignatureError):
        open_codes(message, VerifyKey.of(SigningKey.of(bytes(32)).public))


def test_more_codes_than_a_handheld_holds_are_refused() -> None:
    one_more = (*FULL.codes, CodeHash(99, bytes(SALT_BYTES), bytes(HASH_BYTES)))
    too_many = SupervisorCodes(unit="ab", device=7, version=3, codes=one_more)
    with pytest.raises(FieldError):
        seal_codes(too_many, KEY)


def test_the_hash_of_a_code_is_argon2id_as_for_passwords() -> None:
    """Against the PHC text that the library writes by another path."""
    salt = b"0123456789abcdef"
    text = Argon2id(salt=salt, length=32, iterations=2, lanes=1, memory_cost=19_456).derive_phc_encoded(b"0712345678")
    Argon2id.verify_phc_encoded(b"0712345678", text)
    made = Argon2id(salt=salt, length=32, iterations=2, lanes=1, memory_cost=19_456).derive(b"0712345678")
    assert code_hash("0712345678", salt) == made != code_hash("0712345679", salt)


def test_a_proof_fits_one_code_and_one_thing() -> None:
    proofs = {code_proof(code, about) for code in ("0712345678", "0812345678") for about in (b"an", b"binh", b"")}
    assert len(proofs) == 6


@pytest.mark.parametrize("text", ["", "071234567", "07123456789", "07 1234567", "07a2345678", "٠٧١٢٣٤٥٦٧٨"])
def test_what_is_no_code_is_told_before_it_is_hashed(text: str) -> None:
    assert not is_code(text)


def test_the_first_two_digits_are_the_number() -> None:
    assert is_code("0712345678")
    assert number_of("0712345678") == 7
