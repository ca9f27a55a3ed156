"""One hub: its home, its books, its intake, put together. The API, the page and the command line all work on this."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, insert

from hub.books import Books, Touched
from hub.checkpoints import chosen_checkpoint
from hub.clock import Clock, chosen_clock
from hub.core.account import Fact
from hub.home import Home, create_home, open_home
from hub.intake import Intake
from hub.store.database import Database, HomeLock
from hub.store.schema import policy, unit
from protocol.chain import NO_DIGEST, digest
from protocol.package import Policy, seal_policy
from protocol.records import HubRecord, PolicyIssued

T = TypeVar("T")


@dataclass(slots=True)
class Hub:
    """An open hub. Close it when done. making_codes: held while a sheet of supervisors' codes is made."""

    home: Home
    database: Database
    books: Books
    intake: Intake
    clock: Clock
    lock: HomeLock
    making_codes: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def create(cls, folder: Path, first_policy: Policy, by: str, clock: Clock | None = None) -> "Hub":
        """A new hub with its key and first policy. Raises HomeError where one lives already."""
        home = create_home(folder, first_policy.unit)
        hub = await cls._open(home, clock)

        def work(connection: Connection) -> None:
            connection.execute(
                insert(unit).values(
                    unit=home.unit,
                    name=first_policy.branch_name,
                    period="",
                    head_seq=0,
                    head_digest=NO_DIGEST,
                    head_at_ms=0,
                    changes=0,
                )
            )
            issue_policy(connection, hub.books, first_policy, by, hub.clock())

        await hub.database.write(work)
        return hub

    @classmethod
    async def open(cls, folder: Path, clock: Clock | None = None) -> "Hub":
        """Open a hub for writing. Raises HomeError, or HubIsBusyError while another process has it."""
        return await cls._open(open_home(folder), clock)

    @classmethod
    async def _open(cls, home: Home, clock: Clock | None) -> "Hub":
        refuse_optimised()
        lock = HomeLock(home.folder)
        database = await Database.open(home.database)
        now = clock or chosen_clock()
        books = Books(home.unit, home.key)
        database.on_rollback = books.forget
        if database.upgraded:
            await database.write(books.refold_everything)
        return cls(home, database, books, Intake(database, books, now, chosen_checkpoint()), now, lock)

    async def close(self) -> None:
        """Let go of the database and the home."""
        self.intake.close()
        await self.database.close()
        self.lock.release()

    async def record(self, made: HubRecord, intent: bytes | None = None) -> Fact:
        """Append a record of the hub and fold what it touches, in one transaction."""
        return await self.write(lambda connection: post(connection, self.books, made, self.clock(), intent))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction."""
        return await self.database.write(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one consistent state."""
        return await self.database.read(work)


def post(
    connection: Connection, books: Books, made: HubRecord, now_ms: int, intent: bytes | None = None
) -> Fact:
    """Append a record of the hub and fold what it touches, inside the caller's transaction."""
    one = books.append(connection, made, now_ms, intent)
    touched = books.touched_by(connection, one)
    if touched != Touched.nothing():
        books.refold(connection, touched)
    return one


def issue_policy(connection: Connection, books: Books, wanted: Policy, by: str, now_ms: int) -> None:
    """Sign and publish a policy; the caller has given it the next version."""
    message = seal_policy(wanted, books.key)
    connection.execute(insert(policy).values(unit=books.unit, version=wanted.version, message=message))
    books.append(connection, PolicyIssued(version=wanted.version, policy=digest(message), by=by), now_ms)
    books.forget()


def refuse_optimised() -> None:
    """Stop at once when Python was told to drop assertions."""
    if not __debug__:
        sys.exit("Do not run with -O: the checks of the ledger are assertions.")
