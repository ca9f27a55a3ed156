"""Any document on any printer there is a profile of: the dots of its picture, the letters of its text, none lost.

A whole session in memory, where time costs nothing; the printer knows no more of our encoder than its bytes.
"""

import math
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import assert_never

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from printer_drivers.codepages import SUBSTITUTES
from printer_drivers.escpos import EncodeError, Mode, encode
from printer_drivers.job import JobState
from printer_drivers.profiles import PROFILES, Profile, Scheme, TextPages
from printer_drivers.raster import render
from printer_drivers.session import PrintEnd, PrinterSession
from printer_drivers.transports.memory import MemoryLink
from protocol.document import Align, Columns, Document, Feed, Item, Line, QrCode, Rule, Style, Text, layout
from simulator.print_head import Page
from simulator.printer import PrinterModel
from tests.printer_drivers.test_raster import ITEMS, SMALL
from tests.virtual_time import in_virtual_time, now_s

PRINTED = PrintEnd(JobState.PRINTED)


@settings(max_examples=40)
@given(items=st.lists(ITEMS, max_size=4), profile=st.sampled_from(list(PROFILES.values())))
def test_any_document_comes_out_of_any_printer_to_the_dot(items: list[Item], profile: Profile) -> None:
    is_drawn(Document(tuple(items)), profile)


@in_virtual_time
async def is_drawn(document: Document, profile: Profile) -> None:
    picture = render(document, profile.dots)
    assert picture.width <= profile.dots
    printer = PrinterModel(dots=profile.dots, drain_bytes_per_s=math.inf)
    session = PrinterSession(MemoryLink(printer), profile, monotonic=now_s)
    assert await session.print(list(encode(document, profile))) == PRINTED
    assert printer.strip.height == picture.height + profile.feed_dots
    assert printer.strip.crop((0, 0, *picture.size)).tobytes() == picture.tobytes()
    assert printer.strip.crop((0, picture.height, *printer.strip.size)).histogram()[0] == 0
    assert printer.events == []


VIETNAMESE = frozenset(letter for letter in SMALL + SMALL.upper() if not letter.isascii())
LETTERS = sorted({*VIETNAMESE, *SUBSTITUTES, *map(chr, range(0x20, 0x7F))})
WORDS = st.text(st.sampled_from(LETTERS), min_size=20, max_size=90)
STYLES = st.builds(Style, bold=st.booleans(), size=st.sampled_from([1, 2]), align=st.sampled_from(list(Align)))
SETTABLE: st.SearchStrategy[Item] = st.one_of(
    st.builds(Text, WORDS, STYLES),
    st.builds(Columns, WORDS, WORDS, st.booleans(), st.sampled_from([1, 2])),
    st.just(Rule()),
    st.builds(Feed, st.integers(min_value=0, max_value=3)),
    st.builds(QrCode, st.just("Mã"), WORDS),
)
PRINTERS_WITH_PAGES = [(profile, pages) for profile in PROFILES.values() for pages in profile.pages]


@settings(max_examples=100)
@given(items=st.lists(SETTABLE, min_size=1, max_size=4), printer=st.sampled_from(PRINTERS_WITH_PAGES))
def test_no_letter_is_lost_in_text_on_any_page_that_may_be_confirmed(
    items: list[Item], printer: tuple[Profile, TextPages]
) -> None:
    is_set(Document(tuple(items)), *printer)


@settings(max_examples=40)
@given(items=st.lists(ITEMS, min_size=1, max_size=4), printer=st.sampled_from(PRINTERS_WITH_PAGES))
def test_text_of_any_letters_is_set_whole_or_refused_by_the_letter(
    items: list[Item], printer: tuple[Profile, TextPages]
) -> None:
    document, (profile, pages) = Document(tuple(items)), printer
    lacking = letters_on(document, profile.columns) - letters_of(pages.scheme) - SUBSTITUTES.keys()
    if not lacking:
        is_set(document, profile, pages)
        return
    with pytest.raises(EncodeError) as refusal:
        encode(document, profile, Mode.TEXT, pages)
    assert refusal.value.letter in lacking


@in_virtual_time
async def is_set(document: Document, profile: Profile, pages: TextPages) -> None:
    printer = PrinterModel(dots=profile.dots, drain_bytes_per_s=math.inf, pages=pages_of(pages))
    session = PrinterSession(MemoryLink(printer), profile, monotonic=now_s)
    assert await session.print(list(encode(document, profile, Mode.TEXT, pages))) == PRINTED
    letters = letters_of(pages.scheme)
    replaced = str.maketrans({one: other for one, other in SUBSTITUTES.items() if one not in letters})
    expected = [line.translate(replaced) for line in lines_of(document, profile.columns)]
    assert [unicodedata.normalize("NFC", line) for line in printer.text] == expected
    assert printer.events == []


def lines_of(document: Document, columns: int) -> list[str]:
    lines: list[str] = []
    for piece in layout(document, columns):
        match piece:
            case Line():
                lines.append(piece.cells(columns // piece.style.size))
            case Rule():
                lines.append("-" * columns)
            case Feed():
                lines += [""] * piece.lines
            case QrCode():
                pass
            case never:
                assert_never(never)
    return [unicodedata.normalize("NFC", line) for line in lines]


def letters_on(document: Document, columns: int) -> set[str]:
    return {letter for line in lines_of(document, columns) for letter in line}


def pages_of(pages: TextPages) -> Mapping[int, Page]:
    if pages.scheme is Scheme.CP1258:
        return {0: Page.CP437, pages.lower: Page.CP1258}
    assert pages.upper is not None
    return {0: Page.CP437, pages.lower: Page.TCVN3_LOWER, pages.upper: Page.TCVN3_UPPER}


@cache
def letters_of(scheme: Scheme) -> frozenset[str]:
    """All that can be set: ASCII and what the pages have, on CP1258 also with a tone over it."""
    ascii_letters = frozenset(map(chr, range(0x20, 0x7F)))
    if scheme is Scheme.TCVN3:
        return ascii_letters | VIETNAMESE
    page = frozenset(bytes(range(0x80, 0x100)).decode("cp1258", "ignore"))
    tones = [letter for letter in page if unicodedata.combining(letter)]
    toned = (unicodedata.normalize("NFC", letter + tone) for letter in ascii_letters | page for tone in tones)
    return ascii_letters | page | frozenset(letter for letter in toned if len(letter) == 1)
