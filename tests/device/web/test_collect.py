"""Taking money: the confirmation, one collection however often a key bounces, and amounts that changed meanwhile."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from device.core.commands import CloseShift
from device.web.forms import Form
from device.web.views.collect import _is_right
from protocol.records import CashCollected
from protocol.wire import StopChange
from tests.device.web.browser import Seen, Tab, tab
from tests.device.web.handheld import LONG_NAME, ROUND, Handheld, handheld


def taken(made: Handheld) -> list[CashCollected]:
    records = (one.record for one in made.app.session.work.records)
    return [record for record in records if isinstance(record, CashCollected)]


async def confirm(one: Tab, customer: str, which: str = "ALL") -> Seen:
    return await one.get(f"/stops/{customer}/collect?which={which}")


async def test_one_screen_names_customer_and_amount_before_money_is_taken(made: Handheld, working: Tab) -> None:
    await working.read("C00003", 120)
    page = await confirm(working, "C00003")
    for said in (
        ROUND[2].name,
        ROUND[2].address,
        ROUND[2].register_no,
        ROUND[2].meter.serial,
        "3/12",
        "254.533",
        "Hai trăm năm mươi bốn nghìn năm trăm ba mươi ba đồng",
        "09/2026",
        "10/2026",
        "11/2026",
    ):
        assert said in page.text, said
    assert not taken(made)


async def test_money_taken_is_one_record_and_its_receipt_is_shown(made: Handheld, working: Tab) -> None:
    await working.read("C00003", 120)
    page = await working.submit(await confirm(working, "C00003"), "/stops/C00003/collect")
    assert page.path == "/stops/C00003/result?paper=receipt&receipt_no=1"
    (record,) = taken(made)
    assert (record.amount_vnd, record.bills) == (254_533, ("C00003-2026-09", "C00003-2026-10", "C00003-2026-11"))
    await made.app.quiet()
    assert len(list(made.papers.iterdir())) == 1


async def test_enter_that_bounces_takes_money_once_and_answers_alike(made: Handheld, working: Tab) -> None:
    await working.read("C00001", 1239)
    page = await confirm(working, "C00001")
    first, second = await asyncio.gather(*(working.submit(page, "/stops/C00001/collect") for _ in range(2)))
    await made.app.quiet()
    late = await working.submit(page, "/stops/C00001/collect")
    assert first.path == second.path == late.path == "/stops/C00001/result?paper=receipt&receipt_no=1"
    assert len(taken(made)) == 1
    assert len(list(made.papers.iterdir())) == 1


async def test_two_screens_of_one_customer_take_money_once(made: Handheld, working: Tab) -> None:
    await working.read("C00001", 1239)
    first, second = [await confirm(working, "C00001") for _ in range(2)]
    await working.submit(first, "/stops/C00001/collect")
    late = await working.submit(second, "/stops/C00001/collect")
    assert late.status == 409
    assert "Không còn khoản nào phải thu. Lần bấm này không thu gì cả" in late.text
    assert len(taken(made)) == 1


async def test_this_period_and_arrears_are_taken_apart(made: Handheld, working: Tab) -> None:
    await working.read("C00003", 120)
    for which in ("ARREARS", "CURRENT"):
        await working.submit(await confirm(working, "C00003", which), "/stops/C00003/collect")
    assert [(record.amount_vnd, record.receipt_no) for record in taken(made)] == [(101_200, 1), (153_333, 2)]
    nothing = await confirm(working, "C00003")
    assert "không còn khoản nào phải thu" in nothing.text
    assert nothing.status == 409


async def test_an_amount_that_changed_meanwhile_is_refused_in_words(made: Handheld, working: Tab) -> None:
    await working.read("C00003", 120)
    old = await confirm(working, "C00003")
    work = made.app.session.work.stops["C00003"]
    told = StopChange(
        customer="C00003",
        version=1,
        period="2026-11",
        payment_method="TT",
        open_bills=(),
        settled_vnd=0,
        credit_vnd=0,
    )
    assert work.hear(told, made.app.session.work.tip.seq)  # Somebody paid the arrears at the counter.
    refused = await working.submit(old, "/stops/C00003/collect")
    assert refused.status == 409
    assert "Số tiền đã thay đổi" in refused.text
    assert not taken(made)
    (back,) = (link for link in refused.links if "/collect" in link)
    assert "153.333" in (await working.get(back)).text


async def test_a_large_amount_needs_its_last_digits(made: Handheld, working: Tab) -> None:
    first = await working.read("C00002", 61_400)
    await working.submit(first, "/stops/C00002/reading", index="61400")
    page = await confirm(working, "C00002")
    assert LONG_NAME in page.text
    assert "461.403.000" in page.text
    assert "data-digits" in page.html
    for wrong in ("", "00", "403", "0"):
        refused = await working.submit(page, "/stops/C00002/collect", last_digits=wrong)
        assert refused.status == 409, wrong
        assert "Sai số" in refused.text
    assert (await working.submit(page, "/stops/C00002/collect", last_digits="4030")).status == 400
    assert not taken(made)
    assert "receipt_no=1" in (await working.submit(page, "/stops/C00002/collect", last_digits="000")).path
    assert taken(made)[0].amount_vnd == 461_403_000


async def test_from_which_amount_digits_are_keyed_is_the_branchs_choice(tmp_path: Path) -> None:
    async with handheld(tmp_path, retype_from_vnd=153_333) as made, tab(made) as one:
        await one.log_in()
        await one.open_shift()
        for customer, index, is_keyed in (("C00008", 120, True), ("C00009", 119, False)):
            await one.read(customer, index)
            page = await confirm(one, customer)
            assert ("data-digits" in page.html) == is_keyed, customer
            answer = await one.submit(page, f"/stops/{customer}/collect")
            assert answer.status == (409 if is_keyed else 200), customer
        assert [record.customer for record in taken(made)] == ["C00009"]


@given(st.integers(1, 10**10), st.text("0123456789", max_size=3))
def test_only_the_last_three_digits_of_the_amount_are_right(amount_vnd: int, typed: str) -> None:
    right = len(typed) == 3 and f"{amount_vnd:03}".endswith(typed)
    assert _is_right(Form({"last_digits": typed}), amount_vnd) == right


async def test_held_money_is_not_taken_whatever_is_sent(made: Handheld, working: Tab) -> None:
    await working.read("C00001", 1239)
    form = (await confirm(working, "C00001")).form("/stops/C00001/collect").fields
    for customer, index, said in (
        ("C00004", 120, "trả qua ngân hàng"),
        ("C00005", 120, "trả qua kho bạc"),
        ("C00007", 103, "Sản lượng giảm mạnh"),
    ):
        await working.read(customer, index)
        page = await confirm(working, customer)
        assert page.status == 409, customer
        assert said in page.text, customer
        forged = await working.post(f"/stops/{customer}/collect", form)
        assert forged.status == 409, customer
        assert said in forged.text, customer
    assert not taken(made)


async def test_a_screen_of_ours_with_another_amount_takes_nothing(made: Handheld, working: Tab) -> None:
    await working.read("C00001", 1239)
    page = await confirm(working, "C00001")
    for amount in ("1", "168666", "1000000"):
        assert (await working.submit(page, "/stops/C00001/collect", amount_vnd=amount)).status == 409
    for amount in ("-1", "0", "x", "99999999999"):
        assert (await working.submit(page, "/stops/C00001/collect", amount_vnd=amount)).status == 400
    assert (await working.submit(page, "/stops/C00001/collect", amount_vnd="")).status == 409
    assert (await working.submit(page, "/stops/C00001/collect", intent="")).status == 400
    assert (await working.submit(page, "/stops/C00001/collect", which="BOTH")).status == 400
    assert not taken(made)


async def test_without_a_shift_nothing_is_taken_and_the_way_to_one_is_shown(made: Handheld, working: Tab) -> None:
    page = await confirm(working, "C00003")
    await made.app.dispatch(CloseShift(intent=b"closing the day!"))
    refused = await working.submit(page, "/stops/C00003/collect")
    assert refused.status == 409
    assert "Chưa mở ca" in refused.text
    assert "/route" in refused.links
    assert not taken(made)


async def test_credit_and_rounding_stand_on_the_screen(tmp_path: Path) -> None:
    stops = (replace(ROUND[2], credit_vnd=30_000),)
    async with handheld(tmp_path, stops=stops, cash_rounding_vnd=1_000) as made, tab(made) as one:
        await one.log_in()
        await one.open_shift()
        page = await confirm(one, "C00003")
        for said in ("71.000", "-30.000", "-200", "Bảy mươi mốt nghìn đồng"):
            assert said in page.text, said
        await one.submit(page, "/stops/C00003/collect")
        (record,) = taken(made)
        assert (record.amount_vnd, record.credit_vnd, record.rounding_vnd) == (71_000, 30_000, -200)


async def test_the_button_that_takes_money_waits_for_its_screen_to_be_read(working: Tab) -> None:
    page = await confirm(working, "C00003")
    assert re.search(r"<button[^>]*data-main data-settles", page.html)
    assert re.search(r'<script src="/static/\w+/settle.js">', page.html)
    module = await working.get(re.findall(r'src="(/static/\w+/settle.js)"', page.html)[0])
    assert module.status == 200
