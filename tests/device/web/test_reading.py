"""The reading page: what is typed, what is saved, what is asked for again."""

import asyncio
from dataclasses import replace

import pytest

from device.core.events import PackagesArrived
from protocol.package import seal_package
from protocol.records import ReadingSkipped, ReadingTaken
from tests.device import branch
from tests.device.branch import HUB_KEY
from tests.device.web.browser import Tab, tab
from tests.device.web.handheld import ROUND, Handheld

NOT_HERE = "ab" * 32
REPLACED = "/stops/C00001/reading?code=replaced_after_stop"


async def test_an_index_is_saved_and_its_paper_shown(made: Handheld, working: Tab) -> None:
    page = await working.read("C00001", 1239)
    assert page.path == "/stops/C00001/result"
    taken = made.app.session.work.stops["C00001"].taken
    assert taken is not None
    assert isinstance(taken.record, ReadingTaken)
    assert (taken.record.index, taken.record.use_m3) == (1239, 22)


async def test_the_preview_says_what_saving_would(made: Handheld, working: Tab) -> None:
    for index, words in (("1239", "22 m³ 168.667 đ"), ("123", "Chỉ số mới nhỏ hơn chỉ số cũ"), ("", "– m³")):
        part = await working.get(f"/stops/C00001/preview?index={index}")
        assert words in part.text, part.text
    assert made.app.session.work.stops["C00001"].taken is None


async def test_a_double_tap_is_one_record(made: Handheld, working: Tab) -> None:
    page = await working.get("/stops/C00001/reading")
    for _ in range(2):
        assert (await working.submit(page, "/stops/C00001/reading", index="1239")).path == "/stops/C00001/result"
    kinds = [type(one.record) for one in made.app.session.work.records]
    assert kinds.count(ReadingTaken) == 1


async def test_an_unusual_index_has_to_be_keyed_again(made: Handheld, working: Tab) -> None:
    page = await working.read("C00001", 9000)
    assert page.status == 409
    assert "hãy nhập lại" in page.text
    wrong = await working.submit(page, "/stops/C00001/reading", index="9001")
    assert wrong.status == 409
    assert made.app.session.work.stops["C00001"].taken is None
    right = await working.submit(page, "/stops/C00001/reading", index="9000")
    assert right.path == "/stops/C00001/result"


async def test_what_was_doubted_of_a_replaced_meter_has_to_be_the_same_when_it_is_keyed_again(
    made: Handheld, working: Tab
) -> None:
    action, typed = "/stops/C00001/reading", {"index": "60", "removed_index": "1230", "installed_index": "0"}
    page = await working.submit(await working.get(REPLACED), action, **typed)
    assert page.status == 409
    assert "(60: 73 m³)" in page.text
    fields = page.form(action).fields
    assert (fields["index"], fields["removed_index"], fields["installed_index"]) == ("", "1230", "0")
    same_use = {"removed_index": "1231", "installed_index": "1"}
    for other in ({"removed_index": "9230"}, {"installed_index": "9"}, same_use):
        refused = await working.submit(page, action, **typed | other)
        assert refused.status == 409, other
        assert made.app.session.work.stops["C00001"].taken is None
    right = await working.submit(page, action, index="60")
    assert right.path == "/stops/C00001/result"
    taken = made.app.session.work.stops["C00001"].taken
    assert taken is not None
    assert isinstance(taken.record, ReadingTaken)
    assert (taken.record.use_m3, taken.record.removed_index, taken.record.installed_index) == (73, 1230, 0)
    assert taken.record.confirmed == ("FAR_ABOVE_EXPECTED",)


