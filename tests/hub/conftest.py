"""The small branch of `branch`: set up once, and every situation starts from a copy."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.hub.branch import HOUSES, Branch, handsets, open_branch
from tests.hub.served import Served, serving
from tests.hub.worlds import set_up


@pytest.fixture(scope="session")
def small_setting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(set_up(tmp_path_factory.mktemp("small"), HOUSES, list(handsets())))


@pytest_asyncio.fixture
async def branch(small_setting: Path, tmp_path: Path) -> AsyncIterator[Branch]:
    async with open_branch(small_setting, tmp_path / "hub") as found:
        yield found


@pytest_asyncio.fixture
async def served(branch: Branch) -> AsyncIterator[Served]:
    async with serving(branch) as found:
        yield found
