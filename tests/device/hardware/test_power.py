"""Battery and storage from the kernel's files, as kernels and their drivers really fill them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.hardware.power import Power, read_power, storage_free_mib

# The folder is laid out as `supply/file=value ...`, one supply a line.
CASES = {
    "one battery in use": ("BAT0 type=Battery status=Discharging capacity=83", 83, False),
    "on its charger": ("BAT0 type=Battery status=Charging capacity=40", 40, True),
    "full on its charger": ("BAT0 type=Battery status=Full capacity=100", 100, True),
    "held at 80 % by its charger": ("BAT0 type=Battery status=Not~charging capacity=80", 80, False),
    "no battery": ("AC type=Mains online=1", None, None),
    "nothing at all": ("", None, None),
    "capacity from the energy": (
        "BAT0 type=Battery status=Discharging energy_now=14800000 energy_full=37000000",
        40,
        False,
    ),
    "capacity from the charge": ("b type=Battery status=Discharging charge_now=1999 charge_full=4000", 50, False),
    "full as it was designed": ("b type=Battery charge_now=1000 charge_full_design=4000 capacity=x", 25, None),
    "more than full": ("b type=Battery energy_now=4100 energy_full=4000", 100, None),
    "full of nothing": ("b type=Battery energy_now=0 energy_full=0", None, None),
    "capacity out of range, charge known": ("b type=Battery capacity=255 charge_now=30 charge_full=40", 75, None),
    "capacity out of range": ("b type=Battery capacity=101", None, None),
    "capacity negative": ("b type=Battery capacity=-1", None, None),
    "capacity empty": ("b type=Battery capacity=", None, None),
    "capacity no number": ("b type=Battery capacity=٤٢", None, None),
    "capacity is zero": ("b type=Battery status=Discharging capacity=0", 0, False),
    "number without end": (f"b type=Battery capacity=5{'0' * 5_000}", None, None),
    "two of a size unknown": ("a type=Battery capacity=90\nb type=Battery capacity=41", 65, None),
    "two, weighed": (
        "a type=Battery capacity=100 energy_now=9 energy_full=9000\nb type=Battery energy_now=0 energy_full=1000",
        90,
        None,
    ),
    "two in different units": (
        "a type=Battery energy_now=80 energy_full=100\nb type=Battery charge_now=1 charge_full=5",
        50,
        None,
    ),
    "one of two feeds": (
        "a type=Battery capacity=50 status=Discharging\nb type=Battery capacity=50 status=Charging",
        50,
        True,
    ),
    "a slot without its battery": ("a type=Battery capacity=70\nb type=Battery present=0 capacity=0", 70, None),
    "a mouse": ("a type=Battery capacity=70 status=Discharging\nhid type=Battery scope=Device capacity=3", 70, False),
    "only a headset": ("hid type=Battery scope=Device capacity=3 status=Discharging", None, None),
    "unknown, and a charger there": ("b type=Battery capacity=9 status=Unknown\nusb type=USB online=1", 9, True),
    "unknown, and no charger there": (
        "b type=Battery capacity=9 status=Unknown\nusb type=USB online=0\nac type=Mains online=0",
        9,
        False,
    ),
    "unknown, and nobody says": ("b type=Battery capacity=9 status=Unknown\nusb type=USB", 9, None),
    "charger that feeds by wireless, fixed at two": ("b type=Battery capacity=9\nw type=Wireless online=2", 9, True),
    "a UPS is no battery": ("u type=UPS capacity=99 status=Full", None, None),
}


@pytest.mark.parametrize("case", CASES)
def test_battery_as_the_kernel_tells_it(tmp_path: Path, case: str) -> None:
    layout, percent, charging = CASES[case]
    for line in filter(None, layout.split("\n")):
        supply, *files = line.split(" ")
        (tmp_path / supply).mkdir()
        for file in files:
            name, _, value = file.partition("=")
            (tmp_path / supply / name).write_text(f"{value.replace('~', ' ')}\n", encoding="utf-8")
    assert read_power(tmp_path) == Power(battery_percent=percent, charging=charging)


def test_machine_without_the_kernels_folder_knows_nothing(tmp_path: Path) -> None:
    assert read_power(tmp_path / "absent") == Power(battery_percent=None, charging=None)


def test_driver_that_fails_costs_its_own_answer(tmp_path: Path) -> None:
    """A read that ends in an error, as of a chip that does not answer: here of folders where files should be."""
    for supply in ("a", "b"):
        (tmp_path / supply).mkdir()
        (tmp_path / supply / "type").write_text("Battery\n")
    (tmp_path / "a" / "capacity").mkdir()
    (tmp_path / "a" / "status").mkdir()
    (tmp_path / "b" / "capacity").write_text("55\n")
    (tmp_path / "c").write_text("no folder")
    assert read_power(tmp_path) == Power(battery_percent=55, charging=None)


names = st.sampled_from(
    [
        "type",
        "status",
        "capacity",
        "energy_now",
        "energy_full",
        "charge_now",
        "charge_full",
        "present",
        "scope",
        "online",
    ]
)
values = st.sampled_from([b"Battery\n", b"Mains", b"Unknown", b"Charging", b"1", b"0"]) | st.integers().map(
    lambda number: str(number).encode()
) | st.binary(max_size=80)  # fmt: skip


@given(st.lists(st.dictionaries(names, values), max_size=3))
def test_no_file_is_an_error(tmp_path_factory: pytest.TempPathFactory, supplies: list[dict[str, bytes]]) -> None:
    root = tmp_path_factory.mktemp("power")
    for number, files in enumerate(supplies):
        (root / str(number)).mkdir()
        for name, value in files.items():
            (root / str(number) / name).write_bytes(value)
    power = read_power(root)
    assert power.battery_percent is None or 0 <= power.battery_percent <= 100


def test_this_machine_has_storage_and_an_absent_folder_has_none(tmp_path: Path) -> None:
    assert 0 < storage_free_mib(tmp_path) < 2**40
    with pytest.raises(FileNotFoundError):
        storage_free_mib(tmp_path / "absent")
