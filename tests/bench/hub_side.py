"""A real hub process under load: ingest, a chain it knows already, the check of its books, start and memory."""

import asyncio
import gzip
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median

from aiohttp import ClientSession

from device.clock import FileClock
from device.core.effects import AskHead
from device.core.events import UploadAcked
from hub.core.account import AccountBase, Fact, Prices
from hub.core.fold import fold
from protocol.envelope import SigningKey
from protocol.package import open_package, open_policy
from protocol.records import CashCollected, Record
from protocol.values import start_of_day_ms
from protocol.wire import RECORDS_TYPE
from simulator.branch import Branch
from simulator.clock import ClockFile
from simulator.collector import Collector
from simulator.processes import Process, run_once
from simulator.round import imei_of
from simulator.sample import write_branch
from simulator.truth import visits
from tests.bench.measure import Duel, Row, memory_mb, seconds, seconds_of, spread_ms
from tests.bench.walkers import PER_UPLOAD, Walker

ROUTE_STOPS = 2_757  # One collector's customers at the utility this is modelled on.
KNOWN_RECORDS = 50_000  # What a handheld makes in two years and a half.
MAKING_SECONDS = 45  # For making that chain: the whole bench is to end within three minutes on a small machine.
MORNING_MS = 7 * 3_600_000


class World:
    """A made-up branch of two long routes with a hub process and two handhelds in this one."""

    def __init__(self, branch: Branch, clock: ClockFile, folder: Path, walkers: list[Walker]) -> None:
        self.branch = branch
        self.clock = clock
        self.folder = folder
        self.walkers = walkers

    @classmethod
    async def found(cls, folder: Path) -> "World":
        """Import, publish, download, and walk both routes."""
        sample = write_branch(folder / "extract", routes=2, customers_per_route=ROUTE_STOPS)
        ((day, found),) = visits(sample.folder).items()
        clock = ClockFile(folder / "clock", start_of_day_ms(day) + MORNING_MS)
        branch = await Branch.found(folder / "hub", clock, unit="BENCH", name=sample.branch)
        answer = await branch.do("import", folder=str(sample.folder))
        assert not answer["problems"], answer["problems"]
        walkers = []
        for number, route in enumerate(sample.routes, start=1):
            walker = await Walker.equip(branch, FileClock(clock.path), number=number, route=route)
            walker.walk(day, [visit for visit in found if visit.route == route])
            walkers.append(walker)
        return cls(branch, clock, folder, walkers)

    async def close(self) -> None:
        for walker in self.walkers:
            await walker.uplink.close()
        await self.branch.stop()


async def upload(client: ClientSession, url: str, body: bytes) -> None:
    """One upload as a handheld sends it; anything but an ack breaks the run."""
    headers = {"Content-Type": RECORDS_TYPE, "Content-Encoding": "gzip"}
    async with client.post(f"{url}/v1/records", data=body, headers=headers) as answer:
        content = await answer.read()
        assert answer.status == 200, content


def packed(batch: Sequence[bytes]) -> bytes:
    return gzip.compress(b"".join(batch), mtime=0)


async def ingest(world: World) -> Row:
    """Both handhelds send at once, as at the end of a day, against bare checks of as many signatures on one thread."""
    key = SigningKey.of(bytes(range(32)))
    public = key.private.public_key()
    duel, kinds = Duel.empty(), len({type(sealed.record) for walker in world.walkers for sealed in walker.records})
    async with ClientSession() as client:
        for number, batches in enumerate(zip(*(walker.batches() for walker in world.walkers), strict=False)):
            batch = [message for one in batches for message in one]
            signed = [(key.private.sign(message[:-66]), message[:-66]) for message in batch]
            bodies = [packed(one) for one in batches]

            def check(pairs: list[tuple[bytes, bytes]] = signed) -> None:
                for signature, content in pairs:
                    public.verify(signature, content)

            peer_s = seconds(check)
            ours_s = await seconds_of(asyncio.gather(*(upload(client, world.branch.url, body) for body in bodies)))
            if number > 0:  # The first of each handheld finds cold caches.
                duel.ours_s.append(ours_s / len(batch))
                duel.peer_s.append(peer_s / len(batch))
    records = sum(len(walker.records) for walker in world.walkers)
    what = f"hub: ingest by 500, {records:,} records, {kinds} kinds"
    return duel.row(what, item="records", peer="Ed25519 checks", aim=0.4)


