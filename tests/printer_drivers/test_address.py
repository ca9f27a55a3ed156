"""A printer's address is one thing in one spelling, and what is not one is refused in words."""

from typing import assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from printer_drivers.escpos import Mode
from printer_drivers.profiles import Flow, profile_for
from printer_drivers.transports import Link, open_link
from printer_drivers.transports.address import AddressError, PrinterAddress, Way, parse
from printer_drivers.transports.file import FileLink
from printer_drivers.transports.memory import MemoryLink
from printer_drivers.transports.serial_port import SerialLink

# What is typed -> the one spelling of it.
SPELLINGS = """
serial:///dev/ttyUSB0                              serial:///dev/ttyUSB0
serial:///dev/rfcomm0?flow=none&baud=9600          serial:///dev/rfcomm0?baud=9600&flow=none
serial:///dev/serial/by-id/usb-A%20B?mode=text     serial:///dev/serial/by-id/usb-A%20B?mode=text
ble://aa:bb:cc:0d:ee:ff                            ble://AA:BB:CC:0D:EE:FF
ble://AA:BB:CC:0D:EE:FF?model=generic-58           ble://AA:BB:CC:0D:EE:FF?model=generic-58
file:out.bin                                       file:out.bin
file:in/đây#1.bin?mode=folded                      file:in/%C4%91%C3%A2y%231.bin?mode=folded
file:/tmp/out.bin                                  file:///tmp/out.bin
file:///tmp/out.bin                                file:///tmp/out.bin
file:50%25.bin                                     file:50%25.bin
memory:bench                                       memory:bench
memory:?model=generic-80&mode=raster               memory:?mode=raster&model=generic-80
"""

# What is typed, with · for a space | what the sentence has to name.
REFUSALS = """
                                           | serial:///dev/ttyUSB0
/dev/ttyUSB0                               | serial:///dev/ttyUSB0
usb:0                                      | file:out.bin
SERIAL:///dev/ttyUSB0                      | serial:///dev/ttyUSB0
·file:out.bin                              | file:out.bin
serial:/dev/ttyUSB0                        | serial:///dev/ttyUSB0
serial://dev/ttyUSB0                       | serial:///dev/ttyUSB0
serial://                                  | serial:///dev/ttyUSB0
serial:///                                 | serial:///dev/ttyUSB0
serial:///dev/                             | serial:///dev/ttyUSB0
serial:///dev/..                           | serial:///dev/ttyUSB0
serial:///dev/ttyUSB0?baud=9601            | 1200, 2400
serial:///dev/ttyUSB0?baud=                | 1200, 2400
serial:///dev/ttyUSB0?baud=+9600           | 1200, 2400
serial:///dev/ttyUSB0?baud=9600·           | 1200, 2400
serial:///dev/ttyUSB0?baud                 | 1200, 2400
serial:///dev/ttyUSB0?flow=xon             | none, xonxoff, rtscts
serial:///dev/ttyUSB0?speed=9600           | 'speed', only baud, flow, mode, model
serial:///dev/ttyUSB0?Baud=9600            | 'Baud', only baud, flow, mode, model
serial:///dev/ttyUSB0?                     | only baud, flow, mode, model
serial:///dev/ttyUSB0?baud=1200&           | only baud, flow, mode, model
serial:///dev/ttyUSB0?baud=1200&baud=2400  | baud twice
serial:///dev/tty%00                       | cannot be seen
serial:///dev/tty%FF                       | UTF-8
ble:AA:BB:CC:DD:EE:FF                      | ble://AA:BB:CC:DD:EE:FF
ble://AA:BB:CC:DD:EE                       | ble://AA:BB:CC:DD:EE:FF
ble://AA:BB:CC:DD:EE:FG                    | ble://AA:BB:CC:DD:EE:FF
ble://AABBCCDDEEFF                         | ble://AA:BB:CC:DD:EE:FF
ble://AA:BB:CC:DD:EE:FF/                   | ble://AA:BB:CC:DD:EE:FF
ble://AA:BB:CC:DD:EE:FF?baud=9600          | 'baud', only mode, model
file:                                      | file:out.bin
file:.                                     | file:out.bin
file:papers/                               | file:out.bin
file://host/out.bin                        | file:///tmp/out.bin
file:out.bin?flow=none                     | 'flow', only mode, model
file:out.bin?mode=picture                  | raster, text, folded
file:out.bin?model=TM-P20                  | generic-58
file:out.bin?model=a--b                    | generic-58
memory:a/b                                 | letters, digits
memory:?baud=9600                          | 'baud', only mode, model
"""


