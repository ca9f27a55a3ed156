"""`python -m device`: enrol a handheld, or run it."""

import argparse
import asyncio
import fcntl
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import SystemRandom

from device.app import EXIT_FATAL, App
from device.clock import clock_for
from device.core.session import CollectorSession
from device.drive import Drive
from device.keystore import (
    Admission,
    KeystoreError,
    NotEnrolledError,
    hub_origin,
    keep_admission,
    key_of,
    read_admission,
    read_key,
    write_whole,
)
from device.linked_printer import LinkedPrinter
from device.printer_door import PrinterDoor
from device.printing import PaperPress, Printer, printer_for
from device.store import DeviceStore, StoreError
from device.uplink import EnrolError, Uplink, enrol
from protocol.values import Imei, ImeiError

HOME_VARIABLE = "GHITHU_HOME"
IMEI_VARIABLE = "GHITHU_IMEI"
STORE_NAME = "store.db"
LOCK_NAME = "lock"
LISTENING_NAME = "listening.json"
LISTEN = "127.0.0.1:0"
GARBAGE_AFTER = 20_000  # New containers before the collector looks; a tap makes some hundred.
LAST_PAPER_S = 5  # How long a clean end waits for a print or a call that is under way.

log = logging.getLogger("device")


class UsageError(Exception):
    """The program was started in a way that cannot work; the sentence says how."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. 0: done; 2: started wrongly; 70: the store does not open. A sentence on stderr says why."""
    if sys.flags.optimize:
        sys.stderr.write("This program checks itself while it runs: start it without -O.\n")
        return 2
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    given = _parser().parse_args(arguments)
    try:
        home = _home(given.home)
        with only_process(home):
            if given.action == "enrol":
                asyncio.run(_enrol(home, given.hub, given.code, given.imei))
            else:
                asyncio.run(_run(home, given.listen, given.papers))
    except (UsageError, KeystoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FATAL
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ghithu-device", description="A collector's handheld.")
    parser.set_defaults(action="run", home=None, listen=LISTEN, papers=None)
    actions = parser.add_subparsers(dest="action")
    run = actions.add_parser("run", help="work (also without any word)")
    run.add_argument("--home", type=Path, help="folder of the store and keys")
    run.add_argument("--listen", default=LISTEN, help="127.0.0.1:PORT of the driving door; port 0 takes a free one")
    run.add_argument("--papers", help="png:FOLDER, text:FOLDER or a printer's address; left out: the last one")
    enrol = actions.add_parser("enrol", help="ask a hub in with a one-time code")
    enrol.add_argument("--home", type=Path, help="folder of the store and keys")
    enrol.add_argument("--hub", required=True, help="address of the hub, such as https://hub.example.vn")
    enrol.add_argument("--code", required=True, help="the one-time code that the branch was shown")
    enrol.add_argument("--imei", default=os.environ.get(IMEI_VARIABLE), help=f"15 digits; or in {IMEI_VARIABLE}")
    return parser


def _home(given: Path | None) -> Path:
    default = Path(os.environ.get(HOME_VARIABLE) or Path.home() / ".local" / "share" / "ghithu-device")
    home = given or default
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{home} cannot be used: {error.strerror}") from error
    return home


@contextmanager
def only_process(home: Path) -> Iterator[None]:
    """Hold the home for this process alone: two would make two chains of one key. Raises UsageError."""
    with (home / LOCK_NAME).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another process works in {home}") from error
        yield


async def _enrol(home: Path, hub: str, code: str, imei_text: str | None) -> None:
    with suppress(NotEnrolledError):
        admission = read_admission(home)
        raise UsageError(f"this handheld is number {admission.device} of {admission.unit} already")
    try:
        imei = Imei(imei_text or "")
        hub_url = hub_origin(hub)
        enrolled = await enrol(hub_url, code, imei, key_of(home))
    except (ImeiError, ValueError, EnrolError) as error:
        raise UsageError(str(error)) from error
    admission = Admission(
        device=enrolled.device,
        unit=enrolled.unit,
        hub_url=hub_url,
        hub_key=enrolled.hub_key,
        imei=imei,
        collector=enrolled.collector,
    )
    keep_admission(home, admission)
    log.info("enrolled as handheld %d of %s", enrolled.device, enrolled.unit)


async def _run(home: Path, listen: str, papers: str | None) -> None:
    port, printer = _port(listen), _printer(papers, home)
    admission, key, clock = read_admission(home), read_key(home), clock_for()
    async with AsyncExitStack() as ending:  # Last in, first out; an open store would keep a failed process from ending.
        store = await DeviceStore.open(home / STORE_NAME)
        ending.push_async_callback(store.close)
        try:
            session = CollectorSession(admission.identity(key, _software()), await store.load(), SystemRandom())
        except ValueError as error:  # A signature, an encoding or a field that cannot have been written so.
            raise StoreError(f"the store is damaged: {error}") from error
        uplink = Uplink(
            admission.hub_url,
            key=key,
            clock=clock,
            messages=store.messages,
            made=lambda: session.work.tip.seq,
        )
        ending.push_async_callback(uplink.close)
        press = PaperPress(store, printer)
        ending.push_async_callback(press.close)
        if isinstance(printer, LinkedPrinter) and not printer.remembered:
            await printer.remember()
        app = App(session, store=store, press=press, network=uplink, clock=clock)
        ending.push_async_callback(app.close)
        drive = Drive(app, PrinterDoor(press, home).routes())
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, drive.stopped.set)
        gc.collect()
        gc.freeze()  # The route and the records so far stay: a look at them in the middle of a tap is felt.
        gc.set_threshold(GARBAGE_AFTER, 20, 50)
        await app.start()
        ending.push_async_callback(_last_papers, app)
        ending.push_async_callback(drive.close)
        bound = await drive.listen(port)
        write_whole(home / LISTENING_NAME, json.dumps({"port": bound, "pid": os.getpid()}).encode())
        ending.callback((home / LISTENING_NAME).unlink, missing_ok=True)
        log.info("handheld %d listens on port %d, with %d records", admission.device, bound, session.work.tip.seq)
        await drive.stopped.wait()
    log.info("ended")


async def _last_papers(app: App) -> None:
    """Let a print or a call come to its end, but not for long: whatever is cut is UNKNOWN at the next start."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_PAPER_S):
            await app.quiet()


def _port(listen: str) -> int:
    host, _, port = listen.rpartition(":")
    if host != "127.0.0.1" or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"{listen!r}: the door opens on 127.0.0.1:PORT alone")
    return int(port)


def _printer(papers: str | None, home: Path) -> Printer:
    try:
        return printer_for(papers, home)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error


def _software() -> str:
    try:
        return f"ghithu {version('ghithu')}"
    except PackageNotFoundError:
        return "ghithu"


if __name__ == "__main__":
    sys.exit(main())
