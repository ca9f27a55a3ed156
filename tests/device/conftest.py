"""What the tests of the handheld share: a store on a real disk, and a hub behind a real socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from device.store import DeviceStore
from tests.device.branch import SmallHub


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[DeviceStore]:
    opened = await DeviceStore.open(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def hub() -> AsyncIterator[SmallHub]:
    async with SmallHub().open() as opened:
        yield opened
