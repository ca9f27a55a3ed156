"""Photos of meters: kept on a shelf of files, and carried to the hub in a lane of their own.

A reading names its photo by digest and never waits for it. The folders are the only memory: `waiting` is what the hub
does not have yet, `sent` is what it has, kept for as long as there is room.
"""

import asyncio
import logging
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Protocol

from PIL import Image, ImageOps

from device.app import App
from device.clock import Clock
from device.hardware.power import storage_free_mib
from device.keystore import sync_folder, write_whole
from device.uplink import CallRefusedError, NoAnswerError
from protocol.wire import PHOTO_BYTES_MAX, PHOTO_CHUNK_BYTES_MAX

FOLDER = "photos"
WAITING = "waiting"
SENT = "sent"
DAMAGED = "damaged"
ENDING = ".jpg"
WAITING_MAX = 3_000  # One for each customer of the longest walk: 600 MB.
SENT_MAX = 500  # Two days of them, should the branch ask to see one here.
FREE_MIB_MIN = 768  # A new release asks for 512 MiB; photos give way before it does, and long before a record.
SIDE_MAX_PX = 2_048  # Our page makes 1,280; the decoder needs 3 bytes for each pixel.
SCANS_MAX = 64  # A progressive picture has ten; each costs a pass over all pixels.
SCAN_MARKER = b"\xff\xda"
QUALITY_AGAIN = 80  # For a picture that has to be written anew.
TOLD_BY_CAMERA = ("exif", "xmp", "photoshop", "comment", "mp")  # Where Pillow puts what a picture tells of its maker.

# A damaged file makes Pillow stumble in as many ways as there are tables in it; warnings may be errors.
STUMBLES = (
    *(OSError, SyntaxError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError),
    *(struct.error, Warning),
)

PIECE_FIRST_BYTES = 16 * 2**10  # Eight seconds of a slow phone link: not much is lost when a record wants it.
WAIT_FIRST_MS = 10_000
WAIT_MAX_MS = 600_000  # A photo is in no hurry; the radio costs battery.
LOOK_EVERY_S = 60.0  # Longest time between two looks; the ticks of the loop come first.
CALL_MAX_S = 600.0  # Longer than a call takes, both tries together.

log = logging.getLogger(__name__)


class PhotoTrouble(Enum):
    """Why a picture is not kept; its value says so in Vietnamese and English. The reading goes on without."""

    NOT_A_PHOTO = ("Ảnh bị lỗi, không giữ được. Hãy chụp lại.", "This picture cannot be read. Take it again.")
    TOO_LARGE = ("Ảnh quá lớn, không giữ được. Hãy chụp lại.", "This picture is too large. Take it again.")
    FULL = (
        "Bộ nhớ máy sắp đầy nên không giữ thêm ảnh. Cứ ghi chỉ số, không cần ảnh.",
        "The storage is nearly full and takes no more photos. Go on without one.",
    )
    NOT_WRITTEN = (
        "Máy không lưu được ảnh. Cứ ghi chỉ số, không cần ảnh, và báo chi nhánh.",
        "The photo could not be written. Go on without one, and tell the branch.",
    )


class PhotoDamagedError(Exception):
    """What lies on the shelf is no longer the picture of its name."""