@pytest.mark.parametrize("case", SPELLINGS.strip().splitlines())
def test_an_address_has_one_spelling_whatever_it_was_typed_like(case: str) -> None:
    typed, spelling = case.split()
    assert str(parse(typed)) == spelling
    assert parse(spelling) == parse(typed)


@pytest.mark.parametrize("case", REFUSALS.strip("\n").splitlines())
def test_what_is_no_address_is_refused_with_what_would_be_one(case: str) -> None:
    typed, allowed = (part.strip() for part in case.split("|"))
    with pytest.raises(AddressError) as refusal:
        parse(typed.replace("·", " "))
    assert allowed in str(refusal.value)
    assert isinstance(refusal.value, ValueError)


PATHS = st.lists(st.text(st.characters(exclude_characters="/", exclude_categories=("C", "Z")), min_size=1), min_size=1)
NAMES = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)?", fullmatch=True)
OPTIONS = {"model": NAMES, "mode": st.sampled_from([mode.value for mode in Mode])}
LINE_OPTIONS = {**OPTIONS, "baud": st.sampled_from(["9600", "115200"]), "flow": st.sampled_from(list(Flow))}


@st.composite
def addresses(draw: st.DrawFn) -> PrinterAddress:
    way: Way = draw(st.sampled_from(list(Way)))
    path = "/".join(part if part not in {".", ".."} else "x" for part in draw(PATHS))
    match way:
        case Way.SERIAL:
            place = f"/{path}"
        case Way.FILE:
            place = draw(st.sampled_from(["", "/", "//"])) + path
        case Way.BLE:
            place = ":".join(f"{byte:02X}" for byte in draw(st.binary(min_size=6, max_size=6)))
        case Way.MEMORY:
            place = draw(st.from_regex(r"[A-Za-z0-9._-]*", fullmatch=True))
        case _:
            assert_never(way)
    options = LINE_OPTIONS if way is Way.SERIAL else OPTIONS
    return PrinterAddress(scheme=way, place=place, options=draw(st.fixed_dictionaries({}, optional=options)))


@given(addresses())
def test_every_address_is_read_back_as_it_was_written(address: PrinterAddress) -> None:
    assert parse(str(address)) == address
    assert hash(parse(str(address))) == hash(address)


def sentence_against(url: str) -> str | None:
    """Why a text is no address; None if it is one, which then has to survive being written down."""
    try:
        address = parse(url)
    except AddressError as refusal:
        return str(refusal)
    assert parse(str(address)) == address
    return None


@given(st.text())
def test_any_text_is_an_address_or_refused_in_one_sentence(text: str) -> None:
    sentences = [sentence_against(url) for url in (text, *(f"{way}:{text}" for way in Way))]
    assert not any("\n" in sentence for sentence in sentences if sentence is not None)


def test_what_an_address_says_cannot_be_changed_behind_its_back() -> None:
    options = {"baud": "9600"}
    address = PrinterAddress(scheme=Way.SERIAL, place="/dev/ttyUSB0", options=options)
    options["baud"] = "1200"
    assert address.options == {"baud": "9600"}


def test_each_way_has_its_link_and_the_address_goes_before_the_profile() -> None:
    profile = profile_for("generic-58")
    port = open_link(parse("serial:///dev/ttyUSB0?baud=1200&flow=rtscts"), profile)
    assert isinstance(port, SerialLink)
    assert (port.path, port.baud, port.flow) == ("/dev/ttyUSB0", 1200, Flow.RTS_CTS)
    port = open_link(parse("serial:///dev/ttyUSB0"), profile)
    assert isinstance(port, SerialLink)
    assert (port.baud, port.flow) == (profile.serial.baud, profile.serial.flow)
    file: Link = open_link(parse("file:out.bin"), profile)
    assert isinstance(file, FileLink)
    assert file.path == "out.bin"
    assert isinstance(open_link(parse("memory:bench"), profile), MemoryLink)
