"""The branch: a real hub process and the people who work it, through the same doors that real people use."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulator.clock import ClockFile
from simulator.processes import JsonDoor, Process, ProcessError, run_once

IT, CASHIER, SUPERVISOR = "it", "thuquy", "giamsat"


class RefusedByHubError(Exception):
    """The hub said no to something the story needs."""


@dataclass(slots=True)
class Branch:
    """A hub with its address. `do` is branch IT at the command line, through the server's local door."""

    process: Process
    clock: ClockFile
    door: JsonDoor
    url: str = ""

    @classmethod
    async def found(cls, home: Path, clock: ClockFile, *, unit: str, name: str, port: int = 0) -> "Branch":
        """Make a hub with its first people, and start it."""
        environment = {"GHITHU_CLOCK_FILE": str(clock.path)}
        given = ["--unit", unit, "--branch-name", name, "--utility-name", "CTCP Cấp thoát nước (mẫu thử)"]
        given += ["--bank-bin", "970436", "--bank-account", "100004360001", "--hotline", "1900 0000"]
        await run_once("hub init", ["-m", "hub", "init", "--home", str(home), *given], environment)
        arguments = ["-m", "hub", "serve", "--home", str(home), "--port", str(port)]
        process = Process("hub", home, arguments, "serving.json", environment)
        branch = cls(process, clock, JsonDoor(""))
        await branch.start()
        await branch.do("user.add", code=CASHIER, name="Nguyễn Thị Thu Quỹ", role="cashier")
        await branch.do("user.add", code=SUPERVISOR, name="Trần Giám Sát", role="supervisor")
        return branch

    async def start(self) -> None:
        """Start, or start again."""
        address = await self.process.start()
        self.url = address["url"]
        self.door = JsonDoor(self.url, {"Authorization": f"Bearer {address['token']}"})

    async def stop(self, *, kill: bool = False) -> None:
        """End the hub, orderly or by pulling the plug."""
        await self.door.close()
        await (self.process.kill() if kill else self.process.stop())

    async def restart(self, *, kill: bool = False) -> None:
        """End and start: what was acknowledged must be there again."""
        await self.stop(kill=kill)
        await self.start()

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where the hub listens."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    async def do(self, action: str, **arguments: Any) -> dict[str, Any]:
        """One action. Raises RefusedByHubError."""
        status, answer = await self.door.post(f"/admin/{action}", {"by": IT, **arguments})
        if status != 200:
            raise RefusedByHubError(f"{action}: {answer.get('error')}")
        return answer

    async def receive(self, collector: str, day: str, notes: dict[int, int]) -> int:
        """The cashier counts what lies on the table."""
        answer = await self.do(
            "day.receive",
            collector=collector,
            day=day,
            notes={str(value): pieces for value, pieces in notes.items()},
            by=CASHIER,
            intent=secrets.token_hex(16),
        )
        return int(answer["amount_vnd"])

    async def supervisor_code(self, device: int, reason: str, customer: str) -> str:
        """The ten digits that a supervisor reads out over a telephone."""
        given = await self.do("device.code", device=device, reason=reason, customer=customer, by=SUPERVISOR)
        return str(given["code"])

    async def report(self, collector: str, day: str) -> dict[str, Any]:
        """The three columns of a collector's date."""
        days: list[dict[str, Any]] = (await self.do("day.report", collector=collector, day=day))["days"]
        return days[0]

    async def check(self) -> list[str]:
        """`python -m hub check`, as its own process while the server runs."""
        try:
            await run_once("hub check", ["-m", "hub", "check", "--home", str(self.process.home)], {})
        except ProcessError as error:
            return str(error).splitlines()
        return []
