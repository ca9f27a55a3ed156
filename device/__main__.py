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

from device.access import Access
from device.app import EXIT_FATAL, App
from device.clock import clock_for
from device.core.memory import Identity
from device.core.session import CollectorSession
from device.drive import Drive
from device.hardware.imei import ImeiUnavailableError, read_imei
from device.hardware.senses import Senses
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
from device.photos import PhotoLane, PhotoShelf
from device.printer_door import PrinterDoor
from device.printing import PaperPress, Printer, printer_for
from device.shelf import Shelf
from device.stop_index import StopIndex
from device.store import DeviceStore, StoreError
from device.uplink import EnrolError, Uplink, enrol
from device.web.server import Face
from device.web.visit import Opened, Site
from device.web.visitors import Visitors
from protocol.values import Imei, ImeiError

HOME_VARIABLE = "GHITHU_HOME"
IMEI_VARIABLE = "GHITHU_IMEI"
POSITION_VARIABLE = "GHITHU_POSITION"
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
                asyncio.run(_run(home, given))
    except (UsageError, KeystoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FATAL
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ghithu-device", description="A collector's handheld.")
    parser.set_defaults(
        action="run",
        home=None,
        listen=LISTEN,
        door=None,
        papers=None,
        position=os.environ.get(POSITION_VARIABLE, "auto"),
    )
    actions = parser.add_subparsers(dest="action")
    run = actions.add_parser("run", help="work (also without any word)")
    run.add_argument("--home", type=Path, help="folder of the store and keys")
    run.add_argument("--listen", default=LISTEN, help="127.0.0.1:PORT of the screens; port 0 takes a free one")
    run.add_argument("--door", help="127.0.0.1:PORT of a door for programs that drive it; without it there is none")
    run.add_argument("--position", default=os.environ.get(POSITION_VARIABLE, "auto"), help="auto, off, or a receiver")
    run.add_argument("--papers", help="png:FOLDER, text:FOLDER or a printer's address; left out: the last one")
    enrol = actions.add_parser("enrol", help="ask a hub in with a one-time code")
    enrol.add_argument("--home", type=Path, help="folder of the store and keys")
    enrol.add_argument("--hub", required=True, help="address of the hub, such as https://hub.example.vn")
    enrol.add_argument("--code", required=True, help="the one-time code that the branch was shown")
    own = f"15 digits, or in {IMEI_VARIABLE}; left out: the modem's"
    enrol.add_argument("--imei", default=os.environ.get(IMEI_VARIABLE), help=own)
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
        imei = Imei(imei_text) if imei_text else await read_imei("auto")
        hub_url = hub_origin(hub)
        enrolled = await enrol(hub_url, code, imei, key_of(home))
    except (ImeiError, ValueError, EnrolError, ImeiUnavailableError) as error:
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


async def _run(home: Path, options: argparse.Namespace) -> None:
    """Listen, so that a page is there at once; then open the store, which a month of work has made large."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    clock = clock_for()
    site = Site(home=home, clock=clock, software=_software(), admission=_admission(home))
    if site.admission is None and options.door is not None:
        raise UsageError("this handheld is not enrolled yet: programs enrol it with `python -m device enrol`")
    async with AsyncExitStack() as ending:  # Last in, first out; an open store would keep a failed process from ending.
        face = Face(site)
        ending.push_async_callback(face.close)
        listening = {"port": await face.listen(_port(options.listen)), "pid": os.getpid()}
        if options.door is None:
            _say_where(home, listening, ending)
        if site.admission is None:
            log.info("not enrolled yet: the first screen asks for the hub and the one-time code")
            if not await _first(site.enrolled, stopped):
                return
        assert site.admission is not None
        await _work(site, face, options, listening, stopped, ending)
    log.info("ended")


async def _work(
    site: Site,
    face: Face,
    options: argparse.Namespace,
    listening: dict[str, int],
    stopped: asyncio.Event,
    ending: AsyncExitStack,
) -> None:
    """Everything behind the screens, until somebody ends it."""
    home, admission, key = site.home, site.admission, read_key(site.home)
    assert admission is not None
    printer = _printer(options.papers, home)
    store = await DeviceStore.open(home / STORE_NAME)
    ending.push_async_callback(store.close)
    session = await _session(admission.identity(key, site.software), store)
    uplink = Uplink(
        admission.hub_url, key=key, clock=site.clock, messages=store.messages, made=lambda: session.work.tip.seq
    )
    ending.push_async_callback(uplink.close)
    press = PaperPress(store, printer)
    ending.push_async_callback(press.close)
    if isinstance(printer, LinkedPrinter) and not printer.remembered:
        await printer.remember()
    app = App(session, store=store, press=press, network=uplink, clock=site.clock)
    ending.push_async_callback(app.close)
    gc.collect()
    gc.freeze()  # The route and the records so far stay: a look at them in the middle of a tap is felt.
    gc.set_threshold(GARBAGE_AFTER, 20, 50)
    await app.start()
    ending.push_async_callback(_last_papers, app)
    senses = Senses(app.dispatch, clock=site.clock, home=home, position=options.position)
    await senses.start()
    ending.push_async_callback(senses.close)
    if options.door is not None:
        drive = Drive(app, PrinterDoor(press, home).routes(), stopped)
        ending.push_async_callback(drive.close)
        listening["door"] = await drive.listen(_port(options.door))
        _say_where(home, listening, ending)
    photos = PhotoShelf(home)
    lane = PhotoLane(photos, uplink, app=app, clock=site.clock, random=SystemRandom())
    lane.start()
    ending.push_async_callback(lane.close)
    shelf = Shelf(store)
    await site.open(
        Opened(
            app=app,
            access=Access(app, shelf, site.clock, key.secret(b"ghithu/1/pin")),
            shelf=shelf,
            visitors=Visitors(shelf, site.clock),
            press=press,
            index=StopIndex(session.work),
            photos=photos,
        )
    )
    ending.push_async_callback(face.close)  # Before what it stands on: a tap at the last moment finds all of it.
    log.info("handheld %d listens on %s, with %d records", admission.device, listening, session.work.tip.seq)
    await stopped.wait()


async def _session(identity: Identity, store: DeviceStore) -> CollectorSession:
    """The session as its store left it, rebuilt beside the loop: screens answer meanwhile."""
    memory = await store.load()
    gc.disable()  # A month of records makes a million objects, all of which stay: looking at them doubles the time.
    try:
        return await asyncio.to_thread(CollectorSession, identity, memory, SystemRandom())
    except ValueError as error:  # A signature, an encoding or a field that cannot have been written so.
        raise StoreError(f"the store is damaged: {error}") from error
    finally:
        gc.enable()


def _say_where(home: Path, listening: dict[str, int], ending: AsyncExitStack) -> None:
    """Where to find this process, for whoever starts a browser or drives it; gone when it ends well."""
    write_whole(home / LISTENING_NAME, json.dumps(listening).encode())
    ending.callback((home / LISTENING_NAME).unlink, missing_ok=True)


def _admission(home: Path) -> Admission | None:
    """What enrolment left here, None before. Raises KeystoreError."""
    try:
        return read_admission(home)
    except NotEnrolledError:
        return None


async def _first(wanted: asyncio.Event, stopped: asyncio.Event) -> bool:
    """Wait for one of two; whether it was the first."""
    waits = [asyncio.create_task(event.wait()) for event in (wanted, stopped)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return wanted.is_set() and not stopped.is_set()


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
