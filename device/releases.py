"""`python -m device.releases`: install a release of the handheld's program, change over, confirm, go back.

The service asks `begin` before each start and `confirm` after it (see `device/kiosk`); people give the rest. All of it
also runs from a copy outside of the releases, with the system's own Python.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from device.release_checks import (
    LOCK_NAME,
    PROBE_TIMEOUT_S,
    Health,
    NoWayBackError,
    Release,
    ReleaseError,
    Words,
    build_environment,
    health,
    known_schema,
    run,
    store_schema,
    wheelhouse_version,
)
from device.release_slots import STARTS_MAX, Slots, version_of

ROOT = Path("/opt/ghithu")
HOME = Path("/var/lib/ghithu")
HOME_VARIABLE = "GHITHU_HOME"
SERVICE_PID_VARIABLE = "MAINPID"  # What systemd calls the service's process towards ExecStartPost.
HEALTHY_WITHIN_S = 60.0  # A month of records is read in seconds; after a minute a collector calls the branch.
ASK_EVERY_S = 0.5


def confirm(slots: Slots, home: Path, wait_s: float, pid: int | None) -> None:
    """After each start: a trial is passed once the program answers; else the release is left. Raises ReleaseError.

    Where there is no way back the program is left running, however slow it is: it is all that the collector has.
    """
    with slots.switching():
        slots.settle()
        if (trial := slots.trial) is None:
            return
    deadline = time.monotonic() + wait_s
    while (found := health(home, pid)) is Health.NOT_YET and time.monotonic() < deadline:
        time.sleep(ASK_EVERY_S)
    with slots.switching():
        if (now := slots.trial) is None or now.version != trial.version:
            return  # A person changed over meanwhile; the restart that goes with it asks again.
        match found:
            case Health.WELL:
                slots.keep()
            case Health.GONE:
                raise ReleaseError("Chương trình đã tự tắt khi vừa khởi động.", "The program ended while it started.")
            case Health.NOT_YET:
                en = f"It did not answer within {wait_s:.0f} seconds."
                try:
                    slots.leave(home, Words(vi=f"Sau {wait_s:.0f} giây vẫn không trả lời.", en=en))
                except NoWayBackError as error:
                    slots.tell(error.words)
                    return
                raise ReleaseError(
                    "Bản mới không trả lời; máy đã quay về bản trước và khởi động lại.",
                    "The new release did not answer; the one before takes over at the restart that follows.",
                )
            case never:
                assert_never(never)


def nightly(slots: Slots, home: Path, inbox: Path) -> Release | None:
    """Install what lies in the inbox and was not seen yet, and change over. None: there is nothing new."""
    try:
        if (inbox / LOCK_NAME).exists() and slots.release(wheelhouse_version(inbox)) is None:
            slots.install(inbox, build_environment)
    except ReleaseError as error:  # At night nobody reads what is said on the terminal.
        slots.tell(error.words)
        raise
    with slots.switching():
        slots.settle()
        return slots.activate(None, home) if slots.named("next") is not None else None


# The program.


def main(arguments: Sequence[str] | None = None) -> int:
    """0: done, or nothing to do; 1: it cannot be done, and a sentence in each language says why."""
    given = _parser().parse_args(arguments)
    if given.action == "schema":
        sys.stdout.write(f"{known_schema()}\n")
        return 0
    slots = Slots(given.root)
    try:
        slots.root.mkdir(parents=True, exist_ok=True)
        _do(given, slots)
    except ReleaseError as error:
        words = error.words
        code = 0 if given.action == "begin" else 1  # Whatever is wrong with releases, the service starts.
    except OSError as error:
        words = Words(vi=f"Lỗi đĩa hoặc quyền: {error}", en=f"The disk or its rights failed: {error}")
        code = 0 if given.action in ("begin", "confirm") else 1  # A full disk ends no program that may be working.
    else:
        return 0
    sys.stderr.write(f"{words}\n")
    return code


def _do(given: argparse.Namespace, slots: Slots) -> None:
    home: Path = given.home
    match given.action:
        case "status":
            sys.stdout.write(status(slots, home))
        case "install":
            _say(f"Đã cài bản {(made := slots.install(given.wheelhouse, build_environment)).version}, chờ activate.",
                 f"Release {made.version} is installed and waits for activate.")  # fmt: skip
        case "activate":
            with slots.switching():
                release = slots.activate(given.version, home, again=given.again)
            if release.schema > (schema := store_schema(home)) > 0:
                steps = f"{schema} → {release.schema}"
                vi = f"Khi bản này đã mở dữ liệu (mức {steps}) thì không quay về bản trước được."
                _say(vi, f"Once it has opened the store (schema {steps}) there is no way back.")
            _restart(given.restart, release)
        case "rollback":
            with slots.switching():
                release = slots.rollback(home)
            _restart(given.restart, release)
        case "nightly":
            if (new := nightly(slots, home, given.inbox)) is not None:
                _restart(given.restart, new)
        case "begin":
            with slots.switching():
                words = slots.begin(home)
            sys.stderr.write("" if words is None else f"{words}\n")
        case "confirm":
            text = os.environ.get(SERVICE_PID_VARIABLE, "")
            confirm(slots, home, given.wait, int(text) if text.isdecimal() else None)
        case _:
            raise AssertionError(given.action)


def status(slots: Slots, home: Path) -> str:
    """What is installed, what runs, and the last notice, for people."""
    names: dict[str, list[str]] = {}
    for name, vi in (("current", "đang chạy"), ("previous", "bản trước"), ("next", "chờ chạy")):
        if (version := version_of(slots.named(name))) is not None:
            names.setdefault(version, []).append(f"{name} ({vi})")
    trial = slots.trial
    if trial is not None:
        names.setdefault(trial.version, []).append(f"trial (chạy thử, lần {trial.starts}/{STARTS_MAX})")
    lines = [f"store: schema {store_schema(home)}"]
    for release in slots.installed():
        failed = ["failed (đã bị bỏ)"] if slots.why_failed(release) is not None else []
        states = ", ".join([*names.get(release.version, []), *failed])
        lines.append(f"{release.version}: schema {release.schema}" + (f", {states}" if states else ""))
    return "\n".join([*lines, *([str(slots.notice)] if slots.notice is not None else [])]) + "\n"


def _restart(unit: str | None, release: Release) -> None:
    if unit is not None:
        run(["systemctl", "restart", "--no-block", unit], PROBE_TIMEOUT_S)
    _say(f"Bản {release.version} chạy từ lần khởi động này và phải tự chứng tỏ là chạy được.",
         f"Release {release.version} runs from this start on and has to show that it works.")  # fmt: skip


def _say(vi: str, en: str) -> None:
    sys.stdout.write(f"{vi}\n{en}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="device.releases", description="Releases of the handheld's program.")
    parser.add_argument("--root", type=Path, default=ROOT, help=f"where releases lie; {ROOT}")
    home = Path(os.environ.get(HOME_VARIABLE) or HOME)
    parser.add_argument("--home", type=Path, default=home, help=f"the handheld's store and keys; {HOME_VARIABLE}")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("status", help="what is installed and what runs")
    actions.add_parser("schema", help="up to which version of the store this release knows")
    install = actions.add_parser("install", help="make a release of a folder with wheels and their lock")
    install.add_argument("wheelhouse", type=Path)
    activate = actions.add_parser("activate", help="run another release from the next start on")
    activate.add_argument("version", nargs="?", help="left out: what was installed last")
    activate.add_argument("--again", action="store_true", help="also one that was left as failed")
    rollback = actions.add_parser("rollback", help="run the release before")
    nightly = actions.add_parser("nightly", help="install and run what lies in the inbox, if it is new")
    nightly.add_argument("inbox", type=Path)
    for changing in (activate, rollback, nightly):
        changing.add_argument("--restart", metavar="UNIT", help="the service to restart when it is done")
    actions.add_parser("begin", help="before a start of the service: count it, go back where it failed too often")
    confirm = actions.add_parser("confirm", help="wait until the handheld answers, or go back")
    confirm.add_argument("--wait", type=float, default=HEALTHY_WITHIN_S, metavar="SECONDS")
    return parser


if __name__ == "__main__":
    sys.exit(main())
