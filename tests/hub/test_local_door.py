"""The local door: for whoever can read the token in the hub's home, and for no page of a browser."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from hub.api.server import SERVING_FILE, serve
from tests.hub.branch import Branch


class Door:
    """A served hub's local door, and the token that opens it."""

    def __init__(self, session: ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self.right = {"Authorization": f"Bearer {token}"}

    async def ask(self, action: str, content: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
        async with self._session.post(f"{self._url}/admin/{action}", data=content, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest_asyncio.fixture
async def door(branch: Branch) -> AsyncIterator[Door]:
    server = await serve(branch.hub, "127.0.0.1", 0)
    address = json.loads((branch.hub.home.folder / SERVING_FILE).read_text(encoding="utf-8"))
    async with ClientSession() as session:
        yield Door(session, address["url"], address["token"])
    await server.stop()


async def test_the_local_door_opens_for_its_token_alone_and_to_no_page(door: Door) -> None:
    assert (await door.ask("check", b"{}", door.right))[0] == 200
    for wrong in ({}, {"Authorization": "Bearer x"}, {**door.right, "Origin": "http://127.0.0.1"}):
        assert (await door.ask("check", b"{}", wrong))[0] == 403
    assert (await door.ask("nothing", b"{}", door.right))[0] == 404


@pytest.mark.parametrize(
    ("action", "content"),
    [
        ("check", b"not json"),
        ("check", b"[]"),
        ("user.add", b"{}"),
        ("bank", b'{"file": "/nowhere/at/all.csv", "by": "it"}'),
        ("import", b'{"folder": 7}'),
        ("case.decide", b'{"key": "xx", "decision": "NOTED", "reason": "r", "by": "it"}'),
        ("day.receive", b'{"notes": {"a": "b"}, "collector": "c", "day": "d", "by": "it"}'),
        ("day.receive", b'{"notes": {"1000": null}, "collector": "c", "day": "d", "by": "it"}'),
        ("day.report", b'{"collector": "c"}'),
    ],
)
async def test_an_action_that_cannot_be_done_says_so_in_a_sentence(door: Door, action: str, content: bytes) -> None:
    status, answer = await door.ask(action, content, door.right)
    assert status == 400
    assert answer["error"]