class PhotoShelf:
    """Pictures by the SHA-256 of their bytes, each there whole or not at all. free_mib: asked before each is kept."""

    def __init__(
        self,
        home: Path,
        *,
        waiting_max: int = WAITING_MAX,
        sent_max: int = SENT_MAX,
        free_mib: Callable[[Path], int] = storage_free_mib,
    ) -> None:
        self._home = home
        self._waiting_max = waiting_max
        self._sent_max = sent_max
        self._free_mib = free_mib
        self._one_writes = threading.Lock()
        for left in self._folder(WAITING).glob("*.new"):  # Of a cut in the middle of writing.
            with suppress(OSError):
                left.unlink()

    def has(self, digest: bytes) -> bool:
        """Whether a picture is here, sent or not."""
        return self._path(WAITING, digest).is_file() or self._path(SENT, digest).is_file()

    @property
    def any_waiting(self) -> bool:
        """Whether the hub lacks one. Raises OSError."""
        return next(iter(_pictures(self._folder(WAITING))), None) is not None

    def waiting(self) -> list[bytes]:
        """What the hub does not have yet, oldest first. Raises OSError."""
        return [bytes.fromhex(path.stem) for path in _oldest_first(self._folder(WAITING))]

    def content(self, digest: bytes) -> bytes:
        """A picture that waits. Raises PhotoDamagedError or OSError."""
        found = self._path(WAITING, digest).read_bytes()
        if sha256(found).digest() != digest:
            raise PhotoDamagedError(digest.hex())
        return found

    async def keep(self, given: bytes) -> bytes | PhotoTrouble:
        """Keep a JPEG and say its digest; it is on the disk then, and the same picture again is the same file."""
        if len(given) > PHOTO_BYTES_MAX:
            return PhotoTrouble.TOO_LARGE
        return await asyncio.to_thread(self._keep, given)

    def sent(self, digest: bytes) -> None:
        """The hub has it. Raises OSError."""
        with self._one_writes:
            self._move(digest, SENT)
            lying = _oldest_first(self._folder(SENT))
            for path in lying[: max(0, len(lying) - self._sent_max)]:
                path.unlink(missing_ok=True)

    def set_aside(self, digest: bytes) -> None:
        """Take a damaged file out of the way; a person may still look at it. Raises OSError."""
        with self._one_writes:
            self._move(digest, DAMAGED)

    def _keep(self, given: bytes) -> bytes | PhotoTrouble:
        content = plain_jpeg(given)
        if isinstance(content, PhotoTrouble):
            return content
        digest = sha256(content).digest()
        try:
            with self._one_writes:  # Whoever asked may go away; the next must still not write beside this one.
                if self.has(digest):
                    return digest
                self._made_folder(WAITING)
                if not self._make_room():
                    return PhotoTrouble.FULL
                write_whole(self._path(WAITING, digest), content)
        except OSError as error:
            log.warning("a photo could not be written: %s", error)
            return PhotoTrouble.NOT_WRITTEN
        return digest

    def _make_room(self) -> bool:
        """Whether one more may be kept. What the hub has goes first, the oldest of it; what it lacks never goes."""
        waiting = self._folder(WAITING)
        if sum(1 for _ in _pictures(waiting)) >= self._waiting_max:
            return False
        for path in _oldest_first(self._folder(SENT)):
            if self._free_mib(waiting) >= FREE_MIB_MIN:
                return True
            path.unlink(missing_ok=True)
        return self._free_mib(waiting) >= FREE_MIB_MIN

    def _move(self, digest: bytes, place: str) -> None:
        target = self._made_folder(place)
        self._path(WAITING, digest).replace(self._path(place, digest))
        sync_folder(target)
        sync_folder(self._folder(WAITING))

    def _made_folder(self, place: str) -> Path:
        folder = self._folder(place)
        if not folder.is_dir():
            folder.parent.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)
            sync_folder(self._home)
        return folder

    def _folder(self, place: str) -> Path:
        return self._home / FOLDER / place

    def _path(self, place: str, digest: bytes) -> Path:
        return self._folder(place) / f"{digest.hex()}{ENDING}"


