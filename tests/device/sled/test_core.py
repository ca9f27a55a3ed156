"""What the accessory makes of its receiver, its modem, its battery and its host, in made-up time."""

from itertools import pairwise

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device.hardware.sled import Message, framed
from tests.device.sled.workbench import (
    IMEI,
    INDOORS,
    STREET,
    STREET_E7,
    STREET_TIME,
    STREET_UTC_MS,
    firmware,
    request,
    sentence,
)

battery, frames, gnss, lines, modem, nmea, sled = map(
    firmware, ("battery", "frames", "gnss", "lines", "modem", "nmea", "sled")
)
NOW_MS = 1_790_000_000_000


class Wire:
    """A port. room: how many bytes its far end takes at a time."""

    def __init__(self, room: int = 10_000) -> None:
        self.arrived = b""
        self.said = b""
        self.room = room

    def read(self) -> bytes:
        data, self.arrived = self.arrived, b""
        return data

    def write(self, data: bytes) -> int:
        self.said += data[: self.room]
        return min(self.room, len(data))

    def drain(self) -> bytes:
        data, self.said = self.said, b""
        return data


class Bench:
    """As `ports.Board`, and the accessory on it."""

    name = "bench"

    def __init__(self, *, wired: bool = True) -> None:
        self.host = Wire()
        self.gnss = Wire() if wired else None
        self.modem = Wire() if wired else None
        self.millivolts: int | None = 3_910
        self.sled = sled.Sled(self)

    def battery_mv(self) -> int | None:
        return self.millivolts

    def messages(self) -> list[Message]:
        payloads = frames.Deframer().feed(self.host.drain())
        return [cbor2.loads(payload) for payload in payloads]

    def turn(self, now_ms: int, data: bytes = b"") -> list[Message]:
        self.host.arrived += data
        self.sled.turn(now_ms)
        return self.messages()

    def answer(self, now_ms: int, data: bytes) -> Message:
        """What is said to a frame, sights aside."""
        (message,) = [message for message in self.turn(now_ms, data) if message["op"] != "sight"]
        return message


def seen(at_ms: int, *bodies: bytes) -> Message:
    """What is seen after some sentences have been heard."""
    wire = Wire()
    wire.arrived = b"".join(map(sentence, bodies))
    subject = gnss.Gnss(wire)
    subject.turn(at_ms)
    sight: Message = subject.sight(at_ms)
    return sight


def test_a_street_in_saigon_is_seen_in_whole_numbers() -> None:
    assert seen(5_000, STREET, STREET_TIME) == {
        "fix": {"lat": STREET_E7[0], "lon": STREET_E7[1], "acc": 45, "sats": 9, "quality": 1},
        "why": None,
        "utc": STREET_UTC_MS,
    }


FIX_CASES = """
# sentence                                                        -> latitude, longitude, accuracy
GPGGA,1,0000.0000,N,00000.0000,E,1,04,1.0,,,,,,                   -> 0 0 50
GPGGA,1,3352.1234,S,15112.4321,W,2,04,1.25,,,,,,                  -> -338687233 -1512072017 63
GAGGA,1,8959.9999999,N,17959.9999999,E,4,31,50.00,,,,,,           -> 900000000 1800000000 2500
BDGGA,1,1046,N,10640,E,1,04,0.01,,,,,,                            -> 107666667 1066666667 1
GNGGA,1,9000.0001,N,00000.0000,E,1,04,1.0,,,,,,                   -> -
GNGGA,1,1060.0000,N,10640.0000,E,1,04,1.0,,,,,,                   -> -
GNGGA,1,1046.0000,X,10640.0000,E,1,04,1.0,,,,,,                   -> -
GNGGA,1,1046.0000,N,10640.0000,NE,1,04,1.0,,,,,,                  -> -
GNGGA,1,1046.0000,E,10640.0000,N,1,04,1.0,,,,,,                   -> -
GNGGA,1,-046.0000,N,10640.0000,E,1,04,1.0,,,,,,                   -> -
GNGGA,1,1046.0a00,N,10640.0000,E,1,04,1.0,,,,,,                   -> -
GNGGA,1,6,N,10640.0000,E,1,04,1.0,,,,,,                           -> -
GNGGA,1,1046.0000,N,10640.0000,E,1,04,99.99,,,,,,                 -> -
GNGGA,1,1046.0000,N,10640.0000,E,1,04,500.0,,,,,,                 -> -
GNGGA,1,1046.0000,N,10640.0000,E,1,04,0.0,,,,,,                   -> -
GNGGA,1,1046.0000,N,10640.0000,E,1,04,,,,,,,                      -> -
GNGGA,1,1046.0000,N,10640.0000,E,6,04,1.0,,,,,,                   -> -
GNGGA,1,1046.0000,N,10640.0000,E,0,04,1.0,,,,,,                   -> -
GNGGA,1,1046.0000,N,10640.0000,E,,04,1.0,,,,,,                    -> -
GNGGA,1,1046.0000,N,10640.0000                                    -> -
"""


