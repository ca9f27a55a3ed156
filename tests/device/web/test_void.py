"""Receipts of the day, and taking one back: with a reason, once, on its own day, and never on Enter."""

import re
from pathlib import Path

from device.core.commands import CloseShift, OpenShift
from protocol.records import CollectionVoided, VoidReason
from tests.device.branch import COLLECTOR, PASSWORD, SECOND_COLLECTOR
from tests.device.web.browser import Seen, Tab, tab
from tests.device.web.handheld import Handheld, handheld
from tests.device.web.test_result import HeldPrinter, collect

VOID_PATH = "/receipts/1/void"


def voids(made: Handheld) -> list[CollectionVoided]:
    records = (one.record for one in made.app.session.work.records)
    return [record for record in records if isinstance(record, CollectionVoided)]


async def question(one: Tab, reason: str = "WRONG_AMOUNT") -> Seen:
    return await one.get(f"{VOID_PATH}?reason={reason}")


async def test_a_receipt_is_taken_back_with_its_reason(made: Handheld, working: Tab) -> None:
    await collect(working, "C00003")
    await made.app.quiet()
    first = await working.get(VOID_PATH)
    for said in ("101.200", "Trả lại khách", "Thu lại giấy đã in (1 tờ)", "nộp về chi nhánh"):
        assert said in first.text, said
    assert not first.forms, "nothing to press before there is a reason"
    links = [link for link in first.links if "reason=" in link]
    assert len(links) == len(VoidReason)
    page = await working.submit(await working.get(links[1]), VOID_PATH, note="  gõ nhầm ")
    assert page.path == VOID_PATH
    assert "Biên nhận số 1 đã hủy" in page.text
    assert "Thu lại giấy đã in (1 tờ)" in page.text
    (record,) = voids(made)
    assert (record.reason, record.note) == (VoidReason.WRONG_AMOUNT, "gõ nhầm")
    assert "Thu 101.200" in (await working.get("/stops/C00003/result")).text


async def test_a_voided_receipt_is_marked_wherever_it_is_shown(made: Handheld, working: Tab) -> None:
    await collect(working, "C00003")
    await made.app.quiet()
    await working.submit(await question(working), VOID_PATH)
    shown = await working.get("/stops/C00003/result?paper=receipt&receipt_no=1")
    assert "ĐÃ HỦY" in shown.text
    assert VOID_PATH not in shown.links
    assert not [form for form in shown.forms if "/print" in form.action]
    refused = await working.post("/stops/C00003/print", {"paper": "receipt", "receipt_no": "1", "print_no": "2"})
    assert refused.status == 409
    assert "đã hủy" in refused.text
    listed = await working.get("/receipts")
    assert "Đã hủy" in listed.text
    assert "tiền phải có: 0" in listed.text


async def test_a_double_tap_voids_once(made: Handheld, working: Tab) -> None:
    await collect(working, "C00003")
    await made.app.quiet()
    first, second = [await question(working) for _ in range(2)]
    for _ in range(2):
        assert (await working.submit(first, VOID_PATH)).status == 200
    late = await working.submit(second, VOID_PATH)
    assert late.status == 409
    assert "Biên nhận này đã hủy" in late.text
    assert len(voids(made)) == 1


async def test_enter_keeps_the_receipt(made: Handheld, working: Tab) -> None:
    await collect(working, "C00003")
    await made.app.quiet()
    for page in (await working.get(VOID_PATH), await question(working)):
        (main,) = re.findall(r"<[^>]*\bdata-main\b[^>]*>", page.html)
        assert main.startswith("<a ")
        assert "/stops/C00003/result" in main
        foot = page.html[page.html.index('<nav class="foot') :]
        assert "danger" not in foot
        assert 'type="submit"' not in foot
        assert "<form" not in foot


