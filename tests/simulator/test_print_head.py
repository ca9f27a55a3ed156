"""The simulated head against printers' manuals, iconv, and dots set by hand."""

import subprocess
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFont

from printer_drivers.raster import font_file
from simulator.print_head import (
    CELL_HEIGHT,
    LINE_SPACING,
    UNKNOWN_LETTER,
    AutomaticAsked,
    FenceAsked,
    IdentityAsked,
    Initialized,
    Page,
    PrintHead,
    Request,
    StatusAsked,
)

VOWELS = "aàảãáạăằẳẵắặâầẩẫấậeèẻẽéẹêềểễếệiìỉĩíịoòỏõóọôồổỗốộơờởỡớợuùủũúụưừửữứựyỳỷỹýỵ"
ACCENTED = "".join(letter for letter in VOWELS + "đ" if ord(letter) > 0x7F)


class Printed:
    """A head, and what it asked of the printer around it."""

    def __init__(
        self,
        data: bytes = b"",
        dots: int = 384,
        *,
        cutter: bool = True,
        kanji: bool = False,
        parenthesis: bool = True,
        pages: dict[int, Page] | None = None,
    ) -> None:
        self.requests: list[Request] = []
        every = {} if pages is None else {"pages": pages}
        self.head = PrintHead(
            dots, on_request=self.requests.append, cutter=cutter, kanji=kanji, parenthesis=parenthesis, **every
        )
        self.head.execute(data)

    @property
    def rows(self) -> list[str]:
        return rows_of(self.head.strip.image())

    @property
    def papers(self) -> list[list[str]]:
        return [rows_of(paper) for paper in self.head.strip.papers()]


def rows_of(picture: Image.Image) -> list[str]:
    """Each row as text, # for ink."""
    dots = ["#" if value == 0 else "." for value in picture.convert("L").tobytes()]
    return ["".join(dots[at : at + picture.width]) for at in range(0, len(dots), picture.width)]


def picture(data: bytes, width_bytes: int, mode: int = 0) -> bytes:
    """GS v 0, spelt out."""
    rows = len(data) // width_bytes
    return bytes((0x1D, 0x76, 0x30, mode, width_bytes % 256, width_bytes // 256, rows % 256, rows // 256)) + data


@pytest.mark.parametrize("base", [0, 48])
@pytest.mark.parametrize(
    ("mode", "rows"),
    [
        (0, ["#.#.....", "......##"]),
        (1, ["##..##..........", "............####"]),
        (2, ["#.#.....", "#.#.....", "......##", "......##"]),
        (3, ["##..##..........", "##..##..........", "............####", "............####"]),
    ],
)
def test_picture_is_printed_dot_for_dot_in_every_size(base: int, mode: int, rows: list[str]) -> None:
    printed = Printed(picture(b"\xa0\x03", 1, base + mode), dots=24)
    assert printed.rows == [row.ljust(24, ".") for row in rows]
    assert printed.head.events == []


@pytest.mark.parametrize(("align", "left"), [(0, 0), (48, 0), (1, 8), (2, 16), (50, 16)])
def test_picture_follows_the_alignment(align: int, left: int) -> None:
    row = "." * left + "#.#" + "." * (21 - left)
    assert Printed(b"\x1ba" + bytes((align,)) + picture(b"\xa0", 1), dots=24).rows == [row]


def test_picture_wider_than_the_head_is_clipped_and_noted() -> None:
    printed = Printed(picture(b"\x81\x42\xff\x01\x02\x03", 3) + picture(b"\x01", 1), dots=16)
    assert printed.rows == ["#......#.#....#.", ".......#......#.", ".......#........"]
    assert printed.head.events == ["picture of 24 dots"]


def test_picture_that_only_its_double_width_makes_too_wide_is_clipped() -> None:
    printed = Printed(picture(b"\xa1\xff", 2, mode=1), dots=16)
    assert printed.rows == ["##..##........##"]
    assert printed.head.events == ["picture of 32 dots"]


def test_row_is_on_the_paper_as_soon_as_its_last_byte_came() -> None:
    printed = Printed(picture(b"\xff" * 6, 2)[:-6], dots=16)
    heights = []
    for _ in range(6):
        printed.head.execute(b"\xff")
        heights.append(printed.head.strip.rows)
    assert heights == [0, 1, 1, 2, 2, 3]


def test_head_says_how_many_bytes_complete_the_row_and_none_outside_of_a_picture() -> None:
    printed = Printed(dots=16)
    rests = []
    for byte in b"a\n" + picture(b"\xff" * 6, 3) + b"\x1b@":
        rests.append(printed.head.row_rest_bytes)
        printed.head.execute(bytes((byte,)))
    assert rests == [0] * 10 + [3, 2, 1, 3, 2, 1] + [0] * 2


@pytest.mark.parametrize("size", [b"\x00\x00\x05\x00", b"\x05\x00\x00\x00"])
def test_picture_without_width_or_height_swallows_nothing(size: bytes) -> None:
    assert Printed(b"\x1dv0\x00" + size + b"ok\n").head.text == ["ok"]


def test_broken_picture_swallows_the_next_paper_until_nuls_complete_it() -> None:
    broken = picture(b"\xff" * 10 * 5, 5)[:-7]
    printed = Printed(broken + b"\x1b@abc\n", dots=40)
    assert (printed.head.text, printed.requests) == ([], [])
    printed.head.execute(bytes(50) + b"\x1b@abc\n")
    assert printed.head.text == ["abc"]
    assert printed.requests == [Initialized()]


def test_nuls_outside_of_a_picture_print_nothing() -> None:
    printed = Printed(bytes(500))
    assert (printed.head.strip.rows, printed.head.events) == (0, [])


def test_power_that_fails_in_a_picture_takes_the_command_and_leaves_the_paper() -> None:
    printed = Printed(b"ab" + b"\x1bE\x01" + picture(b"\xff" * 4, 1)[:-2], dots=24)
    printed.head.power_on()
    printed.head.execute(b"c\n")
    assert printed.head.text == ["c"]


def test_picture_beside_letters_is_swallowed_and_not_printed() -> None:
    printed = Printed(b"ab" + picture(b"\xff" * 3, 1) + b"c\n")
    assert printed.head.text == ["abc"]
    assert printed.head.strip.rows == LINE_SPACING
    assert printed.head.events == ["picture beside letters"]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"\x1bJ\x07", 7),
        (b"\x1bJ\xff\x1bJ\x01", 256),
        (b"\n", 30),
        (b"\r", 0),
        (b"\x1bd\x03", 90),
        (b"\x1b3\x40\n\x1b2\n", 94),
        (b"\x1b3\x00A\n", 24),
        (b"A\x1bJ\x02", 24),
        (b"A\x1bJ\x64", 100),
        (b"A\x1bd\x02", 60),
        (b"\x1d!\x01A\n", 48),
        (b"\x1d!\x77A\n", 192),
    ],
)
def test_paper_moves_as_far_as_the_manuals_say(data: bytes, rows: int) -> None:
    assert Printed(data).head.strip.rows == rows


