"""Every letter of Vietnamese on paper: there, whole, on the line, and none to be taken for another.

The judge is FreeType through Pillow: the outlines drawn eight times as large, without our cells, masks and lines,
where its hinter no longer matters.
"""

import itertools
import unicodedata
from collections.abc import Iterator
from functools import cache

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from printer_drivers.raster import (
    BASELINE,
    CELL_WIDTH,
    FONT_PX,
    LINE_HEIGHT,
    MARGIN_TOP,
    MARK_ROWS,
    font_file,
    render,
)
from protocol.document import Align, Document, Size, Style, Text

TONES = ("", "\u0300", "\u0309", "\u0303", "\u0301", "\u0323")
DOT_BELOW = TONES[-1]
VOWELS = "aăâeêioôơuưy"
TONED = "".join(unicodedata.normalize("NFC", vowel + tone) for vowel in VOWELS for tone in TONES)
SMALL = "".join(letter for letter in TONED if letter not in "aeiouy") + "đ"
ACCENTED = SMALL + SMALL.upper()
SIGNS = "₫×²³°"
# What stands beside them on papers: a marked letter must not look like any of these either.
PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;/()-+"
EVERY = ACCENTED + SIGNS + PLAIN

STYLES = [(bold, size) for bold in (False, True) for size in (1, 2)]
in_every_style = pytest.mark.parametrize(("bold", "size"), STYLES)

ENLARGED = 8
DOTS = 384
# Two letters that differ in this few dots at size 1 would be told apart by a fault of the head alone.
APART_DOTS_MIN = 3
NO_CHARACTER = "\U0010fffd"  # Private use, in no font of ours.


def ink(image: Image.Image) -> Image.Image:
    """Ink as 1, so that boxes and counts are those of the ink."""
    return image.point(lambda dot: not dot, "1")


def ink_dots(image: Image.Image) -> int:
    return sum(ink(image).histogram()[1:])


@cache
def on_paper(letter: str, bold: bool, size: Size) -> Image.Image:
    """The letter alone in the second cell of a line, with a cell of room at either side, as printed."""
    advance = CELL_WIDTH * size
    # A no-break space keeps its place at the head of a line.
    paper = render(Document((Text("\u00a0" + letter, Style(bold=bold, size=size)),)), DOTS)
    return paper.crop((0, 0, 3 * advance, paper.height))


@cache
def on_paper_ink(letter: str, bold: bool, size: Size) -> Image.Image:
    return ink(on_paper(letter, bold, size)).convert("L")


@cache
def outline(letter: str, bold: bool, size: Size) -> Image.Image:
    """The same place from the outline eight times as large: 255 where it covers half of a dot."""
    advance, line = CELL_WIDTH * size, LINE_HEIGHT * size
    file = str(font_file(bold))
    font = ImageFont.truetype(file, FONT_PX * size * ENLARGED, layout_engine=ImageFont.Layout.BASIC)
    wide = Image.new("L", (3 * advance * ENLARGED, (MARGIN_TOP + line) * ENLARGED), 0)
    at = advance * ENLARGED, (MARGIN_TOP + BASELINE * size) * ENLARGED
    ImageDraw.Draw(wide).text(at, letter, fill=255, font=font, anchor="ls")
    return wide.reduce(ENLARGED).point(lambda share: 255 * (share > 127))


def unlike(letter: str, other: str, bold: bool, size: Size) -> int:
    """Dots of the letter on paper far from another's outline, and dots of the outline far from the paper's ink.

    One dot beside is not far: a hinter moves strokes that much.
    """
    said, meant = on_paper_ink(letter, bold, size), outline(other, bold, size)
    near = ImageFilter.MaxFilter(3)
    pairs = (said, meant.filter(near)), (meant, said.filter(near))
    return sum(ImageChops.subtract(ink_of, around).histogram()[255] for ink_of, around in pairs)


def bits(image: Image.Image) -> int:
    return int.from_bytes(image.tobytes())


def box(image: Image.Image) -> tuple[int, int, int, int]:
    found = ink(image).getbbox()
    assert found is not None
    return found


def test_there_are_134_letters_beyond_the_latin_ones() -> None:
    assert len(ACCENTED) == len(set(ACCENTED)) == 134
    assert all(len(letter) == 1 and unicodedata.is_normalized("NFC", letter) for letter in ACCENTED)