async def test_after_its_day_a_receipt_is_for_the_branch_to_take_back(made: Handheld, working: Tab) -> None:
    await collect(working, "C00003")
    await made.app.quiet()
    page = await question(working)
    await made.app.dispatch(CloseShift(intent=b"closing the day!"))
    closed = await working.submit(page, VOID_PATH)
    assert closed.status == 409
    assert "Chưa mở ca" in closed.text
    await made.app.dispatch(OpenShift(intent=b"another morning!", collector=COLLECTOR, business_date="2026-11-25"))
    over = await working.submit(page, VOID_PATH)
    assert over.status == 409
    assert "hãy báo chi nhánh" in over.text
    assert "Lần bấm này không thay đổi gì" in over.text
    assert not voids(made)


async def test_a_receipt_that_is_being_printed_is_waited_for(tmp_path: Path) -> None:
    printer = HeldPrinter()
    async with handheld(tmp_path, printer=printer) as made, tab(made) as one:
        await one.log_in()
        await one.open_shift()
        await collect(one, "C00003")
        await printer.begun.wait()
        page = await question(one)
        assert "đang in" in page.text
        refused = await one.submit(page, VOID_PATH)
        assert refused.status == 409
        assert "Đang in giấy này" in refused.text
        assert not voids(made)
        printer.go_on.set()
        await made.app.quiet()
        assert "đã hủy" in (await one.submit(page, VOID_PATH)).text


async def test_a_receipt_that_never_came_out_leaves_no_paper_to_take_back(made: Handheld, working: Tab) -> None:
    made.papers.rmdir()
    await collect(working, "C00003")
    await made.app.quiet()
    page = await question(working)
    assert "Giấy chưa in ra" in page.text
    assert "đã hủy" in (await working.submit(page, VOID_PATH)).text
    assert not made.app.session.work.papers


async def test_receipts_of_the_day_are_listed_with_how_they_stand(made: Handheld, working: Tab) -> None:
    assert "Chưa có biên nhận" in (await working.get("/receipts")).text
    customers = ["C00001", *(f"C{number:05d}" for number in range(7, 13))]
    for customer in customers:
        await working.read(customer, 1239 if customer == "C00001" else 120)
        await collect(working, customer)
    await collect(working, "C00003", "ARREARS")
    await working.read("C00003", 120)
    await collect(working, "C00003")
    await made.app.quiet()
    page = await working.get("/receipts")
    assert "9 biên nhận" in page.text
    assert "1/2" in page.text
    assert len(re.findall(r'<a href="[^"]*" data-item data-digit="[1-8]"', page.html)) == 8
    assert page.text.index("Số 9") < page.text.index("Số 8")
    more = await working.get("/receipts?page=2")
    assert "Số 1 " in more.text
    assert "data-previous" in more.html
    assert "data-next" not in more.html
    for odd in ("0", "x", "99999999999", "-1"):
        assert (await working.get(f"/receipts?page={odd}")).status == 200


async def test_nobody_else_sees_or_takes_back_a_receipt(made: Handheld, working: Tab) -> None:
    await collect(working, "C00003")
    await made.app.quiet()
    form = (await question(working)).form(VOID_PATH)
    async with tab(made) as other:
        await other.log_in(SECOND_COLLECTOR, PASSWORD)
        listed = await other.get("/receipts")
        assert "Chưa có biên nhận" in listed.text
        assert "101.200" not in listed.text
        assert (await other.get(VOID_PATH)).status == 404
        assert (await other.post(form.action, form.fields)).status == 404
    assert not voids(made)


async def test_there_are_no_other_receipts(working: Tab) -> None:
    for number in ("1", "0", "x", "99999999999999999999", "٣"):
        assert (await working.get(f"/receipts/{number}/void")).status == 404


async def test_a_form_without_a_reason_voids_nothing(made: Handheld, working: Tab) -> None:
    await collect(working, "C00003")
    await made.app.quiet()
    page = await question(working)
    for wrong in ({"reason": ""}, {"reason": "BORED"}, {"note": "x" * 201}, {"intent": "00"}):
        assert (await working.submit(page, VOID_PATH, **wrong)).status == 400
    assert not voids(made)
