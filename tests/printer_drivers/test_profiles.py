"""The table of printers: nothing is missing, nothing is claimed without a source, and a bad row does not load."""

from collections.abc import Callable
from dataclasses import fields, replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from printer_drivers.profiles import (
    BLE_SERVICES,
    BUFFER_MIN_BYTES,
    CAT_PRINTER_SERVICE,
    CELL_DOTS,
    CHUNK_MAX_BYTES,
    CHUNK_MIN_BYTES,
    DOCUMENTS,
    GENERIC,
    GENERIC_80,
    OURS,
    PROFILES,
    UNKNOWN,
    WIDTHS_DOTS,
    Abilities,
    BleService,
    BleSettings,
    Fence,
    Flow,
    Profile,
    Scheme,
    SerialSettings,
    TextPages,
    UnknownModelError,
    profile_for,
)
from printer_drivers.raster import CELL_WIDTH

HEADS_DOTS = (384, 432, 512, 576, 640)
BOUGHT = """
generic-58 generic-80 epson-tm-p20ii epson-tm-p80ii epson-tm-m30iii bixolon-spp-r200iii bixolon-spp-r310
xprinter-xp-p323b pos-58 pt-210 mtp-ii woosim-wsp-r240 woosim-wsp-i350 sewoo-lk-p21 sewoo-lk-p30 sewoo-lk-p41
zebra-zq110 zebra-zq320
"""

every_row = pytest.mark.parametrize("row", PROFILES.values(), ids=PROFILES)


def generic_of(row: Profile) -> Profile:
    """The row whose guesses this one takes over."""
    return profile_for(GENERIC if row.dots == profile_for(GENERIC).dots else GENERIC_80)


# The rows.


def test_every_printer_that_collectors_carry_has_a_row() -> None:
    assert set(BOUGHT.split()) <= set(PROFILES)


def test_a_row_is_found_by_its_own_name() -> None:
    assert all(profile_for(model).model == model for model in PROFILES)
    assert len({row.name for row in PROFILES.values()}) == len(PROFILES)


@every_row
def test_every_value_has_a_source(row: Profile) -> None:
    assert set(row.sources) == {one.name for one in fields(row)} - {"sources"}


@every_row
def test_a_source_is_a_document_or_says_that_there_is_none(row: Profile) -> None:
    for what, source in row.sources.items():
        assert source in (OURS, UNKNOWN) or source.startswith(DOCUMENTS), f"{what}: {source}"


@every_row
def test_only_what_is_no_fact_about_a_printer_is_our_own_choice(row: Profile) -> None:
    ours = {what for what, source in row.sources.items() if source == OURS}
    generic = {"dots", "columns"} if row.model in (GENERIC, GENERIC_80) else set()
    assert {"model", "band_rows"} <= ours <= {"model", "name", "band_rows"} | generic


@every_row
def test_what_nobody_says_is_the_guess_and_nothing_bolder(row: Profile) -> None:
    guesses = generic_of(row)
    for what, source in row.sources.items():
        if source == UNKNOWN and what != "name":
            assert getattr(row, what) == getattr(guesses, what), what


def test_the_guesses_are_cautious() -> None:
    guess = profile_for(GENERIC)
    assert guess.abilities == Abilities()
    assert not guess.cutter
    assert (guess.buffer_bytes, guess.ble.barrier_bytes, guess.ble.chunk_bytes) == (4096, 1024, 20)
    wide = profile_for(GENERIC_80)
    assert replace(wide, model=guess.model, name=guess.name, dots=guess.dots, columns=guess.columns) == guess


@every_row
def test_abilities_with_a_source_claim_something(row: Profile) -> None:
    assert (row.abilities == Abilities()) == (row.sources["abilities"] == UNKNOWN)


def test_no_document_is_named_that_no_row_needs() -> None:
    said = [source for row in PROFILES.values() for source in row.sources.values()]
    said += [service.source for service in BLE_SERVICES.values()]
    assert all(any(document in source for source in said) for document in DOCUMENTS)


@every_row
def test_a_probe_ticket_has_candidates_that_no_person_has_confirmed_yet(row: Profile) -> None:
    assert row.pages
    assert all(pages.lower != pages.upper for pages in row.pages)


def test_rows_can_be_kept_in_sets() -> None:
    assert len(set(PROFILES.values())) == len(PROFILES)


def test_the_letters_of_the_raster_and_of_font_a_are_equally_wide() -> None:
    assert CELL_DOTS == CELL_WIDTH


