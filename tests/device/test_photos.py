"""Photos on their shelf and in their lane: whole or not at all, behind the records, and equal at the hub."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from device.app import App
from device.core.events import PowerRead, Tick
from device.core.outbox import WAIT_FIRST_MS as OUTBOX_FIRST_MS
from device.photos import (
    FREE_MIB_MIN,
    PIECE_FIRST_BYTES,
    SIDE_MAX_PX,
    WAIT_FIRST_MS,
    WAIT_MAX_MS,
    PhotoLane,
    PhotoShelf,
    PhotoTrouble,
    plain_jpeg,
)
from device.printing import TextFolder
from device.store import DeviceStore
from device.uplink import Uplink
from hub.api.server import serve
from hub.app import Hub
from hub.photos import Photos
from protocol import wire
from protocol.envelope import SigningKey
from protocol.wire import PHOTO_BYTES_MAX, PHOTO_CHUNK_BYTES_MAX
from simulator.network import Network
from tests.device.branch import DEVICE_KEY, SmallHub, StillClock
from tests.device.test_app import OPEN, app_with, keep_download
from tests.hub.branch import HOUSES, handsets
from tests.hub.worlds import Watch, open_copy, set_up

PATIENCE_S = 20
JPEG = "JPEG"


def picture(seed: int = 1, side_px: int = 400) -> Image.Image:
    """A picture that does not compress to nothing."""
    return Image.frombytes("RGB", (side_px, side_px * 3 // 4), Random(seed).randbytes(3 * side_px * (side_px * 3 // 4)))


def jpeg(seed: int = 1, side_px: int = 400, **options: Any) -> bytes:
    out = BytesIO()
    picture(seed, side_px).save(out, format=JPEG, quality=85, **options)
    return out.getvalue()


SMALL = jpeg(side_px=64)


async def kept(shelf: PhotoShelf, content: bytes) -> bytes:
    digest = await shelf.keep(content)
    assert isinstance(digest, bytes), digest
    return digest


def folder(home: Path, place: str = "waiting") -> list[str]:
    found = home / "photos" / place
    return sorted(path.name for path in found.iterdir()) if found.is_dir() else []


# The shelf.


async def test_a_photo_lies_there_byte_for_byte_under_its_digest(tmp_path: Path) -> None:
    shelf, content = PhotoShelf(tmp_path), jpeg()
    assert not shelf.any_waiting
    digest = await kept(shelf, content)
    assert digest == sha256(content).digest()
    assert folder(tmp_path) == [f"{digest.hex()}.jpg"]
    assert PhotoShelf(tmp_path).content(digest) == content
    assert (tmp_path / "photos" / "waiting" / f"{digest.hex()}.jpg").stat().st_mode & 0o077 == 0
    assert shelf.has(digest)
    assert not shelf.has(bytes(32))


async def test_the_same_picture_many_times_at_once_is_one_photo(tmp_path: Path) -> None:
    shelf = PhotoShelf(tmp_path)
    assert set(await asyncio.gather(*(shelf.keep(SMALL) for _ in range(8)))) == {sha256(SMALL).digest()}
    assert len(folder(tmp_path)) == 1


async def test_a_photo_that_was_sent_does_not_wait_again(tmp_path: Path) -> None:
    shelf = PhotoShelf(tmp_path)
    digest = await kept(shelf, SMALL)
    shelf.sent(digest)
    assert shelf.has(digest)
    assert await kept(shelf, SMALL) == digest
    assert not shelf.any_waiting


def with_place() -> Image.Exif:
    exif = picture().getexif()
    exif[Base.Make] = "a phone of somebody"
    exif[Base.Orientation] = 6  # Lies on its side.
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (10.0, 2.0, 3.0)
    return exif


@pytest.mark.parametrize(
    ("options", "secret"),
    [
        ({"exif": with_place()}, b"a phone of somebody"),
        ({"comment": b"taken by somebody"}, b"taken by somebody"),
        ({"xmp": b"<x:xmpmeta>somebody</x:xmpmeta>"}, b"somebody"),
    ],
    ids=["exif", "comment", "xmp"],
)
async def test_what_a_camera_tells_of_its_owner_is_not_kept(
    tmp_path: Path, options: dict[str, Any], secret: bytes
) -> None:
    given_bytes = jpeg(**options)
    assert secret in given_bytes
    shelf = PhotoShelf(tmp_path)
    digest = await kept(shelf, given_bytes)
    content = shelf.content(digest)
    assert secret not in content
    with Image.open(BytesIO(content)) as found:
        assert not found.getexif()
        assert found.size == ((300, 400) if "exif" in options else (400, 300))  # Upright before the mark goes.
    assert await kept(shelf, content) == digest


def bomb() -> bytes:
    """A small file that says it is 65,500 pixels wide and high."""
    head = SMALL.index(b"\xff\xc0") + 5
    return SMALL[:head] + (65_500).to_bytes(2) * 2 + SMALL[head + 4 :]


def wide() -> bytes:
    out = BytesIO()
    Image.new("L", (SIDE_MAX_PX + 1, 8)).save(out, format=JPEG)
    return out.getvalue()


def png() -> bytes:
    out = BytesIO()
    picture(side_px=8).save(out, format="PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        (b"", PhotoTrouble.NOT_A_PHOTO),
        (b"<html>", PhotoTrouble.NOT_A_PHOTO),
        (b"\xff\xd8\xff", PhotoTrouble.NOT_A_PHOTO),
        (png(), PhotoTrouble.NOT_A_PHOTO),
        (SMALL[: len(SMALL) // 2], PhotoTrouble.NOT_A_PHOTO),
        (SMALL + b"\xff\xda" * 100, PhotoTrouble.NOT_A_PHOTO),
        (bomb(), PhotoTrouble.TOO_LARGE),
        (wide(), PhotoTrouble.TOO_LARGE),
        (SMALL + bytes(PHOTO_BYTES_MAX), PhotoTrouble.TOO_LARGE),
    ],
    ids=["nothing", "page", "head", "png", "half", "scans", "bomb", "wide", "long"],
)
async def test_what_is_no_photo_is_not_kept(tmp_path: Path, content: bytes, trouble: PhotoTrouble) -> None:
    assert await PhotoShelf(tmp_path).keep(content) is trouble
    assert folder(tmp_path) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_bytes_are_refused_or_are_a_picture(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(SMALL)
    for place, value in changes:
        damaged[place] = value
    content = plain_jpeg(bytes(damaged))
    if isinstance(content, bytes):
        with Image.open(BytesIO(content)) as found:
            found.load()
            assert max(found.size) <= SIDE_MAX_PX


async def test_a_full_shelf_refuses_in_words_and_throws_nothing_away_that_waits(tmp_path: Path) -> None:
    shelf = PhotoShelf(tmp_path, waiting_max=2)
    digests = [await kept(shelf, jpeg(seed, 64)) for seed in (1, 2)]
    assert await shelf.keep(jpeg(3, 64)) is PhotoTrouble.FULL
    assert all(shelf.has(digest) for digest in digests)
    assert await kept(shelf, jpeg(1, 64)) == digests[0]
    shelf.sent(digests[0])
    await kept(shelf, jpeg(3, 64))


async def test_a_disk_that_fills_up_loses_the_oldest_of_what_the_hub_has(tmp_path: Path) -> None:
    room_mib = FREE_MIB_MIN + 5

    def free_mib(_folder: Path) -> int:
        return room_mib - len(folder(tmp_path)) - len(folder(tmp_path, "sent"))

    shelf = PhotoShelf(tmp_path, free_mib=free_mib)
    digests = [await kept(shelf, jpeg(seed, 64)) for seed in range(6)]
    for second, digest in enumerate(digests):
        os.utime(tmp_path / "photos" / "waiting" / f"{digest.hex()}.jpg", (second, second))
    assert await shelf.keep(jpeg(6, 64)) is PhotoTrouble.FULL
    for digest in (digests[1], digests[0], digests[2]):
        shelf.sent(digest)
    await kept(shelf, jpeg(6, 64))
    assert [shelf.has(digest) for digest in digests] == [False, True, True, True, True, True]
    room_mib = 0
    assert await shelf.keep(jpeg(7, 64)) is PhotoTrouble.FULL
    assert [shelf.has(digest) for digest in digests] == [False, False, False, True, True, True]


async def test_only_so_many_that_were_sent_are_kept(tmp_path: Path) -> None:
    shelf = PhotoShelf(tmp_path, sent_max=2)
    digests = [await kept(shelf, jpeg(seed, 64)) for seed in range(3)]
    for second, digest in enumerate(digests):
        os.utime(tmp_path / "photos" / "waiting" / f"{digest.hex()}.jpg", (second, second))
        shelf.sent(digest)
    assert [shelf.has(digest) for digest in digests] == [False, True, True]


async def test_a_cut_while_writing_leaves_no_photo_and_no_rubbish(tmp_path: Path) -> None:
    digest = await kept(PhotoShelf(tmp_path), SMALL)
    whole = tmp_path / "photos" / "waiting" / f"{digest.hex()}.jpg"
    whole.rename(whole.with_name(f"{whole.name}.new"))
    shelf = PhotoShelf(tmp_path)
    assert not shelf.has(digest)
    assert not shelf.any_waiting
    assert folder(tmp_path) == []
    assert await kept(shelf, SMALL) == digest


async def test_a_disk_that_refuses_costs_the_photo_and_not_the_reading(tmp_path: Path) -> None:
    (tmp_path / "photos").write_bytes(b"in the way")
    shelf = PhotoShelf(tmp_path)
    assert await shelf.keep(SMALL) is PhotoTrouble.NOT_WRITTEN
    assert not shelf.has(sha256(SMALL).digest())


# The lane.


@dataclass(slots=True)
class PhotoHub:
    """What the real one does with pieces, and what a test makes of it. before: asked first; an answer ends it there."""

    small: SmallHub
    parts: dict[str, bytes] = field(default_factory=dict)
    pieces: list[tuple[str, int, int]] = field(default_factory=list)
    before: Callable[[str], Awaitable[web.Response | None]] | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix("/v1/photos/")
        offset, content = int(request.query["offset"]), await request.read()
        assert len(content) <= PHOTO_CHUNK_BYTES_MAX
        self.pieces.append((name, offset, len(content)))
        if self.before is not None and (instead := await self.before(name)) is not None:
            return instead
        part = self.parts.get(name, b"")
        if offset == len(part):
            self.parts[name] = part = part + content
        return web.Response(body=wire.body(wire.PhotoHave(have=len(part))), content_type=wire.BODY_TYPE)

    def has(self, digest: bytes) -> bool:
        return sha256(self.parts.get(digest.hex(), b"")).digest() == digest


@dataclass(slots=True)
class Carrying:
    """A handheld with a lane that runs. All time is the clock's, all looking is done in turns."""

    app: App
    clock: StillClock
    shelf: PhotoShelf
    lane: PhotoLane

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await self.app.dispatch(Tick())

    async def turns(self, count: int = 30) -> None:
        """Enough turns for whatever would happen to happen."""
        for _ in range(count):
            await self.app.dispatch(Tick())

    async def later(self, ms: int) -> None:
        self.clock.up_ms += ms
        await self.app.dispatch(Tick())


