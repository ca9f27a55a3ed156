"""A handheld with its screens, and a tab in which the collector works: logged in, shift open."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.device.web.browser import Tab, tab
from tests.device.web.handheld import Handheld, handheld


@pytest_asyncio.fixture
async def made(tmp_path: Path) -> AsyncIterator[Handheld]:
    async with handheld(tmp_path) as one:
        yield one


@pytest_asyncio.fixture
async def working(made: Handheld) -> AsyncIterator[Tab]:
    async with tab(made) as one:
        await one.log_in()
        await one.open_shift()
        yield one
