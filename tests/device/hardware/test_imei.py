"""The IMEI from a modem: by ModemManager where it runs, else by AT commands; a valid one, or a sentence."""

from pathlib import Path

import pytest

from device.hardware.imei import ImeiUnavailableError, imei_in, read_imei
from protocol.values import Imei
from simulator.bluez_bus import private_bus
from simulator.receivers import Answers, AtModem, FakeModemManager, MmModem, Sky

IMEI = Imei("490154203237518")
OTHER = Imei("865204020007540")
ZEROS = "004400013805666"  # Leading zeros: an IMEI is text.
IMEISV = "4901542032375181"  # Its first fifteen digits pass for an IMEI, as every tenth one's do.
BC26_UUID = "cf9b7c21-6d11-4e29-8a0c-2b1f57a9d3f0"


@pytest.mark.parametrize(
    "line",
    [
        IMEI,
        f'"{IMEI}"',
        f"+CGSN: {IMEI}",
        f'+CGSN: "{IMEI}"',
        f"+CGSN:{IMEI}",
        f"+cgsn: {IMEI} ",
        f"CGSN: {IMEI}",
        f"#CGSN: {IMEI}",
        f"+GSN: {IMEI}",
        f"IMEI: {IMEI}",
    ],
)
def test_imei_is_found_however_modems_dress_it(line: str) -> None:
    assert imei_in([line]) == IMEI


@pytest.mark.parametrize(
    "line",
    [
        "",
        "RDY",
        BC26_UUID,
        f"+CGSN: {BC26_UUID}",
        IMEISV,
        f"+CGSN: {IMEISV}",
        IMEI[:14],
        "490154203237519",  # A wrong check digit.
        f"+CREG: {IMEI}",
        "+CGSN: (0-3)",
        "+CME ERROR: 100",
        "A000004F2F2B8C",  # A MEID.
        f"{IMEI} {IMEI}",
        "٤٩٠١٥٤٢٠٣٢٣٧٥١٨",
    ],
)
def test_what_is_no_imei_is_not_bent_into_one(line: str) -> None:
    assert imei_in([line]) is None


def test_first_of_two_and_leading_zeros() -> None:
    assert imei_in(["RDY", ZEROS, IMEI]) == ZEROS


@pytest.fixture
def name(tmp_path: Path) -> Path:
    return tmp_path / "ttyUSB2"


@pytest.mark.parametrize("piece_bytes", [1, None])
@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ({"AT+CGSN=1": (f'+CGSN: "{IMEI}"', "OK")}, ["AT+CGSN=1"]),
        ({"AT+CGSN=1": (IMEI, "OK")}, ["AT+CGSN=1"]),
        ({"AT+CGSN=1": ("ERROR",), "AT+CGSN": (IMEI, "OK")}, ["AT+CGSN=1", "AT+CGSN"]),
        ({"AT+CGSN=1": ("+CME ERROR: 50",), "AT+GSN": (IMEI, "OK")}, ["AT+CGSN=1", "AT+CGSN", "AT+GSN"]),
        (
            {"AT+CGSN=1": ("OK",), "AT+CGSN": (BC26_UUID, "OK"), "AT+GSN": (IMEI, "OK")},
            ["AT+CGSN=1", "AT+CGSN", "AT+GSN"],
        ),
        ({"AT+CGSN=1": (IMEISV, "OK"), "AT+CGSN": (IMEI, "OK")}, ["AT+CGSN=1", "AT+CGSN"]),
    ],
)
async def test_modem_is_asked_until_it_tells(
    name: Path, answers: Answers, asked: list[str], piece_bytes: int | None
) -> None:
    async with AtModem(name, answers, piece_bytes=piece_bytes, unasked=("+CREG: 2", "RDY")) as modem:
        assert await read_imei(f"at://{modem.path}") == IMEI
        assert modem.asked == ["AT", "ATE0", *asked]


async def test_modem_that_tells_no_imei_leaves_it_to_a_person(name: Path) -> None:
    answers = {"AT+CGSN=1": (IMEISV, "OK"), "AT+CGSN": ("490154203237519", "OK"), "AT+GSN": ("+CME ERROR: 100",)}
    async with AtModem(name, answers) as modem:
        with pytest.raises(ImeiUnavailableError, match=r"does not tell its IMEI.*\*#06#"):
            await read_imei(f"at://{modem.path}")


async def test_port_that_is_not_there_leaves_it_to_a_person(name: Path) -> None:
    with pytest.raises(ImeiUnavailableError, match=f"no port {name}.*Type the IMEI"):
        await read_imei(f"at://{name}")


@pytest.mark.parametrize("place", ["", "at:", "at://ttyUSB2", "/dev/ttyUSB2", "mm", "mm://x", "AUTO"])
async def test_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        await read_imei(place)


@pytest.mark.parametrize(
    "modem",
    [MmModem(imei=IMEI, equipment=""), MmModem(imei="", equipment=IMEI), MmModem(imei=IMEISV, equipment=IMEI)],
)
async def test_modem_manager_knows_it_in_either_property(modem: MmModem) -> None:
    async with FakeModemManager(Sky(), [modem]):
        assert await read_imei("mm:") == IMEI
        assert await read_imei("auto", ports=ports_not_to_be_opened) == IMEI


async def test_first_modem_with_an_imei_counts() -> None:
    modems = [
        MmModem(imei="", equipment="A000004F2F2B8C"),
        *(MmModem(imei=OTHER) for _ in range(10)),
        MmModem(imei=IMEI),
    ]
    async with FakeModemManager(Sky(), modems):
        assert await read_imei("mm:") == OTHER


@pytest.mark.parametrize(
    ("modems", "words"), [([], "knows no modem"), ([MmModem(imei="", equipment="0")], "not its IMEI")]
)
async def test_ports_are_left_alone_while_modem_manager_answers(modems: list[MmModem], words: str) -> None:
    async with FakeModemManager(Sky(), modems):
        for place in ("mm:", "auto"):
            with pytest.raises(ImeiUnavailableError, match=words):
                await read_imei(place, ports=ports_not_to_be_opened)


async def test_ports_are_left_alone_while_modem_manager_refuses() -> None:
    async with FakeModemManager(Sky(), [MmModem(imei=IMEI)]) as manager:
        manager.refuses = True
        with pytest.raises(ImeiUnavailableError, match="refused GetManagedObjects"):
            await read_imei("auto", ports=ports_not_to_be_opened)


def ports_not_to_be_opened() -> tuple[str, ...]:
    raise AssertionError("the port is ModemManager's")


async def test_without_modem_manager_the_modems_ports_are_tried_in_turn(tmp_path: Path) -> None:
    with private_bus():
        async with (
            AtModem(tmp_path / "ttyUSB0", {}, deaf=99) as deaf,
            AtModem(tmp_path / "ttyUSB1", {"AT+CGSN=1": (f"+CGSN: {IMEI}", "OK")}) as modem,
        ):
            assert await read_imei("auto", ports=lambda: (deaf.path, modem.path)) == IMEI
        with pytest.raises(ImeiUnavailableError, match=r"does not run\. Type the IMEI"):
            await read_imei("mm:")
        with pytest.raises(ImeiUnavailableError, match="no USB modem"):
            await read_imei("auto", ports=tuple)


async def test_without_any_bus_the_ports_are_tried_too(name: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={name.parent / 'no-bus'}")
    async with AtModem(name, {"AT+CGSN=1": (IMEI, "OK")}) as modem:
        assert await read_imei("auto", ports=lambda: (modem.path,)) == IMEI
    with pytest.raises(ImeiUnavailableError, match="no D-Bus"):
        await read_imei("mm:")