@pytest.mark.parametrize("row", [row for row in FIX_CASES.splitlines() if "->" in row and row[0] != "#"])
def test_a_position_is_taken_only_from_a_measured_fix_that_makes_sense(row: str) -> None:
    body, _, expected = (part.strip() for part in row.partition("->"))
    fix = seen(5_000, body.encode())["fix"]
    if expected == "-":
        assert fix is None
    else:
        assert isinstance(fix, dict)
        assert f"{fix['lat']} {fix['lon']} {fix['acc']}" == expected


TIME_CASES = """
# clock, status, date      -> milliseconds since 1970, by `date -u`
235959.999,A,311226        -> 1798761599999
000000,A,010125            -> 1735689600000
120000.5,A,290228          -> 1835438400500
000000.00,A,010399         -> 4076006400000
120000.00,V,290226         -> -
120000.00,A,290226         -> -
120000.00,A,310426         -> -
120000.00,A,010006         -> -
120000.00,A,240706         -> -
240000.00,A,240726         -> -
126000.00,A,240726         -> -
120060.00,A,240726         -> -
12000.00,A,240726          -> -
,A,240726                  -> -
120000.00,A,               -> -
120000.00,A,2407²6         -> -
"""


@pytest.mark.parametrize("row", [row for row in TIME_CASES.splitlines() if "->" in row and row[0] != "#"])
def test_time_is_taken_only_from_a_receiver_that_vouches_for_it_and_in_this_century(row: str) -> None:
    fields, _, expected = (part.strip() for part in row.partition("->"))
    clock, status, day = fields.split(",")
    body = f"GNRMC,{clock},{status},1046.58480,N,10639.98000,E,0.1,,{day},,,A".encode()
    assert seen(5_000, body)["utc"] == (None if expected == "-" else int(expected))


@pytest.mark.parametrize(
    "line",
    [
        sentence(STREET).replace(b"*", b"*0"),
        sentence(STREET)[:-4] + b"00\r\n",
        sentence(STREET).replace(b"09", b"08"),
        sentence(STREET).replace(b"$", b""),
        b"$GNGGA*\r\n",
        b"*12$\r\n",
        b"$" + b"G" * 200 + b"\r\n",
        sentence(STREET)[:40] + b"\r\n",
    ],
)
def test_a_garbled_sentence_is_not_heard_and_the_next_one_is(line: bytes) -> None:
    wire = Wire()
    subject = gnss.Gnss(wire)
    wire.arrived = line
    subject.turn(1_000)
    assert subject.sight(1_000) == {"fix": None, "why": "no-receiver", "utc": None}
    wire.arrived = sentence(STREET)
    subject.turn(1_000)
    assert subject.sight(1_000)["why"] is None


@given(data=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=8))
def test_noise_from_a_receiver_is_survived_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    wire = Wire()
    subject = gnss.Gnss(wire)
    stream = data + b"\n" + sentence(STREET)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in pairwise(edges):
        wire.arrived = stream[start:end]
        subject.turn(1_000)
    assert subject.sight(1_000)["why"] is None
    assert len(subject._lines._held) <= lines.MAX_LINE_BYTES + 1


def test_a_receiver_that_stalls_loses_its_fix_first_and_then_its_name() -> None:
    wire = Wire()
    subject = gnss.Gnss(wire)
    wire.arrived = sentence(STREET) + sentence(STREET_TIME)
    subject.turn(1_000)
    assert subject.sight(4_000)["why"] is None
    assert subject.sight(4_001)["why"] == "no-signal"
    assert subject.sight(6_000)["why"] == "no-signal"
    assert subject.sight(6_001) == {"fix": None, "why": "no-receiver", "utc": STREET_UTC_MS + 5_001}
    assert subject.sight(61_000)["utc"] == STREET_UTC_MS + 60_000
    assert subject.sight(61_001)["utc"] is None


def test_a_collector_who_walks_indoors_has_no_signal_at_once() -> None:
    assert seen(1_000, STREET, INDOORS)["why"] == "no-signal"


def test_a_board_without_receiver_or_modem_says_so() -> None:
    bench = Bench(wired=False)
    assert bench.turn(0)[0]["why"] == "no-receiver"
    assert bench.answer(1, request("imei")) == {"op": "imei", "id": 1, "imei": None, "why": "no-modem"}


