"""The end of the demo: a handheld for somebody's own hands, and a scripted person who proves that it works.

`playground` equips a third collector on the business day after the story, with screens, a printer and a control desk.
`work_a_day` does there what people are invited to do: it reads the pages as a browser does, follows forms by where they
go, and holds cash of its own, which the branch has to agree with to the đồng.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from random import Random

import aiohttp

from protocol.reasons import REASONS, Reason
from protocol.records import DENOMINATIONS
from protocol.values import start_of_day_ms
from protocol.words import vnd
from simulator.belt import PROOF, proofs
from simulator.branch import CASHIER, Branch
from simulator.clock import ClockFile
from simulator.collector import Collector
from simulator.control_desk import HOST, ControlDesk, World, control_desk, make_trouble
from simulator.printer import ROWS_PER_S, PrinterModel
from simulator.purses import Purse
from simulator.serial_line import SerialLine
from simulator.truth import FIRST_VISIT_MINUTE, Visit, table

CODE, NAME = "chi", "Trần Thị Kim Chi"
PASSWORD = "24681357"  # noqa: S105 -- Of a made-up person; digits alone, for a keypad without letters.
SCREENS_PORT, DESK_PORT = 8640, 8641  # Where people are told to look; others if these are taken.
MINUTE_MS = 60_000
TICK_S = 1.0
LIVELY_M3 = 10  # Customers who used at least this: a fall to a third of it is one that a rule holds.
SUPERVISOR_REASON = "Đã xem lại đồng hồ, khách dùng ít nước"
HURRY = 10  # The scripted person's printer is so many times as fast as one that people look at.
DRAIN_BYTES_PER_S = 20_000
SEND_S = 60
LAST_DIGITS = 3


class StoryError(AssertionError):
    """Something was not as the story says."""


def must(holds: bool, what: str) -> None:
    """The story goes on only while it is true."""
    if not holds:
        raise StoryError(what)


# The place.


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A customer of the route as the office and the street know it. previous, used: last period's index and m³."""

    visit: Visit
    place: int
    previous: int
    used: int

    @property
    def customer(self) -> str:
        return self.visit.customer

    @property
    def index_too_low(self) -> int:
        """An index that is held because it is below the old one."""
        return self.previous - 1

    @property
    def index_of_a_fall(self) -> int:
        """An index that is held because use fell to less than a third."""
        return self.previous + self.used * 3 // 10


@dataclass(slots=True, kw_only=True)
class Playground:
    """A third collector's world. doors: customers whose visit is an ordinary one, in the order of the walk."""

    branch: Branch
    collector: Collector
    world: World
    desk: ControlDesk
    day: str
    doors: list[Door]
    folder: Path


@asynccontextmanager
async def playground(
    branch: Branch, folder: Path, *, route: str, imei: str, after: str, visits: list[Visit], hurry: bool
) -> AsyncIterator[Playground]:
    """Equip the third collector. visits: the truth of her route. after: the date of the story. hurry: for a scripted
    person, whose printer is fast and around whom nothing goes wrong by chance.
    """
    day = next_working_day(after)
    branch.clock.set(start_of_day_ms(day) + FIRST_VISIT_MINUTE * MINUTE_MS)
    pace = HURRY if hurry else 1
    printer = PrinterModel(drain_bytes_per_s=DRAIN_BYTES_PER_S * pace, rows_per_s=ROWS_PER_S * pace)
    port = (folder / f"printer-{CODE}").resolve()
    async with SerialLine(printer, xonxoff=True, name=port) as line:
        collector = await Collector.equip(
            branch,
            folder,
            code=CODE,
            name=NAME,
            imei=imei,
            papers=f"serial://{port}?model=epson-tm-p20ii",
            random=Random(3),
            password=PASSWORD,
            listen=f"{HOST}:{0 if hurry else free_port(SCREENS_PORT)}",
        )
        try:
            await branch.do("package.publish", route=route, collector=CODE)
            world = World(branch, collector.network, printer, line, branch.clock)
            async with control_desk(world, 0 if hurry else free_port(DESK_PORT)) as desk:
                ground = Playground(
                    branch=branch,
                    collector=collector,
                    world=world,
                    desk=desk,
                    day=day,
                    doors=_ordinary(folder / "extract", visits),
                    folder=folder / "playground",
                )
                running = [asyncio.create_task(_tick(branch.clock))]
                if not hurry:
                    running.append(asyncio.create_task(make_trouble(world, Random(4))))
                try:
                    yield ground
                finally:
                    for task in running:
                        task.cancel()
                    await asyncio.gather(*running, return_exceptions=True)
        finally:
            await collector.stop()
            await collector.network.close()


