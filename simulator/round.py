"""`simulator round`: a whole combined round from a billing extract and its truth, through real processes.

Branch IT imports and publishes; handhelds download, read, compute, collect, print, sign and send; the hub verifies,
folds and closes every day. Hub and handhelds are stopped and started again before the totals are read, and the totals
come from the hub's folded state alone.
"""

import asyncio
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from protocol.values import luhn_sum, start_of_day_ms
from simulator.branch import Branch
from simulator.clock import ClockFile
from simulator.collector import Collector
from simulator.compare import differences
from simulator.truth import FIRST_VISIT_MINUTE, LAST_VISIT_MINUTE, BankMoment, Visit, bank_moments, table, visits

MINUTE_MS = 60_000
EVENING_MINUTE = 17 * 60
LEAD_DAYS_MS = 12 * 60 * MINUTE_MS  # Packages are published at noon of the day before the first visit.
Say = Callable[[str], None]


@dataclass(slots=True)
class Round:
    """One round being worked. bank: lines of the statement that the hub has not been given yet."""

    data: Path
    branch: Branch
    collectors: list[Collector]
    clock: ClockFile
    online: bool
    say: Say
    bank: list[BankMoment] = field(default_factory=list)
    differences_vnd: int = 0

    async def work(self) -> None:
        """All days, then the bank's lines if they were kept back."""
        days = visits(self.data)
        routes = {row["route"] for row in await self._routes()}
        for day, found in days.items():
            await self._day(day, [[one for one in found if one.route == route] for route in sorted(routes)])
        if not self.online:
            self.clock.set(max(self.clock.at_ms, max((line.value_ms for line in self.bank), default=0)))
        await self._import_bank(None)

    async def _routes(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self.branch.do("package.routes"))["routes"]
        return rows

    async def _day(self, day: str, by_route: Sequence[Sequence[Visit]]) -> None:
        """One date for every collector, stop by stop on one clock."""
        start_ms = start_of_day_ms(day)
        self.clock.set(max(self.clock.at_ms, start_ms + (FIRST_VISIT_MINUTE - 15) * MINUTE_MS))
        pairs = [(collector, list(found)) for collector, found in zip(self.collectors, by_route, strict=True) if found]
        for collector, _ in pairs:
            if not self.online:
                collector.network.down()
            await collector.open_day(day)
        most = max((len(found) for _, found in pairs), default=0)
        for turn in range(most):
            minute = FIRST_VISIT_MINUTE + turn * (LAST_VISIT_MINUTE - FIRST_VISIT_MINUTE) // max(1, most)
            self.clock.set(max(self.clock.at_ms, start_ms + minute * MINUTE_MS))
            if self.online:
                await self._import_bank(self.clock.at_ms)
            await asyncio.gather(*[collector.visit(found[turn]) for collector, found in pairs if turn < len(found)])
        self.clock.set(max(self.clock.at_ms, start_ms + EVENING_MINUTE * MINUTE_MS))
        await asyncio.gather(*[self._evening(collector, day) for collector, _ in pairs])

    async def _evening(self, collector: Collector, day: str) -> None:
        """Close the shift, send, hand the cash in, close the date."""
        await collector.close_day()
        await collector.send_all()
        received = await collector.hand_in(self.branch, day)
        report = await self.branch.do("day.close", collector=collector.code, day=day)
        self.differences_vnd += abs(report["difference_vnd"])
        columns = (report["handheld_vnd"], report["hub_vnd"], received)
        if len(set(columns)) != 1:
            raise AssertionError(f"{day} {collector.code}: handheld, hub and cashier say {columns}")
        self.say(f"{day}  {collector.code}: {received:,} đ three ways".replace(",", "."))

    async def _import_bank(self, until_ms: int | None) -> None:
        """Statement lines up to an instant; nothing is asked of the hub when there is none."""
        due = [line for line in self.bank if until_ms is None or line.value_ms <= until_ms]
        if not due:
            return
        self.bank = [line for line in self.bank if line not in due]
        path = self.data / "bank.csv"
        await self.branch.do("bank", file=str(path), until_ms=until_ms)


def imei_of(number: int) -> str:
    """A made-up IMEI with a sound check digit."""
    digits = f"35693803{number:06d}"
    check = next(last for last in "0123456789" if luhn_sum(digits + last) % 10 == 0)
    return digits + check


