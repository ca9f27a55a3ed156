"""A handheld with its screens, for tests: a real store, a hub behind a real socket, papers in files, a page server.

`ROUND` is a walk with all that a screen must cope with: the longest names and addresses of the trade, arrears,
customers who pay elsewhere, a reading that will be held. `python -m tests.device.web.handheld` serves it for a person
to look at.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from device.access import Access
from device.app import App
from device.clock import Clock, SystemClock
from device.core.commands import DownloadRoute
from device.keystore import Admission, keep_admission
from device.photos import PhotoShelf
from device.printing import PaperPress, PngFolder, Printer
from device.shelf import Shelf
from device.stop_index import StopIndex
from device.store import DeviceStore
from device.uplink import Uplink
from device.web.server import Face
from device.web.visit import Opened, Site
from device.web.visitors import Visitors
from protocol import wire
from protocol.package import CollectorCard, OpenBill, PastUse, Stop, seal_package, seal_policy
from tests.device import branch
from tests.device.branch import (
    CODES,
    COLLECTOR,
    DEVICE_KEY,
    HUB_KEY,
    IMEI,
    NOON_MS,
    PASSWORD,
    SECOND_COLLECTOR,
    SmallHub,
    StillClock,
    codes,
    session_from,
    stop,
    verifier_of,
)
from tests.device.test_app import die

LONG_NAME = "Nguyễn Phước Bảo Quý Thượng Đẳng Công Huyền Tôn Nữ Hoàng Ngọc Phương Uyên"
LONG_ADDRESS = (
    "Số 137/42A/8B hẻm Liên Tổ 12–20, đường Nguyễn Văn Cừ nối dài, khu dân cư Hồng Phát, phường An Bình, quận Ninh Kiều"
)
OWN_PASSWORD = "12345678"  # Digits alone: a keypad has no letters.
SUPERVISOR_CODES = CODES


def bill(customer: str, period: str, amount_vnd: int) -> OpenBill:
    """An unpaid bill of an earlier period."""
    return OpenBill(bill_no=f"{customer}-{period}", period=period, amount_vnd=amount_vnd)


def usual_round() -> tuple[Stop, ...]:
    """Twelve doors."""
    names = ("Đặng Văn Bé Bảy", "Trần Thị Ánh", "Lê Hoàng Ân", "Phạm Ngọc Ảnh", "Võ Thị Út", "Huỳnh Đào")
    stops = [replace(stop(number), name=names[number % 6], phone="0939 123 456") for number in range(1, 13)]
    three = tuple(
        PastUse(
            period=f"2026-{month:02d}",
            reading_date=f"2026-{month:02d}-24",
            index=index,
            use_m3=use,
            days=30,
            code="normal",
        )
        for month, index, use in ((8, 1183, 17), (9, 1200, 17), (10, 1217, 17))
    )
    stops[0] = replace(stops[0], history=three)
    stops[1] = replace(stops[1], name=LONG_NAME, address=LONG_ADDRESS, collect_address=LONG_ADDRESS, history=three)
    stops[2] = replace(stops[2], arrears=(bill("C00003", "2026-09", 47_300), bill("C00003", "2026-10", 53_900)))
    stops[3] = replace(stops[3], payment_method="CK")
    stops[4] = replace(stops[4], payment_method="NT")
    large = replace(three[-1], index=50_000, use_m3=1_400)
    stops[5] = replace(stops[5], name="Công ty TNHH Nước đá Tinh khiết Hậu Giang", history=(large,))
    return tuple(stops)


ROUND = usual_round()


@dataclass(slots=True)
class Handheld:
    """A handheld that runs. url: of its screens. clock: StillClock unless the test asked for the machine's."""

    url: str
    hub: SmallHub
    app: App
    site: Site
    face: Face
    press: PaperPress
    clock: Clock
    papers: Path

    @property
    def still_clock(self) -> StillClock:
        """The clock as the test moves it."""
        assert isinstance(self.clock, StillClock)
        return self.clock

    @property
    def opened(self) -> Opened:
        assert self.site.opened is not None
        return self.site.opened


@asynccontextmanager
async def handheld(
    folder: Path,
    *,
    stops: tuple[Stop, ...] = ROUND,
    downloaded: bool = True,
    clock: Clock | None = None,
    printer: Printer | None = None,
    port: int = 0,
    **policy: Any,
) -> AsyncIterator[Handheld]:
    """Switch one on. policy: fields of the policy that are other than usual."""
    clock = clock or StillClock()
    async with AsyncExitStack() as ending:
        hub = await ending.enter_async_context(SmallHub().open())
        hub.packages = packages(stops, **policy)
        admission = Admission(
            device=7, unit="CT", hub_url=hub.url, hub_key=HUB_KEY.public, imei=IMEI, collector=COLLECTOR
        )
        keep_admission(folder, admission)
        site = Site(home=folder, clock=clock, software="ghithu test", admission=admission, die=die)
        face = Face(site)
        ending.push_async_callback(face.close)
        bound = await face.listen(port)
        store = await DeviceStore.open(folder / "store.db")
        ending.push_async_callback(store.close)
        session = await session_from(store)
        uplink = Uplink(
            hub.url, key=DEVICE_KEY, clock=clock, messages=store.messages, made=lambda: session.work.tip.seq
        )
        ending.push_async_callback(uplink.close)
        papers = folder / "papers"
        papers.mkdir(exist_ok=True)
        press = PaperPress(store, printer or PngFolder(papers))
        ending.push_async_callback(press.close)
        app = App(session, store=store, press=press, network=uplink, clock=clock)
        ending.push_async_callback(app.close)
        await app.start()
        shelf = Shelf(store)
        await site.open(
            Opened(
                app=app,
                access=Access(app, shelf, clock, DEVICE_KEY.secret(b"ghithu/1/pin")),
                shelf=shelf,
                visitors=Visitors(shelf, clock),
                press=press,
                index=StopIndex(session.work),
                photos=PhotoShelf(folder),
            )
        )
        if downloaded and not session.work.packages:
            await app.dispatch(DownloadRoute())
            await app.quiet()
        yield Handheld(f"http://127.0.0.1:{bound}", hub, app, site, face, press, clock, papers)


def packages(stops: tuple[Stop, ...], **policy: Any) -> wire.Packages:
    """What the hub hands down: the route, who may log in, and a supervisor's codes."""
    cards = (
        CollectorCard(code=SECOND_COLLECTOR, name="Đỗ Thị Ái", phone="", verifier=verifier_of(PASSWORD)),
        CollectorCard(
            code=COLLECTOR, name="Nguyễn Thị Thu", phone="0950 000 001", verifier=verifier_of(OWN_PASSWORD)
        ),
    )
    made = replace(branch.policy(collectors=cards), **policy)
    return wire.Packages(
        policy=seal_policy(made, HUB_KEY),
        packages=(seal_package(branch.package(stops), HUB_KEY),),
        codes=codes(),
    )


async def _serve(port: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = SystemClock()
        # The made-up route is of its own month; a screen that is looked at may show that month's noon.
        still = StillClock(NOON_MS) if "--still" in sys.argv else clock
        async with handheld(Path(folder), clock=still, port=port) as made:
            sys.stdout.write(f"{made.url}  user {COLLECTOR}  password {OWN_PASSWORD}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 8787))