@in_every_style
def test_font_has_every_letter(bold: bool, size: Size) -> None:
    missing = bits(on_paper(NO_CHARACTER, bold, size))
    assert missing
    assert [letter for letter in EVERY if bits(on_paper(letter, bold, size)) == missing] == []


@in_every_style
def test_every_letter_differs_from_every_other(bold: bool, size: Size) -> None:
    drawn = {letter: bits(on_paper(letter, bold, size)) for letter in EVERY}
    near = [
        (one, other)
        for one, other in itertools.combinations(EVERY, 2)
        if (drawn[one] ^ drawn[other]).bit_count() < APART_DOTS_MIN * size * size
    ]
    assert near == []


@in_every_style
def test_every_letter_is_the_one_that_freetype_draws(bold: bool, size: Size) -> None:
    font = ImageFont.truetype(str(font_file(bold)), FONT_PX * size, layout_engine=ImageFont.Layout.BASIC)
    others = []
    for letter in EVERY:
        wide = Image.new("1", (200, 200), 1)
        canvas = ImageDraw.Draw(wide)
        canvas.fontmode = "1"
        canvas.text((50, 50), letter, fill=0, font=font)
        drawn, printed = wide.crop(box(wide)), on_paper(letter, bold, size)
        if printed.crop(box(printed)).tobytes() != drawn.tobytes():
            others.append(letter)
    assert others == []


@pytest.mark.parametrize("bold", [False, True])
def test_every_letter_is_nearest_to_its_own_outline(bold: bool) -> None:
    """Among those it could be mistaken for: the same vowel with other marks. At size 2, where a dot is not a mark."""
    families: dict[str, list[str]] = {}
    for letter in TONED + TONED.upper():
        families.setdefault(plain_of(letter), []).append(letter)
    mistaken = []
    for family in families.values():
        for letter in family:
            nearest = min(family, key=lambda other: unlike(letter, other, bold, 2))
            if nearest != letter:
                mistaken.append((letter, nearest))
    assert mistaken == []


@in_every_style
def test_no_letter_loses_ink_in_any_place_of_a_line(bold: bool, size: Size) -> None:
    """At the left edge, in the midst, at the right edge, centred, and as the first and the last line."""
    columns = DOTS // CELL_WIDTH // size
    style = Style(bold=bold, size=size)
    clipped = []
    for letter in EVERY:
        font = ImageFont.truetype(str(font_file(bold)), FONT_PX * size, layout_engine=ImageFont.Layout.BASIC)
        whole = sum(dot > 0 for dot in bytes(font.getmask(letter, "1")))
        places = {
            "left": Text(letter, style),
            "midst": Text("\u00a0" * 5 + letter, style),
            "right": Text("\u00a0" * (columns - 1) + letter, style),
            "centred": Text(letter, Style(bold=bold, size=size, align=Align.CENTER)),
        }
        for place, text in places.items():
            if ink_dots(render(Document((text,)), DOTS)) != whole:
                clipped.append((letter, place))
    assert clipped == []


def plain_of(letter: str) -> str:
    return unicodedata.normalize("NFD", letter)[0]


def marked() -> Iterator[str]:
    return (letter for letter in ACCENTED if letter not in "đĐ")


def ends(image: Image.Image, from_row: int) -> int:
    """The first row without ink at or under from_row."""
    rows = range(from_row, image.height)
    return next((row for row in rows if not ink(image.crop((0, row, image.width, row + 1))).getbbox()), image.height)


@in_every_style
def test_every_marked_letter_stands_on_the_line_of_its_plain_letter(bold: bool, size: Size) -> None:
    off = []
    for letter in marked():
        image = on_paper(letter, bold, size)
        line = box(on_paper(plain_of(letter), bold, size))[3]
        dotted = DOT_BELOW in unicodedata.normalize("NFD", letter)
        if dotted and plain_of(letter) in "yY":
            continue  # The dot of ỵ stands beside its tail and may reach further down.
        if (ends(image, line - 2 * size) if dotted else box(image)[3]) != line:
            off.append(letter)
    assert off == []


@in_every_style
def test_marks_of_the_tallest_letters_stay_on_the_paper_and_off_the_line_above(bold: bool, size: Size) -> None:
    for letter in marked():
        top, bottom = box(on_paper(letter, bold, size))[1::2]
        assert MARGIN_TOP - MARK_ROWS * size <= top
        assert bottom <= MARGIN_TOP + LINE_HEIGHT * size
