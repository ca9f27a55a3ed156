"""The page on a real hub and a real socket: its figures against sums over the records that made them."""

import asyncio
import csv
import hmac
import inspect
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import Connection, insert, select, update

from hub.app import Hub
from hub.cashier import close_day, day_report, receive_cash
from hub.core.conflicts import CONFLICTS, ConflictClass
from hub.enrolment import Enrolments, confirm, enrol, normal_code, open_slot
from hub.office import import_extract, publish
from hub.people import add_person
from hub.store.schema import case_file, handheld, package
from hub.web.today import CASES_MAX, DATES_MAX, Board, board
from hub.web.views import FOLDER, TEXTS, add_page
from hub.web.views import Page as PageWords
from protocol.chain import EMPTY, NO_DIGEST
from protocol.envelope import Purpose, SigningKey, VerifyKey, seal
from protocol.package import Policy, RoutePackage, Stop, open_package
from protocol.records import (
    CashCollected,
    CashCounted,
    DayTotals,
    Denomination,
    Evidence,
    HandheldRecord,
    Header,
    PackageRef,
    ReadingTaken,
    ShiftClosed,
    ShiftOpened,
)
from protocol.sealed import Sealed, seal_record
from protocol.tariff import compute_bill
from protocol.values import DAY_MS, ClockEvidence, ClockSource, Imei, NoFix, start_of_day_ms
from protocol.wire import Enrolment, body, enrolment_proof_input
from protocol.words import percent, vnd
from simulator.sample import write_branch

UNIT, PERIOD = "VS", "2026-11"
YESTERDAY, TODAY = "2026-11-23", "2026-11-24"
IMEI = Imei("490154203237518")
KEY = SigningKey.of(bytes(range(32)))
NAUGHTY = "<b>Nguyễn & Con</b>"
TODAY_CELLS, CASE_CELLS, DAY_CELLS = 6, 5, 7
VOID_ELEMENTS = {"meta", "link", "br", "img", "input", "hr"}


@dataclass(slots=True)
class Watch:
    """The hub's clock, moved by hand."""

    now_ms: int = start_of_day_ms(YESTERDAY) + 8 * 3_600_000

    def __call__(self) -> int:
        return self.now_ms


@dataclass(slots=True)
class Handset:
    """A handheld that signs what a test tells it."""

    key: SigningKey
    imei: Imei
    collector: str
    package: RoutePackage
    device: int
    tip: tuple[int, bytes] = EMPTY
    receipt_no: int = 0
    made: list[Sealed] = field(default_factory=list)
    sent: int = 0

    def make(self, record: HandheldRecord, at_ms: int) -> Sealed:
        evidence = Evidence(
            clock=ClockEvidence(b"boot-id!", 1, at_ms, 0, ClockSource.HUB),
            imei=self.imei,
            fix=NoFix.NO_SIGNAL,
            collector=self.collector,
            package=PackageRef(self.package.route, self.package.version),
            ack=NO_DIGEST,
        )
        header = Header(seq=self.tip[0] + 1, prev=self.tip[1], at_ms=at_ms, evidence=evidence)
        sealed = seal_record(header, record, self.key)
        self.tip = sealed.tip
        self.made.append(sealed)
        return sealed

    def open_shift(self, day: str, at_ms: int) -> None:
        self.make(ShiftOpened(period=PERIOD, business_date=day, software="test"), at_ms)

    def read(self, stop: Stop, use_m3: int, at_ms: int, *, misprint_vnd: int = 0) -> Sealed:
        """Read a meter; misprint_vnd: what the paper asks for too much, as fee. A use below zero has no bill."""
        last = stop.history[-1]
        bill = None
        if use_m3 >= 0:
            bill = compute_bill(
                use_m3,
                self.package.tariff,
                area=stop.area,
                group=stop.category,
                period=PERIOD,
                from_date=last.reading_date,
                to_date=TODAY,
                persons=stop.persons,
            )
            bill = replace(
                bill, fee_vnd=bill.fee_vnd + misprint_vnd, total_vnd=bill.total_vnd + misprint_vnd
            )
        record = ReadingTaken(
            customer=stop.customer,
            period=PERIOD,
            index=last.index + use_m3,
            code="normal",
            previous_index=last.index,
            use_m3=use_m3,
            days=30,
            tariff="T",
            bill_no=f"{stop.customer}-{PERIOD}",
            bill=bill,
        )
        return self.make(record, at_ms)

    def collect(self, reading: Sealed, at_ms: int) -> int:
        """Take what the reading's bill asks for."""
        taken = reading.record
        assert isinstance(taken, ReadingTaken)
        assert taken.bill is not None
        self.receipt_no += 1
        record = CashCollected(
            customer=taken.customer,
            period=PERIOD,
            amount_vnd=taken.bill.total_vnd,
            bills=(taken.bill_no,),
            bills_vnd=(taken.bill.total_vnd,),
            bill_periods=(PERIOD,),
            receipt_no=self.receipt_no,
            reading=reading.digest,
        )
        self.make(record, at_ms)
        return record.amount_vnd

    def close_shift(self, day: str, collected_vnd: int, at_ms: int) -> None:
        notes = thousands(collected_vnd)
        counted_vnd = sum(note.value_vnd * note.pieces for note in notes)
        self.make(CashCounted(period=PERIOD, business_date=day, notes=notes, total_vnd=counted_vnd), at_ms)
        totals = DayTotals(
            read=0,
            skipped=0,
            collected=1,
            collected_vnd=collected_vnd,
            voided=0,
            voided_vnd=0,
            printed=0,
            reprinted=0,
            receipt_first=1,
            receipt_last=self.receipt_no,
        )
        self.make(ShiftClosed(period=PERIOD, business_date=day, totals=totals), at_ms)

    async def send(self, hub: Hub) -> None:
        taken = await hub.intake.take(b"".join(one.message for one in self.made[self.sent :]))
        assert taken.refused is None
        self.sent = len(self.made)


