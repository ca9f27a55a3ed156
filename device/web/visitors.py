"""Who is at the screen: a cookie that says nothing by itself, and a screen that locks when it is left alone.

A visitor outlives the program but not the machine's start: after a crash the collector goes on, after a reboot a
password is asked for. Times run on the clock that nobody can set.
"""

import os
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from device.clock import Clock
from device.shelf import Shelf

COOKIE = "ghithu"
TOKEN_BYTES = 32
LOCK_AFTER_MS = 300_000  # Long enough to count out change, short for a handheld left on a wall.
NOTE_EVERY_MS = 60_000  # How stale "seen" on disk may be: one write a minute, not one for each tap.


@dataclass(slots=True)
class Visitor:
    """Somebody who has logged in. seen_up_ms: of the last tap."""

    token: bytes
    collector: str
    seen_up_ms: int
    noted_up_ms: int

    def is_locked(self, now_up_ms: int) -> bool:
        """Whether the screen has been left alone for too long."""
        return now_up_ms - self.seen_up_ms > LOCK_AFTER_MS


class Visitors:
    """All who are logged in."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock
        self._known: dict[bytes, Visitor] = {}

    async def load(self) -> None:
        """Those who were logged in when the program ended, if the machine has not started since."""
        now = self._clock.now()
        for token, collector, boot, seen in await self._shelf.sessions():
            if boot == now.boot:
                self._known[token] = Visitor(token, collector, seen, seen)

    def find(self, cookie: str | None) -> Visitor | None:
        """Whose cookie this is."""
        return self._known.get(_hash(cookie)) if cookie else None

    async def begin(self, collector: str) -> str:
        """Log in; the value of the cookie. Whoever was logged in before is logged out: a handheld has one screen."""
        for visitor in tuple(self._known.values()):
            await self.end(visitor)
        cookie = urlsafe_b64encode(os.urandom(TOKEN_BYTES)).decode().rstrip("=")
        now = self._clock.now()
        visitor = Visitor(_hash(cookie), collector, now.up_ms, now.up_ms)
        self._known[visitor.token] = visitor
        await self._shelf.keep_session(visitor.token, collector, now.boot, now.up_ms)
        return cookie

    async def touch(self, visitor: Visitor) -> None:
        """Somebody is there."""
        now = self._clock.now()
        visitor.seen_up_ms = now.up_ms
        if now.up_ms - visitor.noted_up_ms >= NOTE_EVERY_MS:
            visitor.noted_up_ms = now.up_ms
            await self._shelf.keep_session(visitor.token, visitor.collector, now.boot, now.up_ms)

    async def lock(self, visitor: Visitor) -> None:
        """Lock the screen at once, and for a program that starts again too."""
        now = self._clock.now()
        visitor.seen_up_ms = visitor.noted_up_ms = now.up_ms - LOCK_AFTER_MS - 1
        await self._shelf.keep_session(visitor.token, visitor.collector, now.boot, visitor.seen_up_ms)

    async def end(self, visitor: Visitor) -> None:
        """Log out."""
        self._known.pop(visitor.token, None)
        await self._shelf.end_session(visitor.token)


def _hash(cookie: str) -> bytes:
    return sha256(cookie.encode("utf-8", "surrogateescape")).digest()
