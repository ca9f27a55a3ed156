"""The papers page: what waits and why, what nobody is sure of, what is printed again, what comes back."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from device.core.commands import (
    CloseShift,
    Collect,
    Command,
    DownloadRoute,
    OpenShift,
    PrintPaper,
    TakeReading,
    VoidCollection,
)
from device.core.effects import Done, PaperJob, PrintResult
from device.paper_words import PAPER_WORDS
from device.printing import PRINTED, not_printed
from device.web.views.printer import LINES_MAX, errands_of
from protocol.document import Document
from protocol.package import seal_package
from protocol.records import PaperKind, PaperPrinted, PrintOutcome, VoidReason
from protocol.sealed import Sealed
from tests.device import branch
from tests.device.branch import HUB_KEY, PASSWORD, SECOND_COLLECTOR
from tests.device.web.browser import Seen, Tab, tab
from tests.device.web.handheld import Handheld, handheld

UNSURE = PrintResult(outcome=PrintOutcome.UNKNOWN, reason="no-fence")
NO_PAPER = not_printed("paper-out")


class MoodyPrinter:
    """A printer that ends each paper as it is told to beforehand, and well when it is told nothing."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.ends: deque[PrintResult] = deque()
        self.jobs: list[PaperJob] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def print(self, job: PaperJob, document: Document, starting: Callable[[], Awaitable[None]]) -> PrintResult:
        end = self.ends.popleft() if self.ends else PRINTED
        self.jobs.append(job)
        if end.outcome is not PrintOutcome.NOT_PRINTED:
            await starting()
        await self.may_end.wait()
        return end

    async def close(self) -> None:
        """Nothing to hang up."""


@pytest.fixture
def printer() -> MoodyPrinter:
    return MoodyPrinter()


@asynccontextmanager
async def at_work(folder: Path, printer: MoodyPrinter) -> AsyncIterator[tuple[Handheld, Tab]]:
    """A collector in the middle of the day, with this printer."""
    async with handheld(folder, printer=printer) as made, tab(made) as one:
        await one.log_in()
        await one.open_shift()
        yield made, one


_intents = iter(range(1, 10_000))


async def do(made: Handheld, command: Command) -> Sealed | None:
    """Have something done that is another page's business."""
    answer = await made.app.dispatch(command)
    assert answer is not None
    assert isinstance(answer.outcome, Done), answer.outcome
    return answer.outcome.sealed


def intent() -> bytes:
    return next(_intents).to_bytes(16, "big")


async def collect(made: Handheld, customer: str, index: int = 1239) -> int:
    """Read and take the cash; the number of the receipt, whose paper has come to its end."""
    work = made.app.session.work
    await do(made, TakeReading(intent=intent(), customer=customer, code="normal", index=index, confirmed=True))
    amount_vnd = work.stops[customer].due().amount_vnd
    await do(made, Collect(intent=intent(), customer=customer, amount_vnd=amount_vnd))
    await made.app.quiet()
    return work.receipt_no


async def give_a_route_to_another(made: Handheld) -> None:
    """A second collector walks with this handheld too."""
    other = replace(branch.package((branch.stop(51), branch.stop(52)), route="R02"), collector=SECOND_COLLECTOR)
    made.hub.packages = replace(made.hub.packages, packages=(*made.hub.packages.packages, seal_package(other, HUB_KEY)))
    await do(made, DownloadRoute())
    await made.app.quiet()


def prints(made: Handheld) -> list[tuple[int, PrintOutcome, str | None]]:
    """All ends of prints: number, outcome, reason."""
    records = (one.record for one in made.app.session.work.records)
    return [(one.print_no, one.outcome, one.reason) for one in records if isinstance(one, PaperPrinted)]


async def first_paper(one: Tab, show: str) -> Seen:
    """The page of the first paper in a list."""
    listed = await one.get(f"/papers?show={show}")
    return await one.get(next(link for link in listed.links if link.startswith("/papers/")))


def on_that_page(page: Seen, act: str) -> str:
    return f"{page.path}/{act}"