def test_line_that_is_full_goes_on_in_the_next() -> None:
    printed = Printed(b"a" * 33 + b"\n\x1d!\x10" + b"b" * 17 + b"\n")
    assert printed.head.text == ["a" * 32, "a", "b" * 16, "b"]


@pytest.mark.parametrize(
    ("select", "width", "height"), [(b"\x1d!\x12", 2, 3), (b"\x1b!\x30", 2, 2), (b"\x1b!\x00", 1, 1)]
)
def test_large_letters_are_the_small_one_enlarged(select: bytes, width: int, height: int) -> None:
    small = Printed(b"\x1b3\x00g\n").head.strip.image().crop((0, 0, 12, CELL_HEIGHT))
    large = Printed(b"\x1b3\x00" + select + b"g\n").head.strip.image().crop((0, 0, 12 * width, CELL_HEIGHT * height))
    assert large.tobytes() == small.resize(large.size, Image.Resampling.NEAREST).tobytes()


@pytest.mark.parametrize("bold", [b"\x1bE\x01", b"\x1bE\xff", b"\x1b!\x08"])
def test_bold_letters_have_more_ink_until_bold_ends(bold: bytes) -> None:
    def ink(data: bytes) -> int:
        return sum(row.count("#") for row in Printed(data).rows)

    assert ink(bold + b"8\n") > ink(b"8\n")
    assert ink(bold + b"\x1bE\x00\x1b!\x008\n") == ink(b"8\n")


@pytest.mark.parametrize("bold", [False, True])
def test_every_letter_and_its_marks_fit_into_a_cell(bold: bool) -> None:
    font = ImageFont.truetype(str(font_file(bold)), 15, layout_engine=ImageFont.Layout.BASIC)
    boxes = [font.getbbox(letter, mode="1", anchor="ms") for letter in ACCENTED + ACCENTED.upper() + "gjpqy|"]
    assert min(box[1] for box in boxes) >= -20
    assert max(box[3] for box in boxes) <= 4


def iconv(text: str, charset: str) -> bytes:
    return subprocess.run(["iconv", "-t", charset], input=text.encode(), capture_output=True, check=True).stdout