async def known_chain(world: World) -> Row:
    """What the head saves: one question against sending a long known chain again. A slow machine makes it shorter."""
    walker = await Walker.equip(world.branch, FileClock(world.clock.path), number=90, route=None)
    bodies: list[bytes] = []
    asked_s: list[float] = []
    sent_s, start = 0.0, time.monotonic()
    async with ClientSession() as client:
        while len(walker.records) < KNOWN_RECORDS and time.monotonic() - start < MAKING_SECONDS:
            bodies.append(packed(walker.slips(PER_UPLOAD)))
            sent_s += await seconds_of(upload(client, world.branch.url, bodies[-1]))
        again_s = 0.0
        for number, body in enumerate(bodies):
            again_s += await seconds_of(upload(client, world.branch.url, body))
            if number % 10 == 0:
                asked_s.append(await seconds_of(ask_head(walker)))
    await walker.uplink.close()
    head_s = median(asked_s)
    return Row(
        what=f"hub: head, or {len(walker.records):,} known records again",
        ours=f"{head_s * 1000:.1f} ms",
        peer=f"{again_s:.2f} s",
        result=f"1 / {again_s / head_s:,.0f} (when new {sent_s:.1f} s)",
    )


async def ask_head(walker: Walker) -> None:
    answer = await walker.uplink.perform(AskHead())
    assert isinstance(answer, UploadAcked), answer


def folding(world: World) -> Row:
    """The state of one account from its facts, over customers who read, paid and got their paper."""
    walker = world.walkers[0]
    assert walker.packages is not None
    hub_key = walker.session.identity.hub_key
    package = open_package(walker.packages.packages.packages[0], hub_key)
    policy = open_policy(walker.packages.packages.policy, hub_key)
    facts: dict[str, list[Fact]] = {}
    for sealed in walker.records:
        if (customer := customer_of(sealed.record)) is not None:
            facts.setdefault(customer, []).append(
                Fact(
                    device=walker.session.identity.device,
                    seq=sealed.header.seq,
                    digest=sealed.digest,
                    ord=sealed.header.at_ms,
                    day="2026-11-01",
                    collector=walker.collector,
                    quarantined=False,
                    header=sealed.header,
                    record=sealed.record,
                )
            )
    times, prices = [], Prices(package.tariff)
    for stop in package.stops:
        of_stop = facts.get(stop.customer, [])
        if any(isinstance(fact.record, CashCollected) for fact in of_stop):
            base = AccountBase(
                stop=stop,
                period=package.period,
                prices=prices,
                policy=policy,
                opening=("2026-11-01", 1, bytes(32)),
            )
            times.append(seconds(lambda base=base, of_stop=of_stop: fold(base, of_stop, ())))  # type: ignore[misc]
    return Row(what=f"hub: fold one account of {len(times):,}", ours=spread_ms(times))


def pid_of(process: Process) -> int:
    assert process.process is not None
    return process.process.pid


def customer_of(record: Record) -> str | None:
    customer = getattr(record, "customer", None)
    return customer if isinstance(customer, str) else None


async def checked(world: World) -> Row:
    """`hub check`: every chain, fact, account and sum again, in a process of its own."""
    took_s = await seconds_of(run_once("hub check", ["-m", "hub", "check", "--home", str(world.folder / "hub")], {}))
    facts = sum(len(walker.records) for walker in world.walkers)
    return Row(what=f"hub: check {2 * ROUTE_STOPS:,} accounts, {facts:,} facts", ours=f"{took_s:.1f} s")


async def processes(world: World) -> list[Row]:
    """Start and resident memory of a hub with its branch, and of a handheld with its route."""
    await world.branch.stop()
    hub_s = await seconds_of(world.branch.start())
    hub_mb = memory_mb(pid_of(world.branch.process))
    hub = Row(what="hub: start again", ours=f"{hub_s:.2f} s", result=f"{hub_mb} MB")
    collector = await Collector.equip(
        world.branch,
        world.folder,
        code="handheld",
        name="Bench",
        imei=imei_of(91),
        papers=f"text:{world.folder / 'papers'}",
        random=Random(1),
    )
    try:
        route = (await world.branch.do("package.routes"))["routes"][0]["route"]
        await world.branch.do("package.publish", route=route, collector="handheld")
        await collector.download()
        await collector.stop()
        start_s = await seconds_of(collector.start())
        size_mb = memory_mb(pid_of(collector.process))
    finally:
        await collector.stop()
        await collector.network.close()
    what = "handheld: start again with its route"
    return [hub, Row(what=what, ours=f"{start_s:.2f} s", result=f"{size_mb} MB")]
