"""Strict deterministic CBOR, and the step between CBOR values and the dataclasses that declare them.

`decode` refuses every byte string that `encode` would not have produced, so two messages with one meaning cannot
exist and a digest names a meaning. The byte pre-scan runs before the CBOR library sees anything: the library accepts
non-minimal integers, duplicate keys, trailing bytes and tags that build objects.

Profile (RFC 8949, section 4.2.1, narrowed): integers of up to 64 bits, byte strings, UTF-8 text, arrays, and maps
whose keys are 1..23 in ascending order. Nothing else.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import cbor2

from protocol.fields import Bytes, Int, Items, Text

T = TypeVar("T")
CODE_LENGTH_MAX = 40  # Codes, dates and periods come again in every record: one copy of each is kept.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")  # Not tab and line ends; half pairs.
DEPTH_MAX = 8  # A record nests five deep; a package eight, down to the blocks of its tariff.

Wire = int | str | bytes | list["Wire"] | tuple["Wire", ...] | dict[int, "Wire"]


class CodecError(ValueError):
    """The bytes are not what `encode` would have produced."""


class FieldError(ValueError):
    """A field is missing, of the wrong type or out of range. `path` says which."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


def encode(value: Wire) -> bytes:
    """Deterministic CBOR of a value. Raises CodecError on what the profile does not have."""
    data = dump(value)
    scan(data)
    return data


def dump(value: Wire) -> bytes:
    """As `encode`, for a caller that decodes the result at once and so has it scanned there."""
    try:
        return cbor2.dumps(value, canonical=True)
    except UnicodeEncodeError as error:  # Half a surrogate pair, from a broken keyboard or file.
        raise CodecError(str(error)) from error


def decode(data: bytes) -> Wire:
    """The value of deterministic CBOR bytes. Raises CodecError on anything else."""
    scan(data)
    try:
        value: Wire = cbor2.loads(data, max_depth=DEPTH_MAX + 1, allow_indefinite=False, allow_duplicate_keys=False)
    except (cbor2.CBORDecodeError, UnicodeDecodeError) as error:  # What the scan leaves over: text that is not UTF-8.
        raise CodecError(str(error)) from error
    return value


def scan(data: bytes) -> None:
    """Walk the bytes without building anything; raise CodecError at the first that breaks the profile."""
    try:
        end = _scan_item(data, 0, DEPTH_MAX)
    except IndexError as error:
        raise CodecError("ends in the middle of an item") from error
    if end != len(data):
        raise CodecError(f"{len(data) - end} bytes too many" if end < len(data) else "ends in the middle of an item")


def _scan_item(data: bytes, at: int, depth: int) -> int:
    """Position after the item at `at`."""
    first = data[at]
    major, argument = first >> 5, first & 31
    at += 1
    if argument >= 24:
        if argument > 27:
            raise CodecError(f"byte {at - 1}: reserved or indefinite length")
        size = 1 << (argument - 24)
        argument = int.from_bytes(data[at : at + size])
        at += size
        if at > len(data) or argument < (24 if size == 1 else 1 << (4 * size)):
            raise CodecError(f"byte {at - size - 1}: number is cut short or not minimal")
    if major < 2:
        return at
    if major < 4:
        return at + argument  # An end past the data is seen by the caller, who reads there or compares.
    if major > 5:
        raise CodecError(f"byte {at - 1}: tags, floats and simple values are not used")
    if depth == 0:
        raise CodecError("nested too deep")
    if argument > len(data) - at:
        raise CodecError("more items than bytes")
    if major == 4:
        for _ in range(argument):
            at = _scan_item(data, at, depth - 1)
        return at
    last_key = 0
    for _ in range(argument):
        key = data[at]
        if not last_key < key < 24:
            raise CodecError(f"byte {at}: map keys must be 1..23, ascending")
        last_key = key
        at = _scan_item(data, at + 1, depth - 1)
    return at


class FieldPlan(NamedTuple):
    """How one field of a dataclass goes to the wire and back."""

    key: int
    name: str
    optional: bool
    annotation: Any
    write: Callable[[Any], Wire]
    read: Callable[[Any, str], Any]


@cache
def plan(cls: type) -> tuple[FieldPlan, ...]:
    """The fields of a dataclass in wire order. Fields named in `cls.HOISTED` are left out: the header carries them."""
    hints = get_type_hints(cls, include_extras=True)
    hoisted: tuple[str, ...] = getattr(cls, "HOISTED", ())
    plans: list[FieldPlan] = []
    for item in dataclass_fields(cls):
        if item.name in hoisted:
            continue
        annotation, optional = strip_optional(hints[item.name])
        key = len(plans) + 1
        assert key < 24, f"{cls.__name__} has too many fields: group some"
        plans.append(FieldPlan(key, item.name, optional, annotation, writer(annotation), reader(annotation)))
    return tuple(plans)


def strip_optional(annotation: Any) -> tuple[Any, bool]:
    """`X | None` gives (X, True); anything else gives itself and False."""
    if get_origin(annotation) in (Union, UnionType):
        rest = [part for part in get_args(annotation) if part is not NoneType]
        assert len(rest) == 1, f"only `X | None` is allowed: {annotation}"
        return rest[0], True
    return annotation, False


def pack(value: object) -> dict[int, Wire]:
    """The CBOR map of a dataclass instance."""
    packed: dict[int, Wire] = {}
    cls: Any = type(value)
    for field in plan(cls):
        content = getattr(value, field.name)
        if content is not None:
            packed[field.key] = field.write(content)
    return packed


