"""The small branch behind its own server, and requests that a handheld signs."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from os import urandom

from aiohttp import ClientSession

from hub.api.server import serve
from protocol import codec
from protocol.envelope import Purpose, seal
from protocol.wire import REQUEST_HEADER, Refusal, body, claim_for
from tests.hub.branch import Branch
from tests.hub.worlds import Handset


@dataclass(slots=True)
class Served:
    """A branch whose hub listens."""

    branch: Branch
    url: str
    session: ClientSession

    async def ask(
        self, one: Handset, method: str, path: str, content: bytes = b"", *, nonce: bytes | None = None
    ) -> tuple[int, bytes]:
        """A request with the claim of a handheld."""
        claim = claim_for(
            method=method,
            path=path,
            content=content,
            at_ms=self.branch.watch.now_ms,
            nonce=nonce or urandom(16),
            made=one.tip.seq,
        )
        headers = {REQUEST_HEADER: b64encode(seal(body(claim), one.key, Purpose.REQUEST)).decode()}
        async with self.session.request(method, self.url + path, data=content or None, headers=headers) as answer:
            return answer.status, await answer.read()


def refusal_in(answer: bytes) -> Refusal:
    """Why something was not done."""
    return codec.unpack(Refusal, codec.decode(answer))


@asynccontextmanager
async def serving(branch: Branch) -> AsyncIterator[Served]:
    """Serve a branch for as long as the block runs."""
    server = await serve(branch.hub, "127.0.0.1", 0)
    try:
        async with ClientSession() as session:
            yield Served(branch, server.url, session)
    finally:
        await server.stop()
