"""NMEA 0183: sentences of real receivers' shapes, however they arrive and whatever is between them."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.hardware.nmea import BODY_MAX_BYTES, NmeaReader, checksum
from device.hardware.sightings import UNKNOWN_ACCURACY_DM, Sighting
from protocol.values import Fix, NoFix
from simulator.receivers import Sky, epoch, sentence

# 10 deg 2.05926' N, 105 deg 47.28738' E; five satellites more than it needs; HDOP 0.9.
GGA = "GPGGA,013000.50,1002.05926,N,10547.28738,E,1,09,0.9,3.1,M,-2.0,M,,"
RMC = "GNRMC,013000.50,A,1002.05926,N,10547.28738,E,0.02,,241125,,,A,V"
GLL = "GNGLL,1002.05926,N,10547.28738,E,013000.50,A,A"
PLACE = (100_343_210, 1_057_881_230)
MOMENT_MS = int(datetime(2025, 11, 24, 1, 30, 0, 500_000, tzinfo=UTC).timestamp() * 1_000)


def told(*bodies: str) -> list[Sighting]:
    return NmeaReader().feed(b"".join(map(sentence, bodies)))


def fix(accuracy_dm: int = UNKNOWN_ACCURACY_DM) -> Fix:
    return Fix(latitude_e7=PLACE[0], longitude_e7=PLACE[1], accuracy_dm=accuracy_dm, age_s=0)


def test_position_time_and_accuracy_come_together_in_one_second() -> None:
    assert told(GGA, RMC, GLL) == [
        Sighting(fix=fix(171), source="nmea"),
        Sighting(fix=fix(171), utc_ms=MOMENT_MS, source="nmea"),
        Sighting(fix=fix(171), source="nmea"),
    ]


def test_accuracy_is_unknown_where_nobody_tells_the_dilution() -> None:
    assert told(RMC) == [Sighting(fix=fix(), utc_ms=MOMENT_MS, source="nmea")]
    assert told(GGA.replace(",0.9,", ",,")) == [Sighting(fix=fix(), source="nmea")]
    assert told(GGA.replace(",0.9,", ",0.0,")) == [Sighting(fix=fix(), source="nmea")]


def test_dilution_is_not_borrowed_from_long_ago() -> None:
    late = RMC.replace("013000.50", "013006.00")
    assert [sighting.fix for sighting in told(GGA, late)] == [fix(171), fix()]


def test_dilution_holds_across_midnight() -> None:
    before, after = GGA.replace("013000.50", "235959.80"), GLL.replace("013000.50", "000000.10")
    assert [sighting.fix for sighting in told(before, after)] == [fix(171), fix(171)]


def test_corrections_make_a_fix_four_times_as_good() -> None:
    assert told(GGA.replace("E,1,09", "E,2,09"))[0].fix == fix(43)  # 42.75, rounded up.


@pytest.mark.parametrize("hdop", ["50.0", "99.9", "99.99", "9999"])
def test_receiver_that_disowns_its_fix_by_its_dilution_has_none(hdop: str) -> None:
    disowned = GGA.replace(",0.9,", f",{hdop},")
    assert [sighting.fix for sighting in told(disowned, RMC, GLL)] == [NoFix.NO_SIGNAL] * 3


@pytest.mark.parametrize(
    "body",
    [
        GGA.replace("E,1,09", "E,0,00"),  # No fix, though the last place is still shown.
        GGA.replace("E,1,09", "E,6,00"),  # Reckoned on from the last fix.
        GGA.replace("E,1,09", "E,8,00"),  # A simulator built into the receiver.
        "GPGGA,013000.50,,,,,0,00,99.99,,,,,,",
        "GPGGA,,,,,,0,,,,,,,,",
        RMC.replace(",A,1002", ",V,1002"),
        RMC.replace(",A,V", ",E,V"),
        RMC.replace(",A,V", ",N,V"),
        "GPRMC,,V,,,,,,,,,,N",
        "GPRMC,013000.50,V,,,,,,,241125,,",  # Before NMEA 2.3, without a mode.
        GLL.replace(",A,A", ",V,N"),
        "GPGLL,,,,,,V",
    ],
)
def test_no_fix_is_told_as_no_signal_and_without_a_time(body: str) -> None:
    assert told(body) == [Sighting(fix=NoFix.NO_SIGNAL, source="nmea")]


@pytest.mark.parametrize(
    "body",
    [
        "PGRMC,013000.50,A,1002.05926,N,10547.28738,E,0.02,,241125,,,A",  # Garmin's own, not an RMC.
        "GPGSV,1,1,01,05,40,083,41",
        "GPTXT,01,01,02,ANTSTATUS=OK",
        RMC.replace("1002.05926", "9102.05926"),
        RMC.replace("1002.05926", "1060.05926"),
        RMC.replace("1002.05926,N", "1002.05926,E"),
        RMC.replace("10547.28738", "18100.00000"),
        RMC.replace("1002.05926,N,10547.28738,E", "0000.0000,N,00000.0000,E"),
        RMC.replace("1002.05926,N,10547.28738,E", ",,,"),
        RMC.replace("013000.50", "250000.00"),
        RMC.replace("013000.50", "0130"),
        RMC.replace(",A,1002", ",,1002"),
        "GPRMC",
        "",
        ",,,,",
    ],
)
def test_what_cannot_be_is_not_told(body: str) -> None:
    assert told(body) == []


@pytest.mark.parametrize("date", ["310225", "000000", "24112", ""])
def test_impossible_date_costs_the_time_and_not_the_place(date: str) -> None:
    assert told(RMC.replace("241125", date)) == [Sighting(fix=fix(), source="nmea")]


def test_zda_dates_the_fix_of_its_moment_and_no_other() -> None:
    zda = "GPZDA,013000.50,24,11,2025,00,00"
    assert told(GGA, zda)[-1] == Sighting(fix=fix(171), utc_ms=MOMENT_MS, source="nmea")
    assert len(told(GGA, zda.replace("013000.50", "013001.50"))) == 1
    assert told(zda) == []  # A cold receiver's own clock.
    assert told("GPGGA,013000.50,,,,,0,00,,,,,,,", zda) == [Sighting(fix=NoFix.NO_SIGNAL, source="nmea")]


def test_south_and_west_are_negative() -> None:
    assert told(RMC.replace(",N,", ",S,").replace(",E,0", ",W,0"))[0].fix == Fix(-PLACE[0], -PLACE[1], 1_000, 0)


def test_all_decimals_count_and_half_a_unit_is_rounded_up() -> None:
    def latitude_e7(text: str) -> int:
        (sighting,) = told(RMC.replace("1002.05926", text))
        assert isinstance(sighting.fix, Fix)
        return sighting.fix.latitude_e7

    assert latitude_e7("1000.0000030") == 100_000_001  # Half a unit.
    assert latitude_e7("1000.00000299") == 100_000_000
    assert latitude_e7("1002") == 100_333_333
    assert latitude_e7("9000.0000") == 900_000_000


def test_checksum_must_be_there_and_fit() -> None:
    good = sentence(RMC)
    assert len(NmeaReader().feed(good.lower().replace(b"$gnrmc", b"$GNRMC"))) == 0  # Other bytes, other sum.
    assert NmeaReader().feed(good.split(b"*")[0] + b"\r\n") == []
    for place in range(1, good.index(b"*")):
        for bit in range(8):
            broken = bytearray(good)
            broken[place] ^= 1 << bit
            assert NmeaReader().feed(bytes(broken)) == [], f"byte {place}, bit {bit}"


def test_checksum_in_small_letters_is_as_good() -> None:
    body = next(
        body for body in (GGA + chr(odd) for odd in range(ord("A"), ord("z"))) if checksum(body.encode()) % 16 > 9
    )
    assert NmeaReader().feed(f"${body}*{checksum(body.encode()):02x}".encode()) == told(body)


def test_sentence_without_end_takes_no_memory_and_hides_nothing() -> None:
    reader = NmeaReader()
    assert reader.feed(b"$GPRMC," + b"1" * 1_000_000) == []
    assert len(reader._body) <= BODY_MAX_BYTES
    assert reader.feed(sentence(RMC)) == told(RMC)


STREAM = b"".join(
    (epoch(Sky()), b"".join(map(sentence, (RMC, GGA, GLL))), epoch(Sky(visible=False)), epoch(Sky(hdop_hundredths=317)))
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_any_pieces_give_the_same_sightings(cuts: list[int]) -> None:
    reader = NmeaReader()
    pieces = [STREAM[start:end] for start, end in pairwise((0, *sorted(cuts), len(STREAM)))]
    assert [sighting for piece in pieces for sighting in reader.feed(piece)] == NmeaReader().feed(STREAM)


@given(st.lists(st.binary(max_size=300), min_size=4, max_size=4))
def test_garbage_between_sentences_loses_none(garbage: list[bytes]) -> None:
    noise = [piece.replace(b"*", b"") for piece in garbage]  # Else it might be a sentence.
    stream = b"".join(piece + sentence(body) for piece, body in zip(noise, (GGA, RMC, GLL, GGA), strict=True))
    assert NmeaReader().feed(stream) == told(GGA, RMC, GLL, GGA)


@given(st.binary(max_size=400))
def test_nothing_that_arrives_is_an_error(data: bytes) -> None:
    NmeaReader().feed(data)


FIELDS = st.lists(
    st.sampled_from(["", "A", "V", "N", "E", "0", "1", "013000.50", "1002.05", "10547.2", "-1", "9" * 30, "241125"])
)


@given(st.sampled_from(["GGA", "RMC", "GLL", "ZDA"]), FIELDS)
def test_no_field_of_a_good_sentence_is_an_error(kind: str, fields: list[str]) -> None:
    for sighting in told(",".join([f"GN{kind}", *fields])):
        if isinstance(sighting.fix, Fix):
            assert abs(sighting.fix.latitude_e7) <= 900_000_000
            assert abs(sighting.fix.longitude_e7) <= 1_800_000_000
            assert 0 < sighting.fix.accuracy_dm <= 10**7