@dataclass(slots=True)
class Branch:
    """A hub with two routes, one collector for the first, and nobody for the second."""

    hub: Hub
    watch: Watch
    first: Handset
    client: "TestClient[web.Request, web.Application]"

    async def board(self) -> Board:
        return await self.hub.read(lambda connection: board(connection, self.hub.books, self.watch.now_ms))

    async def page(self, language: str = "vi") -> "Page":
        async with self.client.get("/", params={"lang": language}) as answer:
            assert answer.status == 200
            return Page.of(await answer.text())

    def cash_stops(self) -> list[Stop]:
        """Cash customers of the first route whose usual use is far from every rule."""
        return [one for one in self.first.package.stops if one.payment_method == "TT" and one.history[-1].days > 20]


class Page(HTMLParser):
    """A page read strictly: every element closed in order. rows: cells of each table row; shown: all text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.shown = ""

    @classmethod
    def of(cls, text: str) -> "Page":
        page = cls()
        page.feed(text)
        page.close()
        assert page.open == [], f"never closed: {page.open}"
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        assert "svg" in self.open, f"<{tag}/> outside a drawing closes nothing"

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def row(self, start: str, cells: int = TODAY_CELLS) -> list[str]:
        """The one row of so many cells whose first begins so, white space made single."""
        (found,) = self.starting(start, cells)
        return found

    def starting(self, start: str, cells: int) -> list[list[str]]:
        rows = [[spaced(cell) for cell in row] for row in self.rows if len(row) == cells]
        return [row for row in rows if row[0].startswith(start)]


def thousands(amount_vnd: int) -> tuple[Denomination, ...]:
    """Notes of an amount without its last three digits; nobody has change for those."""
    return (Denomination(1_000, amount_vnd // 1_000),) if amount_vnd >= 1_000 else ()


def spaced(text: str) -> str:
    """Text with single white space, as cells are compared."""
    return " ".join(text.split())


async def admit(hub: Hub) -> None:
    """Enrol the handheld as one does it at the branch."""
    enrolments = Enrolments()
    code = await open_slot(hub, collector="khai", by="it")
    nonce = enrolments.nonce()
    proof = hmac.digest(normal_code(code), enrolment_proof_input(KEY.public, IMEI, nonce), sha256)
    asked = Enrolment(public_key=KEY.public, imei=IMEI, nonce=nonce, proof=proof)
    given = await enrol(hub, enrolments, seal(body(asked), KEY, Purpose.ENROL))
    await confirm(hub, device=given.device, imei=IMEI, by="it")


def packed(connection: Connection, hub: Hub) -> RoutePackage:
    message = connection.execute(select(package.c.message)).scalar_one()
    return open_package(message, VerifyKey.of(hub.home.key.public))


def policy() -> Policy:
    return Policy(
        unit=UNIT,
        version=1,
        issued_ms=0,
        expires_ms=2**44,
        utility_name="Công ty Cấp nước",
        branch_name="Chi nhánh Vàm Sông",
        hotline="",
        bank_bin="970436",
        bank_account="0123456789",
    )


def rename_first_customer(folder: Path) -> None:
    """Give the first customer of the extract a name that would be markup."""
    file = folder / "customers.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    rows[1][rows[0].index("name")] = NAUGHTY
    with file.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines, lineterminator="\n").writerows(rows)


async def set_up(folder: Path) -> None:
    """A hub's home with its extract, people, one published route and one handheld."""
    sample = write_branch(folder / "extract", routes=2, customers_per_route=30, period=PERIOD)
    rename_first_customer(sample.folder)
    hub = await Hub.create(folder / "home", policy(), "it", Watch())
    for code, name, role in (
        ("it", "Lê Thị Mai", "it"),
        ("quy", "Võ Thị Sáu", "cashier"),
        ("khai", "Lê Văn Khải", "collector"),
        ("diem", "Trần Thị Diễm", "collector"),
    ):
        await add_person(hub, code=code, name=name, role=role, by="it")
    imported = await import_extract(hub, sample.folder, by="it")
    assert imported.done, imported.reading.problems
    await publish(hub, route_code="VS-01", collector="khai", by="it")
    await admit(hub)
    await hub.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("branch")
    asyncio.run(set_up(folder))
    return folder / "home"


