"""The handheld's side against a far end that lies, chatters, stalls or is no sled at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from device.hardware.sled import (
    ANSWER_S,
    HELLOS_MAX,
    Deframer,
    Message,
    SledLink,
    SledUnavailableError,
    find_sled,
    framed,
    info_of,
    message_in,
    sighting_of,
    unframed,
    usb_candidates,
)
from protocol.values import Fix, Instant, NoFix
from tests.device.sled.workbench import IMEI, Outlet, Pocket, beside, nobody, outlets

HERE: Message = {"lat": 107_764_133, "lon": 1_066_663_333, "acc": 45, "sats": 9, "quality": 1}
THERE: Message = {"lat": 210_285_000, "lon": 1_058_542_000, "acc": 60, "sats": 7, "quality": 1}
ABOUT: Message = {"protocol": 1, "firmware": "1.0.0", "imei": IMEI, "why": None, "mv": 3_900, "percent": 61}
ALL_MAX_S = 15.0


class FixedClock:
    def now(self) -> Instant:
        return Instant(wall_ms=1_790_000_000_123, up_ms=1, boot=b"boot-id.")


def say(tty: Outlet, **message: object) -> None:
    tty.write(framed(cbor2.dumps(message)))


def sight(tty: Outlet, fix: Message | None, **more: object) -> None:
    say(tty, **{"op": "sight", "seq": 1, "fix": fix, "why": None if fix else "no-signal", "utc": None, **more})


async def greet(tty: Outlet, **about: object) -> None:
    """Answer the handheld's first question, and take the time from it."""
    asked = await tty.message_like(lambda said: said["op"] == "info")
    say(tty, **{"op": "info", "id": asked["id"], **ABOUT, **about})


@asynccontextmanager
async def linked(folder: Path, *, silent_s: float = 60.0) -> AsyncIterator[tuple[Outlet, SledLink, Pocket]]:
    """A handheld's link that runs, and what is at the far end of its port."""
    pocket = Pocket()
    with outlets(folder, "tty") as (tty,):
        link = SledLink(str(tty.path), clock=FixedClock(), silent_s=silent_s)
        async with asyncio.timeout(ALL_MAX_S), beside(link.run(pocket.tell)):
            yield tty, link, pocket


async def test_what_lay_in_a_buffer_before_the_greeting_is_not_told(tmp_path: Path) -> None:
    async with linked(tmp_path) as (tty, _, pocket):
        await tty.message()
        sight(tty, THERE)
        await greet(tty)
        sight(tty, HERE)
        seen = await pocket.told(lambda told: True)
        assert seen.fix == Fix(107_764_133, 1_066_663_333, 45, 0)


async def test_the_sled_is_told_our_time_and_tells_how_far_the_satellites_are_from_it(tmp_path: Path) -> None:
    async with linked(tmp_path) as (tty, link, pocket):
        await greet(tty)
        asked = await tty.message_like(lambda said: said["op"] == "time")
        assert asked["utc"] == FixedClock().now().wall_ms
        say(tty, op="time", id=asked["id"], offset=-2_500, source="satellites")
        sight(tty, None)
        await pocket.told(lambda told: told.fix is NoFix.NO_SIGNAL)
        assert link.offset_ms == -2_500
        say(tty, op="time", id=0, offset=7, source="host")
        sight(tty, HERE)
        await pocket.told(lambda told: isinstance(told.fix, Fix))
        assert link.offset_ms is None


async def test_noise_errors_and_messages_of_tomorrow_are_passed_over(tmp_path: Path) -> None:
    async with linked(tmp_path) as (tty, link, pocket):
        tty.write(b"ets Jul 29 2019 12:21:46\r\nrst:0x1 (POWERON_RESET)\r\n\0\0\xff\0")
        await greet(tty)
        tty.write(b"\x05" * 3_000 + b"\0" + framed(b"\xc1\x61\x78") + framed(b"") + framed(b"\xa1\x80\x01"))
        for strange in ({"op": 1}, {"op": "weather", "rain": True}, {"op": "error", "id": None}, {"op": [], "id": 1}):
            say(tty, **strange)
        tty.write(framed(cbor2.dumps(["op"])))
        sight(tty, HERE)
        assert (await pocket.told(lambda told: True)).fix == Fix(107_764_133, 1_066_663_333, 45, 0)
        assert link.trouble is None


async def test_a_sled_that_falls_silent_is_told_of_once_and_heard_again(tmp_path: Path) -> None:
    async with linked(tmp_path, silent_s=0.3) as (tty, link, pocket):
        await greet(tty)
        sight(tty, HERE)
        await pocket.told(lambda told: isinstance(told.fix, Fix))
        await pocket.told(nobody)
        assert link.trouble is not None
        assert "silent" in link.trouble
        await greet(tty)
        sight(tty, HERE)
        await pocket.told(lambda told: isinstance(told.fix, Fix))
        assert link.trouble is None


async def test_a_sled_of_another_protocol_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async with linked(tmp_path) as (tty, link, pocket):
        await greet(tty, protocol=2)
        await pocket.told(nobody)
        assert link.trouble == "The sled's firmware does not fit this handheld. Give it the one of this release."