def test_widths_are_whole_cells_and_bytes_and_the_most_that_a_head_holds() -> None:
    cells_and_bytes = 24  # The least common multiple of 12 dots and 8.
    assert tuple(head // cells_and_bytes * cells_and_bytes for head in HEADS_DOTS) == WIDTHS_DOTS


def test_an_unknown_model_is_told_which_there_are() -> None:
    with pytest.raises(UnknownModelError) as refused:
        profile_for("epson-tm-p20")
    assert refused.value.model == "epson-tm-p20"
    assert refused.value.known == tuple(sorted(PROFILES))
    assert all(model in str(refused.value) for model in ("epson-tm-p20", *PROFILES))


# Services of Bluetooth LE.

# Service, write, notify: from dumps of printers and radio modules, typed once more.
SERVICES_SEEN = """
000018f0-0000-1000-8000-00805f9b34fb 00002af1-0000-1000-8000-00805f9b34fb 00002af0-0000-1000-8000-00805f9b34fb
49535343-fe7d-4ae5-8fa9-9fafd205e455 49535343-8841-43f4-a8d4-ecbe34729bb3 49535343-1e4d-4bd9-ba61-23c647249616
e7810a71-73ae-499d-8c15-faa9aef0c3f2 bef8d6c9-9c21-4c9e-b632-bd58c1009f9f bef8d6c9-9c21-4c9e-b632-bd58c1009f9f
0000ff00-0000-1000-8000-00805f9b34fb 0000ff02-0000-1000-8000-00805f9b34fb 0000ff01-0000-1000-8000-00805f9b34fb
0000ffe0-0000-1000-8000-00805f9b34fb 0000ffe1-0000-1000-8000-00805f9b34fb 0000ffe1-0000-1000-8000-00805f9b34fb
6e400001-b5a3-f393-e0a9-e50e24dcca9e 6e400002-b5a3-f393-e0a9-e50e24dcca9e 6e400003-b5a3-f393-e0a9-e50e24dcca9e
38eb4a80-c570-11e3-9507-0002a5d5c51b 38eb4a82-c570-11e3-9507-0002a5d5c51b 38eb4a81-c570-11e3-9507-0002a5d5c51b
"""


def test_services_have_the_characteristics_that_were_seen_in_dumps() -> None:
    seen = [line.split() for line in SERVICES_SEEN.strip().splitlines()]
    assert set(BLE_SERVICES) == {service for service, _, _ in seen}
    for service, write, notify in seen:
        known = BLE_SERVICES[service]
        assert (known.service, known.write, known.notify[0]) == (service, write, notify)


def test_the_second_voice_of_ff00_is_heard_too() -> None:
    uuid = "0000ff0{}-0000-1000-8000-00805f9b34fb"
    assert BLE_SERVICES[uuid.format(0)].notify == (uuid.format(1), uuid.format(3))


@pytest.mark.parametrize("service", BLE_SERVICES.values(), ids=BLE_SERVICES)
def test_each_service_has_a_source(service: BleService) -> None:
    assert service.source.strip()


@every_row
def test_services_of_a_row_are_known_ones(row: Profile) -> None:
    assert set(row.ble.services) <= set(BLE_SERVICES)


def test_a_cat_printer_is_no_printer_of_ours() -> None:
    assert CAT_PRINTER_SERVICE == "0000ae30-0000-1000-8000-00805f9b34fb"
    assert CAT_PRINTER_SERVICE not in BLE_SERVICES


def test_zebras_own_language_is_not_spoken_to_by_guess() -> None:
    guessed = {row.model for row in PROFILES.values() if "38eb4a80-c570-11e3-9507-0002a5d5c51b" in row.ble.services}
    assert guessed == {"zebra-zq320"}


# Bad rows.

GOOD = profile_for(GENERIC)
BLE = GOOD.ble


def sourced(**changes: str | None) -> Profile:
    """A row with other sources; None leaves one out."""
    told = {**GOOD.sources, **changes}
    return replace(GOOD, sources=MappingProxyType({what: one for what, one in told.items() if one is not None}))


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "model-in-capitals": (lambda: replace(GOOD, model="TM-P20II"), "lower-case words"),
    "model-with-a-space": (lambda: replace(GOOD, model="tm p20ii"), "lower-case words"),
    "model-empty": (lambda: replace(GOOD, model=""), "lower-case words"),
    "no-name": (lambda: replace(GOOD, name=" "), "has a name"),
    "head-with-no-whole-cells": (lambda: replace(GOOD, dots=512), "512 dots is none of"),
    "width-of-no-head": (lambda: replace(GOOD, dots=360, columns=30), "360 dots is none of"),
    "more-columns-than-fit": (lambda: replace(GOOD, columns=33), "1 to 32 fit"),
    "no-columns": (lambda: replace(GOOD, columns=0), "1 to 32 fit"),
    "band-of-25-rows": (lambda: replace(GOOD, band_rows=25), "1 to 24 rows"),
    "band-of-no-rows": (lambda: replace(GOOD, band_rows=0), "1 to 24 rows"),
    "feed-backwards": (lambda: replace(GOOD, feed_dots=-1), "0 to 400 dots"),
    "feed-of-a-whole-roll": (lambda: replace(GOOD, feed_dots=401), "0 to 400 dots"),
    "pages-twice": (lambda: replace(GOOD, pages=GOOD.pages[:1] * 2), "a candidate once"),
    "buffer-too-small": (lambda: replace(GOOD, buffer_bytes=511, ble=replace(BLE, barrier_bytes=20)), "at least 512"),
    "barrier-above-half-the-buffer": (lambda: replace(GOOD, ble=replace(BLE, barrier_bytes=2049)), "half the buffer"),
    "source-missing": (lambda: sourced(feed_dots=None), "sources differ in.*feed_dots"),
    "source-of-nothing": (lambda: sourced(colour=UNKNOWN), "sources differ in.*colour"),
    "source-empty": (lambda: sourced(dots=" "), "source of dots is empty"),
    "no-service": (lambda: replace(BLE, services=()), "without a service"),
    "service-twice": (lambda: replace(BLE, services=BLE.services[:1] * 2), "named once"),
    "service-in-capitals": (lambda: replace(BLE, services=(BLE.services[1].upper(),)), "lower-case 128-bit"),
    "service-in-short": (lambda: replace(BLE, services=("18f0",)), "lower-case 128-bit"),
    "service-of-a-cat-printer": (lambda: replace(BLE, services=(CAT_PRINTER_SERVICE,)), "cat printers"),
    "service-nobody-knows": (
        lambda: replace(BLE, services=("0000180f-0000-1000-8000-00805f9b34fb",)),
        "does not know this service",
    ),
    "chunk-below-the-smallest-link": (lambda: replace(BLE, chunk_bytes=19), "20 to 512 bytes"),
    "chunk-above-the-longest-value": (lambda: replace(BLE, chunk_bytes=513), "20 to 512 bytes"),
    "barrier-within-a-chunk": (lambda: replace(BLE, barrier_bytes=19), "after a whole chunk"),
    "gap-backwards": (lambda: replace(BLE, gap_ms=-1), "0 to 10 ms"),
    "gap-that-stops-the-motor": (lambda: replace(BLE, gap_ms=11), "0 to 10 ms"),
    "pace-of-a-snail": (lambda: replace(BLE, drain_bytes_per_s=499), "499 bytes a second"),
    "pace-of-a-wire": (lambda: replace(BLE, drain_bytes_per_s=100_001), "100001 bytes a second"),
    "baud-no-printer-has": (lambda: SerialSettings(baud=115_201, flow=Flow.NONE), "115201 baud"),
    "tcvn3-without-capitals": (lambda: TextPages(scheme=Scheme.TCVN3, lower=30), "in TCVN3 only"),
    "cp1258-with-capitals": (lambda: TextPages(scheme=Scheme.CP1258, lower=52, upper=53), "in TCVN3 only"),
    "page-of-two-bytes": (lambda: TextPages(scheme=Scheme.CP1258, lower=256), "0 to 255"),
    "capitals-of-two-bytes": (lambda: TextPages(scheme=Scheme.TCVN3, lower=30, upper=256), "0 to 255"),
    "page-below-nothing": (lambda: TextPages(scheme=Scheme.CP1258, lower=-1), "0 to 255"),
}


