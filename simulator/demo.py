"""`simulator demo`: one day of a small branch, as a story that is checked while it is told.

Two collectors work a made-up branch with real handheld and hub processes, one with a printer at a serial line and one
with a printer over Bluetooth. Things go wrong that go wrong in life; at the end the three columns must differ by
exactly what was lost from a bag, and by nothing else, and every receipt that came out of a printer must be one that was
recorded. Then a third collector's handheld is left to whoever started the demo.
"""

import asyncio
import csv
import shutil
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from protocol.values import start_of_day_ms
from protocol.words import date_text, percent, vnd
from simulator.belt import Belt, bluetooth_belt, is_marked, proofs, serial_belt
from simulator.bluez_bus import BusError
from simulator.branch import SUPERVISOR, Branch
from simulator.clock import ClockFile
from simulator.collector import Collector
from simulator.faults import arm
from simulator.playground import CODE as THIRD
from simulator.playground import NAME, PASSWORD, Playground, StoryError, must, playground, work_a_day
from simulator.processes import ProcessError
from simulator.round import EVENING_MINUTE, LEAD_DAYS_MS, MINUTE_MS, imei_of
from simulator.sample import SampleBranch, write_branch
from simulator.truth import FIRST_VISIT_MINUTE, LAST_VISIT_MINUTE, Visit, table, visits

LOST_VND = 50_000
PEOPLE = (("an", "Lê Hoàng An"), ("binh", "Phạm Thị Bình"))
FOLDER = Path("demo")
PORT = 8088  # Where the page is looked for after the story; another if it is taken.
# When things happen, in parts of a thousand of the route.
NETWORK_LOST, TRANSFERS_COME, BACK_AT_SECOND_DOOR, NETWORK_BACK, BACK_AT_FIRST_DOOR = 250, 400, 500, 700, 750
WRONG_INDEX_KEYED, MISTAKEN_RECEIPT, BATTERY_OUT, READ_AGAIN = 300, 350, 550, 800
PAPER_ENDS, COVER_OPENS, PRINTER_LOST = 120, 180, 200
IN_MID_RECEIPT_BYTES = 9_000  # Of about 35,000.
TROUBLE_SECONDS = 20  # A printer says within one what is the matter.


