"""The hub's database: one connection that writes and checkpoints, others that only read.

SQLite before 3.51.3 can lose a commit when two connections checkpoint (the WAL-reset bug), so all writes of a process
go through one connection under a lock, and a lock file keeps a second process from writing. `BEGIN IMMEDIATE` is
explicit: the driver's own transactions begin too late. synchronous=FULL: an ack means that the record is on the disk.
"""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hub.store.schema import metadata

T = TypeVar("T")
MIGRATIONS = Path(__file__).parent / "migrations"
GROWING = ("fact", "ledger", "case_file", "account", "customer", "bank_line", "day_close", "decision")
ROWS_TYPICAL = 1_000_000  # Facts of a branch in two years.
ROWS_FALL_BITS = 7  # Each further column of a key leaves a 128th of the rows.
ROWS_PARTIAL_BITS = 10  # An index with a condition holds a thousandth of its table.
READERS = 2  # The page and the API; more would only queue for the same disk.


class HubIsBusyError(Exception):
    """Another process has the hub's database open for writing. `home` says which."""

    def __init__(self, home: Path) -> None:
        super().__init__(f"the hub in {home} is open in another process")
        self.home = home


class HomeLock:
    """At most one writing process per hub home. Held until released or the process ends."""

    def __init__(self, home: Path) -> None:
        self._file = (home / "hub.lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise HubIsBusyError(home) from error

    def release(self) -> None:
        """Let the next process in."""
        self._file.close()


class Database:
    """Open by `Database.open`. `write` and `read` run a function with a SQLAlchemy connection inside a transaction.

    upgraded: an older hub had left this file, so what it had folded is not what this one folds.
    """

    def __init__(
        self, writer: AsyncEngine, reader: AsyncEngine, connection: AsyncConnection, *, upgraded: bool
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._connection = connection
        self.upgraded = upgraded
        self._lock = asyncio.Lock()
        self.on_rollback: Callable[[], None] = lambda: None

    @classmethod
    async def open(cls, path: Path) -> "Database":
        """Open a SQLite file, bringing it to the newest schema."""
        upgraded = migrate(path)
        writer = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=1, max_overflow=0)
        reader = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=READERS, max_overflow=0)
        _prepare(writer, "BEGIN IMMEDIATE", ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"))
        _prepare(reader, "BEGIN", ("query_only=ON", "wal_autocheckpoint=0"))
        connection = await writer.connect()
        return cls(writer, reader, connection, upgraded=upgraded)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction; it is durable when this returns. Rolled back when `work` raises.

        `on_rollback` is called then, before the next writer comes in: what was read inside must not be remembered.
        """
        async with self._lock:
            committed = False
            try:
                async with self._connection.begin():
                    result = await self._connection.run_sync(work)
                committed = True
            finally:
                if not committed:
                    self.on_rollback()
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one consistent state."""
        async with self.reading() as connection:
            return await connection.run_sync(work)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that cannot write."""
        async with self._reader.connect() as connection, connection.begin():
            yield connection

    async def close(self) -> None:
        """Readers first, so that the last to close, which checkpoints, is the writer."""
        await self._reader.dispose()
        await self._connection.close()
        await self._writer.dispose()


def _prepare(engine: AsyncEngine, begin: str, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: Any, record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("busy_timeout=5000", "foreign_keys=ON", *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin_now(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def describe_to_planner(path: Path) -> None:
    """Tell SQLite how selective the keys are, by fixed figures, so that plans never depend on what a branch has so far.

    Without statistics it believes that `unit` alone finds ten rows, and walks the whole branch for each customer.
    """
    rows: list[tuple[str, str, str]] = []
    for table in (metadata.tables[name] for name in GROWING):
        clustered = not table.dialect_options["sqlite"]["with_rowid"]
        primary = table.name if clustered else f"sqlite_autoindex_{table.name}_1"
        keys = [(primary, table.primary_key.columns, ROWS_TYPICAL)]
        for index in table.indexes:
            partial = index.dialect_options["sqlite"]["where"] is not None
            here = ROWS_TYPICAL >> ROWS_PARTIAL_BITS if partial else ROWS_TYPICAL
            keys.append((str(index.name), index.columns, here))
        for name, columns, here in keys:
            found = [max(1, here >> ROWS_FALL_BITS * step) for step in range(len(columns))]
            rows.append((table.name, name, " ".join(map(str, [here, *found]))))
    database = sqlite3.connect(path)
    with closing(database), database:
        database.execute("ANALYZE sqlite_master")  # Makes the table of statistics, and looks at nothing large.
        database.execute("DELETE FROM sqlite_stat1")
        database.executemany("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", rows)


def migrate(path: Path) -> bool:
    """Bring a database file to the newest schema; whether an older one was there."""
    before = _revision(path)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    command.upgrade(config, "head")
    describe_to_planner(path)
    path.chmod(0o600)  # Names, addresses and money.
    return before not in (None, _revision(path))


def _revision(path: Path) -> str | None:
    """The schema that a database file has; None for a file that has none."""
    database = sqlite3.connect(path)
    with closing(database):
        known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0]) if known else None
