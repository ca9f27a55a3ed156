"""The third collector's world: the control desk, trouble by chance, and a scripted person at the real screens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import aiohttp
import pytest

from protocol.values import start_of_day_ms
from simulator.branch import Branch
from simulator.clock import ClockFile
from simulator.control_desk import (
    ACTS,
    CHANCE,
    LASTS_S,
    MID_PAPER_BYTES,
    OUT_OF_REACH_S,
    PEACE_S,
    World,
    control_desk,
    make_trouble,
)
from simulator.network import Network
from simulator.playground import next_working_day, playground, work_a_day
from simulator.printer import PrinterModel
from simulator.processes import JsonDoor, Process
from simulator.round import imei_of
from simulator.sample import write_branch
from simulator.serial_line import SerialLine
from simulator.truth import visits
from tests.virtual_time import in_virtual_time


async def test_scripted_person_works_a_day_at_real_screens_and_the_branch_agrees(tmp_path: Path) -> None:
    sample = write_branch(tmp_path / "extract", routes=1, customers_per_route=120)
    found = visits(sample.folder)
    day = min(found)
    clock = ClockFile(tmp_path / "clock", start_of_day_ms(day))
    branch = await Branch.found(tmp_path / "hub", clock, unit="TRY", name=sample.branch)
    try:
        await branch.do("import", folder=str(sample.folder))
        async with playground(
            branch,
            tmp_path,
            route=sample.routes[0],
            imei=imei_of(3),
            after=day,
            visits=found[day],
            hurry=True,
        ) as ground:
            told = await work_a_day(ground)
        assert len(told) == 10
        assert await branch.check() == []
    finally:
        await branch.stop()


def test_shift_after_a_friday_is_on_a_monday() -> None:
    assert next_working_day("2026-10-30") == "2026-11-02"
    assert next_working_day("2026-11-02") == "2026-11-03"


# The control desk.


@asynccontextmanager
async def small_world(folder: Path) -> AsyncIterator[World]:
    """A printer at a line and a network that leads nowhere. Its hub has not been started."""
    clock = ClockFile(folder / "clock", start_of_day_ms("2026-11-02"))
    branch = Branch(Process("hub", folder, [], "serving.json", {}), clock, JsonDoor(""))
    printer = PrinterModel()
    async with SerialLine(printer, name=folder / "port") as line:
        world = World(branch, Network("127.0.0.1", 9, Random(1)), printer, line, clock)
        yield world
        world.close()


async def test_every_fault_of_the_desk_has_a_button_that_takes_it_back(tmp_path: Path) -> None:
    pairs = (
        ("network-down", "network-up"),
        ("paper-out", "new-roll"),
        ("cover-open", "cover-close"),
        ("printer-off", "printer-on"),
        ("random-off", "random-on"),
    )
    async with small_world(tmp_path) as world, control_desk(world, 0) as desk, aiohttp.ClientSession() as browser:
        page = ""
        for wrong, right in pairs:
            for pressed, other in ((wrong, right), (right, wrong)):
                answer = await browser.post(f"{desk.url}/do/{pressed}", headers={"Origin": desk.url})
                page = await answer.text()
                assert f'action="/do/{other}"' in page
                assert f'action="/do/{pressed}"' not in page
        assert len(world.happenings) == 2 * len(pairs)
        assert ACTS["network-down"].told in page


@pytest.mark.parametrize("origin", ["", "null", "http://localhost:1", "https://evil.example"])
async def test_button_pressed_on_another_page_moves_nothing(tmp_path: Path, origin: str) -> None:
    async with small_world(tmp_path) as world, control_desk(world, 0) as desk, aiohttp.ClientSession() as browser:
        headers = {"Origin": origin} if origin else {}
        answer = await browser.post(f"{desk.url}/do/network-down", headers=headers)
        assert answer.status == 403
        assert world.network.is_up


async def test_page_asked_for_under_another_name_is_not_shown(tmp_path: Path) -> None:
    async with small_world(tmp_path) as world, control_desk(world, 0) as desk, aiohttp.ClientSession() as browser:
        answer = await browser.get(desk.url, headers={"Host": f"rebound.example:{desk.url.rpartition(':')[2]}"})
        assert answer.status == 403


async def test_papers_that_came_out_are_shown_and_no_others(tmp_path: Path) -> None:
    async with small_world(tmp_path) as world, control_desk(world, 0) as desk, aiohttp.ClientSession() as browser:
        world.printer.force(b"BIEN NHAN\n\n\n")
        await world.printer.idle()
        picture = await browser.get(f"{desk.url}/papers/1.png")
        assert (await picture.read()).startswith(b"\x89PNG")
        for number in ("0", "2", "x", "\u0661"):
            assert (await browser.get(f"{desk.url}/papers/{number}.png")).status == 404


async def test_hub_that_does_not_start_is_said_and_can_be_started_again(tmp_path: Path) -> None:
    async with small_world(tmp_path) as world:
        world.branch.process.arguments = ["-c", "raise SystemExit('no port')"]
        await world.do("hub-stop")
        await world.do("hub-start")
        assert "no port" in world.happenings[0]
        assert ACTS["hub-start"].possible(world)


# Trouble by chance.


def wrongs(world: World) -> set[str]:
    """What is wrong now, as the acts that did it."""
    return {name for name in CHANCE if not ACTS[name].possible(world)}


@asynccontextmanager
async def in_trouble(world: World, seed: int) -> AsyncIterator[None]:
    task = asyncio.create_task(make_trouble(world, Random(seed)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("seed", range(5))
@in_virtual_time
async def test_chance_leaves_a_minute_of_peace_and_puts_right_what_it_did(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    async with small_world(tmp_path_factory.mktemp("world")) as world, in_trouble(world, seed):
        await asyncio.sleep(PEACE_S - 0.5)
        assert not wrongs(world)
        spells: list[int] = []
        lasted = 0
        for _ in range(1200):
            await asyncio.sleep(1)
            found = wrongs(world) - {"drop"}
            assert len(found) <= 1
            lasted = lasted + 1 if found else 0
            if lasted:
                spells[len(spells) - (lasted > 1) :] = [lasted]
        assert len(spells) > 5
        assert all(LASTS_S[0] <= spell <= LASTS_S[1] + 1 for spell in spells[:-1])


@in_virtual_time
async def test_hand_that_takes_trouble_over_is_not_overruled_by_chance(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with small_world(tmp_path_factory.mktemp("world")) as world, in_trouble(world, 1):
        found: set[str] = set()
        for _ in range(600):
            await asyncio.sleep(1)
            if found := wrongs(world) - {"drop"}:
                break
        (name,) = found
        await world.do(CHANCE[name])
        await world.do(name)
        world.random_trouble = False
        await asyncio.sleep(LASTS_S[1] + 1)
        assert wrongs(world) == {name}


@in_virtual_time
async def test_chance_that_is_switched_off_does_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with small_world(tmp_path_factory.mktemp("world")) as world, in_trouble(world, 1):
        world.random_trouble = False
        await asyncio.sleep(600)
        assert not world.happenings


@in_virtual_time
async def test_link_that_fell_in_mid_paper_comes_back_by_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with small_world(tmp_path_factory.mktemp("world")) as world:
        port = world.line.path
        await world.do("drop")
        was_up = [world.line.is_up]
        world.printer.force(bytes(MID_PAPER_BYTES))
        was_up.append(world.line.is_up)
        await asyncio.sleep(OUT_OF_REACH_S + 1)
        was_up.append(world.line.is_up)
        assert was_up == [True, False, True]
        assert world.line.path == port
        assert ACTS["drop"].possible(world)
