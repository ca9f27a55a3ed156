"""The address of a printer, as a person types it and as a handheld remembers it.

    serial:///dev/ttyUSB0?baud=115200&flow=xonxoff      also classic Bluetooth: serial:///dev/rfcomm0
    ble://AA:BB:CC:DD:EE:FF?model=generic-58
    file:out.bin
    memory:bench

One address has one spelling, `str(address)`, whatever spelling it came in: two handhelds' notes can be compared.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never
from urllib.parse import quote, unquote

from printer_drivers.escpos import Mode
from printer_drivers.profiles import Flow


class Way(StrEnum):
    """How a printer is reached: the scheme of its address."""

    SERIAL = "serial"
    BLE = "ble"
    FILE = "file"
    MEMORY = "memory"


class AddressError(ValueError):
    """Not an address of a printer. The message is one sentence that says what is allowed."""


@dataclass(frozen=True, slots=True)
class _Allowed:
    """The values of one option. words: how a sentence names them."""

    pattern: re.Pattern[str]
    words: str


def _one_of(*values: str) -> _Allowed:
    return _Allowed(re.compile("|".join(map(re.escape, values))), ", ".join(values))


# The speeds that receipt printers can be set to, by their switches or tools.
_BAUDS = _one_of("1200", "2400", "4800", "9600", "19200", "38400", "57600", "115200", "230400", "460800", "921600")
_MODEL = _Allowed(re.compile(r"[a-z0-9]+(-[a-z0-9]+)*"), "a name such as generic-58")
_OF_EVERY_WAY: Mapping[str, _Allowed] = {"model": _MODEL, "mode": _one_of(*Mode)}
_OPTIONS: Mapping[Way, Mapping[str, _Allowed]] = {
    Way.SERIAL: {**_OF_EVERY_WAY, "baud": _BAUDS, "flow": _one_of(*Flow)},
    Way.BLE: _OF_EVERY_WAY,
    Way.FILE: _OF_EVERY_WAY,
    Way.MEMORY: _OF_EVERY_WAY,
}
_MAC = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}")
_MEMORY_NAME = re.compile(r"[A-Za-z0-9._-]*")
_EXAMPLES = "serial:///dev/ttyUSB0, ble://AA:BB:CC:DD:EE:FF, file:out.bin or memory:name"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrinterAddress:
    """Where a printer is. Made by `parse`, which alone checks it.

    scheme: how it is reached. place: a path, a MAC address in capitals, or a name in this process.
    options: what the address says besides; names and values are those that `parse` allows, sorted by name.
    """

    scheme: Way
    place: str
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(sorted(self.options.items()))))

    def __str__(self) -> str:
        """The one spelling of this address."""
        match self.scheme:
            case Way.SERIAL | Way.FILE if self.place.startswith("/"):
                place = f"//{quote(self.place)}"
            case Way.BLE:
                place = f"//{self.place}"
            case Way.SERIAL | Way.FILE | Way.MEMORY:
                place = quote(self.place)
            case _:
                assert_never(self.scheme)
        options = "&".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.scheme}:{place}{'?' if options else ''}{options}"


def parse(url: str) -> PrinterAddress:
    """The address that a text names. Raises AddressError."""
    scheme, _, rest = url.partition(":")
    if scheme not in set(Way):
        raise AddressError(f"{url!r} is not a printer's address: write {_EXAMPLES}")
    way = Way(scheme)
    text, question, query = rest.partition("?")
    place = _place(way, text, url)
    return PrinterAddress(scheme=way, place=place, options=dict(_options(way, query, url)) if question else {})


def _place(way: Way, text: str, url: str) -> str:
    try:
        place = unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise AddressError(f"{url!r}: what stands behind % must spell letters in UTF-8") from error
    if not place.isprintable():
        raise AddressError(f"{url!r} holds a character that cannot be seen: type the address anew")
    match way:
        case Way.SERIAL:
            path = place.removeprefix("//")
            if not place.startswith("///") or _is_folder(path):
                raise AddressError(f"{url!r}: a serial printer needs the path of its port: serial:///dev/ttyUSB0")
            return path
        case Way.BLE:
            mac = place.removeprefix("//").upper()
            if not place.startswith("//") or not _MAC.fullmatch(mac):
                raise AddressError(f"{url!r}: a Bluetooth printer needs its address: ble://AA:BB:CC:DD:EE:FF")
            return mac
        case Way.FILE:
            path = place.removeprefix("//") if place.startswith("///") else place
            if (path is place and place.startswith("//")) or _is_folder(path):
                raise AddressError(f"{url!r}: a file needs a path: file:out.bin or file:///tmp/out.bin")
            return path
        case Way.MEMORY:
            if not _MEMORY_NAME.fullmatch(place):
                raise AddressError(f"{url!r}: a printer in memory has a name of letters, digits, '.', '_' and '-'")
            return place
        case _:
            assert_never(way)


def _is_folder(path: str) -> bool:
    return path.rpartition("/")[2] in ("", ".", "..")


def _options(way: Way, query: str, url: str) -> Iterator[tuple[str, str]]:
    allowed = _OPTIONS[way]
    seen: set[str] = set()
    for text in query.split("&"):
        name, _, value = text.partition("=")
        if name not in allowed:
            raise AddressError(f"{url!r}: {way} printers have no option {name!r}, only {', '.join(sorted(allowed))}")
        if name in seen:
            raise AddressError(f"{url!r} says {name} twice: leave one")
        if not allowed[name].pattern.fullmatch(value):
            raise AddressError(f"{url!r}: {name} is {allowed[name].words}")
        seen.add(name)
        yield name, value