def next_working_day(day: str) -> str:
    """The first day after it that is no Saturday and no Sunday."""
    found = date.fromisoformat(day) + timedelta(days=1)
    while found.isoweekday() > 5:
        found += timedelta(days=1)
    return found.isoformat()


def free_port(wanted: int) -> int:
    """The wanted port, or 0 for any while somebody else has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            return 0
    return wanted


async def _tick(clock: ClockFile) -> None:
    """Let simulated time go on as fast as real time."""
    loop = asyncio.get_running_loop()
    begin_s, begin_ms = loop.time(), clock.at_ms
    while True:
        await asyncio.sleep(TICK_S)
        clock.set(begin_ms + int((loop.time() - begin_s) * 1000))


def _ordinary(extract: Path, visits: list[Visit]) -> list[Door]:
    """Customers who pay at the door, owe nothing from before, and used about as much as the month before."""
    last = {row["customer_id"]: row for row in sorted(table(extract, "history.csv"), key=lambda row: row["period"])}
    cash = {row["customer_id"] for row in table(extract, "customers.csv") if row["payment_method"] == "TT"}
    owing = {row["customer_id"] for row in table(extract, "arrears.csv")}
    found = []
    for place, visit in enumerate(visits, start=1):
        row = last[visit.customer]
        door = Door(visit=visit, place=place, previous=int(row["index"]), used=int(row["consumption_m3"]))
        usual = visit.code == "normal" and visit.index is not None and visit.customer in cash - owing
        if usual and door.used >= LIVELY_M3 and 9 * door.used <= 10 * ((visit.index or 0) - door.previous):
            found.append(door)
    return found


# The screens, as a program sees them.

_CHOICES = ("checkbox", "radio")  # They say something only once they are ticked.


@dataclass(slots=True)
class FormSeen:
    """A form of a page: where it goes and what it carries unasked."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    """Forms, links, pictures, alerts and words of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[FormSeen] = []
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.words: list[str] = []
        self._named: dict[str, FormSeen] = {}
        self._inside: FormSeen | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "form":
                self._inside = FormSeen(given.get("action", ""))
                self.forms.append(self._inside)
                self._named[given.get("id", "")] = self._inside
            case "a":
                self.links.append(given.get("href", ""))
            case "img":
                self.pictures.append(given.get("src", ""))
            case "input" if "name" in given and given.get("type") not in _CHOICES:
                form = self._named.get(given["form"]) if "form" in given else self._inside
                if form is not None:
                    form.fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A page as it came. path: after redirects. body: of what is no page."""

    status: int
    path: str
    forms: list[FormSeen]
    links: list[str]
    pictures: list[str]
    text: str
    body: bytes

    def form(self, action: str) -> FormSeen:
        """The form that goes there. Raises StoryError."""
        for form in self.forms:
            if form.action.partition("?")[0] == action:
                return form
        raise StoryError(f"{self.path} has no form to {action}: {self.text}")

    def link(self, begins: str) -> str:
        """The first link that begins so. Raises StoryError."""
        for link in self.links:
            if link.startswith(begins):
                return link
        raise StoryError(f"{self.path} has no link to {begins}: {self.text}")

    def leads_to(self, path: str) -> bool:
        """Whether there is a link to exactly this path, with or without a query."""
        return any(link.partition("?")[0] == path for link in self.links)


class Screens:
    """A browser as plain as it gets: cookies, forms, and the headers that pages of one's own come with."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def get(self, path: str, *expected: int) -> Seen:
        """Go there. expected: statuses, 200 where none is named. Raises StoryError for another."""
        return await self._ask("GET", path, None, expected)

    async def submit(self, page: Seen, action: str, *expected: int, **typed: str) -> Seen:
        """Send the form of a page with what was typed into it; what came after the redirect."""
        form = page.form(action)
        return await self._ask("POST", form.action, form.fields | typed, expected)

    async def _ask(self, method: str, path: str, fields: Mapping[str, str] | None, expected: tuple[int, ...]) -> Seen:
        headers = {"Origin": self._url, "Sec-Fetch-Site": "same-origin"}
        async with self._session.request(method, self._url + path, data=fields, headers=headers) as answer:
            body = await answer.read()
            reader = _Reader()
            if answer.content_type == "text/html":
                reader.feed(body.decode())
            text = " ".join(" ".join(reader.words).split())
            must(answer.status in (expected or (200,)), f"{method} {path} is answered {answer.status}: {text}")
            return Seen(
                status=answer.status,
                path=answer.url.path_qs,
                forms=reader.forms,
                links=reader.links,
                pictures=reader.pictures,
                text=text,
                body=body,
            )