async def test_a_sled_that_speaks_and_does_not_hear_is_given_up(tmp_path: Path) -> None:
    async with linked(tmp_path) as (tty, link, pocket):
        for _ in range(HELLOS_MAX + 1):
            await tty.message_like(lambda said: said["op"] == "info")
            sight(tty, HERE)
        await pocket.told(nobody)
        assert link.trouble is not None
        assert "hears nothing" in link.trouble


async def test_who_asks_while_the_cable_is_pulled_out_is_told_so_at_once(tmp_path: Path) -> None:
    async with linked(tmp_path) as (tty, link, pocket):
        await greet(tty)
        await tty.message_like(lambda said: said["op"] == "time")
        asking = asyncio.ensure_future(link.info())
        await tty.message_like(lambda said: said["op"] == "info")
        tty.vanish()
        with pytest.raises(SledUnavailableError):
            await asyncio.wait_for(asking, ANSWER_S / 2)
        await pocket.told(nobody)
        with pytest.raises(SledUnavailableError):
            await link.info()


async def test_a_question_that_was_lost_is_asked_again_and_an_old_answer_is_not_taken(tmp_path: Path) -> None:
    async with linked(tmp_path) as (tty, link, _):
        await greet(tty)
        asking = asyncio.ensure_future(link.info())
        first = await tty.message_like(lambda said: said["op"] == "info")
        second = await tty.message_like(lambda said: said["op"] == "info")
        say(tty, **{"op": "info", "id": first["id"], **ABOUT, "mv": 1})
        say(tty, **{"op": "info", "id": second["id"], **ABOUT})
        assert (await asking).battery_mv == 3_900


async def test_noise_that_never_draws_breath_does_not_hide_a_sight(tmp_path: Path) -> None:
    async with linked(tmp_path) as (tty, _, pocket):
        await greet(tty)
        seen = framed(cbor2.dumps({"op": "sight", "seq": 1, "fix": HERE, "why": None, "utc": None}))
        left = (b"\x01" * 3_000 + b"\0") * 200 + seen
        while left:
            left = left[tty.push(left) :]
            await asyncio.sleep(0)
        await pocket.told(lambda told: isinstance(told.fix, Fix))


async def test_a_port_that_is_no_port_or_nothing_is_trouble_in_words(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    for place in (plain, tmp_path / "none"):
        pocket = Pocket()
        link = SledLink(str(place))
        async with asyncio.timeout(ALL_MAX_S), beside(link.run(pocket.tell)):
            await pocket.told(nobody)
            assert str(place) in str(link.trouble)
            with pytest.raises(SledUnavailableError):
                await link.info()


async def test_nothing_is_found_where_nothing_is_plugged_in() -> None:
    assert await find_sled(lambda: []) is None
    with pytest.raises(SledUnavailableError):
        await SledLink(candidates=lambda: []).info()


def test_only_ports_that_boards_show_are_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = []
    for path, vendor, product in (("/dev/ttyS0", None, None), ("/dev/ttyUSB0", 0x10C4, 0xEA60), ("/dev/ttyUSB1", 1, 2)):
        port = ListPortInfo(path)
        port.vid, port.pid = vendor, product
        ports.append(port)
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    assert list(usb_candidates()) == ["/dev/ttyUSB0"]


@pytest.mark.parametrize(
    "fix",
    [
        [1, 2, 3],
        {},
        {**HERE, "lat": 900_000_001},
        {**HERE, "lon": -1_800_000_001},
        {**HERE, "acc": -1},
        {**HERE, "acc": 10**7 + 1},
        {**HERE, "lat": True},
        {**HERE, "lat": 1.5},
        {**HERE, "lon": None},
        {**HERE, "lon": "1"},
    ],
)
def test_a_fix_that_makes_no_sense_is_not_told(fix: object) -> None:
    assert sighting_of({"op": "sight", "fix": fix, "why": None, "utc": None}) is None


def test_a_time_that_makes_no_sense_is_left_out_and_the_place_is_told() -> None:
    told = sighting_of({"op": "sight", "fix": HERE, "utc": -1})
    assert told is not None
    assert (told.utc_ms, told.fix) == (None, Fix(107_764_133, 1_066_663_333, 45, 0))


@pytest.mark.parametrize("imei", [None, "490154203237519", "49015420323751", 490154203237519, "", [1]])
def test_what_is_no_imei_is_left_out(imei: object) -> None:
    assert info_of({**ABOUT, "imei": imei}).imei is None


@given(payload=st.binary(min_size=1, max_size=80))
def test_no_payload_raises(payload: bytes) -> None:
    assert list(Deframer().feed(framed(payload))) == [payload]
    message = message_in(payload)
    assert message is None or isinstance(message["op"], str)


@given(tags=st.lists(st.integers(0, 2**16), max_size=3), inner=st.binary(max_size=20) | st.text(max_size=20))
def test_tags_that_would_build_objects_raise_nothing(tags: list[int], inner: object) -> None:
    value = inner
    for tag in tags:
        value = cbor2.CBORTag(tag, value)
    message_in(cbor2.dumps({"op": value}))
    message_in(cbor2.dumps({"op": "sight", "fix": value, "utc": value}))


@given(stuffed=st.binary(max_size=80))
def test_any_bytes_are_a_frame_or_damaged(stuffed: bytes) -> None:
    payload = unframed(stuffed)
    assert payload is None or framed(payload)[1:-1] == stuffed or stuffed.endswith(b"\xff")
