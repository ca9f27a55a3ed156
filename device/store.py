"""The handheld's memory on disk: SQLite in WAL mode, every commit synced.

One connection does all reads and writes. A durable effect is one hop to its thread and one transaction; when the call
returns, a power cut loses nothing of it. Any error is a StoreError, after which the process must start again from what
is on disk: the core has already decided as if the write had worked.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiosqlite

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
from device.core.memory import Memory
from device.keystore import sync_folder
from protocol.chain import EMPTY
from protocol.records import PaperKind, PaperPrinted, PrintOutcome

SCHEMA_FOLDER = Path(__file__).parent / "schema"
BUSY_TIMEOUT_MS = 5_000  # Only someone looking at the file with another program can make us wait.
T = TypeVar("T")


class StoreError(Exception):
    """Something could not be written or read for certain. There is no going on in this process."""


class NewerStoreError(StoreError):
    """The database was written by a later version of this program."""


class DeviceStore:
    """All that outlives a power cut, but for the keys. Open with `open`, close with `close`."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db

    @classmethod
    async def open(cls, path: Path, schema: Path = SCHEMA_FOLDER) -> "DeviceStore":
        """Open or make the database, check it, and bring its tables up to this version. Raises StoreError."""
        try:
            db = await aiosqlite.connect(path, isolation_level=None)
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be opened: {error}") from error
        store = cls(db)
        try:
            await store._run(partial(_prepare, migrations(schema)))
            sync_folder(path.parent)  # SQLite syncs the folder for its log, not for a database it has just made.
        except (StoreError, OSError) as error:
            await db.close()
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{path.parent} cannot be synced: {error}") from error
        return store

    async def close(self) -> None:
        """Wait for what is under way and close."""
        await self._db.close()

    # Durable effects. Each returns once it is on disk.

    async def append(self, effect: Append) -> None:
        """Commit a record with the job of its paper, or the end of one. Only the next of the chain is taken."""
        await self.commit(partial(_append, effect))

    async def queue_paper(self, effect: QueuePaper) -> None:
        """Commit a print job."""
        await self.commit(partial(_insert_paper, effect.job))

    async def keep_policy(self, effect: KeepPolicy) -> None:
        """Commit the policy in force."""
        await self.commit(partial(_execute, "REPLACE INTO policy VALUES (1, ?, ?)", (effect.version, effect.message)))

    async def keep_codes(self, effect: KeepCodes) -> None:
        """Commit the supervisor's codes in force."""
        await self.commit(partial(_execute, "REPLACE INTO codes VALUES (1, ?, ?)", (effect.version, effect.message)))

    async def keep_package(self, effect: KeepPackage) -> None:
        """Commit a route's package in place of the one before."""
        row = (effect.route, effect.version, effect.message)
        await self.commit(partial(_execute, "REPLACE INTO package VALUES (?, ?, ?)", row))

    async def keep_change(self, effect: KeepChange) -> None:
        """Commit what the hub said of some customers, and how far that reaches."""
        await self.commit(partial(_keep_change, effect))

    async def acknowledge(self, effect: KeepAck) -> None:
        """Commit the hub's word. Nothing is deleted for it: acked records stay."""
        await self.commit(partial(_execute, "REPLACE INTO ack VALUES (1, ?, ?)", (effect.seq, effect.message)))

    async def mark_started(self, job: PaperJob) -> None:
        """Commit that a paper's first byte is about to leave: from here on nobody can say that it is not out."""
        await self.commit(partial(_set_state, job, PaperState.STARTED))

    # Reading.

    async def messages(self, from_seq: int, to_seq: int) -> tuple[bytes, ...]:
        """Signed records from..to, both included. Raises StoreError when one is missing."""
        return await self._run(partial(_messages, from_seq, to_seq))

    async def load(self) -> Memory:
        """All that a session is rebuilt from."""
        return await self.commit(_load)

    async def commit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction, on disk when this returns. Raises StoreError."""
        return await self._run(partial(_transaction, work))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function on the connection in the connection's thread: one hop, however many statements."""
        try:
            # aiosqlite's public calls hop to the thread for each statement, and a hop costs as much as a commit. Its
            # own `_execute` takes any function; a test holds us to that, should an upgrade change it.
            result: T = await self._db._execute(work, self._db._conn)  # type: ignore[no-untyped-call]
        except (sqlite3.Error, ValueError) as error:  # ValueError: the connection is closed.
            raise StoreError(f"the store failed: {error}") from error
        return result


def migrations(folder: Path) -> tuple[str, ...]:
    """Texts of NNNN_name.sql, from 0001 on without a gap."""
    files = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1)), "migrations must be numbered"
    return tuple(file.read_text(encoding="utf-8") for file in files)


