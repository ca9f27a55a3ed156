"""The result page: the paper as it prints, which paper, what Enter does, and how a print stands."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from device.core.commands import CloseShift, OpenShift
from device.core.effects import PaperJob, PrintResult
from device.web.preview_paper import PaperPictureError, png_of
from protocol.document import Document, QrCode
from protocol.records import CashCollected, PaperPrinted, PrintOutcome
from tests.device.branch import SECOND_COLLECTOR
from tests.device.web.browser import Seen, Tab, tab
from tests.device.web.handheld import ROUND, Handheld, handheld
from tests.device.web.test_papers import do, give_a_route_to_another, intent

USUAL, DROPPED = 120, 103  # Against 100, and 20 m3 the month before.


class HeldPrinter:
    """A printer whose paper comes out when the test lets it, and ends as the test says."""

    trouble: str | None = None

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.begun = asyncio.Event()
        self.result = PrintResult(outcome=PrintOutcome.PRINTED)

    async def print(
        self, job: PaperJob, document: Document, starting: Callable[[], Awaitable[None]]
    ) -> PrintResult:
        await starting()
        self.begun.set()
        await self.go_on.wait()
        return self.result

    async def close(self) -> None:
        self.go_on.set()


@pytest_asyncio.fixture
async def held_printer(tmp_path: Path) -> AsyncIterator[tuple[Handheld, Tab, HeldPrinter]]:
    printer = HeldPrinter()
    async with handheld(tmp_path, printer=printer) as made, tab(made) as one:
        await one.log_in()
        await one.open_shift()
        yield made, one, printer


def main_action(page: Seen) -> str:
    """The element that Enter acts on, with its form where it has one."""
    (found,) = re.findall(r"<(?:a|button)[^>]*\bdata-main\b[^>]*>[^<]*", page.html)
    return str(found)


def picture_of(page: Seen) -> str:
    """Where the paper of a page comes from."""
    (found,) = re.findall(r'<img src="([^"]+)"', page.html)
    return str(found).replace("&amp;", "&")


async def png(one: Tab, path: str) -> bytes:
    async with one._session.get(one.made.url + path, headers={"Sec-Fetch-Site": "same-origin"}) as answer:
        assert answer.status == 200
        assert answer.content_type == "image/png"
        return await answer.read()


async def collect(one: Tab, customer: str, which: str = "ALL") -> Seen:
    page = await one.get(f"/stops/{customer}/collect?which={which}")
    return await one.submit(page, f"/stops/{customer}/collect")


def prints(made: Handheld) -> list[PaperPrinted]:
    records = (one.record for one in made.app.session.work.records)
    return [record for record in records if isinstance(record, PaperPrinted)]


# The paper.


async def test_what_is_shown_is_what_is_printed(made: Handheld, working: Tab) -> None:
    page = await working.read("C00001", 1239)
    shown = await png(working, picture_of(page))
    await working.submit(page, "/stops/C00001/print")
    await made.app.quiet()
    (paper,) = made.papers.iterdir()
    assert paper.read_bytes() == shown
    assert await png(working, picture_of(await working.get(page.path))) == shown, "a paper that is out stays as it is"


async def test_a_reprint_comes_only_after_it_was_asked_for_and_bears_its_mark(made: Handheld, working: Tab) -> None:
    await working.read("C00003", USUAL)
    receipt = await collect(working, "C00003")
    await made.app.quiet()
    receipt = await working.get(receipt.path)
    assert "Đã in lần 1" in receipt.text
    assert not [form for form in receipt.forms if form.action.startswith("/stops/C00003/print")]
    asked = await working.get(next(link for link in receipt.links if "again=1" in link))
    assert "Lần in: 2" in asked.text
    marked = await png(working, picture_of(asked))
    assert marked != await png(working, picture_of(receipt))
    back = await working.submit(asked, "/stops/C00003/print")
    await made.app.quiet()
    assert "again" not in back.path
    assert [record.print_no for record in prints(made)] == [1, 2]
    assert sorted(made.papers.iterdir())[1].read_bytes() == marked


@pytest.mark.parametrize("again", [False, True], ids=["first print", "reprint"])
async def test_one_tap_that_comes_twice_prints_once(made: Handheld, working: Tab, again: bool) -> None:
    page = await working.read("C00004", USUAL)
    if again:
        await working.submit(page, "/stops/C00004/print")
        await made.app.quiet()
        page = await working.get("/stops/C00004/result?paper=bill&again=1")
    before = len(prints(made))
    seen = await asyncio.gather(*(working.submit(page, "/stops/C00004/print") for _ in range(2)))
    await made.app.quiet()
    late = await working.submit(page, "/stops/C00004/print")
    await made.app.quiet()
    assert {one.status for one in (*seen, late)} == {200}
    assert len(prints(made)) == before + 1


async def test_the_paper_that_comes_first_follows_the_form_of_payment(working: Tab) -> None:
    for customer, index, kind in (
        ("C00001", 1239, "bill"),  # Pays in cash.
        ("C00004", USUAL, "bill"),  # By transfer: its code is on the bill notice.
        ("C00005", USUAL, "notice"),  # By the treasury.
        ("C00007", DROPPED, "notice"),  # Held: no paper asks for an amount in doubt.
    ):
        assert f"kind={kind}" in picture_of(await working.read(customer, index)), customer


async def test_a_customer_whose_meter_could_not_be_read_gets_the_notice(working: Tab) -> None:
    page = await working.get("/stops/C00001/reasons")
    form = next(one for one in page.forms if one.fields.get("code") == "house_closed")
    result = await working.post(form.action, form.fields)
    assert "kind=notice" in picture_of(result)
    assert "In thông báo" in main_action(result)


async def test_a_reading_after_arrears_were_paid_is_what_the_next_paper_shows(working: Tab) -> None:
    assert "kind=receipt" in picture_of(await collect(working, "C00003", "ARREARS"))
    assert "kind=bill" in picture_of(await working.read("C00003", USUAL))
    assert "kind=receipt" in picture_of(await collect(working, "C00003"))


async def test_the_switch_goes_through_all_papers_and_types_nothing_anew(made: Handheld, working: Tab) -> None:
    await working.read("C00001", 1239)
    page = await collect(working, "C00001")
    kinds = []
    for _ in range(2):
        kinds.append(re.sub(r".*kind=(\w+).*", r"\1", picture_of(page)))
        switch = next(link for link in page.links if "result?paper=" in link and "again" not in link)
        page = await working.get(switch)
    assert kinds == ["receipt", "notice"]  # A bill notice would ask for what has just been paid.
    assert "kind=receipt" in picture_of(page)


async def test_a_paper_that_is_not_there_gives_the_usual_one(working: Tab) -> None:
    await working.read("C00005", USUAL)
    for query in ("paper=receipt&receipt_no=77", "paper=receipt&receipt_no=x", "paper=x", "paper=bill", "again=1"):
        page = await working.get(f"/stops/C00005/result?{query}")
        assert page.status == 200, query
        assert "kind=notice" in picture_of(page), query
        assert "again" not in picture_of(page), query


async def test_without_a_reading_there_is_no_paper(working: Tab) -> None:
    page = await working.get("/stops/C00001/result")
    assert "Chưa có phiếu" in page.text
    assert (await working.get("/stops/C00001/paper.png")).status == 404


async def test_a_paper_that_cannot_be_drawn_says_which_code() -> None:
    with pytest.raises(PaperPictureError) as refused:
        await png_of(Document((QrCode("x" * 2000),)), 384)
    assert refused.value.reason == "qr-too-large"


# What Enter does.


async def test_enter_leads_to_the_money_then_to_the_next_customer(made: Handheld, working: Tab) -> None:
    page = await working.read("C00001", 1239)
    assert "/stops/C00001/collect?which=ALL" in main_action(page)
    assert "Thu 168.667" in main_action(page)
    page = await collect(working, "C00001")
    await made.app.quiet()
    page = await working.get(page.path)
    assert 'href="/stops/C00002"' in main_action(page)
    assert "Đã thu 168.667" in page.text


async def test_where_no_money_may_be_taken_enter_prints_and_the_reason_is_said(working: Tab) -> None:
    for customer, index, said in (
        ("C00004", USUAL, "Khách hàng trả qua ngân hàng"),
        ("C00005", USUAL, "Khách hàng trả qua kho bạc"),
        ("C00007", DROPPED, "Sản lượng giảm mạnh"),
        ("C00008", 90, "Chỉ số mới nhỏ hơn chỉ số cũ"),
    ):
        page = await working.read(customer, index)
        assert said in page.text, customer
        assert "<button" in main_action(page), customer
        assert not [link for link in page.links if "/collect" in link], customer
        assert (f"/stops/{customer}/override" in page.links) == (customer in ("C00007", "C00008")), customer


async def test_arrears_are_offered_beside_a_held_period_and_before_any_reading(working: Tab) -> None:
    unread = await working.get("/stops/C00003/result")
    assert "Thu 101.200" in main_action(unread)
    held = await working.read("C00003", DROPPED)
    assert "In thông báo" in main_action(held)
    assert "/stops/C00003/collect?which=ARREARS" in held.links
    assert "/stops/C00003/collect?which=CURRENT" not in held.links


async def test_quick_collect_offers_each_kind_with_its_amount(working: Tab) -> None:
    page = await working.read("C00003", USUAL)
    assert {"/stops/C00003/collect?which=CURRENT", "/stops/C00003/collect?which=ARREARS"} <= set(page.links)
    for amount in ("153.333", "101.200", "Thu 254.533"):
        assert amount in page.text


async def test_without_a_shift_enter_goes_to_open_one(made: Handheld) -> None:
    async with tab(made) as one:
        await one.log_in()
        page = await one.get("/stops/C00003/result")
        assert 'href="/route"' in main_action(page)
        assert not [link for link in page.links if "/collect" in link]


async def test_every_action_has_a_digit_of_its_own(made: Handheld, working: Tab) -> None:
    await working.read("C00003", DROPPED)
    await collect(working, "C00003", "ARREARS")
    await made.app.quiet()
    for query in ("", "?paper=notice", "?paper=receipt&receipt_no=1", "?paper=receipt&receipt_no=1&again=1"):
        html = (await working.get(f"/stops/C00003/result{query}")).html
        body = html[html.index("<main") :]
        digits = re.findall(r'data-digit="(\d)"', body)
        assert len(digits) == len(set(digits))
        for action in re.findall(r"<(?:a|button)\b[^>]*>", body):
            assert re.search(r"data-(digit|main|previous|next)", action), action


# How a print stands.


async def test_a_print_under_way_is_said_and_then_how_it_ended(
    held_printer: tuple[Handheld, Tab, HeldPrinter],
) -> None:
    made, one, printer = held_printer
    await one.read("C00001", 1239)
    page = await collect(one, "C00001")
    await printer.begun.wait()
    page = await one.get(page.path)
    assert "Đang in" in page.text
    (poll,) = re.findall(r'hx-get="(/stops/[^"]+)"', page.html)
    poll = poll.replace("&amp;", "&")
    assert (await one.get(poll)).status == 204
    assert (await one.get("/stops/C00002/reading")).status == 200, "a printer holds nobody up"
    printer.go_on.set()
    await made.app.quiet()
    ended = await one.get(poll)
    assert "Đã in lần 1" in ended.text
    assert ended.html.count("hx-swap-oob") == 2
    assert "hx-trigger" not in ended.html
    assert 'href="/stops/C00002"' in main_action(ended)


async def test_a_paper_in_doubt_is_to_be_looked_for_and_not_printed_by_enter(
    held_printer: tuple[Handheld, Tab, HeldPrinter],
) -> None:
    made, one, printer = held_printer
    printer.result = PrintResult(outcome=PrintOutcome.UNKNOWN, reason="stalled")
    printer.go_on.set()
    await one.read("C00001", 1239)
    page = await collect(one, "C00001")
    await made.app.quiet()
    page = await one.get(page.path)
    assert "chưa rõ" in page.text
    assert "Máy in không nhận thêm dữ liệu" in page.text
    assert 'href="/papers"' in main_action(page)
    assert not [form for form in page.forms if "/print" in form.action]


async def test_a_paper_that_did_not_come_out_says_why_and_waits_under_its_number(
    made: Handheld, working: Tab
) -> None:
    shutil.rmtree(made.papers)
    await working.read("C00001", 1239)
    page = await collect(working, "C00001")
    await made.app.quiet()
    page = await working.get(page.path)
    assert "Chưa in được" in page.text
    assert "Không ghi được tệp" in page.text
    taken = [one for one in made.app.session.work.records if isinstance(one.record, CashCollected)]
    assert len(taken) == 1, "a printer never loses money"
    made.papers.mkdir()
    await working.submit(page, "/stops/C00001/print")
    await made.app.quiet()
    assert [(record.print_no, record.outcome) for record in prints(made)] == [
        (1, PrintOutcome.NOT_PRINTED),
        (1, PrintOutcome.PRINTED),
    ]


async def test_nothing_is_printed_in_the_name_of_another_whose_shift_came_last(made: Handheld, working: Tab) -> None:
    await working.read("C00001", USUAL)
    page = await working.get("/stops/C00001/result")
    await do(made, CloseShift(intent=intent()))
    await give_a_route_to_another(made)
    for command in (OpenShift(intent=intent(), collector=SECOND_COLLECTOR), CloseShift(intent=intent())):
        await do(made, command)
        refused = await working.submit(page, "/stops/C00001/print")
        assert refused.status == 409
    await made.app.quiet()
    assert not prints(made)
    await working.open_shift()
    assert (await working.submit(page, "/stops/C00001/print")).path.startswith("/stops/C00001/result")
    await made.app.quiet()
    assert len(prints(made)) == 1


async def test_a_form_that_names_no_paper_prints_nothing(made: Handheld, working: Tab) -> None:
    await working.read("C00001", 1239)
    for fields in (
        {"paper": "bill", "print_no": ""},
        {"paper": "x", "print_no": "1"},
        {"paper": "bill", "print_no": "0"},
    ):
        refused = await working.post("/stops/C00001/print", {"receipt_no": ""} | fields)
        assert refused.status == 400, fields
    refused = await working.post("/stops/C00001/print", {"paper": "receipt", "receipt_no": "5", "print_no": "1"})
    assert refused.status == 409
    await made.app.quiet()
    assert not prints(made)


async def test_the_way_to_the_customer_stands_on_the_page(tmp_path: Path) -> None:
    stops = (
        replace(ROUND[0], collect_address="Quán Hai Lúa, chợ An Bình"),
        replace(ROUND[1], phone="", collect_address=""),
    )
    async with handheld(tmp_path, stops=stops) as made, tab(made) as one:
        await one.log_in()
        page = await one.get("/stops/C00001/result")
        assert "0939 123 456" in page.text
        assert "Thu tại: Quán Hai Lúa, chợ An Bình" in page.text
        assert "chưa có số" in (await one.get("/stops/C00002/result")).text
