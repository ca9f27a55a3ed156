"""Password verifiers: Argon2id in PHC form, the text that handhelds check a password against offline."""

import os
import unicodedata

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

MEMORY_KIB = 19_456  # OWASP's first recommendation; 43 ms on a slow core.
PASSES = 2
LENGTH_MIN = 8  # Letters or digits: a keypad has only digits, and wrong tries are counted and slowed down.
LENGTH_MAX = 64


class PasswordError(ValueError):
    """A password that is not taken; the sentence says what is asked for."""


def verifier_of(password: str) -> str:
    """The PHC text to keep instead of a password. Raises PasswordError.

    Letters are brought to one form: two keyboards write one Vietnamese letter in different bytes.
    """
    plain = unicodedata.normalize("NFC", password)
    if not LENGTH_MIN <= len(plain) <= LENGTH_MAX:
        raise PasswordError(
            f"Mật khẩu cần từ {LENGTH_MIN} đến {LENGTH_MAX} chữ hoặc số · "
            f"a password has {LENGTH_MIN} to {LENGTH_MAX} letters or digits"
        )
    kdf = Argon2id(salt=os.urandom(16), length=32, iterations=PASSES, lanes=1, memory_cost=MEMORY_KIB)
    return kdf.derive_phc_encoded(plain.encode())