def _prepare(scripts: tuple[str, ...], db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    found = [row[0] for row in db.execute("PRAGMA quick_check(1)")]
    if found != ["ok"]:
        raise StoreError(f"the database is damaged: {found[0]}")
    (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"this file system gives no write-ahead log, but {mode}")
    db.execute("PRAGMA synchronous = FULL")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(scripts):
        raise NewerStoreError(f"the database has version {version}, this program knows {len(scripts)}: update it")
    for number, script in enumerate(scripts[version:], version + 1):
        try:
            db.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _transaction(work: Callable[[sqlite3.Connection], T], db: sqlite3.Connection) -> T:
    db.execute("BEGIN IMMEDIATE")
    try:
        result = work(db)
        db.execute("COMMIT")
    except (sqlite3.Error, StoreError):
        if db.in_transaction:  # A full disk has ended it already.
            db.execute("ROLLBACK")
        raise
    return result


def _execute(statement: str, row: tuple[object, ...], db: sqlite3.Connection) -> None:
    db.execute(statement, row)


def _append(effect: Append, db: sqlite3.Connection) -> None:
    sealed = effect.sealed
    head = db.execute("SELECT seq, digest FROM record ORDER BY seq DESC LIMIT 1").fetchone() or tuple(EMPTY)
    if (sealed.header.seq - 1, sealed.header.prev) != head:
        raise StoreError(f"record {sealed.header.seq} does not follow record {head[0]}")
    row = (sealed.header.seq, sealed.digest, sealed.record.KIND, sealed.message)
    db.execute("INSERT INTO record VALUES (?, ?, ?, ?)", row)
    if effect.queue is not None:
        _insert_paper(effect.queue, db)
    if effect.ended is not None:
        assert isinstance(sealed.record, PaperPrinted)
        if sealed.record.outcome is PrintOutcome.NOT_PRINTED:
            _set_state(effect.ended, PaperState.WAITING, db)
        else:
            _delete_paper(effect.ended, db)
    for job in effect.dropped:
        _delete_paper(job, db)


def _insert_paper(job: PaperJob, db: sqlite3.Connection) -> None:
    row = (job.about, job.kind, job.print_no, job.customer, PaperState.WAITING.value)
    db.execute("INSERT INTO paper VALUES (?, ?, ?, ?, ?)", row)


def _set_state(job: PaperJob, state: PaperState, db: sqlite3.Connection) -> None:
    statement = "UPDATE paper SET state = ? WHERE about = ? AND kind = ? AND print_no = ?"
    _changed_one(db.execute(statement, (state.value, job.about, job.kind, job.print_no)))


def _delete_paper(job: PaperJob, db: sqlite3.Connection) -> None:
    statement = "DELETE FROM paper WHERE about = ? AND kind = ? AND print_no = ?"
    _changed_one(db.execute(statement, (job.about, job.kind, job.print_no)))


def _changed_one(cursor: sqlite3.Cursor) -> None:
    if cursor.rowcount != 1:
        raise StoreError("there is no such print job")


def _keep_change(effect: KeepChange, db: sqlite3.Connection) -> None:
    rows = ((customer, effect.route, body) for customer, body in effect.bodies)
    db.executemany("REPLACE INTO change VALUES (?, ?, ?)", rows)
    known = ((customer, effect.known_seq) for customer, _ in effect.bodies)
    db.executemany("REPLACE INTO change_known VALUES (?, ?)", known)
    db.execute("REPLACE INTO change_version VALUES (?, ?)", (effect.route, effect.version))


def _messages(from_seq: int, to_seq: int, db: sqlite3.Connection) -> tuple[bytes, ...]:
    rows = db.execute("SELECT message FROM record WHERE seq BETWEEN ? AND ? ORDER BY seq", (from_seq, to_seq))
    found = tuple(message for (message,) in rows)
    if len(found) != to_seq - from_seq + 1:
        raise StoreError(f"of records {from_seq} to {to_seq} only {len(found)} are there")
    return found


def _load(db: sqlite3.Connection) -> Memory:
    """In one transaction, so that all of it is of one moment."""
    policy = db.execute("SELECT message FROM policy").fetchone()
    ack = db.execute("SELECT seq, message FROM ack").fetchone()
    codes = db.execute("SELECT message FROM codes").fetchone()
    bodies: defaultdict[str, list[tuple[bytes, int]]] = defaultdict(list)
    query = "SELECT route, body, coalesce(known_seq, 0) FROM change LEFT JOIN change_known USING (customer)"
    for route, body, known_seq in db.execute(f"{query} ORDER BY customer"):
        bodies[route].append((body, known_seq))
    versions = db.execute("SELECT route, version FROM change_version ORDER BY route").fetchall()
    papers = db.execute("SELECT kind, about, print_no, customer, state FROM paper ORDER BY about, kind").fetchall()
    return Memory(
        policy=policy[0] if policy else None,
        packages=tuple(message for (message,) in db.execute("SELECT message FROM package ORDER BY route")),
        messages=tuple(message for (message,) in db.execute("SELECT message FROM record ORDER BY seq")),
        changes={route: (version, tuple(bodies[route])) for route, version in versions},
        papers=tuple(
            (PaperJob(kind=PaperKind(kind), about=about, print_no=print_no, customer=customer), PaperState(state))
            for kind, about, print_no, customer, state in papers
        ),
        acked_seq=ack[0] if ack else 0,
        ack=ack[1] if ack else None,
        codes=codes[0] if codes else None,
    )