@asynccontextmanager
async def carrying(
    store: DeviceStore, home: Path, url: str, *, records: SmallHub | None = None, key: SigningKey = DEVICE_KEY,
    clock: StillClock | None = None,
) -> AsyncIterator[Carrying]:  # fmt: skip
    clock = clock or StillClock()
    papers = home / "papers"
    papers.mkdir(exist_ok=True)
    async with app_with(store, TextFolder(papers), hub=records, clock=clock) as app:
        uplink = Uplink(url, key=key, clock=clock, messages=store.messages, made=lambda: app.session.work.tip.seq)
        shelf = PhotoShelf(home)
        lane = PhotoLane(shelf, uplink, app=app, clock=clock, random=Random(1))
        lane.start()
        try:
            yield Carrying(app, clock, shelf, lane)
        finally:
            await lane.close()
            await uplink.close()


@pytest.fixture
def desk(hub: SmallHub) -> PhotoHub:
    found = PhotoHub(hub)
    hub.instead = found.answer
    return found


async def test_photos_go_oldest_first_in_growing_pieces(store: DeviceStore, tmp_path: Path, desk: PhotoHub) -> None:
    shelf = PhotoShelf(tmp_path)
    digests = [await kept(shelf, jpeg(seed, 900)) for seed in range(2)]
    os.utime(tmp_path / "photos" / "waiting" / f"{digests[1].hex()}.jpg", (1, 1))
    async with carrying(store, tmp_path, desk.small.url) as handheld:
        await handheld.until(lambda: not handheld.shelf.any_waiting)
    assert all(desk.has(digest) for digest in digests)
    assert list(desk.parts) == [digests[1].hex(), digests[0].hex()]
    sizes = [size for name, _, size in desk.pieces if name == digests[1].hex()]
    assert sizes[:2] == [0, PIECE_FIRST_BYTES * 2]
    assert max(sizes) == PHOTO_CHUNK_BYTES_MAX
    assert sum(sizes) == len(jpeg(1, 900))
    assert len(folder(tmp_path, "sent")) == 2


