"""A document drawn once: the picture shown on the screen is the picture that is printed.

Black on white, one bit a dot, 203 dots an inch (8 a millimetre). A cell is 12 dots wide and 28 high, so paper of
58 mm (384 dots) has 32 columns and paper of 80 mm (576 dots) has 48. The letters are Noto Sans Mono, whose advance
at 20 px is exactly one cell.
"""

import io
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import assert_never

import segno
from PIL import Image, ImageDraw, ImageFont

from protocol.document import COLUMNS_MIN, Align, Document, Feed, Line, Piece, QrCode, Rule, Size, layout

CELL_WIDTH = 12
LINE_HEIGHT = 28
FONT_PX = 20
BASELINE = 23  # From the top of a line; the five rows under it hold the dot of Ệ and the tail of y.
MARK_ROWS = 3  # Ổ, the tallest letter, reaches 25 rows up: its hook stands in the line above, under the letters.
MARGIN_TOP = MARK_ROWS * 2
# FreeType's hinter, which keeps strokes sharp, moves letters to make room for their marks: in bold à, á and ả would
# stand a dot above a. Each is put back on the line of its plain letter.
HINTED_OFF_ROWS_MAX = 1  # What ends further away has a mark under it that is no dot, such as ç.
MIDDLE_ROWS = 6  # From the line up to about the middle of small letters: every letter has ink from there to its foot.

RULE_HEIGHT = 14
RULE_TOP = 8  # Halfway, to the eye, between the letters above and the capitals below.
RULE_THICKNESS = 2

QUIET_MODULES = 4  # ISO/IEC 18004: free space on every side of the code.
MODULE_DOTS_MAX = 6  # 0.75 mm: larger helps no telephone and costs paper, battery and seconds on the link.
MODULE_DOTS_MIN = 3  # 0.375 mm: the least a thermal head sets sharply.
QR_SIDE_DOTS_MAX = 240  # 30 mm without the quiet zone, for the same reason.

WHITE, BLACK = 1, 0

FONTS_FOLDER = Path(__file__).parent / "fonts"

# More than all letters of our papers in both weights and sizes; strange names must not grow it without end.
_GLYPHS_MAX = 1024
# One route's codes, so that going back and forth between customers draws nothing twice.
_QR_CODES_MAX = 64


