"""`python -m simulator`: the demo, a whole round on given data, and a made-up branch."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from simulator import demo
from simulator import round as whole_round
from simulator.sample import write_branch

HELP = "A branch, simulated on the real hub and handhelds."
cli = typer.Typer(no_args_is_help=True, add_completion=False, help=HELP)


@cli.command("demo")
def demo_command(
    once: Annotated[bool, typer.Option("--once", help="End after the story; 0 only if all is as it says")] = False,
) -> None:
    """One day of a small branch, told and checked."""
    raise typer.Exit(asyncio.run(demo.run(once=once)))


@cli.command("round")
def round_command(
    data: Annotated[Path, typer.Option(help="Folder with a billing extract and the truth of its round")],
    out: Annotated[Path | None, typer.Option(help="Write the totals here, as JSON")] = None,
    expected: Annotated[Path | None, typer.Option(help="Totals to agree with")] = None,
    online: Annotated[bool, typer.Option("--online", help="Bank lines and uploads at their true times")] = False,
    delete_fact: Annotated[
        str | None, typer.Option(help="DEVICE:SEQ to take out of the hub's database, to see the check find it")
    ] = None,
) -> None:
    """Work a whole round through real processes and compare its totals."""
    code = asyncio.run(
        whole_round.run(data, out=out, expected=expected, online=online, delete_fact=delete_fact, say=print)
    )
    raise typer.Exit(code)


@cli.command("sample")
def sample_command(folder: Path, seed: int = 1, routes: int = 2, customers_per_route: int = 150, days: int = 1) -> None:
    """Write a made-up branch in the format of a billing extract, with the truth of its round."""
    branch = write_branch(folder, seed=seed, routes=routes, customers_per_route=customers_per_route, days=days)
    typer.echo(f"{branch.branch}: {', '.join(branch.routes)}")


def main() -> None:
    """Entry of `python -m simulator`."""
    if not __debug__:
        sys.exit("Do not run with -O: the simulator asserts what it sees.")
    cli()


if __name__ == "__main__":
    main()
