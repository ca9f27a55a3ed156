"""The reading page: what is typed, what is saved, what is asked for again."""

from protocol.records import ReadingSkipped, ReadingTaken
from tests.device.web.browser import Tab, tab
from tests.device.web.handheld import Handheld


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