async def test_a_consumption_that_comes_out_otherwise_than_the_warning_said_is_warned_of_again(
    made: Handheld, working: Tab
) -> None:
    """As where a route arrives between the warning and the second tap, and the old index is another one."""
    page = await working.read("C00001", 9000)
    fields = page.form("/stops/C00001/reading").fields
    assert fields["confirms_m3"] == str(9000 - 1217)
    for use_m3 in ("", "22", "-7783"):
        refused = await working.submit(page, "/stops/C00001/reading", index="9000", confirms_m3=use_m3)
        assert (refused.status, "(9000: 7783 m³)" in refused.text) == (409, True)
    assert made.app.session.work.stops["C00001"].taken is None


@pytest.mark.parametrize("page", ["reading", "reasons"])
async def test_a_photo_that_is_not_on_this_handheld_is_not_named_by_a_record(
    made: Handheld, working: Tab, page: str
) -> None:
    before = made.app.session.work.tip
    seen = await working.get(f"/stops/C00001/{page}")
    given = {"index": "1239"} if page == "reading" else {"code": "house_closed"}
    refused = await working.submit(seen, f"/stops/C00001/{page}", photo=NOT_HERE, **given)
    assert (refused.status, "Ảnh" in refused.text) == (409, True)
    assert made.app.session.work.tip == before


@pytest.mark.parametrize("page", ["reading", "result"])
async def test_a_customer_who_leaves_the_route_while_the_page_is_made_is_not_there_any_more(
    made: Handheld, working: Tab, page: str
) -> None:
    app = made.app
    await app.quiet()
    without = replace(
        made.hub.packages, packages=(seal_package(branch.package(ROUND[5:], version=2), HUB_KEY),)
    )
    async with app._turn:
        arrival = asyncio.create_task(app.dispatch(PackagesArrived(packages=without)))
        asked = asyncio.create_task(working.get(f"/stops/C00002/{page}"))
        while len(app._turns) < 2:  # noqa: ASYNC110 -- Nobody is told of a turn that waits behind another.
            await asyncio.sleep(0)
    await arrival
    assert (await asked).status == 404
    assert made.opened.index.neighbours("C00002", branch.COLLECTOR) == (None, None)


async def test_a_reading_on_an_old_screen_changes_nothing(made: Handheld, working: Tab) -> None:
    first, second = [await working.get("/stops/C00001/reading") for _ in range(2)]
    await working.submit(first, "/stops/C00001/reading", index="1239")
    late = await working.submit(second, "/stops/C00001/reading", index="1240")
    assert late.status == 409
    assert "màn hình này đã cũ" in late.text.lower()
    taken = made.app.session.work.stops["C00001"].taken
    assert taken is not None
    assert isinstance(taken.record, ReadingTaken)
    assert taken.record.index == 1239


async def test_a_meter_that_cannot_be_read_is_recorded_with_its_reason(made: Handheld, working: Tab) -> None:
    page = await working.get("/stops/C00001/reasons")
    form = next(one for one in page.forms if one.fields.get("code") == "house_closed")
    await working.post(form.action, form.fields)
    skipped = made.app.session.work.stops["C00001"].skipped
    assert skipped is not None
    assert isinstance(skipped.record, ReadingSkipped)
    assert skipped.record.code == "house_closed"


async def test_what_was_typed_when_the_visitor_was_logged_out_comes_back(made: Handheld, working: Tab) -> None:
    page = await working.get("/stops/C00001/reading")
    visitor = made.opened.visitors
    for known in tuple(visitor._known.values()):
        await visitor.end(known)
    asked = await working.submit(page, "/stops/C00001/reading", index="1239")
    assert asked.path.startswith("/login?next=")
    assert made.app.session.work.stops["C00001"].taken is None
    back = await working.submit(asked, "/login", password="12345678")
    shown = await working.get("/stops/C00001/reading?index=1239") if "index=1239" not in back.path else back
    assert 'value="1239"' in shown.html


async def test_another_collector_neither_sees_nor_touches_these_customers(made: Handheld, working: Tab) -> None:
    async with tab(made) as other:
        await other.log_in("ai.do", "mưa Cái Răng 1987")
        for page in ("reading", "result", "preview?index=5"):
            assert (await other.get(f"/stops/C00001/{page}")).status == 404