def test_first_page_of_tcvn3_is_what_iconv_writes() -> None:
    assert len(ACCENTED) == 67
    lines = [ACCENTED[:32], ACCENTED[32:64], ACCENTED[64:]]
    printed = Printed(b"\x1bt\x1e" + b"".join(iconv(line, "TCVN5712-1") + b"\n" for line in lines))
    assert printed.head.text == lines
    assert printed.head.events == []


def test_second_page_of_tcvn3_has_capitals_where_the_small_letters_are() -> None:
    small = "".join(letter for letter in ACCENTED if letter not in "ăâđ")
    capitals = iconv(small, "TCVN5712-1") + b"\xa1\xa2\xa7"
    printed = Printed(b"\x1bt\x1f" + capitals[:32] + b"\n" + capitals[32:64] + b"\n" + capitals[64:] + b"\n")
    assert "".join(printed.head.text) == small.upper() + "ĂÂĐ"
    assert printed.head.events == []


def test_second_page_has_no_letters_where_its_capitals_would_stand_twice() -> None:
    printed = Printed(b"\x1bt\x1f\xa8\xa9\xae\n")
    assert printed.head.text == [UNKNOWN_LETTER * 3]
    assert printed.head.events == [f"byte {byte} on page 31" for byte in ("a8", "a9", "ae")]
    assert "#" in "".join(printed.rows)


def test_marks_of_cp1258_join_the_letter_before() -> None:
    words = "Tiền điện Ổ Ựa"
    split = unicodedata.normalize("NFD", words)
    printed = Printed(b"\x1bt\x34" + iconv(words, "CP1258") + b"\n")
    assert printed.head.text == [words]
    assert len(iconv(words, "CP1258")) < len(split.encode())


def test_mark_at_the_beginning_of_a_line_stands_alone() -> None:
    assert Printed(b"\x1bt\x34\xeca\n").head.text == ["\u0301a"]


def test_page_that_the_printer_has_not_prints_boxes_and_keeps_ascii() -> None:
    printed = Printed(b"\x1bt\x5eab\xb5\n")
    assert printed.head.text == [f"ab{UNKNOWN_LETTER}"]
    assert printed.head.events == ["page 94", "byte b5 on page 94"]


def test_page_numbers_are_the_models_own() -> None:
    printed = Printed(b"\x1bt\x1b\xb5\n", pages={0: Page.CP437, 27: Page.TCVN3_LOWER})
    assert printed.head.text == ["à"]


def test_initializing_forgets_line_page_bold_size_and_alignment() -> None:
    fresh = Printed(b"abc\n").rows
    printed = Printed(b"\x1bE\x01\x1d!\x11\x1ba\x01\x1b3\x50\x1bt\x1ejunk\x1b@abc\n")
    assert printed.rows == fresh
    assert Printed(b"\x1bt\x1e\x1b@\x82\n").head.text == ["é"]  # CP437 again.


def test_letters_of_two_bytes_swallow_vietnamese_until_switched_off() -> None:
    on = Printed(b"\x1bt\x1eb\xb5\xb6a\n", kanji=True)
    assert on.head.text == [f"b{UNKNOWN_LETTER * 2}a"]
    off = Printed(b"\x1b@\x1c.\x1bt\x1eb\xb5\xb6a\n", kanji=True)
    assert off.head.text == ["bàảa"]
    assert Printed(b"\x1c&\xb5\xb6\n").head.events == ["double byte b5b6"]


INK = picture(b"\xff", 1)


@pytest.mark.parametrize(
    ("data", "heights"),
    [
        (INK + b"\x1dV\x00" + INK + b"\x1dV1", [1, 1]),
        (INK + b"\x1dVB\x05" + INK, [6, 1]),
        (INK + b"\x1bJ\x09\x1b@" + INK, [10, 1]),
        (b"\x1bJ\x09\x1b@" + INK + b"\x1bJ\x02", [3]),  # Nothing but a feed is no paper.
        (b"\x1b@\x1c." + INK + b"\x1d(H\x06\x0000abcd" + INK + b"\x1dr\x01", [2]),  # A fence ends none.
        (b"\x1bJ\x09\x1dV\x00", []),
    ],
)
def test_paper_ends_at_a_cut_or_where_the_next_is_set_up(data: bytes, heights: list[int]) -> None:
    assert [len(paper) for paper in Printed(data).papers] == heights


def test_printer_without_a_cutter_ignores_the_cut() -> None:
    printed = Printed(INK + b"\x1dVA\x05" + INK, cutter=False)
    assert (len(printed.papers), printed.head.strip.rows, printed.head.events) == (1, 2, ["no cutter"])


def test_questions_reach_the_printer_in_their_order() -> None:
    printed = Printed(b"\x1dr\x01\x1d(H\x06\x000012ab\x1da\x0e\x1dIC\x1b@\x1dr\x02")
    assert printed.requests == [
        StatusAsked(1),
        FenceAsked(b"12ab"),
        AutomaticAsked(14),
        IdentityAsked(67),
        Initialized(),
        StatusAsked(2),
    ]


