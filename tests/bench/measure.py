"""Clocks, percentiles and the table. Machines are noisy, so what is compared is measured in alternating blocks."""

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. meets: whether the aim was met; None where there is none."""

    what: str
    ours: str
    peer: str = ""
    result: str = ""
    aim: str = ""
    meets: bool | None = None


@dataclass(slots=True)
class Duel:
    """Blocks of two kinds in turn, in seconds for one of their items each."""

    ours_s: list[float]
    peer_s: list[float]

    @classmethod
    def empty(cls) -> "Duel":
        return cls([], [])

    def row(self, what: str, *, item: str, peer: str, aim: float) -> Row:
        """How fast ours is, as a share of the peer's speed: median of the blocks, and the worst of them."""
        shares = [peer_s / ours_s for ours_s, peer_s in zip(self.ours_s, self.peer_s, strict=True)]
        return Row(
            what=what,
            ours=f"{1 / median(self.ours_s):,.0f} {item}/s",
            peer=f"{1 / median(self.peer_s):,.0f} {peer}/s",
            result=f"{median(shares):.2f} (min {min(shares):.2f})",
            aim=f">= {aim}",
            meets=median(shares) >= aim,
        )


def seconds(work: Callable[[], object]) -> float:
    """How long a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


async def seconds_of(work: Awaitable[object]) -> float:
    """How long something that waits takes."""
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread_ms(times_s: Sequence[float]) -> str:
    """Median and 95th percentile."""
    return f"p50 {percentile(times_s, 50) * 1000:,.2f} ms, p95 {percentile(times_s, 95) * 1000:,.2f} ms"


def memory_mb(pid: int) -> int:
    """Resident memory of a process of this machine, in MB of 2**20 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """Memory of a process, in MB of 2**20 bytes. rss: all pages that it has; pss: shared ones in parts, so that the
    numbers of several processes may be added. peak: the most that rss has been.
    """

    pss_mb: float
    rss_mb: float
    peak_mb: float


def weight(pid: int) -> Weight:
    """What a process of this machine holds now."""
    found: dict[str, int] = {}
    for name in ("smaps_rollup", "status"):
        for line in Path(f"/proc/{pid}/{name}").read_text(encoding="ascii", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if value.endswith(" kB"):
                found[key] = int(value.split()[0])
    return Weight(pss_mb=found["Pss"] / 1024, rss_mb=found["Rss"] / 1024, peak_mb=found["VmHWM"] / 1024)


def table_of(rows: Sequence[Row]) -> Table:
    """All measurements; what missed its aim stands out and stops nothing."""
    table = Table("what", "ours", "peer", "ours / peer, or size", "aim", "")
    for row in rows:
        mark = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[row.meets]
        table.add_row(row.what, row.ours, row.peer, row.result, row.aim, mark)
    return table
