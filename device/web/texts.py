"""What people type, before a command carries it on: no text that a record could not hold reaches the core.

The core believes its commands, and a record that cannot be sealed is a fault that ends the program. What stands for a
choice (a code, a customer, a date) the core looks up; the free texts go into a record as they are.
"""

from dataclasses import fields

from device.core.commands import Command
from device.web.forms import FormError
from protocol import codec
from protocol.fields import OptionalText
from protocol.records import ContactNoted, RuleOverridden

_ANY = codec.reader(OptionalText)  # No control characters, and no longer than a record's longest text.
_FREE = {
    "note": next(one.read for one in codec.plan(ContactNoted) if one.name == "note"),
    "because": next(one.read for one in codec.plan(RuleOverridden) if one.name == "reason"),
}


def require_sealable(command: Command) -> None:
    """Look at each text of a command as the record will that bears it. Raises FormError."""
    for field in fields(command):
        content = getattr(command, field.name)
        if type(content) is not str:
            continue
        try:
            _FREE.get(field.name, _ANY)(content, field.name)
        except codec.FieldError as error:
            raise FormError(str(error)) from error