def unpack(cls: type[T], value: object, path: str = "") -> T:
    """A dataclass instance from its CBOR map. Raises FieldError on a missing, unknown or wrong field."""
    path = path or cls.__name__
    try:
        return cls(**unpack_fields(cls, value, path))
    except FieldError:
        raise
    except ValueError as error:  # A dataclass that holds its own invariant, such as a bill whose parts must add up.
        raise FieldError(path, str(error)) from error


def unpack_fields(cls: type, value: object, path: str) -> dict[str, Any]:
    """Keyword arguments of a dataclass from its CBOR map."""
    if not isinstance(value, dict):
        raise FieldError(path, "must be a map")
    arguments: dict[str, Any] = {}
    found = 0
    for field in plan(cls):
        content = value.get(field.key)
        if content is None:
            if not field.optional:
                raise FieldError(f"{path}.{field.name}", "is missing")
            continue
        found += 1
        arguments[field.name] = field.read(content, f"{path}.{field.name}")
    if found != len(value):
        raise FieldError(path, "has a field that is not known")
    return arguments


def writer(annotation: Any) -> Callable[[Any], Wire]:
    """Function that turns a field's Python value into CBOR."""
    base, _ = _split(annotation)
    origin = get_origin(base)
    if origin is tuple:
        item = writer(get_args(base)[0])
        return lambda content: [item(entry) for entry in content]
    if _is_array(base):
        hints = get_type_hints(base, include_extras=True)
        writers = [writer(hint) for hint in hints.values()]
        return lambda content: [write(entry) for write, entry in zip(writers, content, strict=True)]
    if is_dataclass(base):
        return pack
    if isinstance(base, type) and issubclass(base, Enum):
        return lambda content: content.value
    if isinstance(base, type) and issubclass(base, str):
        return str
    return lambda content: content


def reader(annotation: Any) -> Callable[[Any, str], Any]:
    """Function that checks a CBOR value against a field's declaration and gives the Python value."""
    base, bound = _split(annotation)
    if get_origin(base) is tuple:
        return _tuple_reader(base, bound)
    if _is_array(base):
        return _array_reader(base)
    if is_dataclass(base):
        shape: Any = base
        return lambda content, path: unpack(shape, content, path)
    assert isinstance(base, type), annotation
    if issubclass(base, Enum):
        return _enum_reader(base)
    if base is int:
        assert isinstance(bound, Int), annotation
        return _int_reader(bound.low, bound.high)
    if base is bytes:
        assert isinstance(bound, Bytes), annotation
        return _bytes_reader(bound.low, bound.high)
    assert issubclass(base, str), annotation
    assert isinstance(bound, Text), annotation
    return _text_reader(base, bound)


def _split(annotation: Any) -> tuple[Any, object]:
    if get_origin(annotation) is Annotated:
        base, *bounds = get_args(annotation)
        return base, bounds[-1]  # Nested Annotated types flatten; the outermost bound is the last.
    return annotation, None


def _is_array(base: Any) -> bool:
    return isinstance(base, type) and issubclass(base, tuple) and hasattr(base, "_fields")


def _int_reader(low: int, high: int) -> Callable[[Any, str], int]:
    def read(content: Any, path: str) -> int:
        if type(content) is not int or not low <= content <= high:
            raise FieldError(path, f"must be a whole number from {low} to {high}")
        return content

    return read


def _bytes_reader(low: int, high: int) -> Callable[[Any, str], bytes]:
    def read(content: Any, path: str) -> bytes:
        if type(content) is not bytes or not low <= len(content) <= high:
            raise FieldError(path, f"must be {low} to {high} bytes")
        return content

    return read


def _text_reader(base: type[str], bound: Text) -> Callable[[Any, str], str]:
    low, high = bound.low, bound.high
    fits = re.compile(bound.pattern).fullmatch if bound.pattern else None

    def read(content: Any, path: str) -> str:
        if type(content) is not str or not low <= len(content) <= high:
            raise FieldError(path, f"must be text of {low} to {high} characters")
        if _CONTROL.search(content) is not None:
            raise FieldError(path, "must not have control characters: databases and printers choke on them")
        if fits is not None and fits(content) is None:
            raise FieldError(path, f"must match {bound.pattern}")
        if base is str:
            return sys.intern(content) if high <= CODE_LENGTH_MAX else content
        try:
            return base(content)
        except ValueError as error:
            raise FieldError(path, str(error)) from error

    return read


def _enum_reader(base: type[Enum]) -> Callable[[Any, str], Enum]:
    members = {member.value: member for member in base}

    def read(content: Any, path: str) -> Enum:
        member = members.get(content) if type(content) in (int, str) else None
        if member is None:
            raise FieldError(path, f"must be one of {', '.join(map(str, members))}")
        return member

    return read


def _tuple_reader(base: Any, bound: object) -> Callable[[Any, str], tuple[Any, ...]]:
    assert isinstance(bound, Items), base
    item = reader(get_args(base)[0])
    low, high = bound.low, bound.high

    def read(content: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(content, list | tuple) or not low <= len(content) <= high:
            raise FieldError(path, f"must be a list of {low} to {high} items")
        return tuple([item(entry, path) for entry in content])

    return read


def _array_reader(base: Any) -> Callable[[Any, str], Any]:
    hints = get_type_hints(base, include_extras=True)
    readers = [(name, reader(hint)) for name, hint in hints.items()]

    def read(content: Any, path: str) -> Any:
        if not isinstance(content, list | tuple) or len(content) != len(readers):
            raise FieldError(path, f"must be a list of {len(readers)} items")
        return base(*[read(entry, f"{path}.{name}") for (name, read), entry in zip(readers, content, strict=True)])

    return read