def plain_jpeg(given: bytes) -> bytes | PhotoTrouble:
    """A JPEG that has been decoded once, with nothing in it but the picture.

    It stays as it is, byte for byte, unless it tells of its maker (EXIF with the place, XMP, comments): then it is
    turned upright and written anew.
    """
    if given.count(SCAN_MARKER) > SCANS_MAX:
        return PhotoTrouble.NOT_A_PHOTO
    try:
        with Image.open(BytesIO(given), formats=("JPEG",)) as picture:
            if max(picture.size) > SIDE_MAX_PX:
                return PhotoTrouble.TOO_LARGE
            picture.load()
            if not any(name in picture.info for name in TOLD_BY_CAMERA):
                return given
            upright = ImageOps.exif_transpose(picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return PhotoTrouble.TOO_LARGE
    except STUMBLES:
        return PhotoTrouble.NOT_A_PHOTO
    upright.info.clear()
    again = BytesIO()
    upright.save(again, format="JPEG", quality=QUALITY_AGAIN)
    return again.getvalue() if again.tell() <= PHOTO_BYTES_MAX else PhotoTrouble.TOO_LARGE


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a folder that may not be there yet."""
    try:
        return [path for path in folder.iterdir() if path.suffix == ENDING and _is_digest(path.stem)]
    except FileNotFoundError:
        return []


def _oldest_first(folder: Path) -> list[Path]:
    aged: list[tuple[int, Path]] = []
    for path in _pictures(folder):
        with suppress(FileNotFoundError):  # Sent, and moved, since the folder was read.
            aged.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(aged)]


def _is_digest(name: str) -> bool:
    return len(name) == 64 and not name.strip("0123456789abcdef")


class PhotoUplink(Protocol):
    """Hands on one piece, and says how many bytes the hub has of the photo. Raises CallRefusedError, NoAnswerError."""

    async def send_photo(self, digest: bytes, *, offset: int, size: int, content: bytes) -> int: ...


@dataclass(slots=True)
class _Carried:
    """The photo under way. have: how many bytes the hub has; None before it was asked."""

    digest: bytes
    content: bytes
    have: int | None = None


class PhotoLane:
    """Carries what waits to the hub, a piece at a time, whenever no record does.

    A record that is made meanwhile breaks a piece off. Every trouble is a wait; nothing is given up. The hub checks the
    digest before it says that it has all; its word is not signed, so what is sent stays here for as long as it may.
    """

    def __init__(self, shelf: PhotoShelf, uplink: PhotoUplink, *, app: App, clock: Clock, random: Random) -> None:
        self._shelf = shelf
        self._uplink = uplink
        self._app = app
        self._clock = clock
        self._random = random
        self._carried: _Carried | None = None
        self._refused: dict[bytes, int] = {}  # How often the hub refused one for its own sake.
        self._piece_bytes = PIECE_FIRST_BYTES
        self._failures = 0
        self._not_before_ms = 0
        self._reached: bool | None = None
        self._task: asyncio.Task[None] | None = None
        self.trouble = ""

    def start(self) -> None:
        """Begin; it goes on until `close`."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop where it is: the hub knows how far it came."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                if await self._app.until(self._is_due, LOOK_EVERY_S):
                    await self._advance()
            except OSError as error:
                self._carried = None
                self._wait(f"the photos cannot be read or moved: {error}")

    def _is_due(self) -> bool:
        """Whether a piece should go now. Raises OSError."""
        exchange, now_ms = self._app.session.exchange, self._clock.now().up_ms
        if exchange.reached and not self._reached:  # The network is back: a record has found the hub.
            self._failures = self._not_before_ms = 0
        self._reached = exchange.reached
        if not self._may_go() or now_ms < self._not_before_ms:
            return False
        return self._carried is not None or self._shelf.any_waiting

    def _may_go(self) -> bool:
        """Whether nobody else needs the link or what the battery has left."""
        session = self._app.session
        return session.outbox.unsent == 0 and not session.exchange.busy and not session.report.battery_very_low

    async def _advance(self) -> None:
        """One piece of one photo."""
        if (carried := self._carried) is None:
            carried = self._carried = await asyncio.to_thread(self._next)
        if carried is None:
            return
        known, size = carried.have, len(carried.content)
        carried.have = None  # A piece whose answer is lost may have arrived.
        offset = known or 0
        # A restart forgets how far a photo had come: the hub is asked with a piece of nothing.
        piece = b"" if known is None else carried.content[offset : offset + self._piece_bytes]
        try:
            have = await self._unless_needed(
                self._uplink.send_photo(carried.digest, offset=offset, size=size, content=piece)
            )
        except NoAnswerError as error:
            self._wait(str(error))
        except CallRefusedError as error:
            self._refused[carried.digest] = self._refused.get(carried.digest, 0) + 1
            self._carried = None  # Another may fare better; this one comes again.
            self._wait(error.refusal.sentence)
        else:
            if have is None:
                self._piece_bytes = max(self._piece_bytes // 2, PIECE_FIRST_BYTES)
            elif have == size:
                await asyncio.to_thread(self._shelf.sent, carried.digest)
                self._carried = None
                self._refused.pop(carried.digest, None)
                self._goes_well()
            elif have > size or (known is not None and have <= known):
                self._wait("the hub says that it did not take a piece")
            else:
                carried.have = have
                self._goes_well()

    def _next(self) -> _Carried | None:
        """The oldest of those that were refused least. Raises OSError."""
        waiting = self._shelf.waiting()
        for digest in sorted(waiting, key=lambda one: self._refused.get(one, 0)):
            try:
                return _Carried(digest, self._shelf.content(digest))
            except PhotoDamagedError:
                log.warning("the photo %s is damaged and was set aside", digest.hex())
                self._shelf.set_aside(digest)
        return None

    async def _unless_needed(self, sending: Coroutine[object, object, int]) -> int | None:
        """How a piece ended; None where it was broken off because something else needed the link."""
        piece = asyncio.create_task(sending)
        needed = asyncio.create_task(self._app.until(lambda: not self._may_go(), CALL_MAX_S))
        try:
            await asyncio.wait((piece, needed), return_when=asyncio.FIRST_COMPLETED)
            return piece.result() if piece.done() else None
        finally:
            piece.cancel()
            needed.cancel()
            await asyncio.gather(piece, needed, return_exceptions=True)

    def _goes_well(self) -> None:
        self._piece_bytes = min(self._piece_bytes * 2, PHOTO_CHUNK_BYTES_MAX)
        self._failures = 0
        self.trouble = ""

    def _wait(self, sentence: str) -> None:
        """Half of the wait is certain, half is chance, as with records."""
        wait_ms = min(WAIT_FIRST_MS << min(self._failures, 10), WAIT_MAX_MS)
        self._failures += 1
        self._piece_bytes = max(self._piece_bytes // 2, PIECE_FIRST_BYTES)
        self._not_before_ms = self._clock.now().up_ms + wait_ms // 2 + self._random.randrange(wait_ms // 2 + 1)
        if sentence != self.trouble:
            log.warning("photos wait: %s", sentence)
        self.trouble = sentence
