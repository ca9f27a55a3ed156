"""The store on a real disk: what is there after a cut, and what it refuses."""

import asyncio
import logging
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest

from device.core.commands import Collect, OpenShift, TakeReading
from device.core.effects import (
    Append,
    KeepAck,
    KeepChange,
    KeepCodes,
    KeepPackage,
    KeepPolicy,
    PaperJob,
    PaperState,
    QueuePaper,
)
from device.core.events import PackagesArrived
from device.core.log_in import Heard, Tries
from device.core.session import CollectorSession
from device.shelf import SESSIONS_MAX, Shelf
from device.store import SCHEMA_FOLDER, DeviceStore, NewerStoreError, StoreError, migrations
from protocol.chain import EMPTY, Tip
from protocol.records import (
    Evidence,
    Header,
    PackageRef,
    PaperKind,
    PaperPrinted,
    PrintOutcome,
    ReadingSkipped,
    Record,
)
from protocol.sealed import Sealed, seal_record
from protocol.values import ClockEvidence, ClockSource, NoFix
from tests.device.branch import (
    COLLECTOR,
    DEVICE_KEY,
    IMEI,
    NOON_MS,
    PERIOD,
    ROUTE,
    StillClock,
    codes,
    download,
    session_from,
)

SKIPPED = ReadingSkipped(customer="C00001", period=PERIOD, code="house_closed")


def next_record(tip: Tip, record: Record = SKIPPED) -> Sealed:
    evidence = Evidence(
        clock=ClockEvidence(b"boot-id!", 1_000, NOON_MS, 0, ClockSource.NONE),
        imei=IMEI,
        fix=NoFix.NO_RECEIVER,
        collector=COLLECTOR,
        package=PackageRef(ROUTE, 1),
        ack=bytes(32),
    )
    header = Header(seq=tip.seq + 1, prev=tip.digest, at_ms=NOON_MS, evidence=evidence)
    return seal_record(header, record, DEVICE_KEY)


def job_of(sealed: Sealed, print_no: int = 1) -> PaperJob:
    return PaperJob(kind=PaperKind.NOTICE, about=sealed.digest, print_no=print_no, customer="C00001")


def end_of(job: PaperJob, outcome: PrintOutcome, tip: Tip) -> Append:
    printed = PaperPrinted(
        period=PERIOD, paper=job.kind, about=job.about, print_no=job.print_no, outcome=outcome, customer=job.customer
    )
    return Append(sealed=next_record(tip, printed), ended=job)


async def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first = next_record(EMPTY)
    job = job_of(first)
    store = await DeviceStore.open(path)
    await store.append(Append(sealed=first, queue=job))
    await store.keep_policy(KeepPolicy(version=1, message=b"policy"))
    await store.keep_policy(KeepPolicy(version=2, message=b"newer policy"))
    await store.keep_package(KeepPackage(route="R02", version=1, message=b"other route"))
    await store.keep_package(KeepPackage(route="R01", version=1, message=b"package"))
    await store.keep_package(KeepPackage(route="R01", version=2, message=b"newer package"))
    await store.keep_change(KeepChange(route="R01", version=3, bodies=(("C1", b"old"), ("C2", b"other")), known_seq=7))
    await store.keep_change(KeepChange(route="R01", version=4, bodies=(("C1", b"new"),), known_seq=7))
    await store.keep_change(KeepChange(route="R02", version=9, bodies=()))
    await store.acknowledge(KeepAck(seq=0, message=b"ack of nothing"))
    await store.acknowledge(KeepAck(seq=1, message=b"ack"))
    await store.close()
    store = await DeviceStore.open(path)
    memory = await store.load()
    await store.close()
    assert memory.messages == (first.message,)
    assert memory.policy == b"newer policy"
    assert memory.packages == (b"newer package", b"other route")
    assert memory.changes == {"R01": (4, ((b"new", 7), (b"other", 7))), "R02": (9, ())}
    assert memory.papers == ((job, PaperState.WAITING),)
    assert (memory.acked_seq, memory.ack) == (1, b"ack")


