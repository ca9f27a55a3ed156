"""A handheld's own work: an event that is on disk when it is answered, a long route loaded, a name found in it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from device.core.commands import OpenShift, TakeReading
from device.core.effects import Append
from device.core.memory import Memory
from device.core.session import CollectorSession
from device.stop_index import StopIndex
from device.store import DeviceStore
from protocol.package import open_package
from tests.bench.measure import Duel, Row, percentile, seconds, seconds_of, spread_ms
from tests.bench.walkers import NOTHING, Walker

BLOCKS = 15
EVENTS = 40
PAGE = b"\x5a" * 4096
OVERWRITTEN_PAGES = 1_000  # As long as a write-ahead log gets before it is written over from the start.
LOADS = 9
# What collectors type: a part of a name, two parts, a house number, a register number, nothing that there is.
QUERIES = ("nguyen", "tran van", "le thi", "12", "0210", "duong", "zzz")


def memory_of(walker: Walker) -> Memory:
    assert walker.packages is not None
    packages = walker.packages.packages
    return replace(NOTHING, policy=packages.policy, packages=packages.packages)


async def durable_event(walker: Walker, folder: Path) -> list[Row]:
    """Decide, seal and commit a reading, against the bare sync of a page: of a growing file, and of a standing one."""
    session = CollectorSession(walker.session.identity, memory_of(walker), Random(1))
    store = await DeviceStore.open(folder / "device.db")
    customers = iter(session.work.stops)
    numbers = iter(range(1, 10**6))

    async def event(command: OpenShift | TakeReading) -> None:
        for effect in session.handle(command, walker.clock.now()):
            if isinstance(effect, Append):
                await store.append(effect)

    async def readings() -> None:
        for _ in range(EVENTS):
            customer = next(customers)
            index = session.work.stops[customer].stop.history[-1].index + 20
            intent = next(numbers).to_bytes(16)
            await event(TakeReading(intent=intent, customer=customer, code="normal", index=index, confirmed=True))

    await event(OpenShift(intent=next(numbers).to_bytes(16), collector=walker.collector))
    growing, standing = Duel.empty(), Duel.empty()
    with syncing(folder / "grows", 0) as extend, syncing(folder / "stands", OVERWRITTEN_PAGES) as overwrite:
        for block in range(BLOCKS + 1):
            ours_s = await seconds_of(readings()) / EVENTS
            for duel, write in ((growing, extend), (standing, overwrite)):
                peer_s = seconds(lambda write=write: [write() for _ in range(EVENTS)]) / EVENTS  # type: ignore[misc]
                if block > 0:
                    duel.ours_s.append(ours_s)
                    duel.peer_s.append(peer_s)
    made = len(session.work.records)
    await store.close()
    assert made == 2 + (BLOCKS + 1) * EVENTS  # The shift and the handheld's word on itself come first.
    what = "handheld: decide, seal, commit; fdatasync of 4 KB"
    return [
        growing.row(f"{what}, extending", item="events", peer="syncs", aim=0.3),
        standing.row(f"{what}, overwriting", item="events", peer="syncs", aim=0.3),
    ]


@contextmanager
def syncing(path: Path, pages: int) -> Iterator[Callable[[], None]]:
    """Writes one page and syncs it, over and over: behind the others, or round in a file of so many pages."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(descriptor, PAGE * pages)
    os.fsync(descriptor)
    written = 0

    def write() -> None:
        nonlocal written
        os.pwrite(descriptor, PAGE, len(PAGE) * (written % pages if pages else written))
        os.fdatasync(descriptor)
        written += 1

    try:
        yield write
    finally:
        os.close(descriptor)


def route_in_hand(walker: Walker) -> list[Row]:
    """Verify and read a package, make a session of it, and find stops in it."""
    memory, identity = memory_of(walker), walker.session.identity
    opened = [seconds(lambda: open_package(memory.packages[0], identity.hub_key)) for _ in range(LOADS)]
    loaded = [seconds(lambda: CollectorSession(identity, memory, Random(1))) for _ in range(LOADS)]
    session = CollectorSession(identity, memory, Random(1))
    index = StopIndex(session.work)
    first_s = seconds(lambda: index.search(QUERIES[0]))
    times = [seconds(lambda query=query: index.search(query)) for query in QUERIES * 30]  # type: ignore[misc]
    after_round = replace(memory, messages=tuple(one.message for one in walker.records))
    restart_s = seconds(lambda: CollectorSession(identity, after_round, Random(1)))
    stops = len(session.work.stops)
    size_kb = len(memory.packages[0]) // 1000
    return [
        Row(what=f"open a package: {stops:,} stops, {size_kb:,} kB", ours=spread_ms(opened)),
        Row(what="session on that package, no records", ours=spread_ms(loaded)),
        Row(what=f"session on it with {len(after_round.messages):,} records", ours=f"{restart_s:.2f} s"),
        Row(
            what=f"search in it (the first {first_s * 1000:.0f} ms)",
            ours=spread_ms(times),
            aim="< 10 ms",
            meets=percentile(times, 95) < 0.010,
        ),
    ]
