"""Photos: piece by piece over real sockets, whole or not at all, and never in the way of a record."""

import os
import shutil
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select, update

from hub.admin import ACTIONS
from hub.core.verify import RefusedError
from hub.photos import FREE_BYTES_MIN, PART_AGE_MAX_S, PARTS, PARTS_MAX, Photos
from hub.store.schema import handheld
from protocol import codec
from protocol.records import ReadingSkipped
from protocol.wire import PHOTO_BYTES_MAX, PHOTO_CHUNK_BYTES_MAX, PhotoHave
from tests.hub.branch import HOUSES, Branch
from tests.hub.served import Served, refusal_in
from tests.hub.worlds import PERIOD, Handset

SIZE = 150_000


def picture(size: int = SIZE, seed: int = 1) -> bytes:
    return b"\xff\xd8\xff\xe0" + Random(seed).randbytes(size - 4)


def name_of(photo: bytes) -> str:
    return sha256(photo).hexdigest()


def path_for(photo: bytes, offset: int, size: int | None = None) -> str:
    return f"/v1/photos/{name_of(photo)}?offset={offset}&size={len(photo) if size is None else size}"


async def put(served: Served, photo: bytes, offset: int, length: int, one: Handset | None = None) -> int:
    """Send a piece; how much the hub has."""
    piece = photo[offset : offset + length]
    status, answer = await served.ask(one or served.branch.an, "PUT", path_for(photo, offset), piece)
    assert status == 200, refusal_in(answer)
    return codec.unpack(PhotoHave, codec.decode(answer)).have


def kept(branch: Branch, photo: bytes) -> Path:
    return Photos(branch.hub.home.folder).path_of(name_of(photo))


def parts(branch: Branch) -> list[str]:
    return sorted(path.name for path in (branch.hub.home.folder / "photos" / PARTS).glob("*"))


async def test_a_photo_comes_in_pieces_and_is_kept_once_it_is_whole(served: Served) -> None:
    photo = picture()
    edges = [0, 1, PHOTO_CHUNK_BYTES_MAX, 2 * PHOTO_CHUNK_BYTES_MAX, SIZE]
    for start, end in pairwise(edges):
        assert not kept(served.branch, photo).exists()
        assert await put(served, photo, start, end - start) == end
    path = kept(served.branch, photo)
    assert path.read_bytes() == photo
    assert path.relative_to(served.branch.hub.home.folder).as_posix() == f"photos/{name_of(photo)[:2]}/{path.name}"
    assert path.stat().st_mode & 0o077 == 0
    assert parts(served.branch) == []


async def test_after_a_lost_answer_the_hub_says_where_to_go_on(served: Served) -> None:
    photo = picture()
    assert await put(served, photo, 0, 0) == 0, "asking costs nothing"
    assert await put(served, photo, 0, 60_000) == 60_000
    for offset in (0, 30_000, 60_001, 100_000):
        assert await put(served, photo, offset, 1_000) == 60_000
    assert await put(served, photo, 0, 0) == 60_000
    assert await put(served, photo, 60_000, 60_000) == 120_000
    assert await put(served, photo, 120_000, 60_000) == SIZE
    assert kept(served.branch, photo).read_bytes() == photo


async def test_a_photo_sent_again_is_answered_as_had_in_all_from_any_handheld(served: Served) -> None:
    photo = picture(5_000)
    assert await put(served, photo, 0, 5_000) == 5_000
    before = kept(served.branch, photo).stat()
    for one in (served.branch.an, served.branch.binh):
        assert await put(served, photo, 0, 5_000, one) == 5_000
    assert kept(served.branch, photo).stat() == before


async def test_bytes_that_are_not_the_photo_of_that_name_are_not_kept_and_it_can_be_sent_again(served: Served) -> None:
    photo, other = picture(5_000), picture(5_000, seed=2)
    status, answer = await served.ask(served.branch.an, "PUT", path_for(photo, 0), other)
    assert (status, refusal_in(answer).code) == (400, "bad-request")
    assert not kept(served.branch, photo).exists()
    assert await put(served, photo, 0, 5_000) == 5_000


