"""The vocabulary in which records, packages and wire bodies declare their fields.

A dataclass is a CBOR map whose keys are the positions of its fields, counted from 1: append fields, never reorder
them. A NamedTuple is a CBOR array of fixed length. A field that may be None must have the default None and is absent
from the map when it is. Nothing else exists on the wire: no floats, no null, no bool.
"""

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Int:
    """Inclusive bounds of an integer."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Text:
    """Inclusive bounds of a text's length in characters, and a pattern the whole text must match ("" = any).

    The pattern uses only what Python's `re` and CDDL's `.regexp` read alike: literals, classes, `{m,n}`, `?`, `|`,
    `()`.
    """

    low: int
    high: int
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Inclusive bounds of a byte string's length."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Items:
    """Inclusive bounds of the number of items of a `tuple[X, ...]`."""

    low: int
    high: int


# Larger than any bill or balance of one customer; keeps every sum of a day inside 53 bits for whoever reads our
# exports.
VND_MAX = 10**10

Vnd = Annotated[int, Int(0, VND_MAX)]
VndPositive = Annotated[int, Int(1, VND_MAX)]
VndSigned = Annotated[int, Int(-VND_MAX, VND_MAX)]
M3 = Annotated[int, Int(0, 10**6)]
M3Signed = Annotated[int, Int(-(10**6), 10**6)]
Index = Annotated[int, Int(0, 10**9 - 1)]  # Whole m3 as the dial shows them; no register has more than nine digits.
Days = Annotated[int, Int(0, 3660)]
MILLIS_MAX = 32_503_679_999_999  # The end of the year 2999: every instant has a civil date.
Millis = Annotated[int, Int(0, MILLIS_MAX)]
CustomerId = Annotated[str, Text(1, 16, "[0-9A-Za-z.-]{1,16}")]
BillNo = Annotated[str, Text(1, 32, "[0-9A-Za-z.-]{1,32}")]
PeriodText = Annotated[str, Text(7, 7, "[0-9]{4}-(0[1-9]|1[0-2])")]
DateText = Annotated[str, Text(10, 10, "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")]
Name = Annotated[str, Text(1, 200)]
OptionalText = Annotated[str, Text(0, 400)]
Code = Annotated[str, Text(1, 40, "[0-9A-Za-z_.-]{1,40}")]
Digest = Annotated[bytes, Bytes(32, 32)]
Coordinate = Annotated[int, Int(-1_800_000_000, 1_800_000_000)]  # Degrees times 10**7.
