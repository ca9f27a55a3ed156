"""The IMEI of this handheld, as its modem tells it: the identity under which the hub knows the machine.

A wrong one would enrol a handheld that does not exist, so nothing is guessed: fifteen digits with the right check
digit, or a sentence that says why not. Where there is no modem, a person types it.
Source: 3GPP TS 23.003 clause 6.2 (IMEI), TS 27.007 clause 5.4 (+CGSN).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from serial.tools import list_ports

from device.hardware.at import AtError, AtPort, AtRefusedError, open_at_port
from device.hardware.modem_manager import ModemManagerError, reach
from device.hardware.serial_port import TtyError
from device.hardware.sled import SledLink, SledUnavailableError, find_sled
from protocol.values import Imei, ImeiError

# =1 first: a bare +CGSN is the serial number, which is the IMEI in most modems but not in all; +GSN is older still.
_QUESTIONS = ("AT+CGSN=1", "AT+CGSN", "AT+GSN")
_ANSWER = re.compile(r"""(?:[+\#]?(?:CGSN|GSN|IMEI):)?\s*"?\s*(?:IMEI:?\s*)?(\d{15})\s*"?""", re.ASCII | re.IGNORECASE)
# Makers of modems by their USB vendor: a question in AT sent to an unknown port might come out of a printer.
_MODEM_VENDORS = frozenset(
    {
        0x05C6,  # Qualcomm, and the many that build on it
        0x1199,  # Sierra Wireless
        0x12D1,  # Huawei
        0x1546,  # u-blox
        0x19D2,  # ZTE
        0x1BC7,  # Telit
        0x1E0E,  # SIMCom
        0x1E2D,  # Cinterion
        0x2C7C,  # Quectel
        0x2CB7,  # Fibocom
    }
)
PORTS_MAX = 8  # A modem shows four or five, most of which are deaf to AT; each costs a second.
_KNOCKS = 2  # A port of a modem that is deaf to AT must not keep a person waiting.

_TYPE_IT = "Type the IMEI that is printed under the battery or shown by *#06#."


class ImeiUnavailableError(Exception):
    """The modem's IMEI cannot be had; the sentence says why and what to do."""


def imei_in(lines: Iterable[str]) -> Imei | None:
    """The IMEI in a modem's answer; the first if it has several.

    Bare, in quotes, or behind the command's name. Sixteen digits are an IMEISV, whose last two are no check digit, and
    are refused like fourteen or a UUID: the first fifteen of them would be somebody else's.
    """
    for line in lines:
        if (found := _ANSWER.fullmatch(line.strip())) is not None:
            with suppress(ImeiError):
                return Imei(found[1])
    return None


def modem_ports() -> tuple[str, ...]:
    """Serial ports of USB modems, in the order of their interfaces."""
    found = [port for port in list_ports.comports() if port.vid in _MODEM_VENDORS]
    return tuple(port.device for port in sorted(found, key=lambda port: port.location or port.device))[:PORTS_MAX]


async def read_imei(place: str, *, ports: Callable[[], Sequence[str]] = modem_ports) -> Imei:
    """Ask the modem at `place`: "mm:", "at:///dev/ttyUSB2", "sled:///dev/ttyACM0", or "auto".

    auto: ModemManager if it runs, and only it: it owns the ports, and two who ask at once read each other's answers.
    Otherwise the ports of USB modems one after the other, and then the modem of a sled that is plugged in. ports: where
    those of modems are.
    Raises ImeiUnavailableError, ValueError for a place that is none of these.
    """
    parts = urlsplit(place)
    if place in {"auto", "mm:"}:
        try:
            return await _from_modem_manager()
        except ModemManagerError as error:
            if place == "mm:" or not error.absent:
                raise ImeiUnavailableError(f"{error} {_TYPE_IT}") from error
        try:
            return await _from_ports(ports())
        except ImeiUnavailableError:
            if (path := await find_sled()) is None:
                raise
        return await _from_sled(path)
    if parts.scheme == "at" and not parts.netloc and parts.path.startswith("/"):
        return await _from_port(parts.path)
    if parts.scheme == "sled" and not parts.netloc and parts.path.startswith("/"):
        return await _from_sled(parts.path)
    raise ValueError(
        f"{place!r} is no place to read an IMEI: it must be mm:, at:///dev/ttyUSB2, sled:///dev/ttyACM0 or auto"
    )


async def _from_sled(path: str) -> Imei:
    try:
        imei = (await SledLink(path).info()).imei
    except SledUnavailableError as error:
        raise ImeiUnavailableError(f"{error} {_TYPE_IT}") from error
    if imei is None:
        raise ImeiUnavailableError(f"The accessory on {path} has no modem that tells its IMEI. {_TYPE_IT}")
    return imei


async def _from_modem_manager() -> Imei:
    """Raises ModemManagerError where nobody answers, ImeiUnavailableError where the answer is no IMEI."""
    async with reach() as manager:
        modems = await manager.modems()
    for modem in modems:
        if (imei := imei_in((modem.imei, modem.equipment))) is not None:
            return imei
    if modems:
        raise ImeiUnavailableError(f"ModemManager knows a modem, but not its IMEI. {_TYPE_IT}")
    raise ImeiUnavailableError(f"ModemManager runs but knows no modem. Modems take a minute after a start. {_TYPE_IT}")


async def _from_ports(paths: Sequence[str]) -> Imei:
    said: list[str] = []
    for path in paths[:PORTS_MAX]:
        try:
            return await _from_port(path, knocks=_KNOCKS)
        except ImeiUnavailableError as error:
            said.append(str(error).removesuffix(f" {_TYPE_IT}"))
    why = " ".join(said) or "No ModemManager runs, and no USB modem is plugged in."
    raise ImeiUnavailableError(f"{why} {_TYPE_IT}")


async def _from_port(path: str, *, knocks: int | None = None) -> Imei:
    try:
        async with open_at_port(path) as modem:
            await (modem.greet() if knocks is None else modem.greet(tries=knocks))
            return await _ask(modem, path)
    except (AtError, TtyError) as error:
        raise ImeiUnavailableError(f"{error} {_TYPE_IT}") from error


async def _ask(modem: AtPort, path: str) -> Imei:
    for question in _QUESTIONS:
        with suppress(AtRefusedError):
            if (imei := imei_in(await modem.command(question))) is not None:
                return imei
    raise ImeiUnavailableError(f"The modem on {path} does not tell its IMEI. {_TYPE_IT}")
