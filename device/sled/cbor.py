"""The part of CBOR (RFC 8949) that crosses the line: integers, text, bytes, lists, maps, true, false and null.

No floats: those of many boards have 32 bits, which places a house two metres off. No tags, no indefinite lengths.
"""

import struct

MAX_DEPTH = 4  # Messages nest two deep; a board's stack holds a few dozen calls.
_LEFT_OUT = "neither floats nor tags nor indefinite lengths"


class CborError(ValueError):
    """Bytes that are not the CBOR spoken here, or a value that has none."""


def encode(value: object, depth: int = 0) -> bytes:
    """Bytes of a value; the same value gives the same bytes (RFC 8949, section 4.2.1). Raises CborError."""
    if depth > MAX_DEPTH:
        raise CborError("nested too deep")
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):  # Before int, which it is too.
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return _head(3, len(text)) + text
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join([encode(item, depth + 1) for item in value])
    if isinstance(value, dict):
        pairs = []
        for key in value:
            if not isinstance(key, str):
                raise CborError("keys are text")
            pairs.append((encode(key), encode(value[key], depth + 1)))
        pairs.sort()
        return _head(5, len(pairs)) + b"".join([key + item for key, item in pairs])
    raise CborError(_LEFT_OUT)


def decode(data: bytes) -> object:
    """The one value that `data` holds, to its last byte. Raises CborError."""
    value, end = _item(data, 0, 0)
    if end != len(data):
        raise CborError("bytes are left over")
    return value


def _head(major: int, number: int) -> bytes:
    """Type and number in as few bytes as hold it."""
    kind = major << 5
    if number < 24:
        return bytes([kind | number])
    if number < 1 << 8:
        return struct.pack(">BB", kind | 24, number)
    if number < 1 << 16:
        return struct.pack(">BH", kind | 25, number)
    if number < 1 << 32:
        return struct.pack(">BI", kind | 26, number)
    if number < 1 << 64:
        return struct.pack(">BQ", kind | 27, number)
    raise CborError("more than 64 bits")


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The number in the head at `at`, and where the head ends."""
    low = data[at] & 31
    at += 1
    if low < 24:
        return low, at
    if low > 27:
        raise CborError(_LEFT_OUT)
    end = at + (1 << (low - 24))
    if end > len(data):
        raise CborError("cut short")
    return int.from_bytes(data[at:end], "big"), end


def _item(data: bytes, at: int, depth: int) -> tuple[object, int]:
    """The value that begins at `at`, and where it ends."""
    if at >= len(data):
        raise CborError("cut short")
    if depth > MAX_DEPTH:
        raise CborError("nested too deep")
    major = data[at] >> 5
    if major > 5:
        return _simple(data[at]), at + 1
    number, at = _number(data, at)
    if major == 0:
        return number, at
    if major == 1:
        return -1 - number, at
    # Each byte of a text, and each item of a list, takes a byte at least: a lie about the length buys no memory.
    if number > len(data) - at:
        raise CborError("cut short")
    if major == 2:
        return data[at : at + number], at + number
    if major == 3:
        return _text(data[at : at + number]), at + number
    if major == 4:
        return _list(data, at, number, depth)
    return _map(data, at, number, depth)


def _simple(byte: int) -> bool | None:
    if byte == 0xF6:
        return None
    if byte not in (0xF4, 0xF5):
        raise CborError(_LEFT_OUT)
    return byte == 0xF5


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeError:
        raise CborError("text that is not UTF-8") from None


def _list(data: bytes, at: int, count: int, depth: int) -> tuple[list[object], int]:
    items: list[object] = []
    for _ in range(count):
        item, at = _item(data, at, depth + 1)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[str, object], int]:
    pairs: dict[str, object] = {}
    for _ in range(count):
        key, at = _item(data, at, depth + 1)
        if not isinstance(key, str) or key in pairs:
            raise CborError("keys are text, each once")
        pairs[key], at = _item(data, at, depth + 1)
    return pairs, at