@pytest.mark.parametrize(("make", "sentence"), BAD.values(), ids=BAD)
def test_a_bad_row_does_not_load(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


@given(
    chunk=st.integers(0, CHUNK_MAX_BYTES + 20),
    barrier=st.integers(0, 3_000),
    buffer=st.integers(0, 6_000),
)
def test_no_more_than_the_buffer_is_ever_under_way(chunk: int, barrier: int, buffer: int) -> None:
    def make() -> Profile:
        return replace(GOOD, buffer_bytes=buffer, ble=replace(BLE, chunk_bytes=chunk, barrier_bytes=barrier))

    if CHUNK_MIN_BYTES <= chunk <= CHUNK_MAX_BYTES and chunk <= barrier <= buffer // 2 and buffer >= BUFFER_MIN_BYTES:
        assert 2 * make().ble.barrier_bytes <= buffer
    else:
        with pytest.raises(ValueError, match=r"."):
            make()


def test_what_a_probe_found_replaces_what_the_row_supposes() -> None:
    found = replace(GOOD.abilities, realtime=True, fence=Fence.GS_R, marks=False)
    assert replace(GOOD, abilities=found).abilities == found


def test_the_two_generic_rows_are_wide_as_their_paper() -> None:
    assert [(row.dots, row.columns) for row in map(profile_for, (GENERIC, GENERIC_80))] == [(384, 32), (576, 48)]


def test_settings_of_a_link_stand_alone() -> None:
    alone = BleSettings(
        services=BLE.services, chunk_bytes=180, barrier_bytes=1_024, gap_ms=0, drain_bytes_per_s=10_000
    )
    assert replace(GOOD, ble=alone).ble is alone
