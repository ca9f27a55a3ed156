"""Whole programs in processes of their own, and the branch they work for.

A `Program` is `python -m hub` or `python -m device` forked from a server that has loaded their libraries already: the
same program text on a real disk and real sockets, ended by real signals, but started in a tenth of the time. Some tests
start the interpreter anew instead, through `simulator.processes`.
"""

import asyncio
import json
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

import device.app
import device.printing
from hub.api.server import SERVING_FILE
from protocol.values import start_of_day_ms
from simulator.clock import ClockFile
from simulator.network import Network
from simulator.processes import JsonDoor
from tests.hub.worlds import DAYS, MORNING_MS, ROUTES, Handset, House, handsets_of, set_up

DAY = DAYS[1]
START_SECONDS = 60
LOADED_BEFOREHAND = ["aiohttp", "hub.admin", "hub.api.server", "typer", "device.drive", "device.uplink", __name__]
KILLED_AT = "killed_at"
CUT_AT = "CUT_AT"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(LOADED_BEFOREHAND)


def become(module: str, arguments: list[str], environment: Mapping[str, str], home: str) -> None:
    """What a forked process does: it is `python -m module arguments` from here on. Before a checkpoint kills it, the
    checkpoint's name is left in its home.
    """
    os.environ.update(environment)
    with (Path(home) / "log.txt").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    kill = os.kill

    def tell_and_kill(process: int, number: int) -> None:
        (Path(home) / KILLED_AT).write_text(str(sys._getframe(1).f_locals["name"]), encoding="utf-8")
        kill(process, number)

    os.kill = tell_and_kill
    sys.argv = [module, *arguments]
    if wanted := environment.get(CUT_AT):
        cut = partial(cut_at, wanted)  # By name, for points that a count cannot reach in every run: timing moves them.
        device.app.checkpoint = device.printing.checkpoint = cut  # type: ignore[attr-defined]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def cut_at(wanted: str, name: str) -> None:
    """A checkpoint that cuts the power at a name, where the program's own counts."""
    if name == wanted:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(slots=True)
class Program:
    """One program with its home, which says in a file there where it listens."""

    module: str
    home: Path
    arguments: list[str]
    address_file: str
    environment: dict[str, str]
    process: ForkServerProcess | None = None

    async def start(self, **environment: str) -> dict[str, Any] | None:
        """Its address once it listens, or None when it ended before that."""
        path = self.home / self.address_file
        path.unlink(missing_ok=True)
        target = (self.module, self.arguments, {**self.environment, **environment}, str(self.home))
        process = FORKS.Process(target=become, args=target, daemon=True)
        self.process = process
        process.start()  # Never in a thread: each start looks at all children, and an exit code can be read once.
        async with asyncio.timeout(START_SECONDS):
            while not path.is_file():
                if process.exitcode is not None:
                    return None
                await asyncio.sleep(0.005)
        address: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return address

    async def ended(self) -> int:
        """Wait for its end; the exit code, below zero for a signal."""
        assert self.process is not None
        loop, over, sentinel = asyncio.get_running_loop(), asyncio.Event(), self.process.sentinel
        loop.add_reader(sentinel, over.set)
        try:
            async with asyncio.timeout(START_SECONDS):
                await over.wait()
        finally:
            loop.remove_reader(sentinel)
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    async def stop(self) -> None:
        """Ask it to end, and see that it does so in good order."""
        if self.process is not None and self.process.exitcode is None:
            self.process.terminate()
            assert await self.ended() == 0, self.last_words()

    def kill(self) -> None:
        """Whatever it is doing, it ends; for the end of a test."""
        if self.process is not None and self.process.exitcode is None:
            self.process.kill()
            self.process.join()

    def last_words(self) -> str:
        """The end of what it wrote."""
        path = self.home / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace")[-3000:] if path.is_file() else ""


@dataclass(slots=True)
class Premises:
    """A folder with a branch in it: a hub's home as it was before the first day, and whoever was started from it."""

    folder: Path
    clock: ClockFile
    houses: tuple[House, ...]
    handsets: list[Handset]
    setting: Path
    programs: list[Program] = field(default_factory=list)
    doors: list[JsonDoor] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {"GHITHU_CLOCK_FILE": str(self.clock.path)}

    @property
    def collector(self) -> str:
        return self.handsets[0].collector

    def hub(self, home: Path) -> Program:
        """A hub that will serve a home on a free port."""
        arguments = ["serve", "--home", str(home), "--port", "0"]
        return self._kept(Program("hub", home, arguments, SERVING_FILE, self.environment))

    def handheld(self, home: Path) -> Program:
        """A handheld that will print letters into its home."""
        arguments = ["run", "--home", str(home), "--papers", f"text:{home / 'papers'}", "--position", "off"]
        arguments += ["--door", "127.0.0.1:0"]
        return self._kept(Program("device", home, arguments, "listening.json", self.environment))

    def door(self, url: str, token: str = "") -> JsonDoor:
        """A JSON door that is closed when the test ends."""
        door = JsonDoor(url, {"Authorization": f"Bearer {token}"} if token else {})
        self.doors.append(door)
        return door

    def _kept(self, program: Program) -> Program:
        self.programs.append(program)
        return program

    async def clear(self) -> None:
        """Leave no process and no connection behind."""
        for door in self.doors:
            await door.close()
        for network in self.networks:
            await network.close()
        for program in self.programs:
            program.kill()


async def settle(folder: Path, houses: tuple[House, ...], handsets: list[Handset]) -> Premises:
    """A branch with these customers and handhelds, on the morning of DAY."""
    clock = ClockFile(folder / "clock", start_of_day_ms(DAY) + MORNING_MS)
    return Premises(folder, clock, houses, handsets, await set_up(folder, houses, handsets))


@pytest_asyncio.fixture
async def premises(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Premises]:
    """A small branch of one collector. By itself it has two customers for every cut a test may make."""
    houses = tuple(
        House(f"{2_000_000 + number:08d}", ROUTES[number % 2], "household", 100 + number, ())
        for number in range(getattr(request, "param", 700))
    )
    found = await settle(tmp_path, houses, handsets_of(Random(1))[:1])
    yield found
    await found.clear()