async def test_a_session_rebuilt_from_disk_is_the_session_that_wrote_it(store: DeviceStore) -> None:
    clock, session = StillClock(), await session_from(store)
    inputs = [
        PackagesArrived(packages=download()),
        OpenShift(intent=bytes(15) + b"1", collector=COLLECTOR),
        TakeReading(intent=bytes(15) + b"2", customer="C00001", code="normal", index=121),
    ]
    for given in inputs:
        await perform(session, given, store, clock)
    due = session.work.stops["C00001"].due()
    assert due.amount_vnd > 0
    await perform(session, Collect(intent=bytes(15) + b"3", customer="C00001", amount_vnd=due.amount_vnd), store, clock)
    again = await session_from(store)
    assert again.work.tip == session.work.tip
    assert again.work.stops["C00001"].due() == session.work.stops["C00001"].due()
    assert again.work.progress() == session.work.progress()
    assert set(again.work.papers) == set(session.work.papers)


async def perform(session: CollectorSession, given: object, store: DeviceStore, clock: StillClock) -> None:
    for effect in session.handle(given, clock.now()):  # type: ignore[arg-type]
        match effect:
            case Append():
                await store.append(effect)
            case KeepPolicy():
                await store.keep_policy(effect)
            case KeepPackage():
                await store.keep_package(effect)
            case _:
                pass


@pytest.mark.parametrize(
    ("paper", "outcome", "left"),
    [
        ("came out", PrintOutcome.PRINTED, []),
        ("nobody knows", PrintOutcome.UNKNOWN, []),
        ("did not come out", PrintOutcome.NOT_PRINTED, [PaperState.WAITING]),
    ],
)
async def test_the_end_of_a_print_is_committed_with_its_record(
    store: DeviceStore, paper: str, outcome: PrintOutcome, left: list[PaperState]
) -> None:
    first = next_record(EMPTY)
    job = job_of(first)
    await store.append(Append(sealed=first, queue=job))
    await store.mark_started(job)
    assert (await store.load()).papers == ((job, PaperState.STARTED),)
    await store.append(end_of(job, outcome, first.tip))
    memory = await store.load()
    assert len(memory.messages) == 2
    assert [state for _, state in memory.papers] == left, paper


async def test_a_reprint_is_queued_and_a_dropped_paper_is_gone(store: DeviceStore) -> None:
    first = next_record(EMPTY)
    await store.append(Append(sealed=first))
    await store.queue_paper(QueuePaper(job=job_of(first, 2)))
    assert [job.print_no for job, _ in (await store.load()).papers] == [2]
    await store.append(Append(sealed=next_record(first.tip), dropped=(job_of(first, 2),)))
    assert (await store.load()).papers == ()


async def test_a_record_that_does_not_follow_the_last_one_is_refused(store: DeviceStore) -> None:
    first = next_record(EMPTY)
    second = next_record(first.tip)
    await store.append(Append(sealed=first))
    strangers = [
        next_record(second.tip),  # One is missing before it.
        first,  # It is there already.
        next_record(Tip(1, bytes(32))),  # It follows something else.
    ]
    for stranger in strangers:
        with pytest.raises(StoreError, match="does not follow"):
            await store.append(Append(sealed=stranger))
    await store.append(Append(sealed=second))
    assert await store.messages(1, 2) == (first.message, second.message)


async def test_a_record_whose_paper_cannot_be_queued_is_not_there_either(store: DeviceStore) -> None:
    first = next_record(EMPTY)
    await store.append(Append(sealed=first, queue=job_of(first)))
    with pytest.raises(StoreError):
        await store.append(Append(sealed=next_record(first.tip), queue=job_of(first)))
    assert len((await store.load()).messages) == 1


async def test_a_print_job_that_is_not_there_cannot_start_end_or_be_dropped(store: DeviceStore) -> None:
    first = next_record(EMPTY)
    await store.append(Append(sealed=first))
    with pytest.raises(StoreError, match="no such print job"):
        await store.mark_started(job_of(first))
    with pytest.raises(StoreError, match="no such print job"):
        await store.append(Append(sealed=next_record(first.tip), dropped=(job_of(first),)))
    with pytest.raises(StoreError, match="no such print job"):
        await store.append(end_of(job_of(first), PrintOutcome.PRINTED, first.tip))
    assert len((await store.load()).messages) == 1


async def test_records_that_are_not_there_are_not_handed_out(store: DeviceStore) -> None:
    first = next_record(EMPTY)
    await store.append(Append(sealed=first))
    with pytest.raises(StoreError, match="only 1"):
        await store.messages(1, 2)


