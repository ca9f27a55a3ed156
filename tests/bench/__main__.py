"""`python -m tests.bench`: a table of what costs how much. A missed aim is shown; only what breaks is an error."""

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.bench.device_side import durable_event, route_in_hand
from tests.bench.hub_side import World, checked, folding, ingest, known_chain, processes
from tests.bench.measure import Row, table_of
from tests.bench.printer_side import carried, drawn_and_set, weighed
from tests.bench.screen_side import screens

WIDTH = 150  # In a file nobody resizes the window.


async def measured(folder: Path, console: Console) -> list[Row]:
    """All of it, one thing after the other: nothing else of ours runs meanwhile."""
    with console.status("A branch of two long routes is imported and walked"):
        world = await World.found(folder)
    with console.status("Papers: drawn, set, weighed"):
        rows = [*drawn_and_set(), *weighed()]
    with console.status("Papers: printed over simulated links"):
        rows += await carried()
    try:
        with console.status("Hub: ingest"):
            rows.append(await ingest(world))
        with console.status("Hub: check and fold"):
            rows += [folding(world), await checked(world)]
        with console.status("Handheld: events on disk"):
            rows += await durable_event(world.walkers[0], folder)
        with console.status("Handheld: a route in hand"):
            rows += route_in_hand(world.walkers[0])
        with console.status("Screens: a browser before a handheld with a month in its store"):
            rows += await screens(world.walkers[0], world.clock.path, folder / "screens")
        with console.status("Processes: start and size"):
            rows += await processes(world)
        with console.status("Hub: a long chain it knows already"):
            rows.append(await known_chain(world))
    finally:
        await world.close()
    return rows


def main() -> None:
    """Measure in a folder that goes away again."""
    if not __debug__:
        sys.exit("Do not run with -O: the programs measured here assert what they rely on.")
    start = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    folder = Path(tempfile.mkdtemp(prefix="ghithu-bench-"))
    try:
        rows = asyncio.run(measured(folder, console))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    console.print(table_of(rows))
    console.print(f"{time.monotonic() - start:.0f} s in {folder.parent}; shares are medians of blocks in turn.")


if __name__ == "__main__":
    main()
