"""Lifting a hold by a supervisor's code: why first, then ten digits; and what a wrong code costs."""

import re

from device.core.commands import CloseShift
from protocol.records import RuleOverridden
from tests.device.web.browser import Seen, Tab
from tests.device.web.handheld import SUPERVISOR_CODES, Handheld

HELD, PATH = "C00007", "/stops/C00007/override"
CODE, OTHER_CODE = SUPERVISOR_CODES[0], SUPERVISOR_CODES[1]
WRONG = "0099999999"


def lifted(made: Handheld) -> list[RuleOverridden]:
    records = (one.record for one in made.app.session.work.records)
    return [record for record in records if isinstance(record, RuleOverridden)]


async def at_the_code(one: Tab, customer: str = HELD) -> Seen:
    await one.read(customer, 103)
    return await one.get(f"/stops/{customer}/override?because=used-less")


async def test_a_code_lifts_the_hold_and_money_may_be_taken(made: Handheld, working: Tab) -> None:
    await working.read(HELD, 103)
    first = await working.get(PATH)
    assert "Sản lượng giảm mạnh" in first.text
    reasons = [link for link in first.links if "because=" in link]
    assert len(reasons) == len(re.findall(r'data-digit="\d"', first.html)) == 4
    page = await working.get(reasons[1])
    assert "Nhà đi vắng" in page.text
    assert 'data-digits="10"' in page.html
    result = await working.submit(page, PATH, code=CODE)
    assert result.path == f"/stops/{HELD}/result"
    assert f"/stops/{HELD}/collect?which=ALL" in result.links
    (record,) = lifted(made)
    assert (record.customer, record.hold, record.reason) == (HELD, "CONSUMPTION_DROP", "Nhà đi vắng, dùng ít nước")
    paid = await working.submit(await working.get(f"/stops/{HELD}/collect"), f"/stops/{HELD}/collect")
    assert "receipt_no=1" in paid.path


async def test_a_reason_in_ones_own_words_goes_to_the_record(made: Handheld, working: Tab) -> None:
    await working.read(HELD, 103)
    empty = await working.get(f"{PATH}?words=%20")
    assert "data-digits" not in empty.html
    page = await working.get(f"{PATH}?words=Khách+xây+bể+mới+%26+ít+dùng")
    await working.submit(page, PATH, code=CODE)
    assert lifted(made)[0].reason == "Khách xây bể mới & ít dùng"


async def test_a_wrong_code_is_said_and_the_reason_kept(made: Handheld, working: Tab) -> None:
    page = await at_the_code(working)
    for code, said in ((WRONG, "Mã giám sát không đúng"), ("123", "Mã giám sát có 10 chữ số")):
        refused = await working.submit(page, PATH, code=code)
        assert refused.status == 403
        assert said in refused.text
        assert refused.form(PATH).fields["because"] == "Nhà đi vắng, dùng ít nước"
    assert not lifted(made)
    assert not [link for link in (await working.get(f"/stops/{HELD}/result")).links if "/collect" in link]
    assert (await working.submit(page, PATH, code=CODE)).path == f"/stops/{HELD}/result"


async def test_too_many_wrong_codes_have_to_wait(made: Handheld, working: Tab) -> None:
    page = await at_the_code(working)
    for _ in range(3):
        await working.submit(page, PATH, code=WRONG)
    waiting = await working.submit(page, PATH, code=CODE)
    assert waiting.status == 403
    assert "30 giây" in waiting.text
    assert not lifted(made)


async def test_the_same_tap_twice_spends_one_code(made: Handheld, working: Tab) -> None:
    page = await at_the_code(working)
    for _ in range(2):
        assert (await working.submit(page, PATH, code=CODE)).path == f"/stops/{HELD}/result"
    assert len(lifted(made)) == 1


async def test_a_code_serves_one_customer_only(made: Handheld, working: Tab) -> None:
    await working.submit(await at_the_code(working), PATH, code=CODE)
    second = await at_the_code(working, "C00008")
    refused = await working.submit(second, "/stops/C00008/override", code=CODE)
    assert refused.status == 409
    assert "đã dùng rồi" in refused.text
    assert (await working.submit(second, "/stops/C00008/override", code=OTHER_CODE)).status == 200
    assert len(lifted(made)) == 2


async def test_where_nothing_is_held_or_nobody_may_lift_it_no_code_is_asked_for(working: Tab) -> None:
    for customer, index in (("C00001", 1239), ("C00004", 120), ("C00005", 120)):
        await working.read(customer, index)
        page = await working.get(f"/stops/{customer}/override?because=used-less")
        assert page.status == 409, customer
        assert "data-digits" not in page.html
    assert (await working.get("/stops/C00009/override")).status == 409


async def test_below_the_old_index_the_page_says_that_a_code_brings_no_amount(working: Tab) -> None:
    await working.read("C00008", 90)
    assert "chưa tính được tiền" in (await working.get("/stops/C00008/override")).text


async def test_without_a_shift_no_code_is_tried(made: Handheld, working: Tab) -> None:
    page = await at_the_code(working)
    await made.app.dispatch(CloseShift(intent=b"closing the day!"))
    for _ in range(7):
        refused = await working.submit(page, PATH, code=WRONG)
        assert refused.status == 409
        assert "Chưa mở ca" in refused.text
    await working.open_shift()
    assert (await working.submit(page, PATH, code=CODE)).path == f"/stops/{HELD}/result"


async def test_a_form_without_a_reason_asks_for_one(made: Handheld, working: Tab) -> None:
    page = await at_the_code(working)
    asked = await working.submit(page, PATH, because=" ", code=CODE)
    assert "Vì sao vẫn được thu?" in asked.text
    assert not lifted(made)
