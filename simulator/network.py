"""The network between a handheld and the hub: a TCP relay that can be down, slow, or cut a connection in the middle."""

import asyncio
import contextlib
from random import Random

CHUNK = 16 * 2**10


class Network:
    """A relay on a free port of 127.0.0.1 to one target. `random` decides which connections suffer.

    drop_per_mille: connections that are cut after some bytes. delay_ms: up to this before each chunk.
    """

    def __init__(self, host: str, port: int, random: Random) -> None:
        self._target = (host, port)
        self._random = random
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self.is_up = True
        self.drop_per_mille = 0
        self.delay_ms = 0
        self.cut = 0
        self.refused = 0

    async def open(self) -> str:
        """Start relaying; the address a handheld uses for the hub."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def aim(self, host: str, port: int) -> None:
        """The target has moved: a hub that was restarted has another port."""
        self._target = (host, port)

    def down(self) -> None:
        """Lose the network: connections die, new ones are closed at once."""
        self.is_up = False
        for link in list(self._links):
            link.cancel()

    def up(self) -> None:
        """The network is back."""
        self.is_up = True

    async def close(self) -> None:
        """Stop relaying."""
        self.down()
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            if self.is_up:
                await self._link(reader, writer)
            else:
                self.refused += 1
        except (OSError, asyncio.CancelledError):
            pass  # The simulated network ends connections for a living.
        finally:
            self._links.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        dies_after: int | None = None
        if self._random.randrange(1000) < self.drop_per_mille:
            dies_after = self._random.randrange(1, 4 * 2**10)
            self.cut += 1
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, upstream_writer, dies_after))
                group.create_task(self._pump(upstream_reader, writer, dies_after))
        except* OSError:
            pass
        finally:
            upstream_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dies_after: int | None) -> None:
        passed = 0
        while chunk := await reader.read(CHUNK):
            if self.delay_ms:
                await asyncio.sleep(self._random.randrange(self.delay_ms) / 1000)
            passed += len(chunk)
            if dies_after is not None and passed > dies_after:
                raise ConnectionResetError("cut by the simulated network")
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
