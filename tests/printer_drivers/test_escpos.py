"""Bytes for printers: pictures come back dot by dot and text letter by letter, through decoders of their own."""

import re
import shutil
import subprocess
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from printer_drivers.codepages import SUBSTITUTES
from printer_drivers.escpos import (
    FENCES_MAX,
    FOLDED_NOTE,
    EncodeError,
    Kind,
    Mode,
    Segment,
    auto_status,
    completion,
    encode,
    fence,
    fence_id,
    identity,
    initialize,
    raster_segments,
    realtime_status,
)
from printer_drivers.profiles import WIDTHS_DOTS, Fence, Profile, Scheme, TextPages, profile_for
from printer_drivers.raster import LINE_HEIGHT, QrTooLargeError, render
from protocol.document import (
    Align,
    Columns,
    Document,
    Feed,
    Item,
    Line,
    QrCode,
    Rule,
    Style,
    Text,
    layout,
)
from protocol.words import unmarked
from tests.printer_drivers.test_golden_papers import PAPERS

LOWER, UPPER, SINGLE = 30, 31, 52
TCVN3 = TextPages(scheme=Scheme.TCVN3, lower=LOWER, upper=UPPER)
CP1258 = TextPages(scheme=Scheme.CP1258, lower=SINGLE)
NARROW = replace(profile_for("generic-58"), band_rows=24, feed_dots=120, cutter=False)
WIDE = replace(profile_for("generic-80"), band_rows=24, feed_dots=120, cutter=False)
FORTY_LINES_BYTES_MAX = 30 * 1024  # Three seconds at 10 KB/s.
HEADER_BYTES, FENCE_BYTES = 8, 11

VIETNAMESE = "".join(
    unicodedata.normalize("NFC", vowel + tone)
    for vowel in "aăâeêioôơuưyAĂÂEÊIOÔƠUƯY"
    for tone in ("", "\u0300", "\u0309", "\u0303", "\u0301", "\u0323")
)
SETTABLE = VIETNAMESE + "đĐbcdghklmnpqrstvx BCDGHKLMNPQRSTVX0123456789.,:/-()?" + "".join(SUBSTITUTES)
WORDING = st.text(st.sampled_from(SETTABLE), max_size=70)
STYLES = st.builds(Style, bold=st.booleans(), size=st.sampled_from([1, 2]), align=st.sampled_from(list(Align)))


def items(wording: st.SearchStrategy[str]) -> st.SearchStrategy[Item]:
    return st.one_of(
        st.builds(Text, wording, STYLES),
        st.builds(Columns, wording, wording, st.booleans(), st.sampled_from([1, 2])),
        st.just(Rule()),
        st.builds(Feed, st.integers(min_value=0, max_value=3)),
    )


# A printer that knows GS v 0 and ESC J and nothing else.


class Picture(NamedTuple):
    """What a stream drew, a row as ones and noughts up to its last ink; and its commands, as (rows, bytes across)."""

    rows: list[str]
    bands: list[tuple[int, int]]
    feeds: list[int]


def developed(data: bytes) -> Picture:
    picture = Picture([], [], [])
    at = 0
    while at < len(data):
        if data[at : at + 2] == b"\x1bJ":
            picture.feeds.append(data[at + 2])
            picture.rows.extend([""] * data[at + 2])
            at += 3
            continue
        assert data[at : at + 4] == b"\x1dv0\x00", f"no picture at byte {at}: {data[at : at + 8].hex(' ')}"
        across, rows = data[at + 4] + 256 * data[at + 5], data[at + 6] + 256 * data[at + 7]
        picture.bands.append((rows, across))
        at += 8
        for _ in range(rows):
            row = data[at : at + across]
            assert len(row) == across, "a band that breaks off"
            picture.rows.append("".join(f"{byte:08b}" for byte in row).rstrip("0"))
            at += across
    return picture


def ink(image: Image.Image) -> list[str]:
    dots = image.convert("L").tobytes().translate(bytes.maketrans(b"\x00\xff", b"10")).decode()
    return [dots[start : start + image.width].rstrip("0") for start in range(0, len(dots), image.width)]