@pytest_asyncio.fixture
async def branch(prepared: Path, tmp_path: Path) -> AsyncIterator[Branch]:
    watch = Watch()
    hub = await Hub.open(shutil.copytree(prepared, tmp_path / "home"), watch)
    first = Handset(KEY, IMEI, "khai", await hub.read(lambda connection: packed(connection, hub)), 1)
    app = web.Application()
    add_page(app, hub)
    async with TestClient(TestServer(app)) as client:
        yield Branch(hub, watch, first, client)
    await hub.close()


async def work_a_morning(branch: Branch) -> tuple[int, int, int]:
    """Ten meters read, six bills of them collected, all sent; customers read, paid, and the cash."""
    first, now = branch.first, branch.watch.now_ms
    first.open_shift(YESTERDAY, now)
    stops = branch.cash_stops()[:10]
    readings = [first.read(stop, stop.history[-1].use_m3 + 5, now) for stop in stops]
    cash_vnd = sum(first.collect(reading, now) for reading in readings[:6])
    await first.send(branch.hub)
    return len(readings), 6, cash_vnd


async def test_figures_are_the_sums_of_what_was_signed(branch: Branch) -> None:
    read, paid, cash_vnd = await work_a_morning(branch)
    stops = branch.first.package.stops
    cash_customers = sum(stop.payment_method == "TT" for stop in stops)
    elsewhere = len(stops) - cash_customers
    row = (await branch.page()).row("Lê Văn Khải")
    assert row[0] == "Lê Văn Khải Lộ trình VS-01"
    assert spaced(f"{percent(read, len(stops))} ▼ còn {30 - read} KH {read} / {len(stops)}") in row[1]
    to_collect = -(-cash_customers * 95 // 100) - paid
    wanted = f"{percent(paid, cash_customers)} ▼ còn {to_collect} KH {paid} / {cash_customers}"
    assert spaced(wanted) in row[2]
    assert row[3] == spaced(f"{vnd(cash_vnd)} ngày 23/11/2026")
    assert row[4] == f"{elsewhere} trả qua ngân hàng, kho bạc"
    assert row[5] == f"Máy 1: ✓ đã gửi hết liên lạc 08:00 IMEI {IMEI}"
    assert elsewhere > 0, "the sample must have customers who pay elsewhere"


async def test_what_the_handheld_told_of_and_did_not_send_is_counted(branch: Branch) -> None:
    await work_a_morning(branch)
    made = len(branch.first.made) + 1234
    await branch.hub.write(lambda connection: connection.execute(update(handheld).values(made=made)))
    branch.watch.now_ms += DAY_MS
    page = await branch.page("en")
    assert page.row("Lê Văn Khải")[5].startswith("Handheld 1: ▲ 1.234 unsent last contact 23/11/2026")
    day = page.row("Lê Văn Khải", DAY_CELLS)
    assert "handheld 1: 1.234 unsent" in day[6]
    assert "handheld 1: shift not closed" in day[6]


async def test_routes_of_nobody_and_collectors_without_work_are_listed_too(branch: Branch) -> None:
    await work_a_morning(branch)
    found = await branch.board()
    assert [line.code for line in found.collectors] == ["", "khai", "diem"]
    page = await branch.page()
    assert page.row("Chưa giao cho ai")[0] == "Chưa giao cho ai Lộ trình VS-02"
    assert page.row("Trần Thị Diễm")[5] == "chưa có máy"
    assert "10 / 60" in page.row("Cộng")[1]


async def test_each_rule_that_holds_is_counted_in_words(branch: Branch) -> None:
    first, now = branch.first, branch.watch.now_ms
    first.open_shift(YESTERDAY, now)
    stops = [stop for stop in branch.cash_stops() if stop.history[-1].use_m3 >= 12]
    first.read(stops[0], -4, now)
    first.read(stops[1], 1, now)
    first.read(stops[2], 2, now)
    await first.send(branch.hub)
    held = (await branch.page()).row("Lê Văn Khải")[4]
    assert held.endswith("1 chỉ số mới < chỉ số cũ 2 sản lượng giảm mạnh")


async def test_a_case_says_in_words_what_it_is_about(branch: Branch) -> None:
    first, now = branch.first, branch.watch.now_ms
    first.open_shift(YESTERDAY, now)
    naughty = next(stop for stop in first.package.stops if stop.name == NAUGHTY)
    first.read(naughty, 30, now, misprint_vnd=12_345)
    await first.send(branch.hub)
    async with branch.client.get("/") as answer:
        text = await answer.text()
    assert "<b>Nguyễn" not in text
    page = Page.of(text)
    row = page.row("Tiền trên giấy khác tiền hệ thống tính", CASE_CELLS)
    assert "Đã tự xử lý: Giữ số tiền đã in" in row[0]
    assert row[1].startswith(f"{NAUGHTY} {naughty.customer}")
    assert row[2] == "Lê Văn Khải 23/11/2026"
    assert row[3] == spaced(f"+{vnd(12_345)}")
    assert row[4] == "Máy 1, bản ghi 2 · Ghi chỉ số · 23/11/2026 08:00 · Lê Văn Khải"
    assert "1 Tiền trên giấy khác tiền hệ thống tính" in " ".join(page.shown.split())


async def test_both_readings_stand_behind_a_re_read_after_payment(branch: Branch) -> None:
    first, now = branch.first, branch.watch.now_ms
    first.open_shift(YESTERDAY, now)
    stop = branch.cash_stops()[0]
    first.collect(first.read(stop, stop.history[-1].use_m3, now), now)
    first.read(stop, stop.history[-1].use_m3 + 3, now + 60_000)
    await first.send(branch.hub)
    row = (await branch.page("en")).row("Read again after payment", CASE_CELLS)
    assert [part[:22] for part in row[4].split("Handheld ")[1:]] == ["1, record 2 · Reading ", "1, record 4 · Reading "]


async def test_two_histories_of_one_handheld_are_shown_and_their_cash_still_counts(branch: Branch) -> None:
    _, _, cash_vnd = await work_a_morning(branch)
    first = branch.first
    twin = Handset(first.key, first.imei, "khai", first.package, first.device, first.made[2].tip, 0, [], 0)
    stop = branch.cash_stops()[11]
    more_vnd = twin.collect(twin.read(stop, stop.history[-1].use_m3, branch.watch.now_ms), branch.watch.now_ms)
    await twin.send(branch.hub)
    page = await branch.page()
    assert "hai lịch sử khác nhau" in page.row("Lê Văn Khải")[5]
    assert page.row("Lê Văn Khải")[3].startswith(spaced(vnd(cash_vnd + more_vnd)))
    assert "Số nhánh: 2" in page.row("Hai lịch sử khác nhau của cùng một máy", CASE_CELLS)[0]


async def test_end_of_day_has_the_three_columns_of_the_cashiers_report(branch: Branch) -> None:
    first, watch, hub = branch.first, branch.watch, branch.hub
    _, _, cash_vnd = await work_a_morning(branch)
    first.close_shift(YESTERDAY, cash_vnd, watch.now_ms)
    await first.send(hub)
    handed_in = (cash_vnd - 3_000) // 1_000
    await receive_cash(hub, collector="khai", day=YESTERDAY, notes=[Denomination(1_000, handed_in)], by="quy")
    await close_day(hub, collector="khai", day=YESTERDAY, by="it", reason="<i>rơi tiền</i>")
    await receive_cash(hub, collector="khai", day=YESTERDAY, notes=[Denomination(1_000, 1)], by="quy")
    watch.now_ms += DAY_MS
    first.open_shift(TODAY, watch.now_ms)
    stop = branch.cash_stops()[12]
    more_vnd = first.collect(first.read(stop, stop.history[-1].use_m3, watch.now_ms), watch.now_ms)
    await first.send(hub)
    short_vnd = cash_vnd - handed_in * 1_000
    page = await branch.page()
    today, yesterday = page.starting("Lê Văn Khải", DAY_CELLS)
    assert today[1:6] == [
        "chưa báo",
        spaced(vnd(more_vnd)),
        spaced(vnd(0)),
        "–",
        spaced(f"{vnd(-more_vnd)} còn phải nộp"),
    ]
    assert today[6] == "○ Đang trong ca máy 1: chưa đóng ca"
    assert yesterday[1:5] == [
        spaced(f"{vnd(cash_vnd)} nhân viên đếm {vnd(cash_vnd // 1_000 * 1_000)}"),
        spaced(vnd(cash_vnd)),
        spaced(vnd(handed_in * 1_000 + 1_000)),
        spaced(vnd(0)),
    ]
    assert yesterday[5] == spaced(f"{vnd(-short_vnd)} thiếu nộp sau khi khóa: {vnd(1_000)}")
    assert yesterday[6] == "▼ Đã khóa sổ, có chênh lệch bởi Lê Thị Mai; lý do: <i>rơi tiền</i>"
    dates = (await branch.board()).days.dates
    assert [day for day, _ in dates] == [TODAY, YESTERDAY]
    for _, reports in dates:
        for report in reports:
            name, day = report.collector, report.day
            assert report == await hub.read(lambda c, n=name, d=day: day_report(c, hub.books, n, d))  # type: ignore[misc]


async def test_a_shift_opened_again_keeps_the_day_open_and_its_totals_shown(branch: Branch) -> None:
    first, now = branch.first, branch.watch.now_ms
    _, _, cash_vnd = await work_a_morning(branch)
    first.close_shift(YESTERDAY, cash_vnd, now)
    first.open_shift(YESTERDAY, now)
    await first.send(branch.hub)
    ((_, (report,)),) = (await branch.board()).days.dates
    assert report == await branch.hub.read(lambda c: day_report(c, branch.hub.books, "khai", YESTERDAY))
    assert report.handheld_vnd == cash_vnd
    assert report.behind == (1,)


async def test_dates_beyond_the_last_month_are_counted_not_hidden(branch: Branch) -> None:
    first, start = branch.first, start_of_day_ms("2026-10-01")
    for number in range(DATES_MAX + 2):
        day = f"2026-{10 + number // 31}-{number % 31 + 1:02d}"
        first.open_shift(day, start + number * DAY_MS)
        first.close_shift(day, 0, start + number * DAY_MS)
    await first.send(branch.hub)
    days = (await branch.board()).days
    assert [day for day, _ in days.dates][:1] == ["2026-11-02"]
    assert (len(days.dates), days.older, days.older_open) == (DATES_MAX, 2, 2)
    assert "Cũ hơn, không hiện ở đây: 2 dòng, trong đó 2 chưa khóa sổ." in (await branch.page()).shown


async def test_cases_beyond_the_limit_are_counted_not_hidden(branch: Branch) -> None:
    def many(connection: Connection) -> None:
        row = {"unit": UNIT, "klass": ConflictClass.UNREADABLE.value, "for_person": 1, "settled": 0, "facts": bytes(32)}
        row |= {"customer": "", "collector": "khai", "device": 1, "seq": 1, "day": "", "period": PERIOD, "detail": ""}
        rows = [
            {**row, "subject": f"handheld:{n}", "key": n.to_bytes(32), "money_vnd": n} for n in range(CASES_MAX + 7)
        ]
        connection.execute(insert(case_file), rows)

    await branch.hub.write(many)
    found = (await branch.board()).cases
    assert (len(found.shown), found.left_out) == (CASES_MAX, 7)
    assert min(case.money_vnd for case in found.shown) == 7
    page = await branch.page()
    assert "100 vụ việc nhiều tiền nhất; còn 7 vụ việc khác không hiện ở đây." in page.shown
    assert "107 Bản ghi không đọc được" in " ".join(page.shown.split())


async def test_the_page_speaks_both_languages_and_vietnamese_by_default(branch: Branch) -> None:
    await work_a_morning(branch)
    vietnamese, english = await branch.page("xx"), await branch.page("en")
    assert ("html", {"lang": "vi"}) in vietnamese.attributes
    assert ("html", {"lang": "en"}) in english.attributes
    assert "tính đến 08:00" in vietnamese.shown
    assert "as of 08:00" in english.shown
    words = re.compile(r"\b(Hôm nay|Nhân viên|Cuối ngày|Trạng thái|Tiền đang giữ)\b")
    assert len(set(words.findall(vietnamese.shown))) == 5
    assert not words.search(english.shown)
    assert ("a", {"href": "/?lang=en", "lang": "en", "hreflang": "en"}) in vietnamese.attributes


def test_every_text_has_both_languages_with_the_same_gaps() -> None:
    gap = re.compile(r"{(\w+)}")
    for key, (vietnamese, english) in TEXTS.items():
        assert vietnamese, key
        assert english, key
        assert sorted(gap.findall(vietnamese)) == sorted(gap.findall(english)), key
    assert CONFLICTS.keys() == set(ConflictClass)


def test_no_text_waits_for_a_page_that_is_gone() -> None:
    pages = "".join(file.read_text(encoding="utf-8") for file in (FOLDER / "templates").iterdir())
    asked = pages + inspect.getsource(PageWords)
    assert [key for key in TEXTS if not re.search(rf"""["']{key}["']""", asked)] == []


async def test_nothing_is_loaded_framed_cached_or_run(branch: Branch) -> None:
    await work_a_morning(branch)
    for path in ("/", "/static/page.css", "/static/nothing"):
        async with branch.client.get(path) as answer:
            policy = {part.strip() for part in answer.headers["Content-Security-Policy"].split(";")}
            assert policy >= {"default-src 'none'", "style-src 'self'", "form-action 'none'", "base-uri 'none'"}
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
    page = await branch.page()
    assert not {"script", "form", "iframe", "style"} & {tag for tag, _ in page.attributes}
    for tag, attributes in page.attributes:
        assert not any(name == "style" or name.startswith("on") for name in attributes), tag
        target = attributes.get("href") or attributes.get("src") or "/"
        assert target.startswith(("/", "#", "data:,")), target
    assert ("meta", {"http-equiv": "refresh", "content": "10"}) in page.attributes


async def test_tables_and_landmarks_can_be_walked_without_a_mouse(branch: Branch) -> None:
    await work_a_morning(branch)
    page = await branch.page()
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in page.attributes}
    assert all("scope" in attributes for tag, attributes in page.attributes if tag == "th")
    names = {attributes.get("id") for _, attributes in page.attributes}
    links = [str(attributes["href"]) for tag, attributes in page.attributes if tag == "a"]
    assert {link[1:] for link in links if link.startswith("#")} <= names
    regions = [attributes for _, attributes in page.attributes if attributes.get("role") == "region"]
    assert all(one["tabindex"] == "0" and one["aria-labelledby"] in names for one in regions)


async def test_a_hub_without_an_extract_has_a_page_too(tmp_path: Path) -> None:
    hub = await Hub.create(tmp_path / "home", policy(), "it", Watch())
    app = web.Application()
    add_page(app, hub)
    async with TestClient(TestServer(app)) as client, client.get("/") as answer:
        shown = Page.of(await answer.text()).shown
    await hub.close()
    assert "Chưa nhập dữ liệu hóa đơn" in shown
    assert "Chưa có ca nào." in shown