async def test_nobody_deletes_or_edits_a_record(store: DeviceStore, tmp_path: Path) -> None:
    await store.append(Append(sealed=next_record(EMPTY)))
    with closing(sqlite3.connect(tmp_path / "store.db")) as other:
        for statement in ("DELETE FROM record", "UPDATE record SET message = x'00'"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                other.execute(statement)


async def test_a_whole_event_costs_one_hop_to_the_thread(store: DeviceStore, caplog: pytest.LogCaptureFixture) -> None:
    first = next_record(EMPTY)
    with caplog.at_level(logging.DEBUG, logger="aiosqlite"):
        await store.append(Append(sealed=first, queue=job_of(first)))
    assert sum(record.message.startswith("executing") for record in caplog.records) == 1


async def test_commits_are_synced_and_written_ahead(tmp_path: Path, store: DeviceStore) -> None:
    def settings(db: sqlite3.Connection) -> tuple[object, object]:
        (synchronous,) = db.execute("PRAGMA synchronous").fetchone()
        (mode,) = db.execute("PRAGMA journal_mode").fetchone()
        return synchronous, mode

    assert await store._run(settings) == (2, "wal")


async def test_a_store_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await (await DeviceStore.open(path)).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {len(migrations(SCHEMA_FOLDER)) + 1}")
    with pytest.raises(NewerStoreError, match="update it"):
        await DeviceStore.open(path)


async def test_a_damaged_store_is_not_worked_with(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await DeviceStore.open(path)
    tip = EMPTY
    for _ in range(50):
        sealed = next_record(tip)
        await store.append(Append(sealed=sealed))
        tip = sealed.tip
    await store.close()
    content = bytearray(path.read_bytes())
    content[8192 : len(content) - 4096] = b"\xff" * (len(content) - 12_288)
    path.write_bytes(content)
    with pytest.raises(StoreError):
        await DeviceStore.open(path)


async def test_something_that_is_no_database_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"a letter to somebody, and a long one " * 100)
    with pytest.raises(StoreError):
        await DeviceStore.open(path)
    assert path.read_bytes().startswith(b"a letter")


async def test_a_store_of_before_log_in_keeps_everything_and_learns_what_is_new(tmp_path: Path) -> None:
    first, path = tmp_path / "schema", tmp_path / "store.db"
    first.mkdir()
    shutil.copy(SCHEMA_FOLDER / "0001_store.sql", first)
    tip, sealed = EMPTY, []
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("PRAGMA journal_mode = WAL")
        for script in migrations(first):
            old.executescript(f"BEGIN;{script};PRAGMA user_version = 1;COMMIT;")
        given = download()
        old.execute("INSERT INTO policy VALUES (1, 1, ?)", (given.policy,))
        old.execute("INSERT INTO package VALUES (?, 1, ?)", (ROUTE, given.packages[0]))
        for _ in range(20):
            sealed.append(next_record(tip))
            tip = sealed[-1].tip
            row = (tip.seq, tip.digest, sealed[-1].record.KIND, sealed[-1].message)
            old.execute("INSERT INTO record VALUES (?, ?, ?, ?)", row)
        old.execute("INSERT INTO paper VALUES (?, 2, 1, 'C00001', 'waiting')", (tip.digest,))
        old.execute("INSERT INTO change VALUES ('C00001', ?, x'01')", (ROUTE,))
        old.execute("INSERT INTO change_version VALUES (?, 9)", (ROUTE,))
        old.execute("INSERT INTO ack VALUES (1, 5, x'02')")
        query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        tables = dict(old.execute(query))
    store = await DeviceStore.open(path)
    memory = await store.load()
    assert memory.messages == tuple(one.message for one in sealed)
    assert (memory.policy, memory.packages, memory.codes) == (given.policy, given.packages, None)
    assert memory.papers == ((job_of(sealed[-1]), PaperState.WAITING),)
    assert memory.changes == {ROUTE: (9, ((b"\x01", 0),))}
    assert (memory.acked_seq, memory.ack) == (5, b"\x02")
    shelf = Shelf(store)
    assert (await shelf.tries(COLLECTOR), await shelf.heard(), await shelf.pin(COLLECTOR)) == (Tries(), None, None)
    assert await shelf.sessions() == ()
    await shelf.keep_tries(COLLECTOR, Tries(failed=2))
    await store.append(Append(sealed=next_record(tip)))
    await store.close()
    with closing(sqlite3.connect(path)) as now:
        assert tables.items() <= dict(now.execute(query)).items(), "what was there stays as it was"
        with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
            now.execute("DELETE FROM record")
    again = await DeviceStore.open(path)
    assert (await Shelf(again).tries(COLLECTOR)).failed == 2
    await again.close()


async def test_codes_are_kept_and_a_newer_list_takes_their_place(store: DeviceStore) -> None:
    for version in (1, 2):
        message = codes(version=version)
        await store.keep_codes(KeepCodes(version=version, message=message))
        assert (await store.load()).codes == message


async def test_shelf_keeps_what_it_is_given_and_forgets_who_was_logged_in_before_the_machine_started(
    store: DeviceStore,
) -> None:
    shelf = Shelf(store)
    tries, heard = Tries(failed=3, boot=b"boot", until_up_ms=30_000, opened=2), Heard(at_ms=1, latest_ms=2, seq=3)
    await shelf.keep_tries("a", tries)
    await shelf.keep_heard(heard)
    await shelf.keep_pin("a", "verifier")
    await shelf.keep_preference("a", "language", "vi")
    await shelf.keep_preference("", "last", "C00001")
    assert (await shelf.tries("a"), await shelf.heard(), await shelf.pin("a")) == (tries, heard, "verifier")
    assert await shelf.tries("b") == Tries()
    assert await shelf.preference("a", "language") == "vi"
    assert (await shelf.preference("", "last"), await shelf.preference("a", "last")) == ("C00001", None)
    for number in range(SESSIONS_MAX + 3):
        await shelf.keep_session(bytes([number]) * 32, "a", b"boot", number)
    assert [seen for *_, seen in await shelf.sessions()] == list(range(3, SESSIONS_MAX + 3))
    await shelf.end_session(bytes([3]) * 32)
    assert len(await shelf.sessions()) == SESSIONS_MAX - 1
    await shelf.keep_session(b"n" * 32, "b", b"next", 0)
    assert await shelf.sessions() == ((b"n" * 32, "b", b"next", 0),)


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    folder, path = tmp_path / "schema", tmp_path / "store.db"
    folder.mkdir()
    (folder / "0001_one.sql").write_text("CREATE TABLE one (a INTEGER);")
    (folder / "0002_two.sql").write_text("CREATE TABLE two (a INTEGER);\nCREATE TABLE one (b INTEGER);")
    with pytest.raises(StoreError, match="already exists"):
        await DeviceStore.open(path, folder)
    with closing(sqlite3.connect(path)) as db:
        assert [name for (name,) in db.execute("SELECT name FROM sqlite_master")] == ["one"]
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    (folder / "0002_two.sql").write_text("CREATE TABLE two (a INTEGER);")
    await (await DeviceStore.open(path, folder)).close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)


