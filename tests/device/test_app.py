"""The loop with a real store, printer and socket around the session; the power is cut with real kills."""

import asyncio
import itertools
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import NoReturn

import pytest

from device.app import App, Network
from device.clock import Clock
from device.core.commands import Collect, DownloadRoute, OpenShift, OpenStop, PrintPaper, TakeReading
from device.core.effects import Answer, Done, FetchPackages, PaperJob, PaperState, PrintResult
from device.core.events import Event, PackagesArrived, Tick, UploadLost
from device.core.session import CollectorSession
from device.printing import PRINTED, Files, PaperPress, Printer, Starting, TextFolder
from device.store import DeviceStore, StoreError
from device.uplink import NetworkEffect, Uplink
from protocol.document import Document
from protocol.records import CashCollected, PaperKind, PaperPrinted, PrintOutcome, ReadingTaken, ShiftOpened
from protocol.values import Instant
from tests.device.branch import COLLECTOR, DEVICE_KEY, SmallHub, StillClock, download, identity, session_from


def intent(number: int) -> bytes:
    return number.to_bytes(16)


OPEN = OpenShift(intent=intent(1), collector=COLLECTOR)
READ = TakeReading(intent=intent(2), customer="C00001", code="normal", index=121)


class DiedError(Exception):
    """The process would have ended here."""


def die(error: BaseException) -> NoReturn:
    raise DiedError from error


class NoNetwork:
    """Out of reach of any cell."""

    async def perform(self, effect: NetworkEffect) -> Event:
        return UploadLost(sentence="no network")


