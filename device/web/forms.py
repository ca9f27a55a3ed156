"""What a form brings: read with bounds, and never without the intent that its screen was made with."""

import os
from collections.abc import Mapping
from enum import Enum
from typing import TypeVar
from unicodedata import category
from urllib.parse import parse_qsl

from aiohttp import web

FORM_BYTES_MAX = 16 * 2**10  # The longest form is a count of cash.
FIELDS_MAX = 64
INTENT_BYTES = 16
FORM_TYPE = "application/x-www-form-urlencoded"
T = TypeVar("T", bound=Enum)


class FormError(ValueError):
    """A form that no screen of ours sends. Nothing has been done."""


def new_intent() -> str:
    """An intent for a form that is being made: hex. The same intent twice is one record."""
    return os.urandom(INTENT_BYTES).hex()


async def read_form(request: web.Request) -> "Form":
    """The fields of a form. Raises FormError."""
    if request.content_type != FORM_TYPE:
        raise FormError("a form is expected")
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise FormError("the form is too long") from error
    if len(body) > FORM_BYTES_MAX:
        raise FormError("the form is too long")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise FormError("the form cannot be read") from error
    return Form(dict(pairs))


class Form:
    """Fields by name; each reader raises FormError with the name of what is wrong."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = fields

    @property
    def intent(self) -> bytes:
        """What makes a double tap one record."""
        return self.octets("intent", INTENT_BYTES)

    def text(self, name: str, length_max: int = 400) -> str:
        """A text of one line, trimmed; "" where the field is absent.

        Control characters count as blanks: scanners type them between the parts of a code, and no record takes them.
        """
        found = " ".join("".join(map(_visible, self.fields.get(name, ""))).split())
        if len(found) > length_max:
            raise FormError(f"{name} is too long")
        return found

    def number(self, name: str, low: int = 0, high: int = 10**10) -> int | None:
        """A whole number; None where nothing was typed."""
        found = self.fields.get(name, "").strip()
        if not found:
            return None
        digits = found.removeprefix("-") if low < 0 else found
        if not digits.isascii() or not digits.isdigit() or len(digits) > 12 or not low <= int(found) <= high:
            raise FormError(f"{name} is not a number from {low} to {high}")
        return int(found)

    def octets(self, name: str, size: int) -> bytes:
        """Bytes in hex."""
        try:
            found = bytes.fromhex(self.fields.get(name, ""))
        except ValueError as error:
            raise FormError(f"{name} is not in hex") from error
        if len(found) != size:
            raise FormError(f"{name} is missing or has another length")
        return found

    def optional_octets(self, name: str, size: int) -> bytes | None:
        """Bytes in hex, or None where the field is empty."""
        return self.octets(name, size) if self.fields.get(name) else None

    def flag(self, name: str) -> bool:
        """A box that is ticked."""
        return self.fields.get(name) == "1"

    def member(self, name: str, cls: type[T]) -> T:
        """A member of an enumeration, by its name."""
        found = self.fields.get(name, "")
        if found not in cls.__members__:
            raise FormError(f"{name} is none of {', '.join(cls.__members__)}")
        return cls[found]


def _visible(letter: str) -> str:
    return " " if category(letter) in ("Cc", "Cs") else letter