class FontMissingError(Exception):
    """A font file is not where set-up puts it."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"the font {path} is missing: run `make web`")
        self.path = path


class QrTooLargeError(Exception):
    """A QR payload needs more modules than the paper can show sharply."""

    def __init__(self, payload: str, dots: int) -> None:
        super().__init__(f"a QR code of {len(payload)} characters does not fit paper of {dots} dots")
        self.payload = payload
        self.dots = dots


def render(document: Document, dots: int) -> Image.Image:
    """The document as a picture of mode "1", `dots` wide (384 or 576) and as high as it needs.

    Raises ValueError for a width that is too narrow or no whole number of cells; FontMissingError; QrTooLargeError.
    """
    columns, rest = divmod(dots, CELL_WIDTH)
    if rest or columns < COLUMNS_MIN:
        raise ValueError(f"{dots} dots: a paper is at least {COLUMNS_MIN} cells of {CELL_WIDTH} dots wide")
    pieces = [(piece, _height(piece, dots)) for piece in layout(document, columns)]
    paper = Image.new("1", (dots, MARGIN_TOP + sum(height for _, height in pieces)), WHITE)
    top = MARGIN_TOP
    for piece, height in pieces:
        _draw(paper, piece, top)
        top += height
    return paper


def to_png(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def module_dots(modules: int, dots: int) -> int:
    """Side in dots of a module of a QR code `modules` wide on paper `dots` wide; 0 where it cannot be sharp."""
    side = min(MODULE_DOTS_MAX, dots // (modules + 2 * QUIET_MODULES), QR_SIDE_DOTS_MAX // modules)
    return side if side >= MODULE_DOTS_MIN else 0


def font_file(bold: bool, folder: Path = FONTS_FOLDER) -> Path:
    """Where set-up has put the font of one weight. Raises FontMissingError."""
    path = folder / ("NotoSansMono-Bold.ttf" if bold else "NotoSansMono-Regular.ttf")
    if not path.is_file():
        raise FontMissingError(path)
    return path


def _height(piece: Piece, dots: int) -> int:
    match piece:
        case Line():
            return LINE_HEIGHT * piece.style.size
        case Rule():
            return RULE_HEIGHT
        case Feed():
            return LINE_HEIGHT * piece.lines
        case QrCode():
            return _qr_image(piece.payload, dots).height
        case never:
            assert_never(never)


def _draw(paper: Image.Image, piece: Piece, top: int) -> None:
    match piece:
        case Line():
            _draw_line(paper, piece, top)
        case Rule():
            ink = top + RULE_TOP
            paper.paste(BLACK, (0, ink, paper.width, ink + RULE_THICKNESS))
        case QrCode():
            code = _qr_image(piece.payload, paper.width)
            paper.paste(code, ((paper.width - code.width) // 2, top))
        case Feed():
            pass
        case never:
            assert_never(never)


def _draw_line(paper: Image.Image, line: Line, top: int) -> None:
    size, bold = line.style.size, line.style.bold
    advance = CELL_WIDTH * size
    text, left = line.cells(paper.width // advance), 0
    if line.style.align is Align.CENTER:
        # To the dot, since half a cell would show.
        text, left = line.text, (paper.width - len(line.text) * advance) // 2
    for column, letter in enumerate(text):
        if letter != " ":
            glyph = _glyph(letter, bold, size)
            box = glyph.getbbox() or (0, 0, 0, 0)
            # What leans out of its cell leans inward at the edge of the paper, as the horn of a last ơ.
            inside = min(max(left + (column - 1) * advance, -box[0]), paper.width - box[2])
            # Through its own mask: a neighbour that leans into the cell keeps its ink.
            paper.paste(BLACK, (inside, top - MARK_ROWS * size), glyph)


@lru_cache(maxsize=_GLYPHS_MAX)
def _glyph(letter: str, bold: bool, size: Size) -> Image.Image:
    """A mask of one letter, ink 1, with a cell of room at either side and rows above for what reaches out."""
    mask = _mask(letter, bold, size, 0)
    plain = unicodedata.normalize("NFD", letter)[0]
    if plain == letter:
        return mask
    lower_rows = _foot(_glyph(plain, bold, size), size) - _foot(mask, size)
    if lower_rows == 0 or abs(lower_rows) > HINTED_OFF_ROWS_MAX:
        return mask
    return _mask(letter, bold, size, lower_rows)


def _foot(mask: Image.Image, size: Size) -> int:
    """The first row without ink under the middle of a letter: below it is nothing, or the dot of ạ."""
    for row in range((MARK_ROWS + BASELINE - MIDDLE_ROWS) * size, mask.height):
        if mask.crop((0, row, mask.width, row + 1)).getbbox() is None:
            return row
    return mask.height


def _mask(letter: str, bold: bool, size: Size, lower_rows: int) -> Image.Image:
    advance = CELL_WIDTH * size
    mask = Image.new("1", (3 * advance, (MARK_ROWS + LINE_HEIGHT) * size), 0)
    canvas = ImageDraw.Draw(mask)
    canvas.fontmode = "1"
    baseline = (MARK_ROWS + BASELINE) * size + lower_rows
    canvas.text((advance, baseline), letter, fill=1, font=_font(bold, FONT_PX * size), anchor="ls")
    return mask


@lru_cache(maxsize=4)
def _font(bold: bool, pixels: int) -> ImageFont.FreeTypeFont:
    # The basic engine is in every build of Pillow; with it a letter looks alike on every machine.
    return ImageFont.truetype(str(font_file(bold)), pixels, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=_QR_CODES_MAX)
def _qr_image(payload: str, dots: int) -> Image.Image:
    """The code with its quiet zone, error correction M or better."""
    try:
        rows = tuple(_qr_rows(payload))
    except segno.DataOverflowError as overflow:
        raise QrTooLargeError(payload, dots) from overflow
    modules = len(rows)
    scale = module_dots(modules, dots)
    if not scale:
        raise QrTooLargeError(payload, dots)
    code = Image.new("1", (modules, modules), WHITE)
    code.putdata([BLACK if module else WHITE for row in rows for module in row])
    quiet = QUIET_MODULES * scale
    image = Image.new("1", (modules * scale + 2 * quiet,) * 2, WHITE)
    image.paste(code.resize((modules * scale,) * 2, Image.Resampling.NEAREST), (quiet, quiet))
    return image


def _qr_rows(payload: str) -> Iterator[bytes]:
    code = segno.make(payload, error="m", micro=False)
    for row in code.matrix:
        yield bytes(row)