def test_a_sight_comes_each_second_with_the_next_number() -> None:
    bench = Bench()
    sights = {now_ms: message["seq"] for now_ms in range(0, 3_500, 100) for message in bench.turn(now_ms)}
    assert sights == {0: 1, 1_000: 2, 2_000: 3, 3_000: 4}


def test_a_host_that_comes_back_after_an_hour_is_told_one_old_sight_and_no_more() -> None:
    bench = Bench()
    bench.host.room = 0
    for now_ms in range(0, 3_600_000, 1_000):
        assert bench.turn(now_ms) == []
    bench.host.room = 10_000
    assert [message["seq"] for message in bench.turn(3_600_100)] == [1]
    assert [message["seq"] for message in bench.turn(3_602_000)] == [2]


def test_a_host_that_asks_and_never_listens_costs_a_bounded_memory() -> None:
    bench = Bench()
    bench.host.room = 0
    for number in range(300):
        bench.turn(number, request("info", number))
    assert len(bench.sled._outbox) <= sled.MAX_OUTBOX_BYTES
    bench.host.room = 7  # And when it does, in small bites, every frame is whole.
    heard = b""
    while bench.sled._outbox:
        bench.sled.turn(900)
        heard += bench.host.drain()
    assert None not in list(frames.Deframer().feed(heard))


def test_the_battery_is_told_in_millivolts_and_percent() -> None:
    bench = Bench()
    told = {}
    for millivolts in (2_000, 2_500, 3_299, 3_300, 3_450, 3_840, 3_910, 4_199, 4_200, 4_400, 4_501, None):
        bench.millivolts = millivolts
        answer = bench.answer(1, request("battery"))
        told[millivolts] = (answer["mv"], answer["percent"])
    assert told == {
        2_000: (None, None),  # Below what a cell's protection lets out.
        2_500: (2_500, 0),
        3_299: (3_299, 0),
        3_300: (3_300, 0),
        3_450: (3_450, 2),
        3_840: (3_840, 50),
        3_910: (3_910, 62),
        4_199: (4_199, 99),
        4_200: (4_200, 100),
        4_400: (4_400, 100),
        4_501: (None, None),  # An open pin.
        None: (None, None),
    }


@given(lower=st.integers(2_000, 5_000), higher=st.integers(2_000, 5_000))
def test_a_higher_voltage_is_never_a_lower_charge(lower: int, higher: int) -> None:
    low, high = sorted((lower, higher))
    assert 0 <= battery.percent(low) <= battery.percent(high) <= 100


def test_the_clock_is_compared_with_the_satellites_else_with_what_the_host_said_before() -> None:
    bench = Bench()
    assert bench.gnss is not None
    assert bench.answer(0, request("time", utc=NOW_MS)) == {"op": "time", "id": 1, "offset": None, "source": "none"}
    later = bench.answer(10_000, request("time", 2, utc=NOW_MS + 10_030))
    assert (later["offset"], later["source"]) == (-30, "host")
    bench.gnss.arrived = sentence(STREET_TIME)
    bench.turn(20_000)
    seen_from_orbit = bench.answer(20_500, request("time", 3, utc=STREET_UTC_MS + 2_500))
    assert (seen_from_orbit["offset"], seen_from_orbit["source"]) == (-2_000, "satellites")