@dataclass(slots=True)
class Story:
    """The day as it goes. handed_vnd: what customers really gave each collector, less what they got back."""

    branch: Branch
    clock: ClockFile
    day: str
    collectors: dict[str, Collector]
    routes: dict[str, list[Visit]]
    belts: dict[str, Belt]
    console: Console
    handed_vnd: dict[str, int] = field(default_factory=dict)
    noticed: list[tuple[str, int]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    paid_twice_vnd: int = 0
    void_receipt: int = 0
    void_vnd: int = 0
    cut_off: int = 0  # Papers that the battery may have cut off.
    corrected: str = ""
    re_read: str = ""
    happenings: dict[tuple[str, int], Callable[[Collector], Awaitable[None]]] = field(default_factory=dict)

    def tell(self, sentence: str) -> None:
        """One sentence of the story, on the screen and for the end."""
        minutes = (self.clock.at_ms - start_of_day_ms(self.day)) // MINUTE_MS
        self.told.append(sentence)
        self.console.print(f"[bold]{minutes // 60:02d}:{minutes % 60:02d}[/bold]  {sentence}")

    def plan(self) -> None:
        """What happens to whom, and when."""
        first, second = PEOPLE[0][0], PEOPLE[1][0]
        self.happenings = {
            (first, NETWORK_LOST): self.lose_network,
            (first, TRANSFERS_COME): self.transfers_come,
            (first, BACK_AT_SECOND_DOOR): self.collect_what_was_transferred,
            (first, NETWORK_BACK): self.find_network,
            (first, BACK_AT_FIRST_DOOR): self.hear_of_transfer,
            (first, PAPER_ENDS): self.run_out_of_paper,
            (first, COVER_OPENS): self.open_the_cover,
            (second, PRINTER_LOST): self.lose_the_printer,
            (second, WRONG_INDEX_KEYED): self.key_wrong_index,
            (second, MISTAKEN_RECEIPT): self.void_a_receipt,
            (second, BATTERY_OUT): self.pull_battery,
            (second, READ_AGAIN): self.read_after_payment,
        }

    # The day.

    async def walk(self) -> None:
        """Both routes, stop by stop on one clock."""
        start_ms = start_of_day_ms(self.day)
        self.clock.set(start_ms + (FIRST_VISIT_MINUTE - 15) * MINUTE_MS)
        for code, collector in self.collectors.items():
            await collector.open_day(self.day)
            self.handed_vnd[code] = 0
        most = max(map(len, self.routes.values()))
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
        with Progress(*columns, console=self.console) as progress:
            bars = {
                code: progress.add_task(dict(PEOPLE)[code], total=len(found), state="")
                for code, found in self.routes.items()
            }
            for turn in range(most):
                minute = FIRST_VISIT_MINUTE + turn * (LAST_VISIT_MINUTE - FIRST_VISIT_MINUTE) // most
                self.clock.set(max(self.clock.at_ms, start_ms + minute * MINUTE_MS))
                for code, found in self.routes.items():
                    if turn < len(found):
                        await self.step(code, found, turn, progress, bars[code])
        self.clock.set(start_ms + EVENING_MINUTE * MINUTE_MS)

    async def step(self, code: str, found: list[Visit], turn: int, progress: Progress, bar: TaskID) -> None:
        """One stop of one collector, and what happens before it."""
        collector = self.collectors[code]
        for (who, when), happening in list(self.happenings.items()):
            if who == code and turn * 1000 >= when * len(found):
                del self.happenings[who, when]
                await happening(collector)
        visit = found[turn]
        self.handed_vnd[code] += await collector.visit(visit)
        if code == PEOPLE[0][0] and len(self.noticed) < 2 and not visit.at_home and visit.index is not None:
            await self.note_absent(collector, visit)
        state = await collector.state()
        done = state["progress"]
        network = "có mạng" if collector.network.is_up else "mất mạng"
        text = f"ghi {percent(done['read'], done['stops'])}  thu {percent(done['cash_paid'], done['cash_customers'])}"
        progress.update(bar, advance=1, total=len(found), state=f"{text}  {network}, chờ gửi {state['unsent']}")

    async def note_absent(self, collector: Collector, visit: Visit) -> None:
        """Remember who was not at home and found a bill notice in the door: they can pay by its code."""
        seen = await collector.stop_at(visit.customer)
        due = seen["dues"]["ALL"]
        if due["amount_vnd"] > 0 and [name for name, _ in due["bills"]] == [seen["bill_no"]]:
            self.noticed.append((visit.customer, due["amount_vnd"]))

    # What goes wrong.

    async def lose_network(self, collector: Collector) -> None:
        """The valley without a signal."""
        must(len(self.noticed) == 2, "two absent customers have found a bill notice in the door")
        await collector.quiet()
        collector.network.down()
        self.tell("Máy của An mất mạng. Việc ghi thu vẫn tiếp tục.")

    async def transfers_come(self, collector: Collector) -> None:
        """Two absent customers scan the code of their notice, and somebody pays for nobody."""
        registers = {row["customer_id"]: row["register_no"] for row in table(FOLDER / "extract", "customers.csv")}
        at = datetime.fromtimestamp(self.clock.at_ms / 1000, UTC).isoformat()
        lines = [
            ("970436", f"FT{number}", at, "100004360001", str(amount), f"{registers[name]} KY112026")
            for number, (name, amount) in enumerate(self.noticed, start=1)
        ]
        lines.append(("970436", "FT3", at, "100004360001", "200000", "chuyen tien nuoc giup me"))
        path = FOLDER / "statement.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("bank_bin", "bank_txn_id", "value_time", "account", "amount_vnd", "content"))
            writer.writerows(lines)
        answer = await self.branch.do("bank", file=str(path.resolve()))
        must((answer["matched"], answer["unmatched"]) == (2, 1), f"two lines find their customer: {answer}")
        self.tell("Hai khách vắng nhà quét mã trên giấy báo và chuyển khoản; một khoản không rõ của ai.")

    async def collect_what_was_transferred(self, collector: Collector) -> None:
        """Offline nobody can know: the second customer's mother pays again in cash."""
        must(not collector.network.is_up, "this happens without a network")
        customer, amount = self.noticed[1]
        self.handed_vnd[collector.code] += await collector.collect(customer, amount)
        self.paid_twice_vnd = amount
        self.tell(f"Không có mạng, An thu {vnd(amount)} của khách đã chuyển khoản: không ai biết được.")

    async def find_network(self, collector: Collector) -> None:
        """Signal again: everything made meanwhile goes out."""
        before = (await collector.state())["unsent"]
        must(before > 10, f"records waited for the network: {before}")
        await collector.send_all()
        self.tell(f"Có mạng trở lại: {before} bản ghi được gửi hết.")

    async def hear_of_transfer(self, collector: Collector) -> None:
        """With a network the hub tells of the transfer before money is asked for."""
        customer, amount = self.noticed[0]
        await collector.tap("OpenStop", customer=customer)
        await collector.quiet()
        seen = await collector.stop_at(customer)
        must(seen["dues"]["ALL"]["amount_vnd"] == 0, f"the handheld knows that {customer} has paid: {seen['dues']}")
        self.tell(f"An quay lại khách đầu tiên: máy báo đã chuyển khoản {vnd(amount)}, không thu nữa.")

    async def run_out_of_paper(self, collector: Collector) -> None:
        """The roll ends in the middle of a receipt; a new one goes in and the receipt goes on."""
        printer = self.belts[collector.code].printer
        await collector.quiet()
        arm(printer, f"paper-out@{IN_MID_RECEIPT_BYTES}")
        before = len(printer.papers)
        await self.sell(collector)
        words = await self.hear_of_printer(collector, "paper-out")
        printer.paper_out = False
        await collector.quiet()
        state = await collector.state()
        must(state["waiting_papers"] == state["doubtful_papers"] == [], f"the receipt went on: {state['papers']}")
        must(len(printer.papers) == before + 1, "it is one paper")
        self.tell(f"Cuộn giấy của An hết giữa biên nhận: “{words}”. An thay cuộn, biên nhận in tiếp, chỉ một lần.")

    async def open_the_cover(self, collector: Collector) -> None:
        """A printer that prints nothing keeps nobody: the receipt waits in a list."""
        printer = self.belts[collector.code].printer
        await collector.quiet()
        printer.cover_open = True
        before = len(printer.papers)
        customer = await self.sell(collector)
        await collector.quiet()
        (waiting,) = (await collector.state())["waiting_papers"]
        must((waiting["customer"], waiting["reason"]) == (customer, "cover-open"), f"it waits: {waiting}")
        printer.cover_open = False
        await collector.quiet()
        must(len(printer.papers) == before, "nothing prints by itself")
        await collector.tap("PrintPaper", customer=customer, kind="RECEIPT", receipt_no=waiting["receipt_no"])
        await collector.quiet()
        must((await collector.state())["waiting_papers"] == [], "at a tap it comes out")
        self.tell(f"Nắp máy in của An mở. Tiền đã thu, biên nhận nằm chờ: “{waiting['words']}”. Đóng nắp, chạm là in.")

    async def lose_the_printer(self, collector: Collector) -> None:
        """Bluetooth is lost in the middle of a receipt: only a look at the paper can tell, and a reprint is marked."""
        printer = self.belts[collector.code].printer
        await collector.quiet()
        arm(printer, f"drop@{IN_MID_RECEIPT_BYTES}")
        customer = await self.sell(collector)
        await collector.quiet()
        (doubt,) = (await collector.state())["doubtful_papers"]
        must((doubt["customer"], doubt["reason"]) == (customer, "lost"), f"nobody can know what came out: {doubt}")
        await collector.tap("PrintPaper", customer=customer, kind="RECEIPT", receipt_no=doubt["receipt_no"])
        await collector.quiet()
        must((await collector.state())["doubtful_papers"] == [], "the second print came out")
        must(is_marked(printer.papers[-1], 2), "and says that it is one")
        self.tell("Máy in của Bình mất kết nối giữa biên nhận, tờ giấy dở dang: in lại, tờ mới mang dấu “Lần in: 2”.")

    async def sell(self, collector: Collector) -> str:
        """Read and collect at the door of the next customer who pays; who it was."""
        visit = await self.next_payer(collector)
        await collector.read(visit)
        due = (await collector.stop_at(visit.customer))["dues"]["ALL"]["amount_vnd"]
        await collector.quiet()
        self.handed_vnd[collector.code] += await collector.collect(visit.customer, due)
        self.drop(collector, visit)
        return visit.customer

    async def hear_of_printer(self, collector: Collector, trouble: str) -> str:
        """Wait until the handheld says what is the matter with its printer; its words."""
        async with asyncio.timeout(TROUBLE_SECONDS):
            while True:
                said = (await collector.state())["printer"]
                if said["trouble"] == trouble:
                    return str(said["words"])
                await asyncio.sleep(0.05)

    async def key_wrong_index(self, collector: Collector) -> None:
        """A digit too many, seen before any money was taken: read again."""
        visit = await self.next_payer(collector)
        assert visit.index is not None
        self.corrected = visit.customer
        await collector.record(
            "TakeReading", customer=visit.customer, code=visit.code, index=visit.index + 11, confirmed=True
        )
        self.tell("Bình nhập nhầm chỉ số của một khách rồi ghi lại cho đúng.")

    async def void_a_receipt(self, collector: Collector) -> None:
        """The wrong door: money taken, receipt printed, then voided; the paper goes back to the branch."""
        visit = await self.next_payer(collector)
        await collector.read(visit)
        due = (await collector.stop_at(visit.customer))["dues"]["ALL"]["amount_vnd"]
        await collector.collect(visit.customer, due)
        await collector.quiet()
        seen = await collector.stop_at(visit.customer)
        self.void_receipt, self.void_vnd = seen["collections"][-1]["receipt_no"], due
        await collector.void(self.void_receipt, due)
        self.drop(collector, visit)
        self.tell(f"Bình thu nhầm {vnd(due)}, hủy biên nhận số {self.void_receipt}, trả tiền và giữ lại giấy.")

    async def pull_battery(self, collector: Collector) -> None:
        """The handheld dies in the middle of the route."""
        before = await collector.state()
        await collector.restart(kill=True)
        after = await collector.state()
        must(after["head"]["seq"] >= before["head"]["seq"], "no record was lost with the battery")
        must(after["cash_vnd"] == before["cash_vnd"], "the cash in the bag is still known")
        self.cut_off = len(after["doubtful_papers"])
        for paper in (*after["doubtful_papers"], *after["waiting_papers"]):
            fields = {name: paper[name] for name in ("customer", "kind", "receipt_no") if paper[name] is not None}
            await collector.tap("PrintPaper", **fields)
            await collector.quiet()
        self.tell("Máy của Bình rơi, pin bật ra; mở lại, không mất bản ghi nào, tờ in dở thì in lại.")

    async def read_after_payment(self, collector: Collector) -> None:
        """A second look at a dial that has been paid for: the bill stands, the difference waits."""
        visit = await self.next_payer(collector)
        assert visit.index is not None
        self.handed_vnd[collector.code] += await collector.visit(visit)
        await collector.record(
            "TakeReading", customer=visit.customer, code=visit.code, index=visit.index + 5, confirmed=True
        )
        self.re_read = visit.customer
        self.drop(collector, visit)
        self.tell("Bình ghi lại một đồng hồ đã thu tiền: hóa đơn giữ nguyên, chênh lệch sang kỳ sau.")

    async def next_payer(self, collector: Collector) -> Visit:
        """The next customer on the route who is at home, pays cash, and whose reading nothing holds."""
        for visit in self.routes[collector.code][collector.visited :]:
            seen = await collector.stop_at(visit.customer)
            usual = visit.code == "normal" and visit.index is not None and visit.at_home and visit.pays_cash
            if usual and seen["payment_method"] == "TT" and not seen["dues"]["ARREARS"]["bills"]:
                assert visit.index is not None
                if self.is_plain(visit):
                    return visit
        raise StoryError("nobody left on the route for this scene")

    def is_plain(self, visit: Visit) -> bool:
        """Whether use is near last month's, so that no rule holds the bill."""
        history = [row for row in table(FOLDER / "extract", "history.csv") if row["customer_id"] == visit.customer]
        last = max(history, key=lambda row: row["period"])
        assert visit.index is not None
        use, before = visit.index - int(last["index"]), int(last["consumption_m3"])
        return before > 0 and use > 0 and use * 10 >= before * 9

    def drop(self, collector: Collector, visit: Visit) -> None:
        """This customer has had the visit: take it off the walk."""
        self.routes[collector.code].remove(visit)

    # The evening.

    async def evening(self) -> list[dict[str, Any]]:
        """Shifts closed, everything sent, cash counted, papers back, dates closed; the three columns."""
        first, second = (self.collectors[code] for code, _ in PEOPLE)
        for collector in (first, second):
            await collector.close_day()
            await collector.send_all()
        first.bag.hand_over(LOST_VND)
        self.tell(f"Trên đường về, {vnd(LOST_VND)} rơi khỏi túi của An.")
        received = {code: await one.hand_in(self.branch, self.day) for code, one in self.collectors.items()}
        for code, _ in PEOPLE:
            lost = LOST_VND if code == first.code else 0
            must(received[code] == self.handed_vnd[code] - lost, f"the cashier counts what {code} was handed")
        before = await self.report(second.code)
        must(before["difference_vnd"] == -self.void_vnd, "a voided receipt is owed while its paper is out")
        await self.branch.do("day.paper", device=second.device, receipt_no=self.void_receipt, by="thuquy")
        self.tell("Bình nộp lại tờ biên nhận đã hủy: số tiền ấy không còn bị tính nợ.")
        reports = []
        for code, _ in PEOPLE:
            report = await self.report(code)
            reason = "Nhân viên báo rơi tiền trên đường" if report["difference_vnd"] else ""
            arguments = {"collector": code, "day": self.day, "by": SUPERVISOR, "reason": reason}
            reports.append(await self.branch.do("day.close", **arguments))
        return reports

    async def report(self, code: str) -> dict[str, Any]:
        """The three columns of a collector."""
        return await self.branch.report(code, self.day)

    async def judge(self, reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Everything that must be true at the end; the open cases."""
        must([one["difference_vnd"] for one in reports] == [-LOST_VND, 0], "only what was lost is missing")
        for (code, _), report in zip(PEOPLE, reports, strict=True):
            must(report["hub_vnd"] == self.handed_vnd[code], f"the hub has what customers gave {code}")
            must(report["handheld_vnd"] == self.handed_vnd[code], f"and so has the handheld of {code}")
        await self.branch.restart(kill=True)
        must(await self.branch.check() == [], "the hub holds everything after its power was cut")
        totals = await self.branch.do("export")
        doubles = totals["double_payments"]["cash_and_bank"]
        must(doubles == {"customers": 1, "bank_sum_vnd": self.paid_twice_vnd}, f"one customer paid twice: {doubles}")
        cases: list[dict[str, Any]] = (await self.branch.do("case.list"))["cases"]
        by_class = {case["class"]: case for case in cases}
        must(by_class["cash-short-or-over"]["money_vnd"] == -LOST_VND, "the shortage is a case")
        must(by_class["re-read-after-payment"]["customer"] == self.re_read, "so is the meter read after payment")
        must(by_class["bank-unmatched"]["money_vnd"] == 200_000, "and the transfer of nobody")
        must("void-with-paper-out" not in by_class, "the voided receipt is settled")
        closed = await self.branch.do("case.list", all=True)
        classes = {(case["class"], case["customer"]) for case in closed["cases"]}
        must(("own-correction", self.corrected) in classes, "the corrected reading is on file")
        must(("paid-twice", self.noticed[1][0]) in classes, "and so is the double payment")
        must(not self.happenings, f"everything happened: {list(self.happenings)}")
        for collector in self.collectors.values():
            printed = next(one for one in reports if one["collector"] == collector.code)["handhelds"][0]["totals"]
            self.judge_papers(collector, printed["printed"] + printed["reprinted"])
        return cases

    def judge_papers(self, collector: Collector, printed: int) -> None:
        """What came out of a printer, against what its handheld has recorded."""
        printer = self.belts[collector.code].printer
        files = printer.save(FOLDER / "papers" / collector.code)
        records = printed + 1  # The day slip comes after the totals it shows.
        unknown = 1 + self.cut_off if collector.code == PEOPLE[1][0] else 0  # With the one that the lost link cut off.
        must(records - unknown <= len(files) <= records, f"every paper has its record: {len(files)} of {records}")
        must(printer.lost == 0, "no byte found the printer full")
        unmarked: set[str] = set()
        for file, proof in proofs(files):
            must(proof in collector.receipts, f"{file} shows a receipt that was recorded: {proof}")
            with Image.open(file) as paper:
                must(proof not in unmarked or is_marked(paper, 2), f"{file} is a receipt's second, and says so")
            unmarked.add(proof)
        must(unmarked == collector.receipts, f"every receipt came out: {collector.receipts - unmarked}")


async def run(*, once: bool) -> int:
    """Tell the story; 0 when all is as it says."""
    console = Console(highlight=False, width=None if Console().is_terminal else 120)
    shutil.rmtree(FOLDER, ignore_errors=True)
    sample = write_branch(FOLDER / "extract", routes=len(PEOPLE) + 1)
    found = visits(sample.folder)
    day = min(found)
    clock = ClockFile(FOLDER / "clock", start_of_day_ms(day) - LEAD_DAYS_MS)
    branch = await _found(clock, sample.branch, once=once)
    collectors: dict[str, Collector] = {}
    belts: dict[str, Belt] = {}
    leaving = AsyncExitStack()
    try:
        belts[PEOPLE[0][0]] = await leaving.enter_async_context(serial_belt((FOLDER / "printer-an").resolve()))
        belts[PEOPLE[1][0]] = await leaving.enter_async_context(bluetooth_belt())
        await branch.do("import", folder=str(sample.folder.resolve()))
        for number, ((code, name), route) in enumerate(zip(PEOPLE, sample.routes, strict=False), start=1):
            collector = await Collector.equip(
                branch,
                FOLDER,
                code=code,
                name=name,
                imei=imei_of(number),
                papers=belts[code].address,
                random=Random(number),
                around=belts[code].environment,
            )
            collectors[code] = collector
            collector.online = True
            await branch.do("package.publish", route=route, collector=code)
            await collector.download()
        routes = {
            code: [visit for visit in found[day] if visit.route == route]
            for (code, _), route in zip(PEOPLE, sample.routes, strict=False)
        }
        story = Story(branch, clock, day, collectors, routes, belts, console)
        customers = sum(map(len, routes.values()))
        console.print(f"[bold]{sample.branch}[/bold]: {customers} khách hàng, ngày {date_text(day)}")
        story.plan()
        await story.walk()
        reports = await story.evening()
        cases = await story.judge(reports)
        _show(console, reports, cases)
        await _hand_over(console, branch, sample, found[day], once=once)
        return 0
    except (StoryError, ProcessError, BusError) as error:
        console.print(f"[bold red]Không như câu chuyện · not as the story says:[/bold red] {error}")
        for code, belt in belts.items():
            belt.printer.save(FOLDER / "papers" / code)
        return 1
    finally:
        for collector in collectors.values():
            await collector.stop()
            await collector.network.close()
        await branch.stop()
        await leaving.aclose()


async def _found(clock: ClockFile, name: str, *, once: bool) -> Branch:
    """The hub, on the port people are told of if it is free."""
    home = FOLDER / "hub"
    try:
        return await Branch.found(home, clock, unit="DEMO", name=name, port=0 if once else PORT)
    except ProcessError:
        if once:
            raise
        shutil.rmtree(home)
        return await Branch.found(home, clock, unit="DEMO", name=name)


def _show(console: Console, reports: list[dict[str, Any]], cases: list[dict[str, Any]]) -> None:
    """The end of day and the open cases, as branch IT sees them."""
    names = dict(PEOPLE)
    table_of_day = Table(title="Đối soát cuối ngày · end of day")
    for column in ("Nhân viên", "Máy cầm tay", "Trung tâm", "Thủ quỹ nhận", "Chênh lệch"):
        table_of_day.add_column(column, justify="left" if column == "Nhân viên" else "right")
    for one in reports:
        figures = (one["handheld_vnd"], one["hub_vnd"], one["received_vnd"], one["difference_vnd"])
        table_of_day.add_row(names[one["collector"]], *[vnd(figure) for figure in figures])
    console.print(table_of_day)
    table_of_cases = Table(title="Hồ sơ cần người xem · open cases")
    for column in ("Việc", "Khách hàng / nhân viên", "Số tiền", "Đã tự xử lý"):
        table_of_cases.add_column(column, justify="right" if column == "Số tiền" else "left")
    for case in cases:
        who = case["customer"] or names.get(case["collector"], case["collector"])
        detail = f" ({case['detail']})" if case["detail"] else ""
        table_of_cases.add_row(case["title"] + detail, who, vnd(case["money_vnd"]), case["done"])
    console.print(table_of_cases)
    console.print(f"Giấy đã in · papers: {FOLDER / 'papers'}")


async def _hand_over(console: Console, branch: Branch, sample: SampleBranch, found: list[Visit], *, once: bool) -> None:
    """A third collector's handheld: for a scripted person who proves that it works, or until Ctrl-C for anybody."""
    route = sample.routes[len(PEOPLE)]
    own = [visit for visit in found if visit.route == route]
    around = playground(
        branch, FOLDER, route=route, imei=imei_of(len(PEOPLE) + 1), after=found[0].day, visits=own, hurry=once
    )
    async with around as ground:
        if once:
            console.print(f"[bold]{NAME}[/bold], {date_text(ground.day)}, trên màn hình máy cầm tay:")
            for sentence in await work_a_day(ground):
                console.print(f"  {sentence}")
            return
        await _invite(console, ground)
        stop = asyncio.Event()
        for sign in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sign, stop.set)
        await stop.wait()


async def _invite(console: Console, ground: Playground) -> None:
    """What somebody needs who wants to try the handheld."""
    held, collector = ground.doors[0], ground.collector
    await collector.tap("AskPolicy")  # With that the branch makes the codes ready; one given before would open nothing.
    await collector.quiet()
    code = await ground.branch.supervisor_code(collector.device, "Thử mã giám sát", held.customer)
    lines = (
        ("Máy cầm tay · the handheld", f"{collector.screens}/"),
        ("Tên đăng nhập, mật khẩu · user, password", f"{THIRD}, {PASSWORD}  ({NAME})"),
        ("Bàn điều khiển sự cố · control desk", f"{ground.desk.url}/"),
        ("Trang chi nhánh · the branch's page", f"{ground.branch.url}/"),
    )
    console.print("[bold]Giờ đến lượt bạn · now it is your turn[/bold]")
    for words, value in lines:
        console.print(f"  {words}: [bold]{value}[/bold]")
    console.print(f"  Mã giám sát, dùng một lần · a supervisor's code, for once: [bold]{code}[/bold]")
    index = held.index_of_a_fall
    console.print(f"    Khách thứ {held.place}: ghi chỉ số {index}, máy giữ vì sản lượng giảm mạnh; mã này gỡ giữ.")
    console.print(f"    Customer {held.place} of the walk: key {index}; it is held for a fall, and the code lifts it.")
    console.print("  Ctrl-C để dừng · to stop")