@pytest.mark.parametrize(
    "command",
    [
        b"\x10\x04\x01", b"\x10\x05\x02", b"\x10\x14\x01\x00\x05", b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08",
        b"\x10\x10\x04\x01", b"\x10\x04\x1b@", b"\x10", b"\x10\x1b@",
    ],
)  # fmt: skip
def test_realtime_commands_are_passed_over_whole_or_broken(command: bytes) -> None:
    assert Printed(command + b"ok\n").head.text == ["ok"]


def test_realtime_command_inside_a_picture_is_a_part_of_it() -> None:
    assert Printed(picture(b"\x10\x04\x01", 1), dots=8).rows == ["...#....", ".....#..", ".......#"]


# A command as bytes, then what is noted of it.
STRANGE_COMMANDS = """
1b 7a               unknown ESC 7a
1b 00               unknown ESC 00
1c 7a               unknown FS 7a
1d 7a               unknown GS 7a
1d 76 31            unknown GS v 31
1d 76 30 04         picture mode 4
1d 28 6b 03 00 31 43 08         unknown GS ( k 3143
1d 28 48 06 00 31 30 61 62 63 64  unknown GS ( H 3130
1d 28 41 00 00      unknown GS ( A
1d 6b 04 41 42 00   barcode
1d 6b 49 02 7b 42   barcode
1b 2a 21 02 00 01 02 03 04 05 06  column picture
1b 2a 00 02 00 01 02  column picture
1d 56 07            cut 7
07                  control 07
7f                  control 7f
1b 20 05            -
1b 24 01 02         -
1b 2d 01            -
1b 44 08 10 00      -
1b 47 01            -
1b 4d 00            -
1b 52 03            -
1b 63 35 01         -
1b 70 00 19 fa      -
1b 7b 00            -
1b 61 07            -
1d 4c 10 00         -
1d 57 80 01         -
1d 42 00            -
1d 68 50            -
1c 21 00            -
1c 43 01            -
"""


@pytest.mark.parametrize("case", STRANGE_COMMANDS.strip().splitlines())
def test_command_that_changes_nothing_here_does_not_lose_the_next(case: str) -> None:
    data, event = case.split("  ", maxsplit=1)
    printed = Printed(bytes.fromhex(data) + b"\x1d(H\x06\x0000abcdlater\n")
    assert printed.head.text == ["later"]
    assert printed.requests == [FenceAsked(b"abcd")]
    assert printed.head.events == [event.strip()] * (event.strip() != "-")


def test_clone_without_long_commands_sets_them_as_letters() -> None:
    printed = Printed(b"\x1d(H\x06\x0000abcd\n", parenthesis=False)
    assert printed.head.text == ["H00abcd"]
    assert printed.requests == []
    assert printed.head.events == ["unknown GS 28", "control 06"]


PIECES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"\x1b", b"\x1d", b"\x1c", b"\x10", b"\x1b@", b"\x1d(", b"\x1dV", b"\x1bt\x1f", b"\x1bJ\x05"]),
    st.builds(
        lambda rows, width_bytes, mode: picture(rows[: len(rows) // width_bytes * width_bytes], width_bytes, mode),
        st.binary(min_size=4, max_size=24),
        st.sampled_from([1, 2, 6, 8]),
        st.integers(0, 3),
    ),
)
STREAMS = st.lists(PIECES, max_size=12).map(b"".join)


@given(STREAMS, st.lists(st.integers(0, 150), max_size=6))
def test_no_stream_breaks_the_head_and_splits_do_not_matter(stream: bytes, cuts: list[int]) -> None:
    whole = Printed(stream, dots=48)
    for edges in ([0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)], range(len(stream) + 1)):
        split = Printed(dots=48)
        for begin, end in pairwise(edges):
            split.head.execute(stream[begin:end])
        assert split.rows == whole.rows
        assert split.requests == whole.requests
        assert (split.head.text, split.head.events) == (whole.head.text, whole.head.events)
        assert split.papers == whole.papers


@given(STREAMS)
def test_head_listens_again_after_power_on_whatever_came_before(stream: bytes) -> None:
    printed = Printed(stream, dots=48)
    before = len(printed.head.text)
    printed.head.power_on()
    printed.head.execute(b"ok\n")
    assert printed.head.text[before:] == ["ok"]


@pytest.mark.parametrize("dots", [0, 12])
def test_head_that_is_no_whole_bytes_wide_is_a_mistake(dots: int) -> None:
    with pytest.raises(AssertionError):
        Printed(dots=dots)
