"""Photos of meters: taken in piece by piece, believed when their bytes hash to their name, kept as files.

They have a lane of their own: nothing here touches the database, and a disk that fills up with pictures stops them
before it stops a record. A photo may come before the record that names it, or days after.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, select

from hub.books import Books
from hub.core.verify import RefusedError
from hub.store.schema import fact
from protocol.records import ReadingSkipped, ReadingTaken
from protocol.wire import PHOTO_BYTES_MAX, PHOTO_CHUNK_BYTES_MAX, PhotoHave, RefusalCode

FOLDER = "photos"
PARTS = "parts"
JPEG_MAGIC = b"\xff\xd8\xff"
DIGEST_HEX = 64
PARTS_MAX = 8  # Photos of one handheld under way at once; it sends one after the other, so more are forgotten ones.
PART_AGE_MAX_S = 30 * 86_400  # A month without a network, and whoever comes later begins that photo again.
FREE_BYTES_MIN = 2 * 2**30  # Records of years fit into what is left; photos wait for a person to make room.
PHOTO_KINDS = (ReadingTaken.KIND, ReadingSkipped.KIND)


class Photos:
    """The photos of one hub. folder: made when the first one comes."""

    def __init__(self, home: Path, free_bytes_min: int = FREE_BYTES_MIN) -> None:
        self._folder = home / FOLDER
        self._free_bytes_min = free_bytes_min
        self._lane = asyncio.Lock()

    async def take(self, device: int, name: str, *, offset: int, size: int, content: bytes) -> PhotoHave:
        """A piece of a photo. Its answer is on the disk. Raises RefusedError.

        name: SHA-256 of the whole in lower-case hex. size: of the whole. A piece that does not begin where the hub's
        bytes end changes nothing; the answer says where to go on.
        """
        if len(name) != DIGEST_HEX or name.strip("0123456789abcdef"):
            raise RefusedError(RefusalCode.BAD_REQUEST, "a photo is named by its SHA-256 in lower-case hex")
        if len(content) > PHOTO_CHUNK_BYTES_MAX:
            raise RefusedError(RefusalCode.TOO_LARGE, f"a piece may have {PHOTO_CHUNK_BYTES_MAX} bytes")
        if size > PHOTO_BYTES_MAX:
            raise RefusedError(RefusalCode.TOO_LARGE, f"a photo may have {PHOTO_BYTES_MAX} bytes")
        if size < 1 or offset + len(content) > size:
            raise RefusedError(RefusalCode.BAD_REQUEST, "the piece does not lie within its photo")
        async with self._lane:
            try:
                have = await asyncio.to_thread(self._take, device, name, offset, size, content)
            except OSError as error:
                raise RefusedError(RefusalCode.STORAGE, f"the hub could not keep this piece: {error}") from error
        return PhotoHave(have=have)

    def path_of(self, name: str) -> Path:
        """Where a photo is kept once it is whole."""
        return self._folder / name[:2] / f"{name}.jpg"

    def _take(self, device: int, name: str, offset: int, size: int, content: bytes) -> int:
        if (kept := self.path_of(name)).is_file():
            return kept.stat().st_size
        part = self._folder / PARTS / f"{name}-{device}.part"
        have = part.stat().st_size if part.is_file() else 0
        if offset == have and content:
            self._require_room()
            if have == 0 and not content.startswith(JPEG_MAGIC[: len(content)]):
                raise RefusedError(RefusalCode.BAD_REQUEST, "this is no JPEG")
            if have == 0:
                self._forget_old_parts(device)
            have = _append(part, content)
        if have >= size:
            return self._keep(part, name)
        return have

    def _require_room(self) -> None:
        for folder in (self._folder, self._folder / PARTS):
            folder.mkdir(mode=0o700, exist_ok=True)
        if shutil.disk_usage(self._folder).free < self._free_bytes_min:
            raise RefusedError(RefusalCode.STORAGE, "the hub's disk is nearly full: the branch must make room")

    def _forget_old_parts(self, device: int) -> None:
        """Make room for one more piece: what lay too long goes, then the oldest of this handheld."""
        parts = sorted((path.stat().st_mtime, path) for path in (self._folder / PARTS).glob("*.part"))
        oldest = time.time() - PART_AGE_MAX_S
        own = [path for _, path in parts if path.name.endswith(f"-{device}.part")]
        surplus = set(own[: max(0, len(own) - PARTS_MAX + 1)])
        for changed, path in parts:
            if changed < oldest or path in surplus:
                path.unlink(missing_ok=True)

    def _keep(self, part: Path, name: str) -> int:
        """Give a whole photo its name if its bytes earn it; else begin again."""
        content = part.read_bytes()
        if not content.startswith(JPEG_MAGIC) or sha256(content).hexdigest() != name:
            part.unlink()
            raise RefusedError(RefusalCode.BAD_REQUEST, "these bytes are not the photo of that name: send it again")
        kept = self.path_of(name)
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        part.rename(kept)
        for folder in (kept.parent, part.parent, self._folder, self._folder.parent):
            _settle(folder)
        return len(content)

    def lacking(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """Of some photos, those that are not here and those whose bytes are no longer theirs."""
        missing: list[str] = []
        damaged: list[str] = []
        for name in names:
            path = self.path_of(name)
            if not path.is_file():
                missing.append(name)
            elif sha256(path.read_bytes()).hexdigest() != name:
                damaged.append(name)
        return missing, damaged


def named_photos(connection: Connection, books: Books) -> list[str]:
    """Every photo that a record names, once."""
    query = select(fact.c.device, fact.c.digest, fact.c.message).where(
        fact.c.unit == books.unit, fact.c.kind.in_(PHOTO_KINDS)
    )
    found: set[str] = set()
    for row in connection.execute(query):
        _, record, _ = books.parsed.of(row.device, row.digest, row.message)
        if isinstance(record, ReadingTaken | ReadingSkipped) and record.photo is not None:
            found.add(record.photo.hex())
    return sorted(found)


def _append(part: Path, content: bytes) -> int:
    """Bytes at the end of a part, on the disk; its size now."""
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
        return os.fstat(handle).st_size
    finally:
        os.close(handle)


def _settle(folder: Path) -> None:
    """See a folder's names onto the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
