"""gpsd over a real socket: it stalls, restarts, loses the sky or its receiver, and sends more than anybody wants."""

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.hardware.gpsd import LINE_MAX_BYTES, GpsdLines, GpsdSource, understand
from device.hardware.sightings import UNKNOWN_ACCURACY_DM, Sighting
from protocol.values import Fix, NoFix
from simulator.receivers import FakeGpsd, Sky
from tests.device.hardware.watching import FAST_S, RETRY_S, SILENT_S, fix_under, watching

NO_SIGNAL = Sighting(fix=NoFix.NO_SIGNAL, source="gpsd")


def source(daemon: FakeGpsd) -> GpsdSource:
    return GpsdSource("127.0.0.1", daemon.port, silent_s=SILENT_S, retry_min_s=RETRY_S)


async def test_fix_comes_with_accuracy_and_time() -> None:
    sky = Sky()
    async with FakeGpsd(sky, every_s=FAST_S) as daemon, watching(source(daemon)) as seen:
        sighting = await seen.until_fix()
        assert sighting.fix == fix_under(sky)
        assert sighting.utc_ms is not None
        assert sky.utc_ms - sighting.utc_ms < 10_000
        assert sighting.source == "gpsd"


async def test_fix_is_lost_and_found_again() -> None:
    sky = Sky()
    async with FakeGpsd(sky, every_s=FAST_S) as daemon, watching(source(daemon)) as seen:
        await seen.until_fix()
        sky.visible = False
        assert (await seen.until_no(NoFix.NO_SIGNAL)).utc_ms is None
        sky.visible, sky.latitude_e7 = True, -338_688_200
        assert (await seen.until_fix()).fix == fix_under(sky)


async def test_daemon_that_stalls_has_no_signal_and_is_asked_anew() -> None:
    async with FakeGpsd(Sky(), every_s=FAST_S) as daemon, watching(source(daemon)) as seen:
        await seen.until_fix()
        daemon.silent = True
        await seen.until_no(NoFix.NO_SIGNAL)
        daemon.silent = False
        await seen.until_fix()
        assert daemon.watchers >= 2


async def test_daemon_is_restarted() -> None:
    async with FakeGpsd(Sky(), every_s=FAST_S) as daemon, watching(source(daemon)) as seen:
        await seen.until_fix()
        await daemon.stop()
        await seen.until_no(NoFix.NO_RECEIVER)
        await daemon.start()
        await seen.until_fix()


async def test_daemon_without_a_receiver_is_no_receiver_however_long_it_is_silent() -> None:
    daemon = FakeGpsd(Sky(), every_s=FAST_S)
    daemon.receiver = False
    async with daemon, watching(GpsdSource("127.0.0.1", daemon.port, silent_s=0.05, retry_min_s=RETRY_S)) as seen:
        for _ in range(4):
            await seen.until_no(NoFix.NO_RECEIVER)
        assert {sighting.fix for sighting in seen.all} == {NoFix.NO_RECEIVER}
        daemon.receiver = True
        await seen.until_fix()


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nobody = GpsdSource("127.0.0.1", port, retry_min_s=RETRY_S)
    assert not await nobody.answers()
    async with watching(nobody) as seen:
        await seen.until_no(NoFix.NO_RECEIVER)


async def test_garbage_and_endless_lines_lose_no_report() -> None:
    sky = Sky()
    daemon = FakeGpsd(sky, every_s=FAST_S)
    daemon.garbled = True
    async with daemon, watching(source(daemon)) as seen:
        for _ in range(3):
            assert (await seen.until_fix()).fix == fix_under(sky)
        assert daemon.watchers == 1


TPV = {"class": "TPV", "mode": 3, "time": "2025-11-24T01:30:00.500Z", "lat": 10.034321, "lon": 105.788123}


