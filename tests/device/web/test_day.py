"""The end of the day: figures, cash by note, closing with and without a network, the slip, and whose it all is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from device.core.commands import CloseShift, CountCash, OpenShift, SkipReading, VoidCollection
from device.core.day import ShiftWork
from device.core.effects import PaperJob
from device.printing import DOTS_58_MM
from device.web.views.day import _count, _is_count
from printer_drivers import raster
from protocol.records import (
    DENOMINATIONS,
    CashCounted,
    Denomination,
    PaperKind,
    ShiftClosed,
    VoidReason,
)
from protocol.words import vnd
from tests.device.branch import COLLECTOR, PASSWORD, SECOND_COLLECTOR
from tests.device.web.browser import Seen, Tab, tab
from tests.device.web.handheld import Handheld, handheld
from tests.device.web.test_papers import (
    UNSURE,
    MoodyPrinter,
    at_work,
    collect,
    do,
    first_paper,
    give_a_route_to_another,
    intent,
)

A_DAY_MS = 86_400_000


@pytest.fixture
def printer() -> MoodyPrinter:
    return MoodyPrinter()


def plain(page: Seen) -> str:
    """The words of a page, with spaces that may break."""
    return unescape(page.text).replace("\N{NO-BREAK SPACE}", " ")


def money(amount_vnd: int) -> str:
    return vnd(amount_vnd).replace("\N{NO-BREAK SPACE}", " ")


def day_of(made: Handheld) -> ShiftWork:
    return next(day for (collector, _), day in made.app.session.work.days.items() if collector == COLLECTOR)


def made_of(made: Handheld, kind: type) -> list[object]:
    return [one.record for one in made.app.session.work.records if isinstance(one.record, kind)]


async def no_network(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPServiceUnavailable


@asynccontextmanager
async def offline(folder: Path, printer: MoodyPrinter) -> AsyncIterator[tuple[Handheld, Tab]]:
    """At work, and from now on the hub does not answer."""
    async with at_work(folder, printer) as (made, one):
        await made.app.quiet()
        made.hub.instead = no_network
        yield made, one


# What was done.


async def test_without_a_day_there_is_nothing_to_show(made: Handheld) -> None:
    async with tab(made) as one:
        await one.log_in()
        assert "chưa mở ca nào" in (await one.get("/day")).text
        assert (await one.get("/day/cash")).status == 409
        assert (await one.get("/day/close")).path == "/day"
        assert (await one.get("/day/slip.png")).status == 404
        assert (await one.post("/day/close", {"intent": intent().hex()})).status == 409
        assert (await one.get("/day/cash/sums?n500000=1")).status == 404


async def test_the_day_shows_what_was_done_and_what_should_be_in_the_bag(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        for customer in ("C00001", "C00002", "C00003"):
            await collect(made, customer)
        await do(made, SkipReading(intent=intent(), customer="C00007", code="house_closed"))
        before_vnd = day_of(made).cash_vnd
        taken_back = made.app.session.work.collection(2)
        assert taken_back is not None
        await do(made, VoidCollection(intent=intent(), receipt_no=2, reason=VoidReason.WRONG_AMOUNT))
        words = plain(await one.get("/day"))
        left_vnd = before_vnd - taken_back.record.amount_vnd
        assert f"Tiền phải có trong túi {money(left_vnd)}" in words
        assert f"Đã thu 3 Số tiền {money(before_vnd)}" in words
        assert f"Đã hủy 1 Số tiền {money(taken_back.record.amount_vnd)}" in words
        assert "Đã ghi 3 Không ghi 1" in words
        assert "Biên nhận 1–3" in words
        assert "Giấy đã in 3 In lại 0" in words
        assert "1 tờ phải nộp lại" in words


# Counting.


async def test_cash_is_counted_by_note_and_a_difference_is_said(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await collect(made, "C00001")
        expected_vnd = day_of(made).cash_vnd
        assert expected_vnd == 168_667
        part = plain(await one.get("/day/cash/sums?n100000=1&n50000=1&n10000=1&n5000=1&n2000=2"))
        assert money(169_000) in part
        assert f"thừa {money(333)}" in part
        assert f"thiếu {money(expected_vnd)}" in plain(await one.get("/day/cash/sums"))
        page = await one.get("/day/cash")
        typed = {"n100000": "1", "n50000": "1", "n200": "3"}
        await one.submit(page, "/day/cash", **typed)
        saved = await one.submit(page, "/day/cash", **typed)
        assert saved.path == "/day"
        assert f"Đã đếm {money(150_600)} ⚠ thiếu {money(expected_vnd - 150_600)}" in plain(saved)
        counts = made_of(made, CashCounted)
        assert len(counts) == 1
        assert counts[0] == CashCounted(
            period="2026-11",
            business_date="2026-11-24",
            total_vnd=150_600,
            notes=tuple(
                Denomination(value_vnd=value, pieces={100_000: 1, 50_000: 1, 200: 3}.get(value, 0))
                for value in DENOMINATIONS
            ),
        )
        again = (await one.get("/day/cash")).form("/day/cash").fields
        assert (again["n100000"], again["n200"], again["n500000"]) == ("1", "3", "")


@pytest.mark.parametrize("page", ["/day/cash", "/day/close"])
async def test_a_screen_of_yesterday_counts_and_closes_nothing_today(
    tmp_path: Path, printer: MoodyPrinter, page: str
) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        old = await one.get(page)
        await one.submit(await one.get("/day/cash"), "/day/cash", n500000="1")
        await do(made, CloseShift(intent=intent()))
        made.still_clock.wall_ms += A_DAY_MS
        await one.open_shift()
        await made.app.quiet()
        shift, tip = made.app.session.work.shift, made.app.session.work.tip
        assert shift is not None
        assert (shift.business_date, shift.is_open) == ("2026-11-25", True)
        stale = await one.submit(old, page, n500000="3", keyed=old.form(page).fields.get("unsent", ""))
        assert stale.status == 409
        assert "25/11/2026" in stale.text
        assert made.app.session.work.tip == tip
        fresh = await one.get(page)
        await one.submit(fresh, page, keyed=fresh.form(page).fields.get("unsent", ""))
        assert made.app.session.work.tip != tip


async def test_the_same_count_again_is_answered_as_before_on_any_day(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        page = await one.get("/day/cash")
        await one.submit(page, "/day/cash", n500000="1")
        await do(made, CloseShift(intent=intent()))
        made.still_clock.wall_ms += A_DAY_MS
        await one.open_shift()
        assert (await one.submit(page, "/day/cash", n500000="1")).path == "/day"
        assert len(made_of(made, CashCounted)) == 1


async def test_an_empty_bag_that_was_looked_into_is_counted(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (_, one):
        saved = await one.submit(await one.get("/day/cash"), "/day/cash")
        assert "Đã đếm 0 đ ✓ khớp" in plain(saved)
        assert "chưa đếm" not in saved.text


@pytest.mark.parametrize("typed", ["x", "-1", "10000", "1.5", "1e3", "٣"])
async def test_what_is_no_count_is_sent_back_and_nothing_recorded(made: Handheld, working: Tab, typed: str) -> None:
    page = await working.get("/day/cash")
    refused = await working.submit(page, "/day/cash", n500000=typed)
    assert refused.status == 400
    assert not made_of(made, CashCounted)
    assert (await working.get(f"/day/cash/sums?n500000={typed}")).status == 200


@given(pieces=st.dictionaries(st.sampled_from(DENOMINATIONS), st.integers(0, 9_999)), expected=st.integers(0, 10**10))
def test_a_count_is_the_sum_of_its_lines(pieces: dict[int, int], expected: int) -> None:
    count = _count(pieces, expected)
    assert count.total_vnd == sum(value * number for value, number in pieces.items())
    assert count.total_vnd - count.over_vnd == expected
    assert [value for value, _, _ in count.lines] == list(DENOMINATIONS)


@given(st.text(max_size=6))
def test_only_what_the_form_would_take_counts_in_the_preview(text: str) -> None:
    taken = _is_count(text)
    assert not taken or 0 <= int(text) <= 9_999


# Closing.


async def test_with_everything_sent_the_shift_closes_at_once_and_the_proof_is_shown(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await collect(made, "C00001")
        await made.app.quiet()
        acked = made.app.session.outbox.acked
        page = await one.get("/day/close")
        assert f"máy chủ đã xác nhận đến bản ghi số {acked}" in page.text
        assert "Chưa đếm tiền" in page.text
        assert "keyed" not in page.form("/day/close").fields
        await one.submit(page, "/day/close")
        closed = await one.submit(page, "/day/close")
        assert closed.path == "/day"
        assert "đã đóng ca" in closed.text
        assert not day_of(made).is_open
        assert len(made_of(made, ShiftClosed)) == 1


async def test_with_unsent_records_the_shift_closes_once_their_number_is_keyed(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with offline(tmp_path, printer) as (made, one):
        await collect(made, "C00001")
        unsent = made.app.session.outbox.unsent
        assert unsent == 3
        page = await one.get("/day/close")
        assert "3 bản ghi chưa gửi" in page.text
        for keyed in ("", "2", "33"):
            refused = await one.submit(page, "/day/close", keyed=keyed)
            assert refused.status == 409
            assert ("Chưa đúng số" in refused.text) == bool(keyed)
            assert day_of(made).is_open
        for _ in range(2):
            closed = await one.submit(page, "/day/close", keyed="3")
            assert closed.path == "/day"
            assert "đã đóng ca" in closed.text
        assert len(made_of(made, ShiftClosed)) == 1
        assert made.app.session.outbox.unsent > unsent


async def test_what_became_unsent_since_the_screen_was_made_is_asked_about_anew(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with offline(tmp_path, printer) as (made, one):
        early = await one.get("/day/close")
        assert "keyed" not in early.form("/day/close").fields
        await collect(made, "C00001")
        asked = await one.submit(early, "/day/close")
        assert (asked.status, day_of(made).is_open) == (409, True)
        await do(made, SkipReading(intent=intent(), customer="C00007", code="house_closed"))
        late = await one.submit(asked, "/day/close", keyed="3")
        assert (late.status, day_of(made).is_open) == (409, True)
        assert "4 bản ghi chưa gửi" in late.text
        assert (await one.submit(late, "/day/close", keyed="4")).path == "/day"
        assert not day_of(made).is_open


async def test_what_was_sent_since_the_screen_was_made_needs_no_new_number(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with offline(tmp_path, printer) as (made, one):
        await collect(made, "C00001")
        page = await one.get("/day/close")
        made.hub.instead = None
        await one.post("/outbox/send", {})
        assert await made.app.until(lambda: made.app.session.outbox.unsent == 0, 5)
        assert (await one.submit(page, "/day/close", keyed="")).path == "/day"
        assert not day_of(made).is_open


# The slip.


async def test_the_slip_on_the_screen_is_the_one_that_prints(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await collect(made, "C00001")
        await do(made, CountCash(intent=intent(), notes=(Denomination(200_000, 1),)))
        assert (await one.get("/day/slip.png")).status == 404, "the day is not closed"
        await do(made, CloseShift(intent=intent()))
        await made.app.quiet()
        work, desk = made.app.session.work, made.app.session.desk
        about = work.records[-1].digest
        job = PaperJob(kind=PaperKind.DAY_SLIP, about=about, print_no=1, customer=None)
        expected = raster.to_png(raster.render(desk.document(job), DOTS_58_MM))
        page = await one.get("/day")
        assert "/day/slip.png" in page.html
        async with one._session.get(f"{made.url}/day/slip.png") as answer:
            assert await answer.read() == expected
        for _ in range(3):
            await one.submit(page, "/day/slip")
            await made.app.quiet()
        assert [(job.kind, job.print_no) for job in printer.jobs[1:]] == [(PaperKind.DAY_SLIP, 1)]
        again = await one.get("/day")
        assert "In lại phiếu" in again.text
        await one.submit(again, "/day/slip")
        await made.app.quiet()
        assert [job.print_no for job in printer.jobs[1:]] == [1, 2]


async def test_a_slip_in_doubt_is_asked_about_and_not_printed_again_by_a_tap(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await do(made, CloseShift(intent=intent()))
        printer.ends.append(UNSURE)
        await one.submit(await one.get("/day"), "/day/slip")
        await made.app.quiet()
        page = await one.get("/day")
        assert "Phiếu đã ra chưa?" in page.text
        assert not [form for form in page.forms if form.action.startswith("/day/slip")]
        asked = await first_paper(one, "doubt")
        assert "Phiếu cuối ngày" in asked.text
        await one.submit(asked, f"{asked.path}/seen")
        assert "In lại phiếu" in (await one.get("/day")).text


async def test_a_closed_day_is_opened_again_on_its_date_and_on_no_other(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await collect(made, "C00001")
        await do(made, CloseShift(intent=intent()))
        again = await one.submit(await one.get("/day"), "/shift/open")
        assert again.status == 200
        assert day_of(made).is_open
        await collect(made, "C00002")
        assert len(made.app.session.work.days) == 1
        assert "Đã thu 2" in (await one.get("/day")).text
        await do(made, CloseShift(intent=intent()))
        made.still_clock.wall_ms += A_DAY_MS
        page = await one.get("/day")
        assert "đã đóng ca" in page.text
        assert not [form for form in page.forms if form.action.startswith("/shift/open")]


# Whose it is.


async def test_anothers_cash_never_shows_while_their_shift_is_open_or_was_closed_last(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with at_work(tmp_path, printer) as (made, _):
        await give_a_route_to_another(made)
        await collect(made, "C00001")
        theirs = money(day_of(made).cash_vnd)
        async with tab(made) as other:
            await other.log_in(SECOND_COLLECTOR, PASSWORD)
            await _sees_nothing(other, theirs)  # Their shift is open.
            await do(made, CountCash(intent=intent(), notes=(Denomination(100_000, 1),)))
            await do(made, CloseShift(intent=intent()))
            await _sees_nothing(other, theirs)  # It was closed last.
            assert (await other.get("/day/slip.png")).status == 404
            await other.post("/day/slip", {"print_no": "1"})
            await do(made, OpenShift(intent=intent(), collector=SECOND_COLLECTOR))
            own = plain(await other.get("/day"))
            assert "Tiền phải có trong túi 0 đ" in own
            assert theirs not in own
            assert "Đã đếm – chưa đếm" in own
            await do(made, CloseShift(intent=intent()))
            assert (await other.get("/day/slip.png")).status == 200
        assert len(printer.jobs) == 1


async def _sees_nothing(other: Tab, theirs: str) -> None:
    for path in ("/day", "/day/cash", "/day/close", "/day/cash/sums"):
        assert theirs not in plain(await other.get(path))
    for path in ("/day/cash", "/day/close"):
        assert (await other.post(path, {"intent": intent().hex(), "unsent": "0", "keyed": "0"})).status == 409


async def test_after_another_closed_here_ones_own_day_stays_and_its_slip_waits_for_a_new_close(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await give_a_route_to_another(made)
        await collect(made, "C00001")
        await do(made, CloseShift(intent=intent()))
        mine = money(day_of(made).cash_vnd)
        await do(made, OpenShift(intent=intent(), collector=SECOND_COLLECTOR))
        during = plain(await one.get("/day"))
        assert mine in during
        assert "Ca của nhân viên khác đang mở" in during
        assert not [form for form in (await one.get("/day")).forms if form.action.startswith("/day/slip")]
        assert (await one.post("/day/close", {"intent": intent().hex()})).status == 409
        await do(made, CloseShift(intent=intent()))
        after = await one.get("/day")
        assert "mở lại ca rồi đóng" in after.text
        assert (await one.post("/day/slip", {"print_no": "1"})).status == 409
        await one.submit(after, "/shift/open")
        await do(made, CloseShift(intent=intent()))
        await made.app.quiet()
        await one.submit(await one.get("/day"), "/day/slip")
        await made.app.quiet()
        assert printer.jobs[-1].kind is PaperKind.DAY_SLIP
        evidence = made.app.session.work.by_digest[printer.jobs[-1].about].header.evidence
        assert evidence is not None
        assert evidence.collector == COLLECTOR


async def test_the_slip_of_another_date_is_not_offered_as_that_of_the_day_shown(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    """A clock that goes back brings a shift of an earlier date after one of a later date."""
    async with at_work(tmp_path, printer) as (made, one):
        await give_a_route_to_another(made)
        await do(made, CloseShift(intent=intent()))
        await do(made, OpenShift(intent=intent(), collector=COLLECTOR, business_date="2026-11-23"))
        await do(made, CloseShift(intent=intent()))
        assert "/day/slip.png" in (await one.get("/day")).html
        await do(made, OpenShift(intent=intent(), collector=SECOND_COLLECTOR))
        page = await one.get("/day")
        assert "24/11/2026" in page.text
        assert "/day/slip.png" not in page.html
        assert (await one.get("/day/slip.png")).status == 404
        assert (await one.post("/day/slip", {"print_no": "1"})).status == 409
        assert not printer.jobs


async def test_a_day_is_there_again_after_the_program_has_ended(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await collect(made, "C00001")
        await do(made, CloseShift(intent=intent()))
        await made.app.quiet()
        cash = f"Tiền phải có trong túi {money(day_of(made).cash_vnd)}"
    async with handheld(tmp_path, printer=printer) as made, tab(made) as one:
        await one.log_in()
        after = plain(await one.get("/day"))
        assert cash in after
        assert "đã đóng ca" in after
        assert "In phiếu cuối ngày" in after