async def test_two_handhelds_with_one_photo_do_not_spoil_it_for_each_other(served: Served) -> None:
    photo = picture()
    status, _ = await served.ask(served.branch.binh, "PUT", path_for(photo, 0), picture(60_000, seed=2))
    assert status == 200
    for offset in range(0, SIZE, 50_000):
        await put(served, photo, offset, 50_000)
    assert kept(served.branch, photo).read_bytes() == photo


@pytest.mark.parametrize("content", [b"GIF89a", b"\xff", b"\xff\xd8", b"\x00\xff\xd8\xff", b"<script></script>"])
async def test_what_is_no_jpeg_is_not_kept(served: Served, content: bytes) -> None:
    status, answer = await served.ask(served.branch.an, "PUT", path_for(content, 0), content)
    assert (status, refusal_in(answer).code) == (400, "bad-request")
    assert not kept(served.branch, content).exists()
    assert parts(served.branch) == []


PHOTO = picture(1_000)
NAME = name_of(PHOTO)
WRONG = {
    "name in capitals": (f"/v1/photos/{NAME.upper()}?offset=0&size=1000", PHOTO, 400),
    "name too short": (f"/v1/photos/{NAME[:-1]}?offset=0&size=1000", PHOTO, 400),
    "name of a path": ("/v1/photos/..%2F..%2Fhub.db?offset=0&size=1000", PHOTO, 400),
    "no size": (f"/v1/photos/{NAME}?offset=0", PHOTO, 400),
    "no offset": (f"/v1/photos/{NAME}?size=1000", PHOTO, 400),
    "offset below zero": (f"/v1/photos/{NAME}?offset=-1&size=1000", PHOTO, 400),
    "a number in other digits": (f"/v1/photos/{NAME}?offset=%D9%A0&size=1000", PHOTO, 400),
    "a number without end": (f"/v1/photos/{NAME}?offset=0&size={'9' * 400}", PHOTO, 400),
    "no bytes": (f"/v1/photos/{NAME}?offset=0&size=0", b"", 400),
    "past its end": (f"/v1/photos/{NAME}?offset=1&size=1000", PHOTO, 400),
    "too large": (f"/v1/photos/{NAME}?offset=0&size={PHOTO_BYTES_MAX + 1}", PHOTO, 413),
    "a piece too large": (
        f"/v1/photos/{NAME}?offset=0&size={PHOTO_BYTES_MAX}",
        picture(PHOTO_CHUNK_BYTES_MAX + 1),
        413,
    ),
}


@pytest.mark.parametrize("fault", WRONG)
async def test_a_piece_that_cannot_be_is_refused_and_leaves_nothing(served: Served, fault: str) -> None:
    path, content, wanted = WRONG[fault]
    status, answer = await served.ask(served.branch.an, "PUT", path, content)
    assert status == wanted
    assert refusal_in(answer).sentence
    assert not (served.branch.hub.home.folder / "photos").exists()


async def test_the_largest_photo_in_the_largest_pieces_is_taken(served: Served) -> None:
    photo = picture(PHOTO_BYTES_MAX)
    for offset in range(0, PHOTO_BYTES_MAX, PHOTO_CHUNK_BYTES_MAX):
        await put(served, photo, offset, PHOTO_CHUNK_BYTES_MAX)
    assert kept(served.branch, photo).stat().st_size == PHOTO_BYTES_MAX


@pytest.mark.parametrize("status", ["pending", "revoked"])
async def test_a_handheld_that_may_not_work_leaves_no_photos(served: Served, status: str) -> None:
    await served.branch.hub.write(lambda connection: connection.execute(update(handheld).values(status=status)))
    answered, _ = await served.ask(served.branch.an, "PUT", path_for(PHOTO, 0), PHOTO)
    assert answered == 403
    assert not (served.branch.hub.home.folder / "photos").exists()