def joined(segments: Iterable[Segment]) -> bytes:
    return b"".join(segment.data for segment in segments)


@st.composite
def pictures(draw: st.DrawFn) -> tuple[Image.Image, int]:
    """A picture with blank rows, gaps and ragged ends, and the width of a paper that holds it."""
    dots = draw(st.sampled_from(WIDTHS_DOTS))
    width = draw(st.one_of(st.just(dots), st.integers(min_value=1, max_value=dots)))
    image = Image.new("1", (width, draw(st.integers(min_value=0, max_value=90))), 1)
    boxes = st.tuples(
        st.integers(0, width - 1), st.integers(0, 89), st.integers(1, width), st.integers(1, 40), st.integers(0, 1)
    )
    for left, top, across, down, colour in draw(st.lists(boxes, max_size=12)):
        image.paste(colour, (left, top, left + across, top + down))
    for x, y in draw(st.lists(st.tuples(st.integers(0, width - 1), st.integers(0, 89)), max_size=20)):
        if y < image.height:
            image.putpixel((x, y), 0)
    return image, dots


@given(pictures(), st.integers(min_value=1, max_value=24))
def test_any_picture_comes_back_dot_by_dot(picture: tuple[Image.Image, int], band_rows: int) -> None:
    image, dots = picture
    profile = replace(NARROW, dots=dots, columns=32, band_rows=band_rows)
    segments = list(raster_segments(image, profile))
    found = developed(joined(segments))
    assert found.rows == ink(image)
    assert all(1 <= rows <= band_rows and 1 <= across <= -(-dots // 8) for rows, across in found.bands)
    assert all(feed >= 1 for feed in found.feeds)
    assert all(segment.kind is Kind.INK for segment in segments)
    for segment in segments:
        assert len(developed(segment.data).bands) <= 1


@given(pictures())
def test_no_picture_costs_more_than_cut_at_every_blank_row_and_every_24_rows(
    picture: tuple[Image.Image, int],
) -> None:
    image, dots = picture
    widths = [-(-len(row) // 8) for row in ink(image)]
    plain_bytes = top = 0
    while top < len(widths):
        end = top + 1
        while end < len(widths) and end - top < (24 if widths[top] else 255) and bool(widths[end]) == bool(widths[top]):
            end += 1
        across = max(widths[top:end])
        plain_bytes += HEADER_BYTES + FENCE_BYTES + across * (end - top) if across else 3
        top = end
    data = joined(raster_segments(image, replace(NARROW, dots=dots, columns=32)))
    assert len(data) + FENCE_BYTES * len(developed(data).bands) <= plain_bytes


def test_long_blank_is_fed_255_rows_at_a_time() -> None:
    image = Image.new("1", (384, 600), 1)
    image.putpixel((0, 599), 0)
    found = developed(joined(raster_segments(image, NARROW)))
    assert found == (ink(image), [(1, 1)], [255, 255, 89])
    assert developed(joined(raster_segments(Image.new("1", (384, 256), 1), NARROW))).feeds == [255, 1]


def test_picture_of_no_rows_is_nothing() -> None:
    assert list(raster_segments(Image.new("1", (384, 0), 1), NARROW)) == []


@pytest.mark.parametrize(("mode", "width"), [("1", 385), ("L", 384)])
def test_picture_that_is_no_picture_for_this_paper_is_refused(mode: str, width: int) -> None:
    with pytest.raises(ValueError, match=f"mode {mode}, {width} wide"):
        raster_segments(Image.new(mode, (width, 8)), NARROW)


def test_band_is_framed_as_another_encoder_frames_it() -> None:
    # python-escpos 3.1: Dummy().image(picture, impl="bitImageRaster", fragment_height=3), output in hex.
    theirs = bytes.fromhex(
        "1d 76 30 00 03 00 03 00 81 02 05 04 08 11 10 20 41 1d 76 30 00 03 00 03 00 40 81 03 02 04 09 08 10 21"
    )
    picture = Image.new("1", (24, 6), 1)
    for y in range(6):
        for x in range(24):
            if (x * 5 + y * 3) % 7 == 0 or x == 23:
                picture.putpixel((x, y), 0)
    assert joined(raster_segments(picture, replace(NARROW, band_rows=3))) == theirs


# Papers as pictures.


@pytest.mark.parametrize("name", ["bill-plain", "receipt-reprint", "day-slip"])
@pytest.mark.parametrize("profile", [NARROW, WIDE], ids=lambda profile: profile.model)
def test_paper_is_set_up_drawn_and_fed_past_the_tear_bar(name: str, profile: Profile) -> None:
    document = PAPERS[name]()
    setup, *bands, end = encode(document, profile)
    assert setup == (b"\x1b@\x1c.", Kind.SETUP, 0)
    assert developed(joined(bands)).rows == ink(render(document, profile.dots))
    assert end == (b"\x1bJ\x78", Kind.INK, profile.feed_dots)
    assert sum(band.rows for band in bands) == render(document, profile.dots).height


def test_paper_is_cut_where_there_is_a_cutter_and_fed_to_it_first() -> None:
    document = Document((Text("Biên nhận"),))
    *_, end = encode(document, replace(NARROW, cutter=True, feed_dots=300))
    assert end == (b"\x1bJ\xff\x1bJ\x2d\x1dV\x01", Kind.INK, 300)
    *_, end = encode(document, replace(NARROW, cutter=True, feed_dots=0))
    assert end == (b"\x1dV\x01", Kind.INK, 0)
    assert len(list(encode(Document(()), replace(NARROW, feed_dots=0)))) == 2, "the margin at the top, and no feed"


@pytest.mark.parametrize("name", ["bill-covered-by-credit-reprint", "bill-largest-amount", "day-slip"])
def test_paper_without_a_code_as_high_as_forty_lines_is_within_its_bytes(name: str) -> None:
    lines = render(PAPERS[name](), 384).height // LINE_HEIGHT
    assert lines >= 38
    assert len(joined(encode(PAPERS[name](), NARROW))) * 40 <= FORTY_LINES_BYTES_MAX * lines


# Text. What a printer with these pages would print, by the tables of iconv.


class Printed(NamedTuple):
    """One line: its letters, and the style at its end."""

    text: str
    bold: bool
    size: int


@cache
def page(number: int) -> Mapping[int, str]:
    assert shutil.which("iconv") is not None, "iconv is missing, so only our own tables could say what a page holds"
    found: dict[int, str] = {}
    for byte in range(0x80, 0x100):
        charset = "CP1258" if number == SINGLE else "TCVN5712-1"
        command = ["iconv", "-f", charset, "-t", "UTF-8"]
        run = subprocess.run(command, input=bytes((byte,)), capture_output=True, check=False)
        if run.returncode == 0:
            found[byte] = run.stdout.decode()
    if number == SINGLE:
        return found
    small = {byte: letter for byte, letter in found.items() if letter.islower()}
    if number == LOWER:
        return small
    apart = {0xA1: "Ă", 0xA2: "Â", 0xA7: "Đ"}
    return {byte: letter.upper() for byte, letter in small.items() if letter not in "ăâđ"} | apart


def printed(data: bytes) -> list[Printed]:
    """ESC @, FS ., ESC t, ESC E, GS !, LF and letters; anything else fails."""
    lines: list[Printed] = []
    text, bold, size, number = "", False, 1, 0
    tokens = re.compile(rb"\x1b@|\x1c\.|\x1bt(.)|\x1bE([\x00\x01])|\x1d!(\x00|\x11)|(\n)|([\x20-\x7e\x80-\xff])", re.S)
    at = 0
    while at < len(data):
        token = tokens.match(data, at)
        assert token is not None, f"a command that text has no use for: {data[at : at + 8].hex(' ')}"
        at = token.end()
        if token[1]:
            assert token[1][0] != number, "a switch to the page that is on"
            number = token[1][0]
        elif token[2]:
            assert bold != (token[2] == b"\x01"), "a switch to what is on"
            bold = not bold
        elif token[3]:
            assert size != 1 + (token[3] == b"\x11"), "a switch to what is on"
            size = 3 - size
        elif token[4]:
            lines.append(Printed(unicodedata.normalize("NFC", text), bold, size))
            text = ""
        elif token[5]:
            byte = token[5][0]
            text += chr(byte) if byte < 0x80 else page(number)[byte]
    assert text == ""
    return lines


def expected(document: Document, columns: int, lacking: Iterable[str]) -> list[Printed]:
    replaced = str.maketrans({letter: SUBSTITUTES[letter] for letter in lacking})
    lines: list[Printed] = []
    for piece in layout(document, columns):
        match piece:
            case Line(style=style):
                text = piece.cells(columns // style.size)
                lines.append(Printed(unicodedata.normalize("NFC", text).translate(replaced), style.bold, style.size))
            case Rule():
                lines.append(Printed("-" * columns, False, 1))
            case Feed():
                lines += [Printed("", False, 1)] * piece.lines
            case QrCode():
                pass
    return lines


def lacking(pages: TextPages) -> set[str]:
    if pages.scheme is Scheme.TCVN3:
        return set(SUBSTITUTES)
    return {letter for letter in SUBSTITUTES if letter not in page(SINGLE).values()}


@given(st.lists(items(WORDING), max_size=6), st.sampled_from([TCVN3, CP1258]), st.sampled_from([NARROW, WIDE]))
def test_no_document_loses_a_letter_as_text(content: list[Item], pages: TextPages, profile: Profile) -> None:
    document = Document(tuple(content))
    setup, *lines, _ = encode(document, profile, Mode.TEXT, pages)
    assert setup.kind is Kind.SETUP
    assert printed(setup.data) == []
    assert printed(setup.data + joined(lines)) == expected(document, profile.columns, lacking(pages))


@given(st.lists(items(st.text(max_size=30)), max_size=4), st.sampled_from([TCVN3, CP1258]))
def test_letter_is_printed_or_named_in_the_error(content: list[Item], pages: TextPages) -> None:
    document = Document(tuple(content))
    refused: EncodeError | None = None
    try:
        *paper, _ = encode(document, NARROW, Mode.TEXT, pages)
    except EncodeError as error:
        refused = error
    else:
        assert printed(joined(paper)) == expected(document, 32, lacking(pages))
    if refused is not None:
        lines = [piece.cells(32) for piece in layout(document, 32) if isinstance(piece, Line)]
        assert refused.letter in refused.where
        assert any(refused.where.split() == line.split() for line in lines)
        assert repr(refused.letter) in str(refused)


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("pages", [TCVN3, CP1258], ids=lambda pages: pages.scheme)
def test_every_paper_can_be_set_as_text(name: str, pages: TextPages) -> None:
    document = PAPERS[name]()
    words = Document(tuple(item for item in document.items if not isinstance(item, QrCode)))
    *paper, _ = encode(words, NARROW, Mode.TEXT, pages)
    assert printed(joined(paper)) == expected(words, 32, lacking(pages))


def test_pages_are_switched_only_where_a_letter_needs_the_other_one() -> None:
    document = Document((Text("Số 5 ổn"), Text("ĐÃ THU, ĐỦ"), Text("tiền mặt")))
    setup, *lines, _ = encode(document, NARROW, Mode.TEXT, TCVN3)
    assert setup.data == b"\x1b@\x1c.\x1bt\x1e", "the page of the first accented letter, before the paper"
    assert [line.data.count(b"\x1bt") for line in lines] == [0, 1, 1]
    assert lines[1].data == b"\x1bt\x1f\xa7\xb7 THU, \xa7\xf1\n"
    setup, *_ = encode(Document((Text("Kem 100 d"),)), NARROW, Mode.TEXT, TCVN3)
    assert setup.data == initialize()


def test_text_is_sized_and_set_bold_by_command_and_aligned_by_spaces() -> None:
    document = Document((Text("THU", Style(bold=True, size=2, align=Align.CENTER)), Columns("a", "b"), Rule(), Feed(2)))
    _, *lines, _ = encode(document, NARROW, Mode.TEXT, TCVN3)
    assert [line.data for line in lines] == [
        b"\x1bE\x01\x1d!\x11" + b" " * 6 + b"THU\n",
        b"\x1bE\x00\x1d!\x00a" + b" " * 30 + b"b\n",
        b"-" * 32 + b"\n",
        b"\n\n",
    ]
    assert all(line.kind is Kind.INK for line in lines)


def test_code_is_drawn_among_text_and_its_caption_set() -> None:
    code = QrCode("GT1:7:1234:9f3a01bc", "Mã kiểm tra")
    setup, *drawn, caption, _ = encode(Document((code,)), NARROW, Mode.TEXT, TCVN3)
    assert setup.data == b"\x1b@\x1c.\x1bt\x1e"
    assert developed(joined(drawn)).rows == ink(render(Document((QrCode(code.payload),)), 384))
    assert printed(setup.data + caption.data) == [Printed(" " * 10 + "Mã kiểm tra", False, 1)]
    with pytest.raises(QrTooLargeError):
        encode(Document((QrCode("x" * 2_000),)), NARROW, Mode.TEXT, TCVN3)


def test_letter_that_cannot_be_set_is_named_before_anything_is_sent() -> None:
    document = Document((Text("Tên"), Text("Khách hàng: 日本", Style(align=Align.CENTER))))
    for mode, pages in ((Mode.TEXT, TCVN3), (Mode.TEXT, CP1258), (Mode.FOLDED, None)):
        with pytest.raises(EncodeError, match="U\\+65E5") as raised:
            encode(document, NARROW, mode, pages)
        assert (raised.value.letter, raised.value.where) == ("日", "Khách hàng: 日本")


def test_text_without_pages_is_refused() -> None:
    with pytest.raises(ValueError, match="pages"):
        encode(Document((Text("Tên"),)), NARROW, Mode.TEXT)


@given(st.lists(items(WORDING), max_size=6))
def test_folded_paper_says_so_and_is_plain_ascii(content: list[Item]) -> None:
    document = Document(tuple(content))
    *paper, _ = encode(document, NARROW, Mode.FOLDED)
    note, *lines = printed(joined(paper))
    assert note == Printed(FOLDED_NOTE.center(32).rstrip(), False, 1)
    assert b"\x1bt" not in joined(paper)
    assert lines == [line._replace(text=unmarked(line.text)) for line in expected(document, 32, SUBSTITUTES)]
    assert all(line.text.isascii() for line in lines)


# Questions, answers and what follows a broken paper.


def test_commands_are_those_of_the_reference() -> None:
    assert initialize() == b"\x1b@\x1c."
    assert [realtime_status(n) for n in (1, 2, 3, 4)] == [b"\x10\x04" + bytes((n,)) for n in (1, 2, 3, 4)]
    assert auto_status(on=True) == b"\x1da\x0e"
    assert auto_status(on=False) == b"\x1da\x00"
    assert identity(67) == b"\x1dIC"
    assert fence(Fence.GS_H, 1) == b"\x1d(H\x06\x0000" + fence_id(1)
    assert fence(Fence.GS_R, 1) == b"\x1dr\x01"
    assert fence(Fence.NONE, 1) == b""


@given(st.integers(min_value=0, max_value=FENCES_MAX - 1), st.integers(min_value=0, max_value=FENCES_MAX - 1))
def test_each_fence_has_four_printable_letters_of_its_own(one: int, other: int) -> None:
    assert re.fullmatch(rb"[0-9A-Z]{4}", fence_id(one))
    assert (fence_id(one) == fence_id(other)) == (one == other)
    assert FENCES_MAX >= 1_000_000


def test_completion_is_enough_for_any_command_of_any_paper_broken_anywhere() -> None:
    for profile in (NARROW, WIDE):
        for mode, pages in ((Mode.RASTER, None), (Mode.TEXT, CP1258), (Mode.TEXT, TCVN3)):
            longest = max(len(segment.data) for segment in encode(PAPERS["letters"](), profile, mode, pages))
            assert 0 < longest <= len(completion(profile)) + 3, "a feed may stand before the band"
        assert set(completion(profile)) == {0}
    assert len(completion(NARROW)) == 24 * 48 + 8
