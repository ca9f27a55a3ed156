"""The list of customers, its filters and orders, the search, and the visit to come back from."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from device.core.commands import Collect, PrintPaper
from device.core.effects import Done
from device.core.events import FixAcquired
from device.web.views.stops import FILTERS, OUTCOME_WORDS, Show, next_day_of_month
from protocol.records import ContactNoted, ContactOutcome, PaperKind
from protocol.values import Fix, NoFix
from tests.device.branch import StillClock, stop
from tests.device.web.browser import Seen, Tab, tab
from tests.device.web.handheld import LONG_ADDRESS, LONG_NAME, Handheld, handheld

LONG_ROUTE = 2_757  # The longest walk met.


def customers(page: Seen) -> list[str]:
    """The customers of a list, in its order."""
    return re.findall(r'class="stop-line" data-item href="/stops/(C\d+)"', page.html)


def counts(page: Seen) -> list[int]:
    """The counts beside the filters."""
    return [int(count) for count in re.findall(r"<br><b>(\d+)</b></span></a>", page.html)]


def contacts(made: Handheld) -> list[ContactNoted]:
    records = (one.record for one in made.app.session.work.records)
    return [record for record in records if isinstance(record, ContactNoted)]


async def test_list_is_walked_from_the_first_door_and_says_of_each_what_is_owed(made: Handheld, working: Tab) -> None:
    page = await working.get("/stops")
    assert customers(page) == [f"C{number:05d}" for number in range(1, 13)]
    assert counts(page) == [12, 12, 10, 2, 0, 0]
    assert "101.200 đ" in page.text  # The two old bills of the third customer.
    assert LONG_NAME in page.text
    assert LONG_ADDRESS in page.text


async def test_reading_and_collecting_move_customers_between_the_filters(made: Handheld, working: Tab) -> None:
    await working.read("C00001", 1239)
    assert counts(await working.get("/stops")) == [12, 11, 10, 2, 0, 1]
    work = made.app.session.work.stops["C00001"]
    answer = await made.app.dispatch(Collect(intent=b"c" * 16, customer="C00001", amount_vnd=work.due().amount_vnd))
    assert answer is not None
    assert isinstance(answer.outcome, Done)
    page = await working.get("/stops?show=uncollected")
    assert counts(page) == [12, 11, 9, 2, 0, 0]
    assert "C00001" not in customers(page)
    assert "✓ Đã thu" in (await working.get("/stops")).text


async def test_each_filter_shows_as_many_as_it_counts(made: Handheld, working: Tab) -> None:
    await working.read("C00001", 1239)
    await working.read("C00002", 1200)  # Below the old index: held.
    await note(working, "C00003", ContactOutcome.NO_MONEY_NOW)
    works = made.app.session.work.stops.values()
    for place, show in enumerate(Show):
        page = await working.get(f"/stops?show={show.value}")
        wanted = {work.stop.customer for work in works if FILTERS[show](work)}
        assert set(customers(page)) == wanted
        assert len(customers(page)) == counts(page)[place] == len(wanted)
    assert counts(await working.get("/stops")) == [12, 10, 10, 3, 1, 3]


async def test_held_customers_at_whose_door_something_can_be_done_come_first(working: Tab) -> None:
    await working.read("C00007", 1)
    page = await working.get("/stops?show=held")
    assert customers(page) == ["C00007", "C00004", "C00005"]
    assert "Chỉ số mới nhỏ hơn chỉ số cũ" in page.text


async def test_orders_keep_the_walk_within(made: Handheld, working: Tab) -> None:
    await working.read("C00001", 1239)
    walk = customers(await working.get("/stops"))
    assert customers(await working.get("/stops?sort=unread")) == [*walk[1:], walk[0]]
    elsewhere = ["C00004", "C00005"]
    wanted = [one for one in walk if one not in elsewhere] + elsewhere
    assert customers(await working.get("/stops?sort=uncollected")) == wanted


async def test_address_that_asks_for_nonsense_shows_the_list(working: Tab) -> None:
    usual = customers(await working.get("/stops"))
    for query in ("show=nobody", "sort=best", "page=0", "page=99999", "page=-1", "page=²", "page=" + "9" * 400):
        page = await working.get(f"/stops?{query}")
        assert (page.status, customers(page)) == (200, usual), query


async def test_longest_walk_comes_in_pages_and_opens_where_it_was_left(tmp_path: Path) -> None:
    stops = tuple(replace(stop(number), name=f"Nguyễn Thị {number}") for number in range(1, LONG_ROUTE + 1))
    async with handheld(tmp_path, stops=stops) as made, tab(made) as working:
        await working.log_in()
        await working.open_shift()
        for number, behind in ((1, 2), (2, 3), (55, 56), (56, None)):
            page = await working.get(f"/stops?page={number}")
            assert customers(page) == [one.customer for one in stops[50 * (number - 1) : 50 * number]]
            assert f"Trang {number}/56" in page.text
            found = re.search(r'href="[^"]+page=(\d+)" data-page-next', page.html)
            assert (int(found[1]) if found else None) == behind
        await working.get("/stops/C01234/reading")
        page = await working.get("/stops")
        assert re.search(r'href="/stops/C01234" aria-current="true"', page.html)
        assert "Trang 25/56" in page.text


# Near.


async def test_without_a_position_the_list_says_why_and_waits_for_nothing(made: Handheld, working: Tab) -> None:
    for reason, words in (
        (NoFix.NO_RECEIVER, "Máy không có bộ định vị"),
        (NoFix.NO_SIGNAL, "Chưa bắt được vệ tinh"),
        (NoFix.SWITCHED_OFF, "Định vị đang tắt"),
    ):
        await made.app.dispatch(FixAcquired(fix=reason))
        page = await working.get("/stops?sort=near")
        assert words in page.text
        assert customers(page)[0] == "C00001"


async def test_nearest_comes_first_with_its_distance_and_the_age_of_the_position(tmp_path: Path) -> None:
    clock = StillClock()
    places = {1: (10_0300000, 105_7800000), 2: (10_0340000, 105_7880000), 3: (0, 0)}
    stops = tuple(
        replace(stop(number), latitude_e7=latitude, longitude_e7=longitude)
        for number, (latitude, longitude) in places.items()
    )
    async with handheld(tmp_path, stops=stops, clock=clock) as made, tab(made) as working:
        await working.log_in()
        await made.app.dispatch(FixAcquired(fix=Fix(10_0340900, 105_7880000, 85, 2)))
        clock.up_ms += 3_000
        page = await working.get("/stops?sort=near")
        assert customers(page) == ["C00002", "C00001", "C00003"]
        assert "10 m" in page.text
        assert "987 m" in page.text  # 455 m south and 876 m west.
        assert "9 m, cách đây 5 giây" in page.text
        await made.app.dispatch(FixAcquired(fix=Fix(10_0340900, 105_7880000, 85, 500)))
        clock.up_ms += 101_000
        assert "Chưa bắt được vệ tinh" in (await working.get("/stops?sort=near")).text


# Search.


async def test_search_part_finds_names_without_marks_and_by_keys(working: Tab) -> None:
    for query, first in (
        ("lê hoàng ân", "C00008"),
        ("hau giang", "C00006"),
        ("M000011", "C00011"),
        ("c00012", "C00012"),
    ):
        part = await working.get(f"/stops/found?q={query}")
        assert customers(part)[0] == first, query
        assert "<html" not in part.html
    assert set(customers(await working.get("/stops/found?q=264"))) >= {"C00001", "C00003", "C00007"}  # Ánh, Ảnh.


async def test_enter_opens_the_first_that_is_found_for_what_was_typed(working: Tab) -> None:
    assert (await working.get("/stops/search?q=hau giang&open=1")).path == "/stops/C00006/reading"
    nobody = await working.get("/stops/search?q=qqq&open=1")
    assert nobody.path.startswith("/stops/search")
    assert "Không tìm thấy khách nào" in nobody.text


async def test_what_is_typed_comes_back_as_text_and_not_as_markup(working: Tab) -> None:
    page = await working.get('/stops/search?q="><b>x')
    assert "<b>x" not in page.html


# Coming back.


async def note(working: Tab, customer: str, outcome: ContactOutcome, **typed: str) -> Seen:
    """Note a visit by its page."""
    page = await working.get(f"/stops/{customer}/contact?outcome={outcome.name}")
    return await working.submit(page, f"/stops/{customer}/contact?back", **typed)


async def test_promise_is_recorded_and_the_walk_goes_on(made: Handheld, working: Tab) -> None:
    page = await note(working, "C00003", ContactOutcome.PAYS_LATER, day="2026-11-26", note="sau 17 giờ")
    assert page.path == "/stops/C00004/reading"
    (record,) = contacts(made)
    assert (record.customer, record.outcome) == ("C00003", ContactOutcome.PAYS_LATER)
    assert (record.come_back, record.note) == ("2026-11-26", "sau 17 giờ")
    page = await working.get("/stops?show=back")
    assert customers(page) == ["C00003"]
    assert "26/11/2026 · Khách hẹn trả sau · sau 17 giờ" in page.text


async def test_promises_stand_by_their_day_and_those_without_one_come_last(working: Tab) -> None:
    for customer, day in (("C00001", ""), ("C00002", "2026-11-27"), ("C00003", "2026-11-25")):
        await note(working, customer, ContactOutcome.NOBODY_HOME, day=day)
    assert customers(await working.get("/stops?show=back")) == ["C00003", "C00002", "C00001"]


async def test_double_tap_is_one_promise(made: Handheld, working: Tab) -> None:
    page = await working.get("/stops/C00003/contact?outcome=OTHER")
    for _ in range(2):
        assert (await working.submit(page, "/stops/C00003/contact?back")).path == "/stops/C00004/reading"
    assert len(contacts(made)) == 1


async def test_after_the_last_door_the_list_is_shown(working: Tab) -> None:
    assert (await note(working, "C00012", ContactOutcome.NOBODY_HOME)).path == "/stops"


async def test_typed_day_goes_before_the_one_that_was_chosen(made: Handheld, working: Tab) -> None:
    await note(working, "C00003", ContactOutcome.PAYS_LATER, day="2026-11-26", day_of_month="5")
    assert contacts(made)[0].come_back == "2026-12-05"


async def test_day_that_no_month_has_is_said_and_records_nothing(made: Handheld, working: Tab) -> None:
    part = await working.get("/stops/C00003/contact/day?outcome=OTHER&day_of_month=32")
    assert "không có ngày này" in part.text
    refused = await note(working, "C00003", ContactOutcome.OTHER, day_of_month="32")
    assert refused.status == 409
    assert contacts(made) == []


async def test_day_is_shown_with_its_weekday_while_it_is_typed(working: Tab) -> None:
    part = await working.get("/stops/C00003/contact/day?outcome=OTHER&day_of_month=29")
    assert "chủ nhật 29/11/2026" in part.text
    assert "<html" not in part.html
    taken_back = await working.get("/stops/C00003/contact/day?outcome=OTHER&day=2026-11-26&day_of_month=")
    assert "thứ năm 26/11/2026" in taken_back.text


async def test_typed_day_becomes_the_choice_when_a_note_is_to_be_written(made: Handheld, working: Tab) -> None:
    page = await working.get("/stops/C00003/contact?outcome=OTHER&day=2026-11-26&day_of_month=29&letters=1")
    await working.submit(page, "/stops/C00003/contact?back", note="gọi trước")
    (record,) = contacts(made)
    assert (record.come_back, record.note) == ("2026-11-29", "gọi trước")


async def test_keys_go_from_no_day_to_today_and_on_and_back(working: Tab) -> None:
    path, seen = "/stops/C00003/contact?outcome=OTHER", []
    for turn in ("next", "next", "next", "previous", "previous", "previous"):
        page = await working.get(path)
        found = re.search(rf'<a class="button" href="([^"]+)"[^>]+data-{turn}', page.html)
        assert found is not None
        path = found[1].replace("&amp;", "&")
        seen.append(path.rpartition("=")[2])
    assert seen == ["2026-11-24", "2026-11-25", "2026-11-26", "2026-11-25", "2026-11-24", ""]


async def test_contact_of_no_known_kind_is_asked_again_and_a_form_of_one_is_refused(
    made: Handheld, working: Tab
) -> None:
    page = await working.get("/stops/C00003/contact?outcome=RAN_AWAY")
    for vietnamese, _ in OUTCOME_WORDS.values():
        assert vietnamese in page.text
    form = (await working.get("/stops/C00003/contact?outcome=OTHER")).form("/stops/C00003/contact?back")
    assert (await working.post(form.action, form.fields | {"outcome": "RAN_AWAY"})).status == 400
    assert contacts(made) == []


async def test_without_a_shift_a_promise_is_refused_in_words(made: Handheld) -> None:
    async with tab(made) as one:
        await one.log_in()
        page = await note(one, "C00003", ContactOutcome.OTHER)
        assert page.status == 409
        assert "Chưa mở ca làm việc" in page.text


async def test_sweep_says_when_a_notice_was_left(made: Handheld, working: Tab) -> None:
    await working.read("C00001", 1239)
    page = await working.get("/stops?show=sweep")
    assert "Chưa để giấy báo" in page.text
    await made.app.dispatch(PrintPaper(kind=PaperKind.NOTICE, customer="C00001"))
    await made.app.quiet()
    assert "Đã để giấy báo ngày 24/11/2026" in (await working.get("/stops?show=sweep")).text


async def test_telephone_and_collection_address_stand_alone(working: Tab) -> None:
    page = await working.get("/stops/C00002/phone")
    for words in ("0939 123 456", LONG_ADDRESS, LONG_NAME):
        assert words in page.text


async def test_another_collectors_list_is_empty_and_finds_nobody(made: Handheld, working: Tab) -> None:
    async with tab(made) as other:
        await other.log_in("ai.do", "mưa Cái Răng 1987")
        for path in ("/stops", "/stops?sort=near", "/stops/search?q=nguyen", "/stops/found?q=26"):
            page = await other.get(path)
            assert (page.status, customers(page)) == (200, []), path
        for path in ("contact", "contact?outcome=OTHER", "contact/day?outcome=OTHER", "phone"):
            assert (await other.get(f"/stops/C00001/{path}")).status == 404


@given(st.dates(date(2024, 1, 1), date(2040, 12, 31)), st.integers(-1, 40))
def test_typed_day_is_the_next_one_there_is(today: date, day: int) -> None:
    found = next_day_of_month(today.isoformat(), day)
    if not 1 <= day <= 31:
        assert found is None
        return
    assert found is not None
    ahead = date.fromisoformat(found)
    assert ahead.day == day
    assert 0 <= (ahead - today).days <= 62
    between = (date.fromordinal(number) for number in range(today.toordinal(), ahead.toordinal()))
    assert all(one.day != day for one in between)