@pytest.mark.parametrize(
    ("frame", "number", "code"),
    [
        (b"\0\x05abcd\0", None, "frame"),
        (b"\0" + b"\x01" * 900 + b"\0", None, "frame"),
        (framed(b"\xff"), None, "cbor"),
        (framed(b"\xf9\x3c\x00"), None, "cbor"),
        (framed(cbor2.dumps(["info"])), None, "request"),
        (framed(cbor2.dumps({"op": "info"})), None, "request"),
        (framed(cbor2.dumps({"op": "info", "id": True})), None, "request"),
        (request("info", -1), None, "request"),
        (request("info", 2**31), None, "request"),
        (request("reboot", 5), 5, "op"),
        (framed(cbor2.dumps({"op": [1], "id": 6})), 6, "op"),
        (request("time", 7), 7, "request"),
        (request("time", 8, utc="now"), 8, "request"),
        (request("time", 9, utc=0), 9, "request"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_code_and_the_next_is_answered(
    frame: bytes, number: int | None, code: str
) -> None:
    bench = Bench()
    assert bench.answer(0, frame) == {"op": "error", "id": number, "code": code}
    assert bench.answer(1, request("info", 77))["id"] == 77


@given(noise=st.binary(max_size=300))
@example(noise=b"\x01\0" * 400)
def test_noise_on_the_hosts_line_is_survived_and_what_follows_is_answered(noise: bytes) -> None:
    bench = Bench()
    heard = bench.turn(0, noise + request("info", 12_345))
    assert [message["op"] for message in heard if message.get("id") == 12_345] == ["info"]
    assert sum(message["op"] == "error" for message in heard) <= 1


def modem_says(*replies: tuple[bytes, bytes]) -> Message:
    """What a host learns of a modem that answers these commands so, after a minute."""
    bench = Bench()
    assert bench.modem is not None
    answers = dict(replies)
    for now_ms in range(0, 60_000, 100):
        bench.turn(now_ms)
        for command in bench.modem.drain().split(b"\r"):
            bench.modem.arrived += answers.get(command, b"")
    return bench.answer(60_000, request("imei"))


OK = b"\r\nOK\r\n"
NUMBER = IMEI.encode()


@pytest.mark.parametrize(
    "replies",
    [
        [(b"ATE0", OK), (b"AT+CGSN=1", b'\r\n+CGSN: "' + NUMBER + b'"\r\n' + OK)],
        [(b"ATE0", OK), (b"AT+CGSN=1", b"\r\n+CGSN:" + NUMBER + b"\r\n" + OK)],
        [(b"ATE0", OK), (b"AT+CGSN=1", b"\r\n" + NUMBER + b"\r\n" + OK)],
        [(b"ATE0", b"ATE0\r" + OK), (b"AT+CGSN=1", b"AT+CGSN=1\r\r\n" + NUMBER + b"\r\n" + OK)],
        [(b"ATE0", b"\r\nERROR\r\n"), (b"AT+CGSN=1", b"\r\n+CME ERROR: 50\r\n"), (b"AT+CGSN", NUMBER + b"\r\n" + OK)],
        [(b"ATE0", b"\r\nRDY\r\n\r\n+CPIN: READY\r\n" + OK), (b"AT+CGSN=1", b"+CREG: 1\r\n" + NUMBER + b"\r\n" + OK)],
        [(b"ATE0", OK), (b"AT+CGSN=1", b"6c1f-uuid-of-the-maker\r\n" + OK), (b"AT+CGSN", NUMBER + b"\r\n" + OK)],
    ],
)
def test_the_imei_is_found_in_the_words_of_every_modem(replies: list[tuple[bytes, bytes]]) -> None:
    assert modem_says(*replies) == {"op": "imei", "id": 1, "imei": IMEI, "why": None}


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ([], "modem-silent"),
        ([(b"ATE0", b"ATE0\r"), (b"AT+CGSN=1", b"AT+CGSN=1\r")], "modem-silent"),
        ([(b"ATE0", OK), (b"AT+CGSN=1", OK), (b"AT+CGSN", OK)], "modem-refused"),
        ([(b"ATE0", NUMBER + OK), (b"AT+CGSN=1", OK), (b"AT+CGSN", b"ERROR\r\n")], "modem-refused"),
        ([(b"ATE0", OK), (b"AT+CGSN=1", NUMBER + b"1\r\n" + OK), (b"AT+CGSN", NUMBER[1:] + OK)], "modem-refused"),
    ],
)
def test_a_modem_without_a_sensible_word_costs_nobody_a_wait(replies: list[tuple[bytes, bytes]], why: str) -> None:
    assert modem_says(*replies) == {"op": "imei", "id": 1, "imei": None, "why": why}


def test_a_modem_that_wakes_late_is_asked_again_and_one_that_answered_is_left_alone() -> None:
    bench = Bench()
    assert bench.modem is not None
    asked = []
    for now_ms in range(0, 400_000, 500):
        bench.turn(now_ms)
        said = bench.modem.drain()
        asked += [now_ms] if said else []
        if now_ms >= 200_000 and b"CGSN" in said:
            bench.modem.arrived = NUMBER + b"\r\n" + OK
        elif now_ms >= 200_000 and said:
            bench.modem.arrived = OK
    assert bench.answer(400_000, request("imei"))["imei"] == IMEI
    assert asked[:4] == [0, 5_000, 12_000, 23_000]  # 3 s for an answer; pauses of 2, 4, 8 s.
    assert asked[-1] < 270_000
    assert all(later - earlier <= 63_500 for earlier, later in pairwise(asked))


def test_info_tells_all_at_once_and_names_its_protocol() -> None:
    bench = Bench()
    assert bench.answer(2_500, request("info", 3)) == {
        "op": "info",
        "id": 3,
        "protocol": 1,
        "firmware": sled.FIRMWARE,
        "board": "bench",
        "uptime": 2_500,
        "imei": None,
        "why": "asking",
        "mv": 3_910,
        "percent": 62,
    }