async def test_a_claim_for_another_piece_or_none_opens_nothing(served: Served) -> None:
    path = served.url + path_for(PHOTO, 0)
    async with served.session.put(path, data=PHOTO) as answer:
        assert answer.status == 400
    nonce = bytes(16)
    assert (await served.ask(served.branch.an, "PUT", path_for(PHOTO, 0), PHOTO, nonce=nonce))[0] == 200
    assert (await served.ask(served.branch.an, "PUT", path_for(PHOTO, 0), PHOTO, nonce=nonce))[0] == 400


async def test_a_photo_writes_nothing_into_the_database(served: Served) -> None:
    """Sixteen pieces that each waited for the disk would keep uploads waiting."""
    branch = served.branch
    query = select(handheld.c.contact_ms, handheld.c.made).where(handheld.c.device == 1)
    before = await branch.hub.read(lambda connection: connection.execute(query).one())
    async with branch.hub.database._lock:  # Somebody is writing all the while.
        assert await put(served, PHOTO, 0, 1_000) == 1_000
    assert await branch.hub.read(lambda connection: connection.execute(query).one()) == before


async def test_a_disk_that_is_nearly_full_takes_records_and_no_photos(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FREE_BYTES_MIN > 2**30
    full = shutil.disk_usage("/")._replace(free=FREE_BYTES_MIN - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    status, answer = await served.ask(served.branch.an, "PUT", path_for(PHOTO, 0), PHOTO)
    assert (status, refusal_in(answer).code) == (507, "storage")
    await served.branch.send(served.branch.an)


async def test_photos_that_were_begun_and_forgotten_make_room(tmp_path: Path) -> None:
    photos = Photos(tmp_path, free_bytes_min=0)
    begun = [picture(1_000, seed) for seed in range(PARTS_MAX + 3)]
    for number, photo in enumerate(begun):
        await photos.take(1, name_of(photo), offset=0, size=1_000, content=photo[:500])
        os.utime(tmp_path / "photos" / PARTS / f"{name_of(photo)}-1.part", (10**9 * 2 + number,) * 2)
    await photos.take(12, name_of(begun[0]), offset=0, size=1_000, content=begun[0][:500])
    left = {path.name for path in (tmp_path / "photos" / PARTS).iterdir()}
    assert left == {f"{name_of(one)}-1.part" for one in begun[3:]} | {f"{name_of(begun[0])}-12.part"}
    for path in (tmp_path / "photos" / PARTS).iterdir():
        os.utime(path, (path.stat().st_atime - PART_AGE_MAX_S * 100,) * 2)
    fresh = picture(1_000, 99)
    await photos.take(2, name_of(fresh), offset=0, size=1_000, content=fresh[:500])
    assert [path.name for path in (tmp_path / "photos" / PARTS).iterdir()] == [f"{name_of(fresh)}-2.part"]


async def test_a_folder_that_cannot_be_written_is_said_and_asked_again(tmp_path: Path) -> None:
    (tmp_path / "photos").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(RefusedError, match="could not keep") as refused:
        await Photos(tmp_path, free_bytes_min=0).take(1, NAME, offset=0, size=1_000, content=PHOTO)
    assert refused.value.code == "storage"


async def test_photos_that_have_not_come_yet_are_said_and_are_no_finding(served: Served) -> None:
    branch, late = served.branch, picture(2_000, seed=3)
    for photo in (PHOTO, late):
        skipped = ReadingSkipped(
            customer=HOUSES[0].customer, period=PERIOD, code="house_closed", photo=sha256(photo).digest()
        )
        branch.an.make(skipped, branch.watch.now_ms)
    await branch.send(branch.an)
    await put(served, PHOTO, 0, 1_000)
    said = await ACTIONS["check"](branch.hub, {})
    assert (said["findings"], said["photos"], said["photos_missing"]) == ([], 2, [name_of(late)])
    kept(branch, PHOTO).write_bytes(late)
    (finding,) = (await ACTIONS["check"](branch.hub, {}))["findings"]
    assert NAME in finding
