"""A simulated collector: walks the route with a real handheld process, a bag, and customers who have purses."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from hub.passwords import verifier_of
from simulator.branch import Branch
from simulator.clock import ClockFile
from simulator.network import Network
from simulator.processes import JsonDoor, Process, run_once
from simulator.purses import Purse, worth_vnd
from simulator.truth import Visit

SEND_SECONDS = 120
ONLINE_SECONDS = 5  # How long a collector looks at the screen while the hub is asked.


class HandheldError(Exception):
    """The handheld refused or lost something that the story needs."""


@dataclass(slots=True)
class Collector:
    """One collector with one handheld. online: asks the hub at every stop, and sends as it goes.

    receipts: what the codes on this collector's receipts must say. screens: address of the handheld's pages.
    """

    code: str
    device: int
    process: Process
    network: Network
    clock: ClockFile
    online: bool = False
    door: JsonDoor = field(default_factory=lambda: JsonDoor(""))
    bag: Purse = field(default_factory=Purse)
    visited: int = 0
    receipts: set[str] = field(default_factory=set)
    screens: str = ""

    @classmethod
    async def equip(
        cls,
        branch: Branch,
        folder: Path,
        *,
        code: str,
        name: str,
        imei: str,
        papers: str,
        random: Random,
        around: Mapping[str, str] | None = None,
        password: str = "",
        listen: str = "127.0.0.1:0",
    ) -> "Collector":
        """Name a collector, enrol a new handheld through its own network, and start it.

        papers: where the handheld prints. around: environment that it needs for that. password: what opens the screens;
        without one nobody logs in. listen: where they are.
        """
        verifier = verifier_of(password) if password else ""
        await branch.do("user.add", code=code, name=name, role="collector", phone="0950 000 001", verifier=verifier)
        slot = await branch.do("device.slot", collector=code)
        network = Network(*branch.host_and_port, random)
        hub_url = await network.open()
        home = folder / code
        environment = {"GHITHU_CLOCK_FILE": str(branch.clock.path), **(around or {})}
        enrol = ["-m", "device", "enrol", "--home", str(home), "--hub", hub_url, "--code", slot["code"], "--imei", imei]
        await run_once("enrolment", enrol, environment)
        known = (await branch.do("device.list"))["devices"]
        device = max(one["device"] for one in known)
        await branch.do("device.confirm", device=device, imei=imei)
        run = ["-m", "device", "run", "--home", str(home), "--papers", papers]
        run += ["--listen", listen, "--door", "127.0.0.1:0", "--position", "off"]
        collector = cls(code, device, Process(code, home, run, "listening.json", environment), network, branch.clock)
        await collector.start()
        return collector

    async def start(self) -> None:
        """Switch the handheld on, or on again."""
        address = await self.process.start()
        self.door = JsonDoor(f"http://127.0.0.1:{address['door']}")
        self.screens = f"http://127.0.0.1:{address['port']}"

    async def restart(self, *, kill: bool = False) -> None:
        """Off and on; or the battery out and in."""
        await self.stop(kill=kill)
        await self.start()

    async def stop(self, *, kill: bool = False) -> None:
        """Switch the handheld off."""
        await self.door.close()
        await (self.process.kill() if kill else self.process.stop())

    # Asking the handheld.

    async def tap(self, command: str, **fields: Any) -> dict[str, Any]:
        """One command; its answer."""
        status, answer = await self.door.post("/commands", {"command": command, **fields})
        if status != 200:
            raise HandheldError(f"{self.code}: {command}: {answer.get('error')}")
        return answer

    async def record(self, command: str, **fields: Any) -> dict[str, Any]:
        """One command that makes a record; raises HandheldError when it is refused."""
        answer = await self.tap(command, intent=secrets.token_hex(16), **fields)
        if not answer["done"]:
            raise HandheldError(f"{self.code}: {command}: {answer['reason']} {answer.get('detail', '')}")
        return answer

    async def state(self) -> dict[str, Any]:
        """The handheld at a glance."""
        return (await self.door.get("/state"))[1]

    async def stop_at(self, customer: str) -> dict[str, Any]:
        """What the screen says of a customer."""
        return (await self.door.get(f"/stops/{customer}"))[1]

    async def quiet(self, seconds: int = SEND_SECONDS) -> None:
        """Wait until no paper and no call is under way."""
        await self.door.get(f"/quiet?timeout_s={seconds}")

    # A day.

    async def download(self) -> None:
        """Fetch the route."""
        await self.tap("DownloadRoute")
        await self.quiet()
        state = await self.state()
        if not state["routes"]:
            raise HandheldError(f"{self.code}: no route arrived: {state['trouble']}")

    async def open_day(self, day: str) -> None:
        """Open the shift of a date."""
        await self.record("OpenShift", collector=self.code, business_date=day)

    async def visit(self, visit: Visit) -> int:
        """Read, collect if there is somebody who pays, leave a paper; the cash taken."""
        self.visited += 1
        if self.online:
            await self.tap("OpenStop", customer=visit.customer)
            await self.quiet(ONLINE_SECONDS)
        if visit.index is None:
            await self.record("SkipReading", customer=visit.customer, code=visit.code)
        else:
            await self.read(visit)
        seen = await self.stop_at(visit.customer)
        due = seen["dues"]["ALL"]
        owed = any(bill_no == seen["bill_no"] for bill_no, _ in due["bills"])
        if visit.index is not None and visit.at_home and visit.pays_cash and owed and due["amount_vnd"] > 0:
            return await self.collect(visit.customer, due["amount_vnd"])
        held = seen["hold"] in ("READING_BELOW_PREVIOUS", "CONSUMPTION_DROP") or visit.index is None
        await self.tap("PrintPaper", customer=visit.customer, kind="NOTICE" if held else "BILL_NOTICE")
        return 0

    async def read(self, visit: Visit) -> dict[str, Any]:
        """Key the index; when the handheld doubts it, key it again."""
        fields: dict[str, Any] = {"customer": visit.customer, "code": visit.code, "index": visit.index}
        if visit.removed_index is not None:
            fields |= {"removed_index": visit.removed_index, "installed_index": visit.installed_index}
        answer = await self.tap("TakeReading", intent=secrets.token_hex(16), **fields)
        if not answer["done"] and answer["warnings"]:
            return await self.record("TakeReading", **fields, confirmed=True)
        if not answer["done"]:
            raise HandheldError(f"{self.code}: {visit.customer}: {answer['reason']} {answer['detail']}")
        return answer

    async def collect(self, customer: str, amount_vnd: int) -> int:
        """Ask for the amount; notes move only once the handheld has its record."""
        made = await self.record("Collect", customer=customer, amount_vnd=amount_vnd)
        self.receipts.add(f"GT1:{self.device}:{made['seq']}:{made['digest'][:8]}")
        Purse.ready_for(amount_vnd).pay(amount_vnd, self.bag)
        return amount_vnd

    async def void(self, receipt_no: int, amount_vnd: int, reason: str = "WRONG_CUSTOMER") -> None:
        """Take a collection back: the record first, then the notes go back to the customer."""
        await self.record("VoidCollection", receipt_no=receipt_no, reason=reason)
        self.bag.hand_over(amount_vnd)

    async def close_day(self) -> None:
        """Count the bag, close the shift, print the day slip."""
        await self.quiet()
        notes = [[value, pieces] for value, pieces in sorted(self.bag.notes.items(), reverse=True) if pieces]
        await self.record("CountCash", notes=notes)
        await self.record("CloseShift")
        await self.tap("PrintPaper", kind="DAY_SLIP")
        await self.quiet()

    async def send_all(self) -> None:
        """Back under the branch's roof: send until nothing is left."""
        self.network.up()
        async with asyncio.timeout(SEND_SECONDS):
            while (state := await self.state())["unsent"] > 0:
                await self.tap("SendNow")
                await self.quiet()
                if state["trouble"]:
                    await asyncio.sleep(0.05)

    async def hand_in(self, branch: Branch, day: str) -> int:
        """Put the bag on the cashier's table; what was counted."""
        notes = self.bag.empty()
        return await branch.receive(self.code, day, notes) if worth_vnd(notes) else 0
