"""A handheld that somebody stands before: what the tests of log-in, PIN and codes share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from device.access import Access, Denied, Granted
from device.app import App
from device.core.commands import DownloadRoute, OpenShift, TakeReading
from device.core.effects import Done, Refused
from device.core.log_in import DELAYS_S
from device.core.session import Input
from device.printing import TextFolder
from device.shelf import Shelf
from device.store import DeviceStore
from protocol.package import CollectorCard
from protocol.sealed import Sealed
from protocol.wire import Packages
from tests.device.branch import CODES, COLLECTOR, PASSWORD, SmallHub, StillClock, card, codes, download
from tests.device.test_app import app_with, done, intent

SECRET = bytes(range(64, 96))
BECAUSE = "Nhà đi vắng cả tháng"
WRONG_PASSWORD = "sai rồi"
WRONG_CODE = CODES[2][:-1] + "9"
HELD = "C00001"


@dataclass(slots=True, kw_only=True)
class Door:
    """A running handheld."""

    app: App
    shelf: Shelf
    access: Access
    clock: StillClock

    async def log_in(self, user: str = COLLECTOR, password: str = PASSWORD) -> Granted | Denied:
        return await self.access.log_in(user, password)

    async def denied(self, user: str = COLLECTOR, password: str = WRONG_PASSWORD) -> Denied:
        outcome = await self.log_in(user, password)
        assert isinstance(outcome, Denied)
        return outcome

    async def fail(self, times: int, user: str = COLLECTOR) -> None:
        """So many wrong passwords, with the patience that takes."""
        for delay_s in DELAYS_S[:times]:
            self.clock.up_ms += delay_s * 1000
            await self.denied(user)

    async def lock(self, user: str = COLLECTOR) -> None:
        """Every try used up."""
        await self.fail(len(DELAYS_S), user)

    async def do(self, command: Input) -> Sealed:
        sealed = done(await self.app.dispatch(command)).sealed
        assert sealed is not None
        return sealed

    async def hold_the_money(self) -> Sealed:
        """A shift is open, and a steep drop at HELD."""
        await self.do(OpenShift(intent=intent(1), collector=COLLECTOR))
        return await self.read_drop(2)

    async def read_drop(self, number: int, index: int = 110) -> Sealed:
        return await self.do(TakeReading(intent=intent(number), customer=HELD, code="normal", index=index))

    @property
    def due_vnd(self) -> int:
        return self.app.session.work.stops[HELD].due().amount_vnd

    @property
    def seq(self) -> int:
        return self.app.session.work.tip.seq

    async def override(self, code: str = CODES[0], number: int = 50) -> Done | Refused | Denied:
        return await self.access.override(intent(number), HELD, code, BECAUSE)

    async def open_log_in(
        self, code: str = CODES[0], number: int = 60, user: str = COLLECTOR
    ) -> Done | Refused | Denied:
        return await self.access.open_log_in(intent(number), user, code)

    async def fail_codes(self, times: int) -> None:
        """So many wrong codes, with the patience that takes."""
        for delay_s in DELAYS_S[:times]:
            self.clock.up_ms += delay_s * 1000
            assert isinstance(await self.override(WRONG_CODE, 90), Denied)


def branch(collectors: tuple[CollectorCard, ...] = (card(),), version: int = 1) -> Packages:
    """What the hub hands down to a handheld with people and codes."""
    return download(version=version, collectors=collectors, codes=codes(version=version))


def nowhere() -> SmallHub:
    """No network: nobody listens there."""
    away = SmallHub()
    away.url = "http://127.0.0.1:1"
    return away


@asynccontextmanager
async def door(
    store: DeviceStore, hub: SmallHub, clock: StillClock | None = None, shelf: Shelf | None = None
) -> AsyncIterator[Door]:
    """A program started on a store. Started again on the same, it knows what is on disk and nothing else."""
    clock, shelf = clock or StillClock(), shelf or Shelf(store)
    async with app_with(store, TextFolder(Path("/nowhere")), hub=hub, clock=clock) as app:
        yield Door(app=app, shelf=shelf, access=Access(app, shelf, clock, SECRET), clock=clock)


async def make_ready(store: DeviceStore, hub: SmallHub) -> None:
    """Give a handheld its policy, codes and route."""
    async with door(store, hub) as one:
        await one.app.dispatch(DownloadRoute())
        await one.app.quiet()
        await one.access.note_time()
