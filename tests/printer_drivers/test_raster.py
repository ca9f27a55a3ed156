"""Documents drawn: sizes, letters whole, codes that scan."""

import io
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from printer_drivers.raster import (
    BLACK,
    FONT_PX,
    LINE_HEIGHT,
    MARGIN_TOP,
    MODULE_DOTS_MIN,
    RULE_HEIGHT,
    FontMissingError,
    QrTooLargeError,
    font_file,
    module_dots,
    render,
    to_png,
)
from protocol.document import (
    Align,
    Columns,
    Document,
    Feed,
    Item,
    Line,
    QrCode,
    Rule,
    Size,
    Style,
    Text,
    layout,
)

PAPER_DOTS = (384, 576)
QUIET_MODULES = 4  # ISO/IEC 18004.
PROOF = "GT1:7:1234:9f3a01bc"
VIETQR = (
    "00020101021238570010A00000072701270006970436011301234567890120208QRIBFTTA"
    "5303704540638943958"
    "02VN62230819TN0070037-2026-1163046A1B"
)
TONES = ("", "\u0300", "\u0309", "\u0303", "\u0301", "\u0323")
VOWELS = [unicodedata.normalize("NFC", vowel + tone) for vowel in "aăâeêioôơuưy" for tone in TONES]
SMALL = "".join(VOWELS) + "bcdđfghjklmnpqrstvwxz"
LETTERS = SMALL + SMALL.upper() + "0123456789.,:;/()-+—×³₫"

ITEMS: st.SearchStrategy[Item] = st.one_of(
    st.builds(
        Text,
        st.text(max_size=90),
        st.builds(Style, bold=st.booleans(), size=st.sampled_from([1, 2]), align=st.sampled_from(list(Align))),
    ),
    st.builds(Columns, st.text(max_size=60), st.text(max_size=40), st.booleans(), st.sampled_from([1, 2])),
    st.just(Rule()),
    st.builds(Feed, st.integers(min_value=0, max_value=3)),
    st.just(QrCode(PROOF, "Mã kiểm tra")),
)


def ink(image: Image.Image) -> int:
    return sum(image.point(lambda dot: not dot, "1").histogram()[1:])


def code_of(payload: str, dots: int) -> tuple[Image.Image, int, int]:
    """The picture of a paper with nothing but a code; the code's left edge with its quiet zone; dots a module."""
    image = render(Document((QrCode(payload),)), dots)
    modules = len(segno.make(payload, error="m", micro=False).matrix)
    side = module_dots(modules, dots)
    return image, (dots - (modules + 2 * QUIET_MODULES) * side) // 2, side