@asynccontextmanager
async def app_with(
    store: DeviceStore,
    printer: Printer,
    network: Network | None = None,
    hub: SmallHub | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[App]:
    clock = clock or StillClock()
    session = await session_from(store)
    uplink = None
    if hub is not None:
        network = uplink = Uplink(
            hub.url, key=DEVICE_KEY, clock=clock, messages=store.messages, made=lambda: session.work.tip.seq
        )
    app = App(
        session,
        store=store,
        press=PaperPress(store, printer),
        network=network or NoNetwork(),
        clock=clock,
        die=die,
    )
    await app.start(tick_s=None)
    try:
        yield app
    finally:
        await app.close()
        if uplink is not None:
            await uplink.close()


async def keep_download(store: DeviceStore, printer: Printer, hub: SmallHub) -> None:
    async with app_with(store, printer, hub=hub) as app:
        await app.dispatch(DownloadRoute())
        await app.quiet()


def done(answer: Answer | None) -> Done:
    assert answer is not None
    assert isinstance(answer.outcome, Done), answer
    return answer.outcome


async def work(app: App) -> Done:
    """Open, read and collect at the first stop."""
    done(await app.dispatch(OPEN))
    done(await app.dispatch(READ))
    due = app.session.work.stops["C00001"].due()
    return done(await app.dispatch(Collect(intent=intent(3), customer="C00001", amount_vnd=due.amount_vnd)))


async def test_one_payment_from_the_key_to_paper_and_hub(tmp_path: Path, store: DeviceStore, hub: SmallHub) -> None:
    async with app_with(store, TextFolder(tmp_path), hub=hub) as app:
        done(await app.dispatch(DownloadRoute()))
        await app.quiet()
        collected = await work(app)
        done(await app.dispatch(OpenStop(customer="C00001")))
        await app.quiet()
        assert app.session.outbox.unsent == 0
        assert not app.under_way
    memory = await store.load()
    assert collected.sealed is not None
    assert collected.sealed.message == memory.messages[3]
    assert [type(one.record).__name__ for one in app.session.work.records] == [
        "ShiftOpened",
        "DeviceStatus",
        "ReadingTaken",
        "CashCollected",
        "PaperPrinted",
    ]
    assert tuple(hub.records) == memory.messages
    assert memory.acked_seq == 5
    assert memory.papers == ()
    assert (tmp_path / "papers.txt").read_text().count("===") == 1


async def test_the_same_intent_twice_is_one_collection_and_one_paper(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    printer = TextFolder(tmp_path)
    await keep_download(store, printer, hub)
    async with app_with(store, printer) as app:
        first = await work(app)
        assert first.sealed is not None
        again = Collect(intent=intent(3), customer="C00001", amount_vnd=1)
        answers = await asyncio.gather(*(app.dispatch(again) for _ in range(5)))
        assert all(done(answer) == Done(sealed=first.sealed, again=True) for answer in answers)
        await app.quiet()
    assert (tmp_path / "papers.txt").read_text().count("===") == 1


async def test_an_answer_is_given_only_of_what_is_on_disk(tmp_path: Path, store: DeviceStore, hub: SmallHub) -> None:
    printer = TextFolder(tmp_path)
    await keep_download(store, printer, hub)
    async with app_with(store, printer) as app:
        for command in (OPEN, READ):
            sealed = done(await app.dispatch(command)).sealed
            assert sealed is not None
            assert sealed.message in (await store.load()).messages
            assert (await store.load()).messages == tuple(one.message for one in app.session.work.records)


async def test_a_full_disk_ends_the_process_before_anything_is_seen(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    printer = TextFolder(tmp_path)
    await keep_download(store, printer, hub)
    async with app_with(store, printer, hub=hub) as app:
        done(await app.dispatch(OPEN))
        done(await app.dispatch(READ))
        await app.quiet()
        pages = await store._run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
        await store._run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        sent, due = len(hub.records), app.session.work.stops["C00001"].due()

        async def read_until_full() -> NoReturn:
            for number in itertools.count(10):
                await app.dispatch(replace(READ, intent=intent(number), customer="C00002"))
            raise AssertionError

        with pytest.raises(DiedError) as died:
            await read_until_full()
        assert isinstance(died.value.__cause__, StoreError)
        with pytest.raises(AssertionError, match="went on"):
            await app.dispatch(Collect(intent=intent(3), customer="C00001", amount_vnd=due.amount_vnd))
    assert set(hub.records[sent:]) <= set((await store.load()).messages)
    assert not (tmp_path / "papers.txt").exists()


async def test_a_caller_that_goes_away_leaves_no_half_a_turn(tmp_path: Path, store: DeviceStore, hub: SmallHub) -> None:
    printer = TextFolder(tmp_path)
    await keep_download(store, printer, hub)
    async with app_with(store, printer) as app:
        caller = asyncio.create_task(app.dispatch(OPEN))
        await asyncio.sleep(0)  # It has begun to wait, and its turn is under way.
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        done(await app.dispatch(READ))
        await app.quiet()
    assert len((await store.load()).messages) == 3
    assert (await session_from(store)).work.tip == app.session.work.tip


class CountingClock(StillClock):
    """Is asked for the time once for each decision."""

    decisions = 0

    def now(self) -> Instant:
        self.decisions += 1
        return super().now()


async def test_nothing_is_decided_before_the_last_decision_is_on_disk(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    printer = TextFolder(tmp_path)
    await keep_download(store, printer, hub)
    clock = CountingClock()
    async with app_with(store, printer, clock=clock) as app:
        done(await app.dispatch(OPEN))
        await app.quiet()
        with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # Nothing can be committed while somebody else writes.
            before = clock.decisions
            readings = [asyncio.create_task(app.dispatch(replace(READ, intent=intent(n)))) for n in range(10, 15)]
            for _ in range(20):
                await asyncio.sleep(0)  # Whoever could decide has decided by then.
            assert clock.decisions == before + 1
            other.execute("ROLLBACK")
        assert all(done(answer).sealed for answer in await asyncio.gather(*readings))


async def test_who_waits_for_something_is_woken_by_the_turn_that_brings_it(tmp_path: Path, store: DeviceStore) -> None:
    async with app_with(store, TextFolder(tmp_path)) as app:
        work = app.session.work
        assert await app.until(lambda: work.policy is None, 0)
        assert not await app.until(lambda: work.policy is not None, 0)
        waiting = [asyncio.create_task(app.until(lambda: "C00001" in work.stops, 30)) for _ in range(3)]
        await app.dispatch(Tick())
        assert not any(task.done() for task in waiting)
        await app.dispatch(PackagesArrived(packages=download()))
        assert await asyncio.gather(*waiting) == [True] * 3


class OddPrinter(Files):
    """Breaks the contract of printers."""

    async def print(self, job: PaperJob, document: Document, starting: Starting) -> PrintResult:
        await starting()
        raise ZeroDivisionError


async def test_a_printer_that_breaks_its_contract_leaves_a_paper_nobody_knows_of(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    await keep_download(store, TextFolder(tmp_path), hub)
    async with app_with(store, OddPrinter()) as app:
        await work(app)
        (print_under_way,) = app._under_way
        with pytest.raises(DiedError):
            await print_under_way
    async with app_with(store, TextFolder(tmp_path)) as app:
        ended = [one.record for one in app.session.work.records if isinstance(one.record, PaperPrinted)]
        assert [(one.outcome, one.reason) for one in ended] == [(PrintOutcome.UNKNOWN, "restart")]
        assert app.session.work.papers == {}
    assert not (tmp_path / "papers.txt").exists()


async def test_a_paper_that_did_not_come_out_waits_and_comes_out_under_its_number(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    folder = tmp_path / "papers"
    printer = TextFolder(folder)
    await keep_download(store, printer, hub)
    async with app_with(store, printer) as app:
        await work(app)
        await app.quiet()
        assert list(app.session.work.papers.values()) == [PaperState.WAITING]
    async with app_with(store, printer) as app:
        await app.dispatch(Tick())
        await app.quiet()
        assert not folder.exists(), "nothing is printed by itself after a restart"
        folder.mkdir()
        done(await app.dispatch(PrintPaper(customer="C00001", kind=PaperKind.RECEIPT, receipt_no=1)))
        await app.quiet()
        assert app.session.work.papers == {}
    assert "=== receipt_C00001_1" in (folder / "papers.txt").read_text()


async def test_time_that_goes_by_sends_what_could_not_be_sent(
    tmp_path: Path, store: DeviceStore, hub: SmallHub
) -> None:
    printer = TextFolder(tmp_path)
    await keep_download(store, printer, hub)
    async with app_with(store, printer) as app:
        await work(app)
        await app.quiet()
        assert app.session.outbox.unsent > 0
        assert app.session.outbox.trouble == "no network"
    async with app_with(store, printer, hub=hub) as app:
        await app.dispatch(Tick())
        await app.quiet()
        assert app.session.outbox.unsent == 0
    assert len(hub.records) == len((await store.load()).messages)


# One process loads everything once and forks: each child plays the day and is cut at a checkpoint of its own.
FORKS = """
import asyncio, os, sys
from pathlib import Path
from device.checkpoints import KILL_VARIABLE
from tests.device.test_app import scripted_day

folder, number, status = Path(sys.argv[1]), 0, -9
while status == -9:
    number += 1
    home = folder / str(number)
    home.mkdir()
    child = os.fork()
    if child == 0:
        os.environ[KILL_VARIABLE] = str(number)
        asyncio.run(scripted_day(home))
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, flush=True)
"""


class Scribe(Files):
    """A printer that notes at once what it was given."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def print(self, job: PaperJob, document: Document, starting: Starting) -> PrintResult:
        await starting()
        with self.path.open("a") as paper:
            paper.write(f"{job.about.hex()} {job.print_no}\n")
        return PRINTED


class DownloadsOnly:
    """A network that brings packages and takes no records."""

    async def perform(self, effect: NetworkEffect) -> Event:
        if isinstance(effect, FetchPackages):
            return PackagesArrived(packages=download())
        return UploadLost(sentence="no network")


async def scripted_day(home: Path) -> None:
    """A collector who, after every restart, taps the same taps with the same intents."""
    store = await DeviceStore.open(home / "store.db")
    session = CollectorSession(identity(), await store.load(), Random(1))
    press = PaperPress(store, Scribe(home / "papers.txt"))
    app = App(session, store=store, press=press, network=DownloadsOnly(), clock=StillClock(), die=die)
    await app.start(tick_s=None)
    await app.dispatch(DownloadRoute())
    await app.quiet()
    for command in (OPEN, READ):
        done(await app.dispatch(command))
    amount_vnd = session.work.stops["C00001"].due().amount_vnd or 1  # Collected already: the intent alone counts.
    collected = done(await app.dispatch(Collect(intent=intent(3), customer="C00001", amount_vnd=amount_vnd)))
    assert collected.sealed is not None
    with (home / "answers.txt").open("a") as answers:
        answers.write(f"{collected.sealed.digest.hex()}\n")
    await app.quiet()
    await app.close()
    await store.close()


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def test_the_power_may_fail_between_any_two_effects(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FORKS, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    *cut, survived = output.decode().split()
    assert survived == "0"
    assert len(cut) > 20, "the day must have more places than this to fail at"
    fates = {await fate_after(tmp_path / str(number)) for number in range(1, len(cut) + 1)}
    assert fates == {"waiting", "printed", "unknown, not out", "unknown, out"}


async def fate_after(home: Path) -> str:
    """Go on after the cut, and say what became of the paper. Nothing may be lost, doubled or printed by itself."""
    printed_before, answered_before = lines(home / "papers.txt"), lines(home / "answers.txt")
    await scripted_day(home)
    store = await DeviceStore.open(home / "store.db")
    session = await session_from(store)
    await store.close()
    records = [one.record for one in session.work.records]
    kinds = [type(record) for record in records]
    assert [kinds.count(kind) for kind in (ShiftOpened, ReadingTaken, CashCollected)] == [1, 1, 1]
    (collected,) = [one for one in session.work.records if isinstance(one.record, CashCollected)]
    assert set(answered_before) <= {collected.digest.hex()}
    papers = lines(home / "papers.txt")
    assert papers in ([], [f"{collected.digest.hex()} 1"])
    outcomes = [record.outcome for record in records if isinstance(record, PaperPrinted)]
    match outcomes:
        case []:
            assert list(session.work.papers.values()) == [PaperState.WAITING]
            assert papers == []
            return "waiting"
        case [PrintOutcome.PRINTED]:
            assert len(papers) == 1
            return "printed"
        case [PrintOutcome.UNKNOWN]:
            assert papers == printed_before
            return "unknown, out" if papers else "unknown, not out"
        case _:
            raise AssertionError(outcomes)
