"""Real processes of hub and handheld: started, stopped, killed and started again, each with its home folder."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

START_SECONDS = 60  # A shared machine at its worst; a start takes about one second.
STOP_SECONDS = 20
CALL_SECONDS = 600  # An import of a whole company is the longest call.


class ProcessError(Exception):
    """A process did not start, or ended by itself. The message ends with the last lines it wrote."""


@dataclass(slots=True)
class Process:
    """A process that says in a file of its home where it listens."""

    name: str
    home: Path
    arguments: list[str]
    address_file: str
    environment: Mapping[str, str]
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> dict[str, Any]:
        """Start, and wait until it listens; the contents of its address file."""
        self.home.mkdir(parents=True, exist_ok=True)
        path = self.home / self.address_file
        path.unlink(missing_ok=True)
        with (self.home / "log.txt").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self.arguments,
                stdout=log,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
                env={**os.environ, **self.environment},
                process_group=0,
            )
        async with asyncio.timeout(START_SECONDS):
            while not path.is_file():
                if self.process.returncode is not None:
                    raise ProcessError(f"{self.name} ended at start: {self.last_words()}")
                await asyncio.sleep(0.02)
        address: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return address

    async def stop(self) -> None:
        """Ask it to end, and wait."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL: a battery pulled out."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def wait(self) -> int:
        """Wait until it ends by itself; its return code, below zero for a signal."""
        assert self.process is not None
        return await self.process.wait()

    def last_words(self) -> str:
        """The end of what it wrote."""
        path = self.home / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace")[-2000:] if path.is_file() else ""


async def run_once(name: str, arguments: list[str], environment: Mapping[str, str]) -> str:
    """Run a command line to its end; what it printed. Raises ProcessError when it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    output, errors = await process.communicate()
    if process.returncode != 0:
        raise ProcessError(f"{name} failed: {(output + errors).decode(errors='replace')[-2000:]}")
    return output.decode()


@dataclass(slots=True)
class JsonDoor:
    """A door of a process that takes and gives JSON. headers: what lets us in."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    session: aiohttp.ClientSession | None = None

    async def post(self, path: str, content: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and answer of a POST."""
        return await self._ask("POST", path, content)

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and answer of a GET."""
        return await self._ask("GET", path, None)

    async def _ask(self, method: str, path: str, content: Mapping[str, Any] | None) -> tuple[int, dict[str, Any]]:
        if self.session is None:
            timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
            self.session = aiohttp.ClientSession(timeout=timeout, headers=self.headers)
        async with self.session.request(method, self.url + path, json=content) as answer:
            result: dict[str, Any] = await answer.json()
            return answer.status, result

    async def close(self) -> None:
        """Hang up."""
        if self.session is not None:
            await self.session.close()
            self.session = None