async def test_a_full_disk_is_a_failed_write_and_the_store_goes_on_to_be_read(store: DeviceStore) -> None:
    first = next_record(EMPTY)
    await store.append(Append(sealed=first))
    await store._run(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone())
    written = [first]

    async def write_until_full() -> NoReturn:
        while True:
            sealed = next_record(written[-1].tip)
            await store.append(Append(sealed=sealed))
            written.append(sealed)

    with pytest.raises(StoreError, match="full"):
        await write_until_full()
    assert (await store.load()).messages == tuple(sealed.message for sealed in written)


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = await DeviceStore.open(tmp_path / "store.db")
    await store.close()
    with pytest.raises(StoreError):
        await store.load()


APPENDER = """
import asyncio, sys
from pathlib import Path
from device.core.effects import Append
from device.store import DeviceStore
from protocol.chain import EMPTY
from tests.device.test_store import next_record

async def main():
    store = await DeviceStore.open(Path(sys.argv[1]))
    tip = EMPTY
    while True:
        sealed = next_record(tip)
        await store.append(Append(sealed=sealed))
        tip = sealed.tip
        print(sealed.digest.hex(), flush=True)

asyncio.run(main())
"""


async def test_a_process_killed_while_it_writes_keeps_every_record_it_spoke_of(tmp_path: Path) -> None:
    for round_no, records in enumerate((1, 40)):
        path = tmp_path / f"{round_no}.db"
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", APPENDER, str(path), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        output = b"".join([await child.stdout.readline() for _ in range(records)])
        child.send_signal(signal.SIGKILL)
        output += await child.stdout.read()
        assert await child.wait() == -signal.SIGKILL
        store = await DeviceStore.open(path)
        kept = (await store.load()).messages
        await store.close()
        whole = [line.decode().strip() for line in output.splitlines(keepends=True) if line.endswith(b"\n")]
        chain, tip = [], EMPTY
        for _ in kept:
            sealed = next_record(tip)
            tip = sealed.tip
            chain.append(sealed)
        assert list(kept) == [sealed.message for sealed in chain]
        assert [sealed.digest.hex() for sealed in chain][: len(whole)] == whole
        assert len(kept) in (len(whole), len(whole) + 1)
