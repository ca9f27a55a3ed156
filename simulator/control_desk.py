"""The control desk: a page on which somebody who tries the handheld lets things go wrong around it, and right again.

What it moves is the simulated world alone (network, hub, printer); of the handheld it knows nothing. Left alone it
makes trouble by itself now and then, as a day in the street does.
"""

import asyncio
import io
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import MappingProxyType

import jinja2
from aiohttp import web

from protocol.values import local_clock
from simulator.branch import Branch
from simulator.clock import ClockFile
from simulator.network import Network
from simulator.printer import PrinterModel
from simulator.processes import ProcessError
from simulator.serial_line import SerialLine

HOST = "127.0.0.1"
HAPPENINGS_MAX = 40  # What fits beside the buttons; older ones are no news.
PAPERS_SHOWN = 4
MID_PAPER_BYTES = 9_000  # Of about 35,000 of a receipt.
OUT_OF_REACH_S = 12.0  # Long enough for the handheld to give the printer up, short for somebody who looks on.
PEACE_S = 60.0  # Time to find one's way before anything goes wrong by itself.
PAUSE_S = (20, 60)
LASTS_S = (10, 30)


@dataclass(slots=True)
class World:
    """What surrounds a handheld.

    trouble: the topic of what goes wrong by chance at this moment; whoever lends a hand there takes it over.
    drops: whether the printer's link will fall in the middle of the next paper.
    """

    branch: Branch
    network: Network
    printer: PrinterModel
    line: SerialLine
    clock: ClockFile
    happenings: deque[str] = field(default_factory=lambda: deque(maxlen=HAPPENINGS_MAX))
    hub_is_up: bool = True
    drops: bool = False
    random_trouble: bool = True
    trouble: str = ""
    moving: asyncio.Lock = field(default_factory=asyncio.Lock)
    back: asyncio.TimerHandle | None = None

    def tell(self, sentence: str) -> None:
        """One line of what happened, with the time of day."""
        self.happenings.appendleft(f"{local_clock(self.clock.at_ms)} {sentence}")

    async def do(self, name: str, *, by_hand: bool = True) -> None:
        """One act of ACTS; nothing where it has happened already."""
        act = ACTS[name]
        async with self.moving:  # A hub that is being started cannot be stopped.
            if not act.possible(self):
                return
            if by_hand and self.trouble == act.topic:
                self.trouble = ""
            self.tell(act.told if by_hand else f"(ngẫu nhiên · by chance) {act.told}")
            if (waited := act.move(self)) is not None:
                await waited

    def drop_in_mid_paper(self) -> None:
        """The next paper breaks off, and the printer comes back into reach by itself."""
        self.drops = True
        self.printer.after_received(MID_PAPER_BYTES, self._fall)

    def _fall(self) -> None:
        self.drops = False
        self.printer.drop()
        self.tell("Máy in mất kết nối giữa tờ giấy · the printer's link has fallen in the middle of a paper")
        self.back = asyncio.get_running_loop().call_later(OUT_OF_REACH_S, self._come_back)

    def _come_back(self) -> None:
        if not self.line.is_up:
            self.line.plug_in()
            self.tell("Máy in kết nối lại · the printer is in reach again")

    async def start_hub(self) -> None:
        """The hub is there again, perhaps at another port."""
        try:
            await self.branch.start()
        except ProcessError as error:
            self.tell(f"Trung tâm không chạy lại được · the hub does not start: {error}")
            return
        self.network.aim(*self.branch.host_and_port)
        self.hub_is_up = True

    async def stop_hub(self) -> None:
        """The branch's server is switched off."""
        self.hub_is_up = False
        await self.branch.stop()

    def close(self) -> None:
        """Nothing comes back any more."""
        if self.back is not None:
            self.back.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A button. topic: what it is about. words, told: Vietnamese and English, before and after. possible: whether it
    would change anything.
    """

    topic: str
    words: tuple[str, str]
    told: str
    possible: Callable[[World], bool]
    move: Callable[[World], Awaitable[None] | None]


def _switch(world: World, *, on: bool) -> None:
    world.random_trouble = on


def _condition(name: str, *, on: bool) -> Callable[[World], None]:
    return lambda world: world.printer.change(name, on=on)


ACTS: Mapping[str, Act] = MappingProxyType(
    {
        "network-down": Act(
            topic="network",
            words=("Ngắt mạng", "Network down"),
            told="Mất mạng · no network",
            possible=lambda world: world.network.is_up,
            move=lambda world: world.network.down(),
        ),
        "network-up": Act(
            topic="network",
            words=("Có mạng lại", "Network up"),
            told="Có mạng · the network is back",
            possible=lambda world: not world.network.is_up,
            move=lambda world: world.network.up(),
        ),
        "hub-stop": Act(
            topic="hub",
            words=("Tắt trung tâm", "Stop the hub"),
            told="Trung tâm đã tắt · the hub is off",
            possible=lambda world: world.hub_is_up,
            move=World.stop_hub,
        ),
        "hub-start": Act(
            topic="hub",
            words=("Bật trung tâm", "Start the hub"),
            told="Trung tâm chạy lại · the hub is on",
            possible=lambda world: not world.hub_is_up,
            move=World.start_hub,
        ),
        "paper-out": Act(
            topic="paper",
            words=("Hết giấy", "Paper out"),
            told="Máy in hết giấy · the printer is out of paper",
            possible=lambda world: not world.printer.paper_out,
            move=_condition("paper_out", on=True),
        ),
        "new-roll": Act(
            topic="paper",
            words=("Thay cuộn giấy", "New roll"),
            told="Đã thay cuộn giấy · a new roll is in",
            possible=lambda world: world.printer.paper_out,
            move=_condition("paper_out", on=False),
        ),
        "cover-open": Act(
            topic="cover",
            words=("Mở nắp", "Open the cover"),
            told="Nắp máy in mở · the printer's cover is open",
            possible=lambda world: not world.printer.cover_open,
            move=_condition("cover_open", on=True),
        ),
        "cover-close": Act(
            topic="cover",
            words=("Đóng nắp", "Close the cover"),
            told="Nắp máy in đóng · the cover is closed",
            possible=lambda world: world.printer.cover_open,
            move=_condition("cover_open", on=False),
        ),
        "printer-off": Act(
            topic="power",
            words=("Tắt máy in", "Printer off"),
            told="Máy in tắt · the printer is off",
            possible=lambda world: world.printer.powered,
            move=lambda world: world.printer.power_off(),
        ),
        "printer-on": Act(
            topic="power",
            words=("Bật máy in", "Printer on"),
            told="Máy in bật · the printer is on",
            possible=lambda world: not world.printer.powered,
            move=lambda world: world.printer.power_on(),
        ),
        "drop": Act(
            topic="link",
            words=("Mất kết nối giữa tờ giấy tới", "Drop in mid-paper"),
            told="Tờ giấy tới sẽ đứt giữa chừng · the next paper will break off",
            possible=lambda world: world.line.is_up and not world.drops,
            move=World.drop_in_mid_paper,
        ),
        "random-on": Act(
            topic="random",
            words=("Bật trục trặc ngẫu nhiên", "Random trouble on"),
            told="Trục trặc ngẫu nhiên: bật · random trouble is on",
            possible=lambda world: not world.random_trouble,
            move=lambda world: _switch(world, on=True),
        ),
        "random-off": Act(
            topic="random",
            words=("Tắt trục trặc ngẫu nhiên", "Random trouble off"),
            told="Trục trặc ngẫu nhiên: tắt · random trouble is off",
            possible=lambda world: world.random_trouble,
            move=lambda world: _switch(world, on=False),
        ),
    }
)
# What chance does, and how it is put right; a link that fell comes back by itself.
CHANCE: Mapping[str, str] = MappingProxyType(
    {
        "network-down": "network-up",
        "paper-out": "new-roll",
        "cover-open": "cover-close",
        "printer-off": "printer-on",
        "drop": "",
    }
)


def states(world: World) -> list[tuple[str, str, bool]]:
    """(Vietnamese, English, whether all is well) of everything that can go wrong."""
    printer = world.printer
    return [
        ("Mạng", "network", world.network.is_up),
        ("Trung tâm", "hub", world.hub_is_up),
        ("Giấy in", "paper", not printer.paper_out),
        ("Nắp máy in", "cover", not printer.cover_open),
        ("Nguồn máy in", "printer's power", printer.powered),
        ("Kết nối máy in", "printer's link", world.line.is_up and not world.drops),
    ]


async def make_trouble(world: World, random: Random) -> None:
    """For ever: after a minute of peace something goes wrong every now and then, and right again."""
    await asyncio.sleep(PEACE_S)
    while True:
        if world.random_trouble:
            await _go_wrong(world, random)
        await asyncio.sleep(random.randint(*PAUSE_S))


async def _go_wrong(world: World, random: Random) -> None:
    possible = [name for name in CHANCE if ACTS[name].possible(world)]
    if not possible:
        return
    name = random.choice(possible)
    world.trouble = ACTS[name].topic
    await world.do(name, by_hand=False)
    await asyncio.sleep(random.randint(*LASTS_S))
    if world.trouble and CHANCE[name]:
        await world.do(CHANCE[name], by_hand=False)
    world.trouble = ""


# The page.


class ControlDesk:
    """The server of the page. On loopback alone, and a button counts only when it was pressed on that very page."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.url = ""
        loader = jinja2.FileSystemLoader(Path(__file__).parent)
        self._templates = jinja2.Environment(
            loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )

    async def open(self, port: int, ending: AsyncExitStack) -> None:
        """Listen; 0 takes a free port."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._page)
        app.router.add_get("/papers/{number}.png", self._paper)
        app.router.add_post("/do/{act}", self._act)
        runner = web.AppRunner(app)
        await runner.setup()
        ending.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, HOST, port).start()
        self.url = f"http://{HOST}:{runner.addresses[0][1]}"

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if f"http://{request.host}" != self.url:
            raise web.HTTPForbidden(text="another name for this machine")
        if request.method == "POST" and request.headers.get("Origin") != self.url:
            raise web.HTTPForbidden(text="this button was pressed on another page")
        return await handler(request)

    async def _page(self, _request: web.Request) -> web.Response:
        world, nonce = self._world, secrets.token_urlsafe(16)
        count = len(world.printer.papers)
        text = self._templates.get_template("control.html").render(
            nonce=nonce,
            states=states(world),
            acts=[(name, act.words) for name, act in ACTS.items() if act.possible(world)],
            happenings=list(world.happenings),
            random_trouble=world.random_trouble,
            count=count,
            papers=range(count, max(0, count - PAPERS_SHOWN), -1),
            clock=local_clock(world.clock.at_ms),
        )
        policy = f"default-src 'none'; style-src 'nonce-{nonce}'; img-src 'self'; form-action 'self'; base-uri 'none'"
        headers = {
            "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",  # Else a browser says Origin: null of our own buttons.
        }
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _paper(self, request: web.Request) -> web.Response:
        number, papers = request.match_info["number"], self._world.printer.papers
        if not number.isascii() or not number.isdigit() or not 1 <= int(number[:9]) <= len(papers):
            raise web.HTTPNotFound
        picture = io.BytesIO()
        papers[int(number) - 1].save(picture, "PNG")
        return web.Response(body=picture.getvalue(), content_type="image/png", headers={"Cache-Control": "no-store"})

    async def _act(self, request: web.Request) -> web.Response:
        name = request.match_info["act"]
        if name not in ACTS:
            raise web.HTTPNotFound
        await self._world.do(name)
        raise web.HTTPSeeOther("/")


@asynccontextmanager
async def control_desk(world: World, port: int) -> AsyncIterator[ControlDesk]:
    """A desk for a world, until it is left."""
    async with AsyncExitStack() as ending:
        ending.callback(world.close)
        desk = ControlDesk(world)
        await desk.open(port, ending)
        yield desk
