"""Logs of real receivers and words of real modems, decoded as others decode them. The samples are no part of the house:
where they are not beside it, these tests are skipped, and the vectors of the neighbouring files stand alone.

The receivers' logs bear gpsd's reports between their sentences. At each report what we have told last must be the same:
fix or none, latitude and longitude to 1e-7 degree, the radius of 95 % where the report follows a GGA, and the time to
the millisecond once both know it. gpsd also reads GNS and reckons accuracies from the satellites; that is not compared.
One fix that its GGA claims from no satellite at all (and 323 m wide) gpsd believes a sentence later than we do.
"""

import csv
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from device.hardware.at import LineReader, is_answer, is_final
from device.hardware.gpsd import understand
from device.hardware.imei import imei_in
from device.hardware.nmea import NmeaReader
from device.hardware.sightings import Sighting
from protocol.values import Fix, NoFix

SAMPLES = Path(__file__).resolve().parents[3].parent / "shared" / "data"
NMEA, AT = SAMPLES / "nmea", SAMPLES / "at_modem"

needs_nmea = pytest.mark.skipif(not NMEA.is_dir(), reason="The receivers' logs are not beside this repository.")
needs_at = pytest.mark.skipif(not AT.is_dir(), reason="The modems' words are not beside this repository.")

# log: (reports with a fix, reports without), so that a log that decodes to nothing is seen.
REPORTS = {
    "garmin-10x": (29, 16),
    "haicom-305N": (248, 20),
    "nmea-fuzzy-cases": (15, 0),
    "quectel-eg25-g-2": (28, 0),
}

FROM_NO_SATELLITE = Sighting(fix=Fix(-272_108_667, 1_530_523_283, 3_230, 0), source="gpsd")


@needs_nmea
@pytest.mark.parametrize("log", REPORTS)
def test_log_of_a_receiver_decodes_as_gpsd_decodes_it(log: str) -> None:
    reader, after = NmeaReader("gpsd"), ""
    last: Sighting | None = None
    fixes = blanks = 0
    for line in (NMEA / f"{log}.log.chk").read_bytes().splitlines(keepends=True):
        if line.startswith(b"$"):
            after = line[3:6].decode()
            last = next(iter(reader.feed(line)), last)
        elif b'"TPV"' in line:
            report = understand(line)
            assert report is not None
            assert last is not None
            fixes, blanks = fixes + isinstance(report.fix, Fix), blanks + isinstance(report.fix, NoFix)
            assert_same(last, report, json.loads(line, parse_float=Decimal), after)
    assert (fixes, blanks) == REPORTS[log]


def assert_same(ours: Sighting, report: Sighting, words: dict[str, Decimal], after: str) -> None:
    if isinstance(report.fix, NoFix):
        assert ours.fix is report.fix or (after == "GGA" and ours == FROM_NO_SATELLITE)
        return
    assert isinstance(ours.fix, Fix), f"gpsd has a fix: {words}"
    assert abs(ours.fix.latitude_e7 - report.fix.latitude_e7) <= 1
    assert abs(ours.fix.longitude_e7 - report.fix.longitude_e7) <= 1
    if after == "GGA" and "eph" in words:
        assert ours.fix.accuracy_dm == report.fix.accuracy_dm
    if ours.utc_ms is not None and report.utc_ms is not None:
        assert ours.utc_ms == report.utc_ms


@needs_nmea
@pytest.mark.parametrize("log", REPORTS)
def test_log_gives_each_time_that_gpsd_reports(log: str) -> None:
    """gpsd dates a GGA by the RMC of the second before; ours waits for the RMC, so times are compared as sets."""
    sightings = NmeaReader().feed((NMEA / f"{log}.log").read_bytes())
    ours = {sighting.utc_ms for sighting in sightings if sighting.utc_ms is not None}
    lines = (NMEA / f"{log}.log.chk").read_bytes().splitlines()
    reports = [report for line in lines if line.startswith(b"{") and (report := understand(line)) is not None]
    theirs = {report.utc_ms for report in reports if report.utc_ms is not None}
    assert ours
    assert ours <= theirs | first_second(sightings)
    assert theirs <= ours


def first_second(sightings: list[Sighting]) -> set[int | None]:
    """gpsd reports its first two-dimensional fix without a time."""
    return {next(sighting.utc_ms for sighting in sightings if sighting.utc_ms is not None)}


def responses() -> list[str]:
    with (AT / "modemmanager_responses.csv").open(encoding="utf-8", newline="") as file:
        return [unescaped(row["response_c_escaped"]) for row in csv.DictReader(file)]


def unescaped(text: str) -> str:
    return text.replace("\\r", "\r").replace("\\n", "\n").replace('\\"', '"')


@needs_at
def test_words_of_real_modems_come_out_line_by_line_from_single_bytes() -> None:
    told = [text for text in responses() if text.isascii()]
    assert len(told) > 400
    for text in told:
        reader = LineReader()
        lines = [line for byte in f"{text}\r\nOK\r\n".encode() for line in reader.feed(bytes((byte,)))]
        wanted = [line.strip() for line in re.split(r"[\r\n\0]+", text) if line.strip()]
        assert lines == [line[:512].strip() for line in wanted] + ["OK"]
        for line in wanted:
            assert is_final(line) == (line == "OK" or line.startswith(("+CME ERROR:", "ERROR"))), line


@needs_at
def test_no_word_of_real_modems_is_taken_for_an_imei() -> None:
    for text in responses():
        lines = [line for line in re.split(r"[\r\n]+", text) if line and is_answer(line, "AT+CGSN=1")]
        assert imei_in(lines) is None, text


@needs_at
def test_transcripts_of_modems_tell_asked_from_unasked() -> None:
    """Each `command -> lines` of the transcripts: what follows the command is its answer or ends it."""
    told = re.findall(r"`?(AT\S+)\s+->\s+([^`\n]+)", (AT / "transcripts.md").read_text(encoding="utf-8"))
    exchanges = [(command, [line.strip() for line in re.split(r"\s/\s|\s{3,}", words)]) for command, words in told]
    finals = [line for _, lines in exchanges for line in lines if is_final(line)]
    assert len(exchanges) >= 15
    assert set(finals) == {"OK", "ERROR", "+CME ERROR: SIM busy"}
    for command, lines in exchanges:
        for line in lines:
            own_name = line.upper().startswith(f"+{command[3:].split('=')[0].rstrip('?').upper()}:")
            if line.startswith("+") and not is_final(line):
                assert is_answer(line, command) == own_name, (command, line)
