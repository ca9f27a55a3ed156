"""What log-in and screens keep in the store: tries, PINs, who is logged in, small choices. No record of work."""

import sqlite3
from functools import partial

from device.core.log_in import Heard, Tries
from device.store import DeviceStore

SESSIONS_MAX = 8  # One screen, and some that were left behind; the oldest go first.


class Shelf:
    """Each call is one transaction; what is written is on disk when it returns. Raises StoreError."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store

    async def tries(self, subject: str) -> Tries:
        """Wrong tries so far."""
        return await self._store.commit(partial(_tries, subject))

    async def keep_tries(self, subject: str, tries: Tries) -> None:
        """Count."""
        row = (subject, tries.failed, tries.boot, tries.until_up_ms, tries.opened, tries.code_seq)
        await self._store.commit(partial(_write, "REPLACE INTO tries VALUES (?, ?, ?, ?, ?, ?)", row))

    async def heard(self) -> Heard | None:
        """When the hub last said who may log in."""
        return await self._store.commit(_heard)

    async def keep_heard(self, heard: Heard) -> None:
        """Note it."""
        row = (heard.at_ms, heard.latest_ms, heard.seq)
        await self._store.commit(partial(_write, "REPLACE INTO heard VALUES (1, ?, ?, ?)", row))

    async def pin(self, collector: str) -> str | None:
        """The verifier of a collector's PIN."""
        return await self._store.commit(partial(_text, "SELECT verifier FROM pin WHERE collector = ?", (collector,)))

    async def keep_pin(self, collector: str, verifier: str) -> None:
        """Set or change it."""
        await self._store.commit(partial(_write, "REPLACE INTO pin VALUES (?, ?)", (collector, verifier)))

    async def sessions(self) -> tuple[tuple[bytes, str, bytes, int], ...]:
        """(token hash, collector, boot, seen_up_ms) of all who are logged in."""
        return await self._store.commit(_sessions)

    async def keep_session(self, token: bytes, collector: str, boot: bytes, seen_up_ms: int) -> None:
        """Log in, or note that somebody is still there."""
        await self._store.commit(partial(_keep_session, (token, collector, boot, seen_up_ms)))

    async def end_session(self, token: bytes) -> None:
        """Log out."""
        await self._store.commit(partial(_write, "DELETE FROM web_session WHERE token = ?", (token,)))

    async def preference(self, collector: str, name: str) -> str | None:
        """A small choice of a collector; "" for those of nobody in particular."""
        query = "SELECT value FROM preference WHERE collector = ? AND name = ?"
        return await self._store.commit(partial(_text, query, (collector, name)))

    async def keep_preference(self, collector: str, name: str, value: str) -> None:
        """Remember it."""
        await self._store.commit(partial(_write, "REPLACE INTO preference VALUES (?, ?, ?)", (collector, name, value)))


def _write(statement: str, row: tuple[object, ...], db: sqlite3.Connection) -> None:
    db.execute(statement, row)


def _text(query: str, key: tuple[str, ...], db: sqlite3.Connection) -> str | None:
    row = db.execute(query, key).fetchone()
    return None if row is None else str(row[0])


def _tries(subject: str, db: sqlite3.Connection) -> Tries:
    query = "SELECT failed, boot, until_up_ms, opened, code_seq FROM tries WHERE subject = ?"
    row = db.execute(query, (subject,)).fetchone()
    if row is None:
        return Tries()
    failed, boot, until_up_ms, opened, code_seq = row
    return Tries(failed=failed, boot=boot, until_up_ms=until_up_ms, opened=opened, code_seq=code_seq)


def _heard(db: sqlite3.Connection) -> Heard | None:
    row = db.execute("SELECT at_ms, latest_ms, seq FROM heard").fetchone()
    return None if row is None else Heard(at_ms=row[0], latest_ms=row[1], seq=row[2])


def _sessions(db: sqlite3.Connection) -> tuple[tuple[bytes, str, bytes, int], ...]:
    rows = db.execute("SELECT token, collector, boot, seen_up_ms FROM web_session ORDER BY seen_up_ms")
    return tuple((token, collector, boot, seen) for token, collector, boot, seen in rows)


def _keep_session(row: tuple[bytes, str, bytes, int], db: sqlite3.Connection) -> None:
    db.execute("REPLACE INTO web_session VALUES (?, ?, ?, ?)", row)
    db.execute("DELETE FROM web_session WHERE boot <> ?", (row[2],))
    db.execute(
        "DELETE FROM web_session WHERE token NOT IN"
        " (SELECT token FROM web_session ORDER BY seen_up_ms DESC, token LIMIT ?)",
        (SESSIONS_MAX,),
    )
