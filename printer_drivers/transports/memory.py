"""A printer in the same process: for the simulator, demonstrations and tests of what stands above a link."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from printer_drivers.transports import Inbox, LinkError

_POLL_S = 0.005  # Not every peer says when it has room again; short beside anything that a printer does.


class Peer(Protocol):
    """What stands at the other end.

    receive: takes the bytes it has room for, from the start, and says how many. attach: what it says goes there.
    """

    def receive(self, data: bytes) -> int: ...
    def attach(self, said: Callable[[bytes], None]) -> None: ...


@runtime_checkable
class Urgent(Protocol):
    """A peer that hears real-time commands also when it has no room. What else finds no room is lost."""

    def force(self, data: bytes) -> None: ...


@runtime_checkable
class Droppable(Protocol):
    """A peer whose line can fall. on_drop: set by the link, called when it falls."""

    on_drop: Callable[[], None]


_PLUGGED: dict[str, Peer] = {}


@contextmanager
def plug(name: str, peer: Peer) -> Iterator[None]:
    """Let memory:NAME be this peer. Pulling the plug cuts no line that is open."""
    assert name not in _PLUGGED, f"memory:{name} is plugged in already"
    _PLUGGED[name] = peer
    try:
        yield
    finally:
        del _PLUGGED[name]


class MemoryLink:
    """A line to a peer, or to whatever is plugged in under a name when the link is opened."""

    def __init__(self, peer: Peer | str) -> None:
        self._named = peer
        self._peer: Peer | None = None
        self._inbox = Inbox()
        self._urgent = b""  # What is left of a command that the peer took a part of: it goes first.

    async def open(self) -> None:
        """As `Link.open`. Raises LinkError: no-such-port."""
        assert self._peer is None, "already open"
        peer = _PLUGGED.get(self._named) if isinstance(self._named, str) else self._named
        if peer is None:
            raise LinkError("no-such-port", f"No printer is plugged in as memory:{self._named}. Start the simulator.")
        self._peer = peer
        self._urgent = b""
        # A new inbox: what the peer still says into an old line is heard by nobody.
        self._inbox = Inbox()
        peer.attach(self._inbox.put)
        if isinstance(peer, Droppable):
            peer.on_drop = self.drop

    async def close(self) -> None:
        """As `Link.close`."""
        if self._peer is not None:
            self._peer.attach(_to_nobody)
            if isinstance(self._peer, Droppable):
                self._peer.on_drop = _nothing
        self._peer = None
        self._inbox.lose("The printer in memory has been hung up on.")

    def drop(self) -> None:
        """Cut the line: what is sent from now on never arrives."""
        if self._peer is not None:
            self._peer.attach(_to_nobody)
        self._inbox.lose("The line to the printer in memory was cut.")

    async def write(self, data: bytes, timeout_s: float) -> int:
        """As `Link.write`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        offset = 0
        while True:
            offset += self._put(data[offset:])
            await asyncio.sleep(0)  # Others have their turn.
            left_s = until - loop.time()
            if offset == len(data) or left_s <= 0:
                return offset
            await asyncio.sleep(min(_POLL_S, left_s))

    async def urge(self, data: bytes) -> bool:
        """As `Link.urge`: a peer that can hear it does, whatever room it has."""
        peer = self._open_peer()
        if isinstance(peer, Urgent):
            peer.force(data)
            return True
        taken = self._put(data)
        if taken:
            self._urgent = data[taken:]
        return taken > 0

    async def read(self, timeout_s: float) -> bytes:
        """As `Link.read`."""
        return await self._inbox.take(timeout_s)

    def _put(self, data: bytes) -> int:
        peer = self._open_peer()
        if self._urgent:
            self._urgent = self._urgent[peer.receive(self._urgent) :]
            if self._urgent:
                return 0
        return peer.receive(data)

    def _open_peer(self) -> Peer:
        self._inbox.check()
        assert self._peer is not None, "not open"
        return self._peer


def _to_nobody(_: bytes) -> None:
    """A printer that nobody listens to."""


def _nothing() -> None:
    """A line that nobody is at the end of."""