async def test_a_photo_that_the_hub_has_is_not_carried_twice(
    store: DeviceStore, tmp_path: Path, desk: PhotoHub
) -> None:
    digest = await kept(PhotoShelf(tmp_path), SMALL)
    desk.parts[digest.hex()] = SMALL
    async with carrying(store, tmp_path, desk.small.url) as handheld:
        await handheld.until(lambda: not handheld.shelf.any_waiting)
    assert desk.pieces == [(digest.hex(), 0, 0)]


async def test_no_photo_goes_while_a_record_waits(store: DeviceStore, tmp_path: Path, desk: PhotoHub) -> None:
    async with SmallHub().open() as records:
        await keep_download(store, TextFolder(tmp_path), records)
        async with carrying(store, tmp_path, desk.small.url) as handheld:  # No network for records.
            await handheld.app.dispatch(OPEN)
            await kept(handheld.shelf, SMALL)
            await handheld.turns()
            assert handheld.app.session.outbox.unsent > 0
        assert desk.pieces == []
        async with carrying(store, tmp_path, desk.small.url, records=records) as handheld:
            await handheld.until(lambda: not handheld.shelf.any_waiting)
            assert len(records.records) == handheld.app.session.work.tip.seq


async def test_a_record_that_is_made_meanwhile_breaks_a_piece_off(
    store: DeviceStore, tmp_path: Path, desk: PhotoHub
) -> None:
    arrived, for_ever = asyncio.Event(), asyncio.Event()

    async def stall(_name: str) -> None:
        if len(desk.pieces) == 2:
            arrived.set()
            await for_ever.wait()

    desk.before = stall
    async with SmallHub().open() as records:
        await keep_download(store, TextFolder(tmp_path), records)
        async with carrying(store, tmp_path, desk.small.url, records=records) as handheld:
            digest = await kept(handheld.shelf, SMALL)
            await handheld.app.dispatch(Tick())
            async with asyncio.timeout(PATIENCE_S):
                await arrived.wait()
            await handheld.app.dispatch(OPEN)
            await handheld.until(lambda: not handheld.shelf.any_waiting)
            assert len(records.records) == handheld.app.session.work.tip.seq
            assert handheld.lane.trouble == ""  # Giving way is no trouble, and no wait.
        assert desk.has(digest)
        for_ever.set()