@pytest.mark.parametrize(
    ("more", "accuracy_dm"),
    [
        ({"eph": 17.1}, 171),
        ({"eph": 0.04}, 1),
        ({"epx": 3.0, "epy": 4.0}, 50),
        ({"epx": 3.0}, UNKNOWN_ACCURACY_DM),
        ({}, UNKNOWN_ACCURACY_DM),
        ({"eph": 0}, UNKNOWN_ACCURACY_DM),
        ({"eph": -5}, UNKNOWN_ACCURACY_DM),
        ({"eph": True}, UNKNOWN_ACCURACY_DM),
        ({"eph": "5"}, UNKNOWN_ACCURACY_DM),
        ({"eph": 10**300}, UNKNOWN_ACCURACY_DM),
    ],
)
def test_accuracy_is_eph_or_its_two_parts_or_unknown(more: dict[str, object], accuracy_dm: int) -> None:
    told = understand(json.dumps(TPV | more).encode())
    assert told == Sighting(
        fix=Fix(100_343_210, 1_057_881_230, accuracy_dm, 0), utc_ms=1_763_947_800_500, source="gpsd"
    )


@pytest.mark.parametrize(
    "change",
    [
        *({"mode": mode} for mode in (0, 1, None, [3], True)),
        *({"lat": latitude} for latitude in (None, "10", 90.1)),
        {"lon": -181},
    ],
)
def test_report_without_mode_or_place_is_no_signal(change: dict[str, object]) -> None:
    assert understand(json.dumps(TPV | change).encode()) == NO_SIGNAL


@pytest.mark.parametrize("time", [None, 5, "", "2025-11-24T01:30:00", "2025-13-24T01:30:00Z", "yesterdayZ"])
def test_time_that_is_none_costs_no_fix(time: object) -> None:
    told = understand(json.dumps(TPV | {"time": time}).encode())
    assert told is not None
    assert (told.utc_ms, type(told.fix)) == (None, Fix)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"class":"DEVICES","devices":[]}', NoFix.NO_RECEIVER),
        (b'{"class":"DEVICE","path":"/dev/ttyACM0","activated":0}', NoFix.NO_RECEIVER),
    ],
)
def test_daemon_whose_receiver_went_has_none(line: bytes, why: NoFix) -> None:
    assert understand(line) == Sighting(fix=why, source="gpsd")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b'"TPV"',
        b"{",
        b"\xff\xfe",
        b"[" * 16_000,
        b'{"class":"SKY"}',
        b'{"class":"DEVICES","devices":[{"path":"/dev/ttyACM0"}]}',
        b'{"class":"TPV","mode":3,"lat":NaN,"lon":1}',
        b'{"class":"TPV","mode":3,"lat":1e999999999999999999999,"lon":1}',
        b'{"class":"TPV","mode":3,"lat":' + b"1" * 5_000 + b',"lon":1}',
    ],
)
def test_what_is_no_report_tells_nothing(line: bytes) -> None:
    assert understand(line) is None


def test_numbers_of_any_size_are_borne() -> None:
    told = understand(b'{"class":"TPV","mode":2,"lat":1e-999999,"lon":0.' + b"3" * 9_000 + b',"eph":1e-999999}')
    assert told is not None
    assert told.fix == Fix(0, 3_333_333, 1, 0)


@given(st.lists(st.binary(max_size=200).map(lambda line: line.replace(b"\n", b""))), st.integers(1, 64))
def test_lines_come_out_whole_however_they_arrive(lines: list[bytes], step: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    cut = GpsdLines()
    assert [line for start in range(0, len(data), step) for line in cut.feed(data[start : start + step])] == lines


@pytest.mark.parametrize("step", [1_000, 4_096, 10**6])
def test_line_that_is_too_long_is_dropped_as_a_whole(step: int) -> None:
    data = b"first\n" + b"x" * (LINE_MAX_BYTES + 1) + b"\n" + b"y" * 10 * LINE_MAX_BYTES + b"\nlast\n"
    cut = GpsdLines()
    told = []
    for start in range(0, len(data), step):
        told += cut.feed(data[start : start + step])
        assert len(cut._line) <= LINE_MAX_BYTES
    assert told == [b"first", b"last"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["mode", "lat", "lon", "eph", "epx", "epy", "time"]), json_values))
def test_no_value_of_a_report_is_an_error(values: dict[str, object]) -> None:
    told = understand(json.dumps({"class": "TPV", "mode": 3, "lat": 1, "lon": 1} | values).encode())
    if told is not None and isinstance(told.fix, Fix):
        assert abs(told.fix.latitude_e7) <= 900_000_000
        assert abs(told.fix.longitude_e7) <= 1_800_000_000
        assert 0 < told.fix.accuracy_dm <= 10**7
