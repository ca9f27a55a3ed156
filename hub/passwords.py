"""Password verifiers: Argon2id in PHC form, the same text that handhelds later check offline."""

import os

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

MEMORY_KIB = 19_456  # OWASP's first recommendation; 43 ms on a slow core.
PASSES = 2


def verifier_of(password: str) -> str:
    """The PHC text to keep instead of a password."""
    kdf = Argon2id(salt=os.urandom(16), length=32, iterations=PASSES, lanes=1, memory_cost=MEMORY_KIB)
    return kdf.derive_phc_encoded(password.encode())