@settings(max_examples=40, deadline=None)
@given(st.lists(ITEMS, max_size=6), st.sampled_from(PAPER_DOTS))
def test_any_document_is_drawn_at_the_width_of_the_paper(items: list[Item], dots: int) -> None:
    document = Document(tuple(items))
    image = render(document, dots)
    height = MARGIN_TOP
    for piece in layout(document, dots // 12):
        match piece:
            case Line():
                height += LINE_HEIGHT * piece.style.size
            case Rule():
                height += RULE_HEIGHT
            case Feed():
                height += LINE_HEIGHT * piece.lines
            case QrCode():
                height += (25 + 2 * QUIET_MODULES) * 6
    assert (image.mode, image.size) == ("1", (dots, height))


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("bold", [False, True])
def test_no_mark_of_any_letter_is_cut_off(bold: bool, size: Size) -> None:
    font = ImageFont.truetype(str(font_file(bold)), FONT_PX * size, layout_engine=ImageFont.Layout.BASIC)
    no_glyph = bytes(font.getmask("\U0010fffd", "1"))
    cut = []
    for letter in LETTERS:
        wide = Image.new("1", (200, 200), 1)
        canvas = ImageDraw.Draw(wide)
        canvas.fontmode = "1"
        canvas.text((100, 100), letter, fill=BLACK, font=font, anchor="ls")
        drawn = render(Document((Text(letter, Style(bold=bold, size=size, align=Align.CENTER)),)), 384)
        if bytes(font.getmask(letter, "1")) == no_glyph or ink(drawn) != ink(wide):
            cut.append(letter)
    assert cut == []


def test_the_tallest_letter_takes_no_ink_from_the_line_above() -> None:
    above, below = Text("ABCDE"), Text("ỔỔỔỔỔ")
    apart = ink(render(Document((above,)), 384)) + ink(render(Document((below,)), 384))
    assert ink(render(Document((above, below)), 384)) == apart


@pytest.mark.parametrize("dots", PAPER_DOTS)
def test_a_full_line_reaches_both_edges(dots: int) -> None:
    columns = dots // 12
    image = render(Document((Text("H" * columns), Text("H" * columns + "H"))), dots)
    first = image.crop((0, 0, dots, MARGIN_TOP + LINE_HEIGHT))
    box = first.point(lambda dot: not dot, "1").getbbox()
    assert box is not None
    assert box[0] < 12
    assert box[2] > dots - 12
    assert image.height == MARGIN_TOP + 3 * LINE_HEIGHT


def test_a_centred_line_is_centred_to_the_dot() -> None:
    image = render(Document((Text("H" * 5, Style(size=2, align=Align.CENTER)),)), 384)
    box = image.point(lambda dot: not dot, "1").getbbox()
    assert box is not None
    assert abs(box[0] - (384 - box[2])) <= 2


def test_a_rule_crosses_the_paper() -> None:
    image = render(Document((Rule(),)), 384)
    assert ink(image) == 2 * 384


@pytest.mark.parametrize("dots", PAPER_DOTS)
@pytest.mark.parametrize("payload", [PROOF, VIETQR, "x" * 300])
def test_the_code_on_paper_is_the_code_module_by_module(payload: str, dots: int) -> None:
    image, left, side = code_of(payload, dots)
    matrix = segno.make(payload, error="m", micro=False).matrix
    modules = len(matrix)
    quiet = QUIET_MODULES * side
    assert side >= MODULE_DOTS_MIN
    assert image.height == MARGIN_TOP + modules * side + 2 * quiet
    for row in range(modules):
        for column in range(modules):
            x, y = left + quiet + column * side, MARGIN_TOP + quiet + row * side
            module = image.crop((x, y, x + side, y + side))
            assert ink(module) == (side * side if matrix[row][column] else 0)
    finder = [image.getpixel((left + quiet + 3 * side, MARGIN_TOP + quiet + y * side)) == BLACK for y in range(7)]
    assert finder == [True, False, True, True, True, False, True]
    symbol = image.crop((left + quiet, MARGIN_TOP + quiet, left + quiet + modules * side, image.height - quiet))
    assert ink(symbol) == ink(image)  # All around it is white.
    assert left >= 0


@pytest.mark.parametrize("dots", PAPER_DOTS)
@pytest.mark.parametrize("payload", [PROOF, VIETQR])
def test_another_program_reads_the_code(payload: str, dots: int, tmp_path: Path) -> None:
    zbarimg = shutil.which("zbarimg")
    if zbarimg is None:
        pytest.fail("zbarimg is missing, so only our own code could say that the code scans: `make test` installs it")
    file = tmp_path / "code.png"
    file.write_bytes(to_png(render(Document((Text("Quét mã"), QrCode(payload, "để trả tiền"), Rule())), dots)))
    read = subprocess.run([zbarimg, "--quiet", "--raw", str(file)], capture_output=True, text=True, check=True)
    assert read.stdout == payload + "\n"


def test_a_code_too_fine_for_the_paper_is_refused() -> None:
    for payload in ("x" * 1500, "x" * 5000):
        with pytest.raises(QrTooLargeError, match="384 dots"):
            render(Document((QrCode(payload),)), 384)


@pytest.mark.parametrize("dots", [0, 180, 385])
def test_a_width_that_is_no_paper_is_refused(dots: int) -> None:
    with pytest.raises(ValueError, match=f"{dots} dots"):
        render(Document(()), dots)


def test_a_missing_font_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FontMissingError, match="make web"):
        font_file(bold=True, folder=tmp_path)


def test_the_png_is_the_picture() -> None:
    image = render(Document((Text("Kỳ 11/2026"), QrCode(PROOF))), 384)
    again = Image.open(io.BytesIO(to_png(image)))
    assert (again.mode, again.size, again.tobytes()) == ("1", image.size, image.tobytes())