async def test_a_paper_that_did_not_come_out_waits_with_the_reason_until_it_is_asked_for(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        printer.ends.append(NO_PAPER)
        await collect(made, "C00001")
        listed = await one.get("/papers")
        assert made.app.session.work.stops["C00001"].stop.name in listed.text
        assert PAPER_WORDS["paper-out"][0] in listed.text
        await asyncio.gather(one.get("/papers"), one.get("/papers/state"))
        assert len(printer.jobs) == 1, "looking prints nothing"
        page = await first_paper(one, "waiting")
        after = await one.submit(page, on_that_page(page, "print"))
        assert after.path == page.path
        await made.app.quiet()
        assert prints(made) == [(1, PrintOutcome.NOT_PRINTED, "paper-out"), (1, PrintOutcome.PRINTED, None)]
        assert "Lần in: 1" in (await one.get(f"{page.path}/state")).text
        assert "Không có giấy chờ in." in (await one.get("/papers?show=waiting")).text


async def test_papers_that_wait_are_printed_one_by_one_and_stop_at_the_first_that_fails(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        printer.ends.extend([NO_PAPER] * 3)
        for customer in ("C00001", "C00002", "C00003"):
            await collect(made, customer)
        printer.ends.extend([PRINTED, NO_PAPER])
        page = await one.get("/papers")
        assert "In lần lượt 3 tờ" in page.text
        errands = errands_of(made.press)
        printer.may_end.clear()
        await one.submit(page, "/papers/print")
        assert (await one.submit(page, "/papers/print")).status == 200, "a second tap begins nothing"
        assert "Đang in lần lượt" in (await one.get("/papers/state")).text
        assert len(printer.jobs) == 4, "the second waits for the first"
        printer.may_end.set()
        await errands.idle.wait()
        await made.app.quiet()
        assert [job.customer for job in printer.jobs[3:]] == ["C00001", "C00002"]
        assert PAPER_WORDS["paper-out"][0] in (await one.get("/papers/state")).text
        await one.submit(await one.get("/papers"), "/papers/print")
        await errands.idle.wait()
        assert [job.customer for job in printer.jobs[5:]] == ["C00002", "C00003"]
        assert [number for number, outcome, _ in prints(made) if outcome is PrintOutcome.PRINTED] == [1, 1, 1]


async def test_a_paper_in_doubt_that_did_come_out_is_confirmed_and_counts_once(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        printer.ends.append(UNSURE)
        await collect(made, "C00001")
        page = await first_paper(one, "doubt")
        assert "Xem ở máy in" in page.text
        for _ in range(2):
            assert (await one.submit(page, on_that_page(page, "seen"))).status == 200
        assert prints(made)[1:] == [(1, PrintOutcome.PRINTED, "seen-by-collector")]
        assert len(printer.jobs) == 1
        assert "Lần in: 1" in (await one.get("/papers?show=printed")).text
        assert "Chưa rõ 0" in (await one.get("/papers")).text


async def test_a_paper_in_doubt_that_did_not_come_out_is_printed_under_the_next_number(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        printer.ends.extend([UNSURE, UNSURE])
        await collect(made, "C00001")
        page = await first_paper(one, "doubt")
        assert "lần in 2" in page.text
        await one.submit(page, on_that_page(page, "print"))
        await made.app.quiet()
        assert [job.print_no for job in printer.jobs] == [1, 2]
        late = await one.submit(page, on_that_page(page, "seen"))
        assert late.path == page.path, "the answer about print 1 says nothing about print 2"
        assert prints(made)[-1] == (2, PrintOutcome.UNKNOWN, "no-fence")
        await one.submit(page, on_that_page(page, "print"))
        await made.app.quiet()
        assert len(printer.jobs) == 2, "the old button asks for a print that has been made"


async def test_a_double_tap_makes_one_reprint(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await collect(made, "C00001")
        page = await first_paper(one, "printed")
        assert "In lại, lần in 2" in page.text
        for _ in range(3):
            await one.submit(page, on_that_page(page, "print"))
            await made.app.quiet()
        assert [job.print_no for job in printer.jobs] == [1, 2]
        fresh = await one.get(page.path)
        await one.submit(fresh, on_that_page(page, "print"))
        await made.app.quiet()
        assert [job.print_no for job in printer.jobs] == [1, 2, 3]


async def test_while_a_paper_prints_its_page_offers_no_second_print(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await collect(made, "C00001")
        printer.may_end.clear()
        page = await first_paper(one, "printed")
        during = await one.submit(page, on_that_page(page, "print"))
        assert "Đang in" in during.text
        assert not any(form.action.startswith(on_that_page(page, "print")) for form in during.forms)
        printer.may_end.set()
        await made.app.quiet()


async def test_a_printed_receipt_that_is_voided_has_to_come_back(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        printed_no = await collect(made, "C00001")
        printer.ends.append(NO_PAPER)
        waiting_no = await collect(made, "C00002")
        for receipt_no in (printed_no, waiting_no):
            await do(
                made,
                VoidCollection(intent=intent(), receipt_no=receipt_no, reason=VoidReason.WRONG_CUSTOMER, note=None),
            )
        listed = await one.get("/papers")
        assert "Nộp lại 1" in listed.text
        page = await first_paper(one, "back")
        assert "C00001" in page.text
        assert "nộp về chi nhánh" in page.text
        assert not page.forms
        refused = await one.post(on_that_page(page, "print"), {"print_no": "2"})
        assert refused.status == 409
        assert len(printer.jobs) == 2
        assert "Đã in 0" in listed.text
        assert "Chờ in 0" in listed.text


async def test_a_reading_taken_anew_takes_the_place_of_the_paper_that_waited(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await do(made, TakeReading(intent=intent(), customer="C00001", code="normal", index=1239))
        printer.ends.append(NO_PAPER)
        await do(made, PrintPaper(kind=PaperKind.BILL_NOTICE, customer="C00001"))
        await made.app.quiet()
        page = await first_paper(one, "waiting")
        await do(made, TakeReading(intent=intent(), customer="C00001", code="normal", index=1238))
        listed = await one.get("/papers")
        assert "Chờ in 0" in listed.text
        assert "Còn 1 tờ" in listed.text
        late = await one.submit(page, on_that_page(page, "print"))
        assert late.status == 409
        assert len(printer.jobs) == 1


async def test_another_collector_sees_how_many_papers_there_are_and_none_of_them(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await give_a_route_to_another(made)
        printer.ends.extend([NO_PAPER, UNSURE])
        await collect(made, "C00001")
        await collect(made, "C00002")
        await collect(made, "C00003")
        mine = await first_paper(one, "waiting")
        unsure = await first_paper(one, "doubt")
        jobs = len(printer.jobs)
        async with tab(made) as other:
            await other.log_in(SECOND_COLLECTOR, PASSWORD)
            for show in ("", "?show=doubt", "?show=waiting", "?show=printed", "?show=back"):
                listed = await other.get(f"/papers{show}")
                assert "Còn 2 tờ" in listed.text
                assert not [link for link in listed.links if link.startswith("/papers/")]
            for path in (mine.path, f"{mine.path}/state"):
                assert (await other.get(path)).status == 404
            for path in (on_that_page(mine, "print"), on_that_page(unsure, "seen")):
                assert (await other.post(path, {"print_no": "1"})).status == 404
            assert (await other.post("/papers/print", {})).status == 409
            await other.open_shift()
            await other.post("/papers/print", {})
            await made.app.quiet()
        assert len(printer.jobs) == jobs


async def test_nothing_is_confirmed_in_the_name_of_another_whose_shift_came_last(
    tmp_path: Path, printer: MoodyPrinter
) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await give_a_route_to_another(made)
        printer.ends.append(UNSURE)
        await collect(made, "C00001")
        page = await first_paper(one, "doubt")
        await do(made, OpenShift(intent=intent(), collector=SECOND_COLLECTOR))
        await do(made, CloseShift(intent=intent()))
        refused = await one.submit(page, on_that_page(page, "seen"))
        assert refused.status == 409
        assert "Chưa mở ca" in refused.text
        await one.open_shift()
        await one.submit(page, on_that_page(page, "seen"))
        evidence = made.app.session.work.records[-1].header.evidence
        assert evidence is not None
        assert evidence.collector == branch.COLLECTOR


async def test_more_papers_than_a_screen_holds_stand_on_pages(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        customers = [f"C{number:05d}" for number in (1, 2, 3, 7, 8, 9, 10, 11)]
        for customer in customers:
            await collect(made, customer)
        seen: list[str] = []
        path: str | None = "/papers?show=printed"
        while path is not None:
            listed = await one.get(path)
            here = [link for link in listed.links if link.startswith("/papers/")]
            seen += dict.fromkeys(here)
            assert len(dict.fromkeys(here)) <= LINES_MAX
            first = len(seen)
            path = next((link for link in listed.links if f"&from={first}" in link), None)
        assert len(set(seen)) == len(customers)
        assert (await one.get("/papers?show=printed&from=9999")).status == 200
        assert (await one.get("/papers?show=riddles&from=x")).status == 200


@pytest.mark.parametrize(
    "path", ["zz/RECEIPT", "00/RECEIPT", "{receipt}/DAY_SLIP", "{receipt}/BOOK", "{shift}/RECEIPT"]
)
async def test_an_address_of_no_paper_is_answered_so(tmp_path: Path, printer: MoodyPrinter, path: str) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await collect(made, "C00001")
        work = made.app.session.work
        one_receipt = work.collection(1)
        assert one_receipt is not None
        real = path.format(receipt=one_receipt.sealed.digest.hex(), shift=work.records[0].digest.hex())
        assert (await one.get(f"/papers/{real}")).status == 404


async def test_nobody_prints_without_a_number(tmp_path: Path, printer: MoodyPrinter) -> None:
    async with at_work(tmp_path, printer) as (made, one):
        await collect(made, "C00001")
        page = await first_paper(one, "printed")
        for fields in ({}, {"print_no": ""}, {"print_no": "1"}, {"print_no": "7"}):
            assert (await one.post(on_that_page(page, "print"), fields)).status == 200
        assert (await one.post(on_that_page(page, "print"), {"print_no": "x"})).status == 400
        assert len(printer.jobs) == 1