async def test_a_battery_that_is_very_low_keeps_photos_back(
    store: DeviceStore, tmp_path: Path, desk: PhotoHub
) -> None:
    async with carrying(store, tmp_path, desk.small.url) as handheld:
        await handheld.app.dispatch(PowerRead(battery_percent=9, charging=False, storage_free_mib=None))
        await kept(handheld.shelf, SMALL)
        await handheld.turns()
        assert desk.pieces == []
        await handheld.app.dispatch(PowerRead(battery_percent=9, charging=True, storage_free_mib=None))
        await handheld.until(lambda: not handheld.shelf.any_waiting)


async def test_one_photo_that_is_refused_holds_no_other_up(store: DeviceStore, tmp_path: Path, desk: PhotoHub) -> None:
    first, second = [await kept(PhotoShelf(tmp_path), jpeg(seed, 64)) for seed in range(2)]
    os.utime(tmp_path / "photos" / "waiting" / f"{first.hex()}.jpg", (1, 1))
    is_mended = False

    async def refuse(name: str) -> web.Response | None:
        return None if is_mended or name != first.hex() else desk.small.refusal(wire.RefusalCode.BAD_REQUEST)

    desk.before = refuse
    async with carrying(store, tmp_path, desk.small.url) as handheld:
        await handheld.until(lambda: handheld.lane.trouble != "")
        assert desk.pieces == [(first.hex(), 0, 0)]
        await handheld.later(WAIT_FIRST_MS)
        await handheld.until(lambda: desk.has(second) and len(handheld.shelf.waiting()) == 1)
        is_mended = True
        await handheld.later(WAIT_MAX_MS)
        await handheld.until(lambda: not handheld.shelf.any_waiting)
    assert desk.has(first)


