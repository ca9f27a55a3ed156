"""The database: its migrations make the tables that the code knows, and what runs all day searches by key."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator, Set
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, event, select, text, update
from sqlalchemy.exc import OperationalError

from hub.codes import give, keep_ready
from hub.home import DATABASE_FILE
from hub.office import publish
from hub.store.database import Database, HomeLock, HubIsBusyError, migrate
from hub.store.schema import ABOUT_CODES, metadata, unit
from protocol.codes import code_proof
from protocol.records import LogInOpened, RuleOverridden
from tests.hub.oracle import supervisors_code
from tests.hub.test_cashier import HOUSES, Desk, fresh_handset
from tests.hub.worlds import HUB_SEED, PERIOD, ROUTES, reading_of, set_up

FEW_ROWS = {"unit", "policy", "tariff", "person", "code_sheet"}  # They do not grow with the work.


def test_migrations_make_the_tables_of_the_schema(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_FILE
    for _ in range(2):
        migrate(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        made = {row[0]: row[1] for row in connection.execute(text("SELECT name, sql FROM sqlite_master"))}
    engine.dispose()
    assert "WITHOUT ROWID" in made["fact"]
    assert path.stat().st_mode & 0o077 == 0


def test_every_key_begins_with_the_unit() -> None:
    for table in metadata.tables.values():
        keys = [table.primary_key.columns, *(index.columns for index in table.indexes)]
        assert [next(iter(columns)).name for columns in keys] == ["unit"] * len(keys), table.name


async def test_work_that_fails_leaves_nothing_and_readers_cannot_write(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / DATABASE_FILE)

    def add(connection: Connection) -> None:
        row = {"unit": "A", "name": "", "period": "", "head_seq": 0, "head_digest": b"", "head_at_ms": 0, "changes": 0}
        connection.execute(unit.insert().values(row))

    def add_and_fail(connection: Connection) -> None:
        add(connection)
        raise ZeroDivisionError

    def names(connection: Connection) -> list[str]:
        return list(connection.execute(select(unit.c.unit)).scalars())

    with pytest.raises(ZeroDivisionError):
        await database.write(add_and_fail)
    assert await database.read(names) == []
    with pytest.raises(OperationalError, match="readonly"):
        await database.read(add)
    await database.write(add)
    assert await database.read(names) == ["A"]
    await database.close()


async def test_a_reader_sees_one_state_while_a_writer_commits_and_writers_wait_for_each_other(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / DATABASE_FILE)
    row = {"unit": "A", "name": "", "period": "", "head_seq": 0, "head_digest": b"", "head_at_ms": 0, "changes": 0}
    await database.write(lambda connection: connection.execute(unit.insert().values(row)))

    def count_up(connection: Connection) -> None:
        changes = connection.execute(select(unit.c.changes)).scalar_one()
        connection.execute(update(unit).values(changes=changes + 1))

    async with database.reading() as connection:
        seen = [(await connection.execute(select(unit.c.changes))).scalar_one()]
        await asyncio.gather(*(database.write(count_up) for _ in range(20)))
        seen.append((await connection.execute(select(unit.c.changes))).scalar_one())
    assert seen == [0, 0]
    assert await database.read(lambda connection: connection.execute(select(unit.c.changes)).scalar_one()) == 20
    await database.close()


def test_a_home_is_opened_once(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    with pytest.raises(HubIsBusyError, match=str(tmp_path)):
        HomeLock(tmp_path)
    lock.release()
    HomeLock(tmp_path).release()


# Cost.


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(set_up(tmp_path_factory.mktemp("database"), HOUSES, [fresh_handset()]))


@contextmanager
def overheard(desk: Desk) -> Iterator[dict[str, Any]]:
    """Every statement that the hub gives its database, with one set of values for each."""
    said: dict[str, Any] = {}

    def note(_c: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        said.setdefault(statement, values[0] if many else values)

    engines = [desk.hub.database._writer.sync_engine, desk.hub.database._reader.sync_engine]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


def plans(path: Path, said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each statement with each step by which SQLite would carry it out."""
    database = sqlite3.connect(path)
    for statement, values in said.items():
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
            for step in database.execute(f"EXPLAIN QUERY PLAN {statement}", tuple(values)):
                yield statement, step[3]
    database.close()


