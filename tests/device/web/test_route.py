"""The route page: what the day stands at, beginning it, and fetching the data for it."""

import asyncio
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from device.core.commands import Collect
from protocol import wire
from protocol.package import seal_package
from protocol.records import ShiftOpened
from protocol.values import start_of_day_ms
from tests.device import branch
from tests.device.branch import NOON_MS, SECOND_COLLECTOR, StillClock, stop
from tests.device.web.browser import Tab, tab
from tests.device.web.handheld import OWN_PASSWORD, ROUND, Handheld, handheld, packages

DAY_MS = 86_400_000
SECOND_PASSWORD = "mưa Cái Răng 1987"


def shifts(made: Handheld) -> list[ShiftOpened]:
    records = (one.record for one in made.app.session.work.records)
    return [record for record in records if isinstance(record, ShiftOpened)]


async def test_period_and_route_are_shown_before_the_first_reading(made: Handheld) -> None:
    async with tab(made) as one:
        page = await one.log_in()
        page = await one.get("/route")
        for words in ("Nguyễn Thị Thu", "Kỳ 11/2026", "Lộ trình R01", "Chi nhánh Cái Răng", "Khách hàng 12"):
            assert words in page.text
        assert "Dữ liệu bản 1 ngày 23/11/2026, dùng đến 03/01/2027" in page.text
        assert any(form.action.startswith("/shift/open") for form in page.forms)


async def test_progress_says_what_is_left_to_the_targets(working: Tab) -> None:
    await working.read("C00001", 1239)
    page = await working.get("/route")
    assert "Đã ghi 8,3 % 1/12" in page.text
    assert "còn 11 KH" in page.text  # To 99 % of twelve.
    assert "Đã thu 0,0 % 0/10" in page.text


async def test_reached_target_says_that_the_round_may_stop(tmp_path: Path) -> None:
    async with handheld(tmp_path, stops=(stop(1), stop(2)), collect_target_per_mille=500) as made, tab(made) as one:
        await one.log_in()
        await one.open_shift()
        assert "có thể dừng" not in (await one.get("/route")).text
        await one.read("C00001", 120)
        amount_vnd = made.app.session.work.stops["C00001"].due().amount_vnd
        await made.app.dispatch(Collect(intent=b"c" * 16, customer="C00001", amount_vnd=amount_vnd))
        page = await one.get("/route")
        assert "có thể dừng" in page.text
        assert "đạt" in page.text


async def test_work_goes_on_at_the_customer_who_was_left_and_then_ahead_on_the_walk(working: Tab) -> None:
    await working.get("/stops/C00007/reading")
    assert "Ghi tiếp: 7 ·" in (await working.get("/route")).text
    await working.read("C00007", 121)
    assert "Ghi tiếp: 8 ·" in (await working.get("/route")).text
    await working.read("C00012", 121)
    assert "Ghi tiếp: 1 ·" in (await working.get("/route")).text  # Round the end, to the doors passed by.


async def test_customers_who_wait_today_are_counted_and_one_key_away(working: Tab) -> None:
    for customer, day in (("C00001", "2026-11-24"), ("C00002", "2026-11-25"), ("C00003", "")):
        page = await working.get(f"/stops/{customer}/contact?outcome=PAYS_LATER")
        await working.submit(page, f"/stops/{customer}/contact?back", day=day)
    page = await working.get("/route")
    assert "1 khách hẹn bạn hôm nay" in page.text
    assert "/stops?show=back" in page.links


# Beginning the day.


async def test_shift_is_opened_once_however_often_it_is_tapped(made: Handheld) -> None:
    async with tab(made) as one:
        await one.log_in()
        first, second = [await one.get("/route") for _ in range(2)]
        for page in (first, first, second):
            assert (await one.submit(page, "/shift/open")).path == "/route"
        assert [shift.business_date for shift in shifts(made)] == ["2026-11-24"]


async def test_clock_that_is_behind_asks_for_the_day_and_takes_it(tmp_path: Path) -> None:
    clock = StillClock(NOON_MS - 300 * DAY_MS)
    async with handheld(tmp_path, clock=clock, downloaded=False) as made, tab(made) as one:
        await one.log_in()
        made.hub.now_ms = clock.wall_ms
        await fetch(made, one)
        assert "Đồng hồ máy chạy chậm" in (await one.get("/route")).text
        asked = await one.submit(await one.get("/route"), "/shift/open")
        assert asked.status == 409
        assert "Hôm nay là ngày nào?" in asked.text
        for wrong in ("31112026", "2411206", "24112062", "hôm nay", "²4112026", "00000000"):
            asked = await one.submit(asked, "/shift/open", day=wrong)
            assert asked.status == 409, wrong
            assert wrong in asked.text
            assert shifts(made) == []
        done = await one.submit(asked, "/shift/open", day="24112026")
        assert done.path == "/route"
        assert [shift.business_date for shift in shifts(made)] == ["2026-11-24"]


