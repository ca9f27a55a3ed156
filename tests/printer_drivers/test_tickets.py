"""Tickets that a person judges a printer by: they must fit, be complete, and let only what is right read right."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from printer_drivers import tickets
from printer_drivers.escpos import Kind, Mode, Segment, encode, initialize
from printer_drivers.profiles import PROFILES, Profile, Scheme, TextPages, profile_for
from printer_drivers.raster import CELL_WIDTH, render
from protocol.document import Line, QrCode, Rule, layout
from simulator.print_head import EPSON_PAGES, Page, PrintHead
from tests.printer_drivers.test_golden_papers import HOUSEHOLD, transfer_code

NARROW, WIDE = profile_for("generic-58"), profile_for("generic-80")
EVERY_PROFILE = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
BOTH_WIDTHS = pytest.mark.parametrize("profile", [NARROW, WIDE], ids=["58 mm", "80 mm"])

# By Unicode's own order: the Vietnamese rows of Latin Extended Additional, and what Latin-1, -A and -B have besides.
LETTERS = frozenset(map(chr, range(0x1EA0, 0x1EFA))) | frozenset("ÀÁÂÃÈÉÊÌÍÒÓÔÕÙÚÝàáâãèéêìíòóôõùúýĂăĐđĨĩŨũƠơƯư")

KINDS: Mapping[Page, tuple[str, ...]] = {
    Page.CP437: (),
    Page.TCVN3_LOWER: ("t",),
    Page.TCVN3_UPPER: ("T",),
    Page.CP1258: ("C",),
}


def head_after(paper: Iterable[Segment], profile: Profile, pages: Mapping[int, Page] = EPSON_PAGES) -> PrintHead:
    head = PrintHead(profile.dots, on_request=lambda _: None, pages=pages)
    for segment in paper:
        head.execute(segment.data)
    return head


def ink(image: Image.Image) -> bytes:
    """The rows of a picture, without blank ones before and after."""
    return image.tobytes("raw", "1;I").strip(b"\x00")


# The test ticket.


@BOTH_WIDTHS
@pytest.mark.parametrize(
    ("mode", "pages"),
    [
        (Mode.RASTER, None),
        (Mode.FOLDED, None),
        (Mode.TEXT, TextPages(scheme=Scheme.TCVN3, lower=30, upper=31)),
        (Mode.TEXT, TextPages(scheme=Scheme.CP1258, lower=52)),
    ],
    ids=["raster", "folded", "tcvn3", "cp1258"],
)
def test_test_ticket_can_be_set_in_every_mode(
    profile: Profile, mode: Mode, pages: TextPages | None
) -> None:
    head = head_after(encode(tickets.test_ticket(profile), profile, mode, pages), profile)
    assert head.events == []
    assert len(head.strip.papers()) == 1


@BOTH_WIDTHS
def test_test_ticket_has_all_134_letters_in_both_weights(profile: Profile) -> None:
    assert len(LETTERS) == 134
    pieces = tuple(layout(tickets.test_ticket(profile), profile.columns))
    for bold in (False, True):
        lines = (piece for piece in pieces if isinstance(piece, Line))
        assert {letter for line in lines if line.style.bold is bold for letter in line.text} >= LETTERS


@BOTH_WIDTHS
def test_letters_of_the_test_ticket_come_out_of_a_printer_s_own_pages(profile: Profile) -> None:
    for pages in (TextPages(scheme=Scheme.TCVN3, lower=30, upper=31), TextPages(scheme=Scheme.CP1258, lower=52)):
        head = head_after(encode(tickets.test_ticket(profile), profile, Mode.TEXT, pages), profile)
        assert set("".join(head.text)) >= LETTERS


@EVERY_PROFILE
def test_rules_and_the_ruler_reach_both_edges_of_the_paper(profile: Profile) -> None:
    document = tickets.test_ticket(profile)
    columns = profile.dots // CELL_WIDTH
    lines = [piece.text for piece in layout(document, columns) if isinstance(piece, Line)]
    units = "".join(str(number % 10) for number in range(1, columns + 1))
    below = lines[lines.index(units) + 1]
    assert (below[0], below[-1], len(below)) == ("|", "|", columns)
    tens = lines[lines.index(units) - 1]
    assert [(place, sign) for place, sign in enumerate(tens, 1) if sign != " "] == [
        (ten * 10, str(ten)) for ten in range(1, columns // 10 + 1)
    ]
    paper = render(document, profile.dots)
    row_bytes = profile.dots // 8
    rows = paper.tobytes("raw", "1;I")
    assert rows.count(b"\xff" * row_bytes) >= 2 * sum(isinstance(item, Rule) for item in document.items)
    # A head that is one cell narrower shows it.
    assert paper.crop((profile.dots - CELL_WIDTH, 0, profile.dots, paper.height)).histogram()[0] > 0


@EVERY_PROFILE
def test_the_largest_amount_stands_on_one_line_in_large_type(profile: Profile) -> None:
    pieces = layout(tickets.test_ticket(profile), profile.columns)
    large = [piece for piece in pieces if isinstance(piece, Line) and piece.style.size == 2]
    assert [line.style.bold for line in large if line.text == "9.999.999.999 đ"] == [False, True]


@BOTH_WIDTHS
def test_the_code_on_the_paper_scans_and_is_as_dense_as_one_that_is_paid_by(profile: Profile, tmp_path: Path) -> None:
    zbarimg = shutil.which("zbarimg")
    assert zbarimg is not None, "zbarimg is missing, so only our own code could say that the code scans"
    document = tickets.test_ticket(profile)
    file = tmp_path / "ticket.png"
    head_after(encode(document, profile), profile).strip.image().save(file)
    read = subprocess.run([zbarimg, "--quiet", "--raw", str(file)], capture_output=True, text=True, check=True)
    (code,) = (item.payload for item in document.items if isinstance(item, QrCode))
    assert read.stdout.splitlines() == [code]
    paid_by = transfer_code(HOUSEHOLD, 9_999_999_999)
    assert segno.make(code, error="m").symbol_size() == segno.make(paid_by, error="m").symbol_size()
    assert profile.model in code


# The ticket of code pages.


def readable(lines: Iterable[str]) -> set[str]:
    """Labels of the lines that read as their samples do."""
    found = set()
    for line in lines:
        page, letter, words = line.split(" ", 2)
        if words == tickets.PAGE_SAMPLES[letter].words:
            found.add(f"{page} {letter}")
    return found


def expected(pages: Mapping[int, Page]) -> set[str]:
    return {f"{number} {letter}" for number, kind in pages.items() for letter in KINDS[kind]}


def passing_over(paper: Iterable[Segment], pages: Mapping[int, Page]) -> list[Segment]:
    """The paper as a printer takes it that stays on its page when it does not know the next."""
    unknown = [b"\x1bt" + bytes((number,)) for number in range(256) if number not in pages]
    heard = []
    for segment in paper:
        data = segment.data
        if data.startswith(b"\x1bt"):
            for command in unknown:
                data = data.replace(command, b"")
        heard.append(segment._replace(data=data))
    return heard


@EVERY_PROFILE
def test_page_ticket_tries_the_profile_s_pages_and_the_common_ones_each_in_three_ways(profile: Profile) -> None:
    head = head_after(tickets.page_ticket(profile), profile)
    told = {number for pages in profile.pages for number in (pages.lower, pages.upper) if number is not None}
    pages = sorted({27, 30, 31, 32, 35, 52, 94} | told)
    labels = [line.rsplit(" ", len(tickets.PAGE_SAMPLES[line.split(" ")[1]].words.split()))[0] for line in head.text]
    assert labels == [f"{page} {letter}" for page in pages for letter in "tTC"]
    assert labels == [line.label for line in tickets.page_lines(profile)]


@BOTH_WIDTHS
@pytest.mark.parametrize(
    "pages",
    [
        EPSON_PAGES,
        {0: Page.CP437},
        {0: Page.CP437, 27: Page.TCVN3_LOWER, 32: Page.TCVN3_UPPER},
        {0: Page.CP437, 49: Page.TCVN3_LOWER, 50: Page.TCVN3_UPPER, 30: Page.CP1258, 94: Page.CP1258},
    ],
    ids=["epson", "none", "clone", "two of CP1258"],
)
def test_exactly_one_line_reads_right_for_each_vietnamese_page(profile: Profile, pages: Mapping[int, Page]) -> None:
    paper = tickets.page_ticket(profile)
    assert readable(head_after(paper, profile, pages).text) == expected(pages)
    stubborn = passing_over(paper, pages)
    assert readable(head_after(stubborn, profile, pages).text) == expected(pages), "a page that is lacking read right"


NUMBERS = st.sampled_from(tickets.candidate_pages(NARROW))


@given(st.dictionaries(NUMBERS, st.sampled_from(Page), max_size=4), st.booleans())
@settings(max_examples=30)
def test_whatever_pages_a_printer_has_its_ticket_names_them(pages: dict[int, Page], stays: bool) -> None:
    has = {0: Page.CP437, **pages}
    paper: Iterable[Segment] = tickets.page_ticket(NARROW)
    paper = passing_over(paper, has) if stays else paper
    assert readable(head_after(paper, NARROW, has).text) == expected(has)


def test_a_printer_set_to_chinese_sets_the_page_ticket_all_the_same() -> None:
    head = PrintHead(NARROW.dots, on_request=lambda _: None, kanji=True)
    for segment in tickets.page_ticket(NARROW):
        head.execute(segment.data)
    assert readable(head.text) == expected(EPSON_PAGES)


@EVERY_PROFILE
def test_lines_fit_even_where_marks_take_a_place_of_their_own(profile: Profile) -> None:
    lines = [segment for segment in tickets.page_ticket(profile) if segment.data.startswith(b"\x1bt")]
    assert lines
    for line in lines:
        label, words = line.data.removeprefix(b"\x1bt\x00").split(b"\x1bt")
        assert len(label) + len(words[1:].rstrip(b"\n")) <= profile.columns


# Pictures as papers.


@given(
    width=st.integers(1, 384),
    height=st.integers(1, 60),
    dots=st.binary(min_size=48 * 60, max_size=48 * 60),
    feed_dots=st.integers(0, 300),
    cutter=st.booleans(),
)
def test_a_picture_comes_out_to_the_dot_and_past_the_tear_bar(
    width: int, height: int, dots: bytes, feed_dots: int, cutter: bool
) -> None:
    picture = Image.frombytes("1", (384, 60), dots).crop((0, 0, width, height))
    profile = replace(NARROW, feed_dots=feed_dots, cutter=cutter)
    paper = tickets.picture_paper(picture, profile)
    head = head_after(paper, profile)
    assert paper[0] == Segment(initialize(), Kind.SETUP)
    strip = head.strip.image()
    assert strip.crop((0, 0, width, height)).tobytes() == picture.tobytes()
    assert strip.height == height + feed_dots
    assert ink(strip) == ink(head_after(encode_picture(picture), profile).strip.image())
    assert sum(segment.data.count(b"\x1dV") for segment in paper[-1:]) == cutter
    assert head.events == []


def encode_picture(picture: Image.Image) -> list[Segment]:
    """The picture by hand: one command, as wide as it is."""
    across = -(-picture.width // 8)
    whole = Image.new("1", (across * 8, picture.height), 1)
    whole.paste(picture)
    header = b"\x1dv0\x00" + across.to_bytes(2, "little") + picture.height.to_bytes(2, "little")
    return [Segment(header + whole.tobytes("raw", "1;I"), Kind.INK)]


def test_a_picture_wider_than_the_paper_is_refused() -> None:
    with pytest.raises(ValueError, match="385 wide"):
        tickets.picture_paper(Image.new("1", (385, 8), 1), NARROW)
