"""Battery and free storage, as the kernel tells them.

Source: the kernel's Documentation/ABI/testing/sysfs-class-power.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

POWER_SUPPLIES = Path("/sys/class/power_supply")
_SUPPLIES_MAX = 32  # A handheld has two or three; a folder with more is none of the kernel's.
_TEXT_MAX_BYTES = 64  # The longest word we ask for is "Not charging".
_NUMBER_MAX_DIGITS = 15  # µWh and µAh; a battery of a handheld has eight digits.
_MIB = 2**20

# "Full" is said only of a battery that hangs on its charger.
_CHARGING: Mapping[str, bool] = MappingProxyType(
    {"Charging": True, "Full": True, "Discharging": False, "Not charging": False}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What is known of the battery. battery_percent: 0..100. None where nobody knows."""

    battery_percent: int | None
    charging: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Battery:
    """One battery. now and full: in one unit, µWh or µAh, named by `unit`, where the kernel knows them."""

    percent: int | None
    charging: bool | None
    unit: str = ""
    now: int = 0
    full: int = 0


def read_power(root: Path = POWER_SUPPLIES) -> Power:
    """The state of all batteries together; of those in mice, headsets and printers it is not asked.

    Files that are absent, unreadable or say nonsense count as unknown. It may take some milliseconds per battery, since
    drivers ask the chip.
    """
    folders = _folders(root)
    batteries = [_battery(folder) for folder in folders if _is_own_battery(folder)]
    charging = _charging(batteries)
    if charging is None and batteries:
        charging = _is_fed(folders)
    return Power(battery_percent=_percent(batteries), charging=charging)


def storage_free_mib(folder: Path) -> int:
    """What an ordinary user may still write to the file system of `folder`. Raises OSError."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize // _MIB


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(root.iterdir())[:_SUPPLIES_MAX]
    except OSError:
        return []


def _is_own_battery(folder: Path) -> bool:
    return (
        _text(folder / "type") == "Battery" and _text(folder / "scope") != "Device" and _text(folder / "present") != "0"
    )


def _battery(folder: Path) -> _Battery:
    charging = _CHARGING.get(_text(folder / "status"))
    percent = _number(folder / "capacity")
    if percent is not None and percent > 100:
        percent = None
    for unit in ("energy", "charge"):
        now, full = _number(folder / f"{unit}_now"), _full(folder, unit)
        if now is not None and full:
            reckoned = min((200 * now + full) // (2 * full), 100)
            return _Battery(
                percent=reckoned if percent is None else percent,
                charging=charging,
                unit=unit,
                now=full * percent // 100 if percent is not None else min(now, full),
                full=full,
            )
    return _Battery(percent=percent, charging=charging)


def _full(folder: Path, unit: str) -> int | None:
    """What the battery holds today, or held when it was new."""
    return _number(folder / f"{unit}_full") or _number(folder / f"{unit}_full_design")


def _percent(batteries: list[_Battery]) -> int | None:
    """Weighed by what each holds, or the mean where that is not known of all in one unit."""
    known = [battery for battery in batteries if battery.percent is not None]
    if not known:
        return None
    if len(known) > 1 and known[0].unit and len({battery.unit for battery in known}) == 1:
        full = sum(battery.full for battery in known)
        return (200 * sum(battery.now for battery in known) + full) // (2 * full)
    return sum(battery.percent or 0 for battery in known) // len(known)


def _charging(batteries: list[_Battery]) -> bool | None:
    """Whether any battery is fed; None if the kernel does not know it of one."""
    states = {battery.charging for battery in batteries}
    if True in states:
        return True
    return False if states == {False} else None


def _is_fed(folders: list[Path]) -> bool | None:
    """Whether a charger says that it is there; None without one that says anything."""
    online = [
        number
        for folder in folders
        if _text(folder / "type") not in {"", "Battery", "UPS"} and (number := _number(folder / "online")) is not None
    ]
    return any(online) if online else None


def _number(path: Path) -> int | None:
    """A whole number, not negative."""
    text = _text(path)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _NUMBER_MAX_DIGITS else None


def _text(path: Path) -> str:
    """What a file says; "" where it is absent or its driver fails."""
    try:
        with path.open("rb") as file:
            return file.read(_TEXT_MAX_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""
