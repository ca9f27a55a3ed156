"""The handheld's side, with the whole firmware at the other end of a cable that comes and goes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from device.hardware.sled import RETRY_MAX_S, SILENT_S, SledLink, find_sled
from protocol.values import Fix
from tests.device.sled.workbench import (
    IMEI,
    STREET,
    STREET_E7,
    STREET_TIME,
    STREET_UTC_MS,
    Outlet,
    Pocket,
    beside,
    modem_at,
    nobody,
    outlets,
    running_sled,
    sentence,
)

LINK_MAX_S = 10.0 + SILENT_S + RETRY_MAX_S


def street(gnss: Outlet) -> Callable[[], None]:
    """What a receiver in the street says once a second."""
    return lambda: gnss.write(sentence(STREET) + sentence(STREET_TIME))


class Cable:
    """Joins two outlets: what a USB bridge does between a board and a handheld."""

    def __init__(self, handheld: Outlet, board: Outlet) -> None:
        self.handheld, self.board = handheld, board

    async def carry(self, source: Outlet, target: Outlet) -> None:
        while True:
            target.push(await source.read())

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.carry(self.handheld, self.board))
            group.create_task(self.carry(self.board, self.handheld))


async def test_a_plugged_in_sled_tells_where_we_are_and_what_it_is(tmp_path: Path) -> None:
    cell = tmp_path / "cell"
    cell.write_text("3984")
    pocket = Pocket()
    with outlets(tmp_path, "tty", "host", "gnss", "modem") as (tty, host, gnss, modem):
        link = SledLink(str(tty.path))
        async with (
            asyncio.timeout(LINK_MAX_S),
            running_sled(host, gnss=gnss, modem=modem, battery=cell),
            beside(modem_at(modem)),
            beside(Cable(tty, host).run()),
            beside(link.run(pocket.tell)),
        ):
            seen = await pocket.told(lambda told: isinstance(told.fix, Fix), street(gnss))
            assert seen.fix == Fix(*STREET_E7, accuracy_dm=45, age_s=0)
            assert seen.source == "sled"
            assert seen.utc_ms is not None
            assert 0 <= seen.utc_ms - STREET_UTC_MS <= 10_000
            assert link.trouble is None
            info = await link.info()
            assert (info.imei, info.battery_mv, info.battery_percent, info.firmware) == (IMEI, 3_984, 75, "1.0.0")
    assert pocket.last is not None


async def test_a_sled_vanishes_in_mid_word_and_comes_back_and_nothing_is_raised(tmp_path: Path) -> None:
    pocket = Pocket()
    with outlets(tmp_path, "tty", "host") as (tty, host):
        tty.vanish()
        link = SledLink(str(tty.path))
        async with asyncio.timeout(LINK_MAX_S), beside(link.run(pocket.tell)), running_sled(host):
            await pocket.told(nobody)
            assert link.trouble is not None
            tty.appear()
            async with beside(Cable(tty, host).run()):
                await pocket.told(lambda told: link.trouble is None)
            tty.write(b"\0\x0f\x11\x22")
            tty.vanish()
            await pocket.told(nobody)
            assert link.trouble is not None
            tty.appear()
            async with beside(Cable(tty, host).run()):
                await pocket.told(lambda told: link.trouble is None)


async def test_a_sled_that_is_killed_and_started_anew_is_heard_again(tmp_path: Path) -> None:
    pocket = Pocket()
    with outlets(tmp_path, "tty", "host", "gnss") as (tty, host, gnss):
        link = SledLink(str(tty.path))
        async with (
            asyncio.timeout(LINK_MAX_S),
            beside(Cable(tty, host).run()),
            beside(link.run(pocket.tell)),
        ):
            for _ in range(2):
                async with running_sled(host, gnss=gnss):
                    await pocket.told(lambda told: isinstance(told.fix, Fix), street(gnss))
                pocket.last = None


async def test_a_sled_is_asked_for_its_imei_before_anything_else_runs(tmp_path: Path) -> None:
    with outlets(tmp_path, "tty", "host", "modem") as (tty, host, modem):
        async with (
            asyncio.timeout(LINK_MAX_S),
            beside(modem_at(modem)),
            beside(Cable(tty, host).run()),
            running_sled(host, modem=modem),
        ):
            assert (await SledLink(str(tty.path)).info()).imei == IMEI


async def test_a_sled_is_found_among_strangers_to_whom_nothing_is_said(tmp_path: Path) -> None:
    with outlets(tmp_path, "a-printer", "b-sled", "c-host") as (printer, tty, host):
        places = [str(tmp_path / "0-gone"), str(printer.path), str(tty.path)]
        async with asyncio.timeout(LINK_MAX_S), running_sled(host), beside(Cable(tty, host).run()):
            assert await find_sled(lambda: places, listen_s=1.5) == str(tty.path)
            assert printer.heard_nothing()
            # The stranger's port is not held again.
            found = asyncio.ensure_future(find_sled(lambda: places, listen_s=60.0))
            assert await asyncio.wait_for(found, 10.0) == str(tty.path)