@pytest.mark.parametrize("have", [0, 5, 10**6], ids=["nothing more", "always five", "too much"])
async def test_a_hub_that_counts_wrongly_is_asked_patiently(
    store: DeviceStore, tmp_path: Path, desk: PhotoHub, have: int
) -> None:
    async def count_wrongly(_name: str) -> web.Response:
        return web.Response(body=wire.body(wire.PhotoHave(have=have)), content_type=wire.BODY_TYPE)

    desk.before = count_wrongly
    async with carrying(store, tmp_path, desk.small.url) as handheld:
        await kept(handheld.shelf, SMALL)
        calls: list[int] = []
        for _ in range(4):
            await handheld.until(lambda: handheld.lane.trouble != "")
            await handheld.turns()
            calls.append(len(desk.pieces))
            handheld.lane.trouble = ""
            await handheld.later(WAIT_MAX_MS)
        assert calls == ([2, 4, 6, 8] if have < len(SMALL) else [1, 2, 3, 4])
        assert handheld.shelf.any_waiting


async def test_the_lane_waits_longer_and_longer_and_hurries_once_records_find_the_hub(
    store: DeviceStore, tmp_path: Path, desk: PhotoHub
) -> None:
    is_up = False

    async def no_way(_request: web.Request) -> web.Response:
        return web.Response(status=502, text="no way")

    async def out_of_reach(_name: str) -> web.Response | None:
        return None if is_up else web.Response(status=502, text="no way")

    desk.before = out_of_reach
    async with SmallHub().open() as records:
        await keep_download(store, TextFolder(tmp_path), records)
        async with carrying(store, tmp_path, desk.small.url, records=records) as handheld:
            await kept(handheld.shelf, SMALL)
            tries = []
            for wait_ms in (WAIT_FIRST_MS, 2 * WAIT_FIRST_MS, 4 * WAIT_FIRST_MS):
                before = len(desk.pieces)
                await handheld.until(lambda before=before: len(desk.pieces) > before)  # type: ignore[misc]  # A default is no inference.
                await handheld.until(lambda: handheld.lane.trouble != "")
                handheld.lane.trouble = ""
                await handheld.later(wait_ms // 2 - 1)
                await handheld.turns()
                tries.append(len(desk.pieces) - before)
                await handheld.later(wait_ms // 2 + 1)
            assert tries == [1, 1, 1]
            await handheld.until(lambda: handheld.lane.trouble != "")
            is_up = True
            records.instead = no_way
            await handheld.app.dispatch(OPEN)
            await handheld.until(lambda: handheld.app.session.exchange.reached is False)
            records.instead = None
            await handheld.later(2 * OUTBOX_FIRST_MS)
            await handheld.until(lambda: not handheld.shelf.any_waiting)
            assert handheld.app.session.exchange.reached


async def test_a_photo_that_rotted_on_the_disk_is_set_aside(
    store: DeviceStore, tmp_path: Path, desk: PhotoHub
) -> None:
    rotten, sound = [await kept(PhotoShelf(tmp_path), jpeg(seed, 64)) for seed in range(2)]
    path = tmp_path / "photos" / "waiting" / f"{rotten.hex()}.jpg"
    path.write_bytes(path.read_bytes()[:-1])
    os.utime(path, (1, 1))
    async with carrying(store, tmp_path, desk.small.url) as handheld:
        await handheld.until(lambda: not handheld.shelf.any_waiting)
    assert list(desk.parts) == [sound.hex()]
    assert folder(tmp_path, "damaged") == [f"{rotten.hex()}.jpg"]


async def test_a_photo_that_somebody_took_away_stops_nothing(
    store: DeviceStore, tmp_path: Path, desk: PhotoHub
) -> None:
    first, second = [await kept(PhotoShelf(tmp_path), jpeg(seed, 64)) for seed in range(2)]
    path = tmp_path / "photos" / "waiting" / f"{first.hex()}.jpg"
    os.utime(path, (1, 1))

    async def take_away(_name: str) -> None:
        path.unlink(missing_ok=True)

    desk.before = take_away
    async with carrying(store, tmp_path, desk.small.url) as handheld:
        await handheld.until(lambda: handheld.lane.trouble != "")
        await handheld.later(WAIT_MAX_MS)
        await handheld.until(lambda: not handheld.shelf.any_waiting)
    assert desk.has(second)


# With the real hub.


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(set_up(tmp_path_factory.mktemp("photo-hub"), HOUSES, list(handsets())))


@asynccontextmanager
async def served_by(hub: Hub, network: Network) -> AsyncIterator[None]:
    """The hub listens on a port of its own, and the network leads there."""
    server = await serve(hub, "127.0.0.1", 0)
    network.aim("127.0.0.1", int(server.url.rpartition(":")[2]))
    try:
        yield
    finally:
        network.down()
        await server.stop()
        await hub.close()


async def test_a_photo_comes_through_cuts_and_restarts_of_both_and_is_equal_at_the_hub(
    store: DeviceStore, tmp_path: Path, setting: Path
) -> None:
    home, hub_home, watch = tmp_path / "device", tmp_path / "hub", Watch()
    home.mkdir()
    content, key = jpeg(side_px=900), next(iter(handsets())).key
    digest = await kept(PhotoShelf(home), content)
    hub = await open_copy(setting, hub_home, watch)
    clock, network = StillClock(watch.now_ms), Network("127.0.0.1", 0, Random(3))
    url = await network.open()
    part = hub_home / "photos" / "parts" / f"{digest.hex()}-1.part"
    whole = Photos(hub_home).path_of(digest.hex())

    def came() -> int:
        return part.stat().st_size if part.exists() else 0

    async with served_by(hub, network), carrying(store, home, url, key=key, clock=clock) as handheld:
        await handheld.until(lambda: came() > 0)
        network.drop_per_mille = 1000  # Every connection from now on dies within its first bytes.
        network.down()
        network.up()
        await handheld.until(lambda: handheld.lane.trouble != "")
        for _ in range(3):
            await handheld.later(WAIT_MAX_MS)
            await handheld.turns()
        assert not whole.exists()
    halfway = came()
    assert 0 < halfway < len(content)
    network.drop_per_mille = 0
    network.up()
    async with served_by(await Hub.open(hub_home, watch), network), carrying(
        store, home, url, key=key, clock=clock
    ) as handheld:
        await handheld.until(lambda: not handheld.shelf.any_waiting)
        assert handheld.shelf.has(digest)
    await network.close()
    assert sha256(whole.read_bytes()).digest() == digest
    assert whole.read_bytes() == content
    assert not part.exists()