async def test_day_is_taken_with_strokes_too(tmp_path: Path) -> None:
    async with handheld(tmp_path) as made, tab(made) as one:
        await one.log_in()
        await one.submit(await one.get("/route"), "/shift/open", day="25/11/2026")
        assert [shift.business_date for shift in shifts(made)] == ["2026-11-25"]


async def test_data_of_a_closed_period_says_so_and_offers_new_data(tmp_path: Path) -> None:
    clock = StillClock()
    async with handheld(tmp_path, clock=clock) as made, tab(made) as one:
        await one.log_in()
        old = await one.get("/route")
        clock.wall_ms += 41 * DAY_MS
        made.hub.now_ms = clock.wall_ms
        page = await one.get("/route")
        assert "Dữ liệu kỳ 11/2026 đã hết hạn ngày 03/01/2027" in page.text
        assert not any(form.action.startswith("/shift/open") for form in page.forms)
        refused = await one.submit(old, "/shift/open")
        assert refused.status == 409
        assert "đã hết hạn" in refused.text
        assert shifts(made) == []


async def test_shift_of_yesterday_is_to_be_closed_first(made: Handheld, working: Tab) -> None:
    assert isinstance(made.clock, StillClock)
    assert "Ca ngày 24/11/2026 đang mở" in (await working.get("/route")).text
    made.clock.wall_ms = start_of_day_ms("2026-11-25")
    made.clock.up_ms += 1
    assert "Ca ngày 24/11/2026 vẫn còn mở" in (await working.get("/route")).text


async def test_second_collector_is_told_whose_shift_is_open(made: Handheld, working: Tab) -> None:
    async with tab(made) as other:
        await other.log_in(SECOND_COLLECTOR, SECOND_PASSWORD)
        page = await other.get("/route")
        assert "Đỗ Thị Ái" in page.text
        assert "Máy chưa có lộ trình của bạn" in page.text
        assert "Trần Thị Ánh" not in page.text


async def test_second_collector_with_a_route_begins_a_shift_of_their_own(tmp_path: Path) -> None:
    async with handheld(tmp_path, downloaded=False) as made, tab(made) as one, tab(made) as other:
        made.hub.packages = with_second_route()
        await one.log_in()
        await fetch(made, one)
        await one.open_shift()
        await other.log_in(SECOND_COLLECTOR, SECOND_PASSWORD)
        page = await other.get("/route")
        assert "Ca của Nguyễn Thị Thu đang mở trên máy này" in page.text
        assert "Lộ trình R02" in page.text
        assert "R01" not in page.text
        assert (await other.submit(page, "/shift/open")).path == "/route"
        assert len(shifts(made)) == 2


# Fetching the data.


async def fetch(made: Handheld, one: Tab) -> None:
    assert (await one.submit(await one.get("/route"), "/route/download")).path == "/route"
    await made.app.quiet()


def with_second_route() -> wire.Packages:
    second = replace(branch.package((stop(77),), route="R02"), collector=SECOND_COLLECTOR)
    both = packages(ROUND)
    return replace(both, packages=(*both.packages, seal_package(second, branch.HUB_KEY)))


async def test_download_under_way_is_shown_until_the_data_is_there(tmp_path: Path) -> None:
    async with handheld(tmp_path, downloaded=False) as made, tab(made) as one:
        await one.log_in()
        let_go, asked = asyncio.Event(), asyncio.Event()
        body = wire.body(made.hub.packages)

        async def slow(_request: web.Request) -> web.StreamResponse:
            asked.set()
            await let_go.wait()
            return web.Response(body=body, content_type=wire.BODY_TYPE)

        made.hub.instead = slow
        page = await one.submit(await one.get("/route"), "/route/download")
        await asked.wait()
        assert "Đang liên lạc với máy chủ" in page.text
        part = await one.get("/route/exchange?held=")
        assert 'hx-get="/route/exchange?held="' in part.html
        assert "HX-Refresh" not in part.headers
        let_go.set()
        await made.app.quiet()
        part = await one.get("/route/exchange?held=")
        assert part.headers["HX-Refresh"] == "true"
        page = await one.get("/route")
        assert "Dữ liệu bản 1" in page.text
        assert 'hx-get="/route/exchange' not in page.html
        assert "HX-Refresh" not in (await one.get("/route/exchange?held=R01-1")).headers


async def test_hub_out_of_reach_is_said_and_the_data_stays(made: Handheld, working: Tab) -> None:
    async def broken(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=502)

    made.hub.instead = broken
    await fetch(made, working)
    page = await working.get("/route")
    assert "Chưa liên lạc được máy chủ; dữ liệu trong máy vẫn dùng được" in page.text
    assert "Kỳ 11/2026" in page.text
    assert OWN_PASSWORD not in page.html