# The scripted person.


async def work_a_day(ground: Playground) -> list[str]:
    """A whole shift at the screens, with everything that people are invited to try; what happened, in sentences.

    Raises StoryError at the first thing that is not as it should be.
    """
    jar = aiohttp.CookieJar(unsafe=True)  # Cookies of an address in digits.
    async with (
        aiohttp.ClientSession(cookie_jar=jar) as at_screens,
        aiohttp.ClientSession() as at_desk,
    ):
        shift = _Shift(
            ground=ground,
            screens=Screens(ground.collector.screens, at_screens),
            desk=Screens(ground.desk.url, at_desk),
        )
        await shift.press("random-off")
        await shift.begin()
        await shift.collect_usually()
        await shift.be_refused()
        await shift.lift_a_hold()
        await shift.press("network-down")
        await shift.collect_offline()
        await shift.collect_with_open_cover()
        await shift.void_a_receipt()
        await shift.note_a_visit()
        await shift.see_who_is_left()
        await shift.end_the_day()
        await shift.agree_with_the_branch()
        return shift.told


@dataclass(slots=True, kw_only=True)
class _Shift:
    """A shift as it goes. bag: the cash that the scripted person really holds."""

    ground: Playground
    screens: Screens
    desk: Screens
    bag: Purse = field(default_factory=Purse)
    paid: dict[str, int] = field(default_factory=dict)
    taken: int = 0
    left: list[str] = field(default_factory=list)
    voided: int = 0
    told: list[str] = field(default_factory=list)

    def next_door(self) -> Door:
        """The next customer on the walk with whom nothing is out of the ordinary."""
        must(self.taken < len(self.ground.doors), "the route has another ordinary customer")
        self.taken += 1
        return self.ground.doors[self.taken - 1]

    async def press(self, act: str) -> None:
        """A button of the control desk."""
        await self.desk.submit(await self.desk.get("/"), f"/do/{act}")

    async def quiet(self) -> None:
        """Look up until nothing is being printed or asked."""
        await self.ground.collector.quiet()

    @property
    def papers(self) -> int:
        return len(self.ground.world.printer.papers)

    # Scenes.

    async def begin(self) -> None:
        """Log in, no PIN, the route from the hub, and the shift."""
        page = await self.screens.get("/login")
        page = await self.screens.submit(page, "/login", 403, user=CODE, password="13572468")  # noqa: S106 -- Wrong.
        must("Sai tên đăng nhập hoặc mật khẩu" in page.text, f"a wrong password is refused in words: {page.text}")
        page = await self.screens.submit(page, "/login", user=CODE, password=PASSWORD)
        page = await self.screens.submit(page, "/pin")
        must(page.path.startswith("/route"), f"without a PIN the route is next: {page.path}")
        await self.screens.submit(page, "/route/download")
        await self.quiet()
        page = await self.screens.submit(await self.screens.get("/route"), "/shift/open")
        must(any(link.endswith("/reading") for link in page.links), f"the walk begins: {page.text}")
        self.told.append("Chị Chi nhập sai mật khẩu một lần, đăng nhập, tải lộ trình và mở ca.")

    async def read(self, door: Door, index: int) -> Seen:
        """Key an index; where the handheld doubts it, key it again. The page of its paper."""
        here = f"/stops/{door.customer}/reading"
        page = await self.screens.submit(await self.screens.get(here), here, 200, 409, index=str(index))
        if page.status == 409:
            must("doubted" in page.form(here).fields, f"it asks for the index again: {page.text}")
            page = await self.screens.submit(page, here, index=str(index))
        must(page.path.startswith(f"/stops/{door.customer}/result"), f"the paper is shown: {page.path}")
        return page

    async def collect(self, door: Door) -> Seen:
        """Confirm, and take the notes only when the receipt is on the screen."""
        here = f"/stops/{door.customer}/collect"
        page = await self.screens.get(f"{here}?which=ALL")
        fields = page.form(here).fields
        amount = fields["amount_vnd"]
        typed = {"last_digits": amount[-LAST_DIGITS:]} if "last_digits" in fields else {}
        page = await self.screens.submit(page, here, **typed)
        must("paper=receipt" in page.path, f"the receipt follows: {page.path}")
        Purse.ready_for(int(amount)).pay(int(amount), self.bag)
        self.paid[door.customer] = int(amount)
        return page

    async def see_receipt(self, page: Seen, printed_before: int) -> int:
        """The receipt has come out, once, and its code says what the screen's picture says; its number."""
        await self.quiet()
        must(self.papers == printed_before + 1, f"one paper came out, not {self.papers - printed_before}")
        found = await self.screens.get(page.path.partition("#")[0])
        picture = await self.screens.get(next(source for source in found.pictures if "/paper.png" in source))
        self.ground.folder.mkdir(parents=True, exist_ok=True)
        files = [self.ground.folder / "screen.png", self.ground.folder / "printer.png"]
        files[0].write_bytes(picture.body)
        self.ground.world.printer.papers[-1].save(files[1])
        codes = [code for _, code in await asyncio.to_thread(lambda: list(proofs(files)))]
        must(len(codes) == 2 and codes[0] == codes[1], f"paper and screen bear one code: {codes}")
        must(codes[0].startswith(f"{PROOF}{self.ground.collector.device}:"), f"of this handheld: {codes[0]}")
        return int(page.path.partition("receipt_no=")[2])

    async def sell(self) -> int:
        """Read and collect at the next door; the receipt's number."""
        door = self.next_door()
        assert door.visit.index is not None
        await self.read(door, door.visit.index)
        before = self.papers
        return await self.see_receipt(await self.collect(door), before)

    async def collect_usually(self) -> None:
        """The usual case."""
        number = await self.sell()
        must(number == 1, f"receipts are counted from 1: {number}")
        self.told.append("Ghi một khách, thu tiền, biên nhận ra khỏi máy in; mã trên giấy đúng mã trên màn hình.")

    async def be_refused(self) -> None:
        """An index below the old one: no money, and why."""
        door = self.next_door()
        await self.read(door, door.index_too_low)
        page = await self.screens.get(f"/stops/{door.customer}/result")
        must(not page.leads_to(f"/stops/{door.customer}/collect"), "nothing invites to collect")
        page = await self.screens.get(f"/stops/{door.customer}/collect?which=ALL", 409)
        said = REASONS[Reason.READING_BELOW_PREVIOUS][0]
        must(said in page.text, f"it says why: {page.text}")
        self.left.append(door.customer)
        self.told.append(f"Chỉ số thấp hơn kỳ trước: máy không cho thu, “{said}”.")

    async def lift_a_hold(self) -> None:
        """Use that fell: held, until a supervisor reads out a code."""
        door = self.next_door()
        await self.read(door, door.index_of_a_fall)
        page = await self.screens.get(f"/stops/{door.customer}/collect?which=ALL", 409)
        must(REASONS[Reason.CONSUMPTION_DROP][0] in page.text, f"it says why: {page.text}")
        here = f"/stops/{door.customer}/override"
        page = await self.screens.get((await self.screens.get(here)).link(f"{here}?because="))
        device = self.ground.collector.device
        code = await self.ground.branch.supervisor_code(device, SUPERVISOR_REASON, door.customer)
        await self.screens.submit(page, here, code=code)
        before = self.papers
        await self.see_receipt(await self.collect(door), before)
        self.told.append("Sản lượng giảm mạnh: giám sát đọc mã mười số, gỡ giữ, thu được tiền.")

    async def collect_offline(self) -> None:
        """No network; the hub switched off and on behind its back as well."""
        await self.press("hub-stop")
        await self.sell()
        await self.press("hub-start")
        state = await self.ground.collector.state()
        must(state["unsent"] > 0, "what was made without a network waits")
        self.told.append(f"Mất mạng vẫn ghi thu: {state['unsent']} bản ghi chờ gửi.")

    async def collect_with_open_cover(self) -> None:
        """Money is taken, the paper waits, and a tap prints it once the cover is closed."""
        await self.press("cover-open")
        door = self.next_door()
        assert door.visit.index is not None
        await self.read(door, door.visit.index)
        before = self.papers
        receipt = await self.collect(door)
        await self.quiet()
        must(self.papers == before, "with an open cover nothing comes out")
        waiting = (await self.screens.get("/papers?show=waiting")).link("/papers/")
        await self.press("cover-close")
        await self.quiet()
        must(self.papers == before, "nothing prints by itself")
        paper = await self.screens.get(waiting)
        await self.screens.submit(paper, f"{waiting}/print")
        await self.see_receipt(receipt, before)
        self.told.append("Nắp máy in mở: tiền đã thu, biên nhận nằm chờ; đóng nắp, chạm một cái là in.")

    async def void_a_receipt(self) -> None:
        """The wrong door: the record first, then the notes go back."""
        self.voided = await self.sell()
        customer, amount = list(self.paid.items())[-1]
        here = f"/receipts/{self.voided}/void"
        page = await self.screens.get((await self.screens.get(here)).link(f"{here}?reason=WRONG_CUSTOMER"))
        page = await self.screens.submit(page, here)
        self.bag.hand_over(self.paid.pop(customer))
        must(all(form.action.partition("?")[0] != here for form in page.forms), "it cannot be voided twice")
        self.left.append(customer)
        self.told.append(f"Thu nhầm {vnd(amount)}: hủy biên nhận số {self.voided}, trả lại tiền, giữ lại giấy.")

    async def note_a_visit(self) -> None:
        """Nobody at home: come back."""
        door = self.next_door()
        here = f"/stops/{door.customer}/contact"
        page = await self.screens.get((await self.screens.get(here)).link(f"{here}?outcome=NOBODY_HOME"))
        await self.screens.submit(page, here)
        back = await self.screens.get("/stops?show=back")
        must(back.leads_to(f"/stops/{door.customer}"), f"the list of promises has the customer: {back.links}")
        self.left.append(door.customer)

    async def see_who_is_left(self) -> None:
        """The second round: who was visited and has not paid."""
        page = await self.screens.get("/stops?show=sweep")
        shown = {link.partition("?")[0] for link in page.links}
        missing = [customer for customer in self.left if f"/stops/{customer}" not in shown]
        must(not missing, f"the sweep list has all who are left: {missing}")
        wrong = [customer for customer in self.paid if f"/stops/{customer}" in shown]
        must(not wrong, f"and nobody who has paid: {wrong}")
        self.told.append(f"Hẹn một khách quay lại; danh sách thu vét còn {len(self.left)} khách.")

    async def end_the_day(self) -> None:
        """Count, close, the slip, and everything to the branch. Coins below the smallest note have no field."""
        here, collector = "/day/cash", self.ground.collector
        counted = {f"n{value}": str(self.bag.notes[value]) for value in DENOMINATIONS if self.bag.notes[value]}
        await self.screens.submit(await self.screens.get(here), here, **counted)
        page = await self.screens.get("/day/close")
        fields = page.form("/day/close").fields
        must(int(fields.get("unsent", "0")) > 0, "what is unsent is named before the shift is closed")
        await self.screens.submit(page, "/day/close", keyed=fields["unsent"])
        before = self.papers
        await self.screens.submit(await self.screens.get("/day"), "/day/slip")
        await self.quiet()
        must(self.papers == before + 1, "the day slip came out")
        await self.press("network-up")
        try:
            async with asyncio.timeout(SEND_S):
                while (await collector.state())["unsent"]:
                    await self.screens.submit(await self.screens.get("/outbox"), "/outbox/send")
                    await self.quiet()
        except TimeoutError as error:
            raise StoryError("with a network everything is sent") from error
        self.told.append("Đếm tiền theo mệnh giá, đóng ca, in phiếu cuối ngày; có mạng lại, gửi hết.")

    async def agree_with_the_branch(self) -> None:
        """The branch knows of exactly the cash that is really there."""
        branch, collector, day = self.ground.branch, self.ground.collector, self.ground.day
        await branch.do("day.paper", device=collector.device, receipt_no=self.voided, by=CASHIER)
        held = self.bag.worth_vnd
        must(held == sum(self.paid.values()), "the bag holds what was collected")
        report = await branch.report(CODE, day)
        columns = (report["handheld_vnd"], report["hub_vnd"])
        must(columns == (held, held), f"the branch knows of {columns}, the bag holds {held}")
        received = await branch.receive(CODE, day, self.bag.empty())
        after = await branch.report(CODE, day)
        must((received, after["difference_vnd"]) == (held, 0), f"the cashier counts the same: {after}")
        self.told.append(f"Chi nhánh và túi tiền khớp nhau: {vnd(held)}.")