async def run(
    data: Path, *, out: Path | None, expected: Path | None, online: bool, delete_fact: str | None, say: Say
) -> int:
    """Work a round; 0 when everything holds and, with `expected`, agrees."""
    folder = Path(tempfile.mkdtemp(prefix="ghithu-round-"))
    collectors: list[Collector] = []
    branch: Branch | None = None
    try:
        days = visits(data)
        clock = ClockFile(folder / "clock", start_of_day_ms(min(days)) - LEAD_DAYS_MS)
        name = table(data, "customers.csv")[0]["branch"]
        branch = await Branch.found(folder / "hub", clock, unit="QA", name=name)
        answer = await branch.do("import", folder=str(data.resolve()))
        if answer["problems"]:
            say("\n".join(answer["problems"]))
            return 1
        routes = [row["route"] for row in (await branch.do("package.routes"))["routes"]]
        for number, route in enumerate(routes, start=1):
            collector = await Collector.equip(
                branch,
                folder,
                code=f"nv{number:02d}",
                name=f"Nhân viên {number:02d}",
                imei=imei_of(number),
                papers=f"text:{folder / 'papers' / route}",
                random=Random(number),
            )
            collector.online = online
            collectors.append(collector)
            await branch.do("package.publish", route=route, collector=collector.code)
            await collector.download()
        work = Round(data, branch, collectors, clock, online, say, bank=bank_moments(data))
        await work.work()
        return await _judge(work, out=out, expected=expected, delete_fact=delete_fact)
    finally:
        for collector in collectors:
            await collector.stop()
            await collector.network.close()
        if branch is not None:
            await branch.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _judge(work: Round, *, out: Path | None, expected: Path | None, delete_fact: str | None) -> int:
    """Restart everything, check the hub, read the totals and compare."""
    branch = work.branch
    for collector in work.collectors:
        await collector.restart()
        if (state := await collector.state())["unsent"]:
            work.say(f"{collector.code} still has {state['unsent']} records to send after a restart")
            return 1
    await branch.stop()
    if delete_fact is not None:
        _delete_fact(branch.process.home / "hub.db", delete_fact)
    await branch.start()
    if problems := await branch.check():
        work.say("\n".join(problems))
        return 1
    found = await branch.do("export")
    doubles = found["double_payments"]["cash_and_bank"]["customers"]
    blind, unavoidable = _doubles(work.data, visits(work.data), bank_moments(work.data))
    work.say(f"Paid twice, in cash and by transfer: {doubles} customers in this round.")
    work.say(f"By the truth: {blind} when handhelds and bank lines arrive late, {unavoidable} when both are on line.")
    lines = []
    if work.online and doubles != unavoidable:
        lines.append(f"double payments: {doubles}, and only {unavoidable} could not have been known of")
    if expected is not None:
        lines += differences(found, json.loads(expected.read_text(encoding="utf-8")), online=work.online)
    if out is not None:
        out.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for line in lines:
        work.say(line)
    if not lines:
        work.say("Hub, handhelds and cash agree" + (", and so do the expected totals." if expected else "."))
    return 1 if lines else 0


def _doubles(data: Path, days: dict[str, list[Visit]], lines: list[BankMoment]) -> tuple[int, int]:
    """Double payers by the truth, and those of them that no one could have known of when their door was reached."""
    reached: dict[str, int] = {}
    payers: set[str] = set()
    for day, found in days.items():
        for route in {one.route for one in found}:
            own = [one for one in found if one.route == route]
            most = max(len([one for one in found if one.route == other]) for other in {one.route for one in found})
            for turn, one in enumerate(own):
                minute = FIRST_VISIT_MINUTE + turn * (LAST_VISIT_MINUTE - FIRST_VISIT_MINUTE) // max(1, most)
                reached[one.customer] = start_of_day_ms(day) + minute * MINUTE_MS
                if one.at_home and one.pays_cash:
                    payers.add(one.customer)
    doubles = payers & {
        row["customer_ids"] for row in table(data, "bank_truth.csv") if row["kind"] == "double_with_cash"
    }
    late = {
        name for line in lines for name in line.customers if name in doubles and line.value_ms > reached.get(name, 0)
    }
    return len(doubles), len(late)


def _delete_fact(database: Path, name: str) -> None:
    """Take one fact out of a stopped hub's database: to see that the check finds it."""
    device, _, seq = name.partition(":")
    connection = sqlite3.connect(database)
    with connection:
        gone = connection.execute("DELETE FROM fact WHERE device = ? AND seq = ?", (int(device), int(seq))).rowcount
    connection.close()
    if gone != 1:
        raise ValueError(f"there is no fact {name}")