def require_search_by_key(path: Path, said: dict[str, Any], few_rows: Set[str] = FEW_ROWS) -> None:
    for statement, step in plans(path, said):
        assert not step.startswith("SCAN"), (step, statement)
        if (found := re.match(r"SEARCH (\w+) USING .*\((.*)\)$", step)) and found[1] not in few_rows:
            assert found[2].count(" AND ") >= 1, (step, statement)


async def test_what_an_upload_runs_searches_by_key(setting: Path, tmp_path: Path) -> None:
    desk = await Desk.lay(setting, tmp_path / "hub")
    with overheard(desk) as said:
        await desk.open_shift()
        collection = await desk.collect(HOUSES[0], arrears=True)
        await desk.print(collection)
        await desk.void(collection)
        desk.handset.sent = 0
        await desk.send()  # All of it again.
        await desk.hub.intake.head(1)
    await desk.hub.close()
    assert len(said) > 10
    require_search_by_key(tmp_path / "hub" / DATABASE_FILE, said)


async def test_what_the_evening_runs_searches_by_key(setting: Path, tmp_path: Path) -> None:
    desk = await Desk.lay(setting, tmp_path / "hub")
    await desk.open_shift()
    await desk.collect(HOUSES[1])
    await desk.close_shift()
    with overheard(desk) as said:
        await desk.receive(desk.collected_vnd)
        await desk.report()
        await desk.close()
        await publish(desk.hub, route_code=ROUTES[0], collector=desk.handset.collector, by="it")
    await desk.hub.close()
    require_search_by_key(tmp_path / "hub" / DATABASE_FILE, said, FEW_ROWS | {"handheld"})  # Closing looks at each.


async def test_what_a_supervisors_code_runs_searches_by_key(setting: Path, tmp_path: Path) -> None:
    """However long the chains are: what gives or uses codes has an index of its own."""
    desk = await Desk.lay(setting, tmp_path / "hub")
    await desk.open_shift()
    reading = await desk.read(HOUSES[0], 5)
    code = supervisors_code(HUB_SEED, 1, 0)
    with overheard(desk) as said:
        work = partial(give, hub=desk.hub, device=1, reason="x", by="supervisor", customer_id=HOUSES[0].customer)
        await desk.hub.write(work)
        desk.handset.make(
            RuleOverridden(
                customer=HOUSES[0].customer,
                period=PERIOD,
                reading=reading.digest,
                hold="CONSUMPTION_DROP",
                reason="x",
                code_no=0,
                proof=code_proof(code, reading.digest),
            ),
            desk.watch.now_ms,
        )
        desk.handset.make(LogInOpened(period=PERIOD, code_no=1, proof=bytes(16)), desk.watch.now_ms)
        await desk.send()
        await keep_ready(desk.hub, 1)
        await keep_ready(desk.hub, 1)
    await desk.hub.close()
    path = tmp_path / "hub" / DATABASE_FILE
    require_search_by_key(path, said)
    about = [step for statement, step in plans(path, said) if ABOUT_CODES in statement]
    assert about
    assert all("fact_about_codes" in step for step in about), about


async def test_an_upload_asks_as_often_for_many_records_as_for_few(setting: Path, tmp_path: Path) -> None:
    """Statements are counted, not timed: per upload, not per record."""
    counts = []
    for size in (10, 300):
        desk = await Desk.lay(setting, tmp_path / f"hub-{size}")
        await desk.open_shift()
        for number in range(size):
            house = HOUSES[number % len(HOUSES)]
            desk.handset.make(reading_of(desk.tariff, house, 12 + number % 3), desk.watch.now_ms)
        count = 0

        def note(*_: Any) -> None:
            nonlocal count
            count += 1

        event.listen(desk.hub.database._writer.sync_engine, "before_cursor_execute", note)
        await desk.send()
        counts.append(count)
        await desk.hub.close()
    assert counts[0] == counts[1]
