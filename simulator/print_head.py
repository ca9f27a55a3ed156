"""What a thermal printer does with the bytes it executes: ESC/POS in, dots on a strip of paper out.

An interpreter of its own, written from printers' manuals, so that it can judge our encoder: it shares nothing with it.
It takes commands one byte after the other, and the dots of a picture row by row. A row is on the paper as soon as its
last byte has come, and a picture that breaks off keeps swallowing bytes, as it does in a real printer.

Sources: Epson ESC/POS reference; command manuals of HPRT TP80K and TP809 (GS v 0), Citizen iDP-3221 and NCR 7168
(real-time commands stay among the data and are passed over when their turn comes).
"""

import shutil
import subprocess
import unicodedata
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, lru_cache
from types import MappingProxyType
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from printer_drivers.raster import font_file

CELL_WIDTH, CELL_HEIGHT = 12, 24  # Font A.
LINE_SPACING = 30  # ESC 2, and after ESC @.
_FONT_PX, _BASELINE = 15, 20  # Every Vietnamese letter, marks and all, stays within the 24 rows.
_GLYPHS_MAX = 1024
_TAB_COLUMNS = 8
UNKNOWN_LETTER = "\ufffd"  # What a byte is that the page does not hold; drawn as a box.

_NUL, _LF, _DLE = 0x00, 0x0A, 0x10
_EOT, _ENQ, _DC4 = 0x04, 0x05, 0x14
_REALTIME_N_MAX = 18  # DLE EOT 18 is the highest; a higher byte shows that the command broke off.
_FIRST_DOUBLE_BYTE = 0x81  # GBK and its kin.

# Commands that change nothing here, and how many bytes follow them.
_ESC_PASSED: Mapping[str, int] = MappingProxyType(
    {" ": 1, "$": 2, "-": 1, "=": 1, "G": 1, "M": 1, "R": 1, "V": 1, "\\": 2, "c": 2, "p": 3, "{": 1, "i": 0, "m": 0}
)
_GS_PASSED: Mapping[str, int] = MappingProxyType(
    {"L": 2, "W": 2, "B": 1, "H": 1, "P": 2, "b": 1, "f": 1, "h": 1, "w": 1, "/": 1}
)
_FS_PASSED: Mapping[str, int] = MappingProxyType({"!": 1, "-": 1, "C": 1, "S": 2, "W": 1, "p": 2})
_DC4_PARAMETERS: Mapping[int, int] = MappingProxyType({1: 2, 2: 2, 3: 6, 7: 1, 8: 7})

_Bytes = Generator[None, int, None]  # A command that is sent its bytes one by one.


class Page(Enum):
    """What the bytes above ASCII mean."""

    CP437 = "cp437"
    TCVN3_LOWER = "tcvn3-lower"
    TCVN3_UPPER = "tcvn3-upper"
    CP1258 = "cp1258"


# Numbers for ESC t on Epson's printers.
EPSON_PAGES: Mapping[int, Page] = MappingProxyType(
    {0: Page.CP437, 30: Page.TCVN3_LOWER, 31: Page.TCVN3_UPPER, 52: Page.CP1258}
)


class StatusAsked(NamedTuple):
    """GS r n, at its turn."""

    n: int


class FenceAsked(NamedTuple):
    """GS ( H, function 48: the answer is due when all before it has been printed."""

    name: bytes


class IdentityAsked(NamedTuple):
    """GS I n."""

    n: int


class AutomaticAsked(NamedTuple):
    """GS a n."""

    n: int


class Initialized(NamedTuple):
    """ESC @."""


Request = StatusAsked | FenceAsked | IdentityAsked | AutomaticAsked | Initialized


class ConverterMissingError(Exception):
    """There is no iconv, which knows what TCVN-3 bytes mean."""

    def __init__(self) -> None:
        super().__init__("iconv is missing: install Debian's package libc-bin")


class Cell(NamedTuple):
    """A letter in the line that is being set. width, height: how many times its size, 1..8."""

    letter: str
    bold: bool
    width: int
    height: int


class Strip:
    """The paper that has come out of the printer, torn into papers.

    A paper ends at a cut, when somebody tears it off, and where the printer is set up anew (ESC @) after ink; what has
    no ink by then belongs to no paper. A fence ends none, because one may follow every band.
    """

    def __init__(self, dots: int) -> None:
        self._dots = dots
        self._row_bytes = dots // 8
        self._ink = bytearray()
        self._torn: list[tuple[int, int]] = []  # First row, and the row after the last.
        self._begin = 0

    @property
    def rows(self) -> int:
        """How far the paper has moved."""
        return len(self._ink) // self._row_bytes

    def print_rows(self, ink: bytes) -> None:
        """Whole rows, a bit a dot, 1 is black."""
        assert len(ink) % self._row_bytes == 0, "rows are as wide as the head"
        self._ink += ink

    def feed(self, rows: int) -> None:
        """Move on."""
        self._ink += bytes(rows * self._row_bytes)

    def tear(self) -> None:
        """Here a paper ends."""
        if self._has_ink():
            self._torn.append((self._begin, self.rows))
        self._begin = self.rows

    def image(self) -> Image.Image:
        """All that ever came out, mode "1"."""
        return self._picture(0, self.rows)

    def papers(self) -> list[Image.Image]:
        """Each paper, also the last one while it is still in the printer."""
        unfinished = [(self._begin, self.rows)] if self._has_ink() else []
        return [self._picture(*rows) for rows in (*self._torn, *unfinished)]

    def _has_ink(self) -> bool:
        return any(self._ink[self._begin * self._row_bytes :])

    def _picture(self, begin: int, end: int) -> Image.Image:
        ink = bytes(self._ink[begin * self._row_bytes : end * self._row_bytes])
        return Image.frombytes("1", (self._dots, end - begin), ink, "raw", "1;I")


@dataclass(slots=True, kw_only=True)
class _Raster:
    """A picture whose dots are still coming.

    width_bytes: of a row as it is sent, at least 1. rows_left: with the one that is coming, at least 1. row: what has
    come of it. wide, high: how many times its size, 1 or 2. swallowed: nothing of it reaches the paper.
    """

    width_bytes: int
    rows_left: int
    wide: int
    high: int
    swallowed: bool
    row: bytearray = field(default_factory=bytearray)


class PrintHead:
    """Executes bytes. What asks for an answer goes to `on_request`.

    strip: the paper. text: each line of letters that was printed. events: what the printer did not understand or could
    not do as asked.
    dots: width of the head, a multiple of 8. pages: numbers for ESC t. cutter: without one GS V does nothing.
    kanji: letters of two bytes are on after ESC @, as on clones from China. parenthesis: without it GS ( is unknown and
    what follows it is set as letters.
    """

    def __init__(
        self,
        dots: int,
        *,
        on_request: Callable[[Request], None],
        pages: Mapping[int, Page] = EPSON_PAGES,
        cutter: bool = True,
        kanji: bool = False,
        parenthesis: bool = True,
    ) -> None:
        assert dots > 0, "there is no such head"
        assert dots % 8 == 0, "a head is whole bytes wide"
        self.strip = Strip(dots)
        self.text: list[str] = []
        self.events: list[str] = []
        self._dots = dots
        self._columns = dots // CELL_WIDTH
        self._on_request = on_request
        self._pages = pages
        self._cutter = cutter
        self._kanji_at_start = kanji
        self._parenthesis = parenthesis
        self.power_on()

    def execute(self, data: bytes) -> None:
        """Do what these bytes say; a command may begin in one call and end in another."""
        at = 0
        while at < len(data):
            if self._raster is None:
                self._bytes.send(data[at])
                at += 1
            else:
                at += self._take_dots(self._raster, data, at)

    @property
    def row_rest_bytes(self) -> int:
        """How many bytes complete the row of a picture that is coming, and do nothing else; 0 outside of a picture."""
        return 0 if self._raster is None else self._raster.width_bytes - len(self._raster.row)

    def power_on(self) -> None:
        """Start anew: a command that broke off and a line that was not printed are gone. The paper stays."""
        self._set_up()
        self._raster: _Raster | None = None
        self._bytes = self._stream()
        next(self._bytes)

    def _set_up(self) -> None:
        self._line: list[Cell] = []
        self._page = min(self._pages, default=0)
        self._bold = False
        self._width = self._height = 1
        self._align = 0
        self._spacing = LINE_SPACING
        self._kanji = self._kanji_at_start

    # The stream.

    def _stream(self) -> _Bytes:
        while True:
            byte = yield
            while byte == _DLE:
                byte = yield from self._realtime()
            yield from self._command(byte)

    def _realtime(self) -> Generator[None, int, int]:
        """Pass over a command that was answered when it arrived. The byte to go on with, which a broken one has."""
        code = yield
        if code in {_EOT, _ENQ}:
            number = yield
            return number if number > _REALTIME_N_MAX else _NUL
        if code == _DC4:
            function = yield
            yield from self._pass_over(_DC4_PARAMETERS.get(function, 0))
            return _NUL
        self._happened("DLE alone")
        return code

    def _command(self, byte: int) -> _Bytes:
        match chr(byte):
            case "\x00" | "\r":
                pass  # CR: the automatic line feed is off.
            case "\x1b":
                yield from self._esc()
            case "\x1c":
                yield from self._fs()
            case "\x1d":
                yield from self._gs()
            case "\n":
                self._print_line(self._spacing, always=True)
            case "\t":
                for _ in range(_TAB_COLUMNS - self._used_columns() % _TAB_COLUMNS):
                    self._set(" ")
            case control if control < " " or control == "\x7f":
                self._happened(f"control {byte:02x}")
            case _ if self._kanji and byte >= _FIRST_DOUBLE_BYTE:
                second = yield
                self._happened(f"double byte {byte:02x}{second:02x}")
                self._set(UNKNOWN_LETTER)
                self._set(UNKNOWN_LETTER)
            case _:
                self._letter(byte)

    def _esc(self) -> _Bytes:
        code = yield
        match chr(code):
            case "@":
                self._set_up()
                self.strip.tear()
                self._on_request(Initialized())
            case "t":
                self._page = yield
                if self._page not in self._pages:
                    self._happened(f"page {self._page}")
            case "E":
                self._bold = bool((yield) & 1)
            case "!":
                self._mode((yield))
            case "a":
                number = yield
                if number in {0, 1, 2, 48, 49, 50}:
                    self._align = number % 48
            case "J":
                self._print_line((yield))
            case "d":
                lines = yield
                self._print_line(lines * self._spacing)
            case "2":
                self._spacing = LINE_SPACING
            case "3":
                self._spacing = yield
            case "*":
                yield from self._column_picture()
            case "D":
                while (yield):
                    pass
            case known if known in _ESC_PASSED:
                yield from self._pass_over(_ESC_PASSED[known])
            case _:
                self._happened(f"unknown ESC {code:02x}")

    def _fs(self) -> _Bytes:
        code = yield
        match chr(code):
            case ".":
                self._kanji = False
            case "&":
                self._kanji = True
            case known if known in _FS_PASSED:
                yield from self._pass_over(_FS_PASSED[known])
            case _:
                self._happened(f"unknown FS {code:02x}")

    def _gs(self) -> _Bytes:
        code = yield
        match chr(code):
            case "v":
                yield from self._picture()
            case "!":
                number = yield
                self._width, self._height = (number >> 4 & 7) + 1, (number & 7) + 1
            case "r":
                self._on_request(StatusAsked((yield)))
            case "a":
                self._on_request(AutomaticAsked((yield)))
            case "I":
                self._on_request(IdentityAsked((yield)))
            case "V":
                yield from self._cut()
            case "(" if self._parenthesis:
                yield from self._extended()
            case "k":
                yield from self._barcode()
            case known if known in _GS_PASSED:
                yield from self._pass_over(_GS_PASSED[known])
            case _:
                self._happened(f"unknown GS {code:02x}")

    def _pass_over(self, count: int) -> _Bytes:
        for _ in range(count):
            yield

    def _happened(self, event: str) -> None:
        self.events.append(event)

    # GS ( and other commands of changing length.

    def _extended(self) -> _Bytes:
        letter = yield
        low = yield
        high = yield
        data = bytearray()
        for _ in range(low + high * 256):
            byte = yield
            data.append(byte)
        if letter == ord("H") and len(data) == 6 and data[:2] == b"00":
            self._on_request(FenceAsked(bytes(data[2:])))
        else:
            self._happened(f"unknown GS ( {chr(letter)} {data[:2].hex()}".rstrip())

    def _cut(self) -> _Bytes:
        mode = yield
        rows = 0
        if mode in {65, 66, 97, 98, 103, 104}:
            rows = yield
        elif mode not in {0, 1, 48, 49}:
            self._happened(f"cut {mode}")
            return
        if self._line:
            self._happened("cut beside letters")  # Only at the beginning of a line.
        elif self._cutter:
            self.strip.feed(rows)
            self.strip.tear()
        else:
            self._happened("no cutter")

    def _barcode(self) -> _Bytes:
        self._happened("barcode")
        system = yield
        if system >= 65:
            length = yield
            yield from self._pass_over(length)
        else:
            while (yield):
                pass

    def _column_picture(self) -> _Bytes:
        self._happened("column picture")
        mode = yield
        low = yield
        high = yield
        yield from self._pass_over((low + high * 256) * (3 if mode in {32, 33} else 1))

    # Pictures.

    def _picture(self) -> _Bytes:
        kind = yield
        if kind not in {0, 48}:
            self._happened(f"unknown GS v {kind:02x}")
            return
        mode = yield
        if mode not in {0, 1, 2, 3, 48, 49, 50, 51}:
            self._happened(f"picture mode {mode}")
            return
        size = [0, 0, 0, 0]
        for place in range(4):
            size[place] = yield
        width_bytes, height = size[0] + size[1] * 256, size[2] + size[3] * 256
        beside = bool(self._line)
        if beside:
            self._happened("picture beside letters")  # Effective only while nothing stands in the line.
        wide, high = (2 if mode & 1 else 1), (2 if mode & 2 else 1)
        if width_bytes * 8 * wide > self._dots:
            self._happened(f"picture of {width_bytes * 8 * wide} dots")
        if width_bytes and height:
            self._raster = _Raster(width_bytes=width_bytes, rows_left=height, wide=wide, high=high, swallowed=beside)

    def _take_dots(self, raster: _Raster, data: bytes, at: int) -> int:
        """Take from there what belongs to the row that is coming, and print it when it is complete. How much it was."""
        missing = raster.width_bytes - len(raster.row)
        run = data[at : at + missing]
        raster.row += run
        if len(run) == missing:
            if not raster.swallowed:
                self.strip.print_rows(self._placed(bytes(raster.row), raster.wide) * raster.high)
            raster.row.clear()
            raster.rows_left -= 1
            if not raster.rows_left:
                self._raster = None
        return len(run)

    def _placed(self, row: bytes, wide: int) -> bytes:
        """A row of a picture as the head prints it: aligned, and without what is over the width."""
        if wide == 1 and len(row) * 8 == self._dots:
            return row
        bits = int.from_bytes(row, "big")
        if wide == 2:
            bits = int.from_bytes(b"".join(_DOUBLED[byte] for byte in row), "big")
        spare = self._dots - len(row) * 8 * wide
        bits = bits >> -spare if spare < 0 else bits << (spare - self._margin(spare))
        return bits.to_bytes(self._dots // 8, "big")

    def _margin(self, spare: int) -> int:
        return spare * self._align // 2

    # Letters.

    def _mode(self, number: int) -> None:
        if number & 0x81:
            self._happened("font B or underline")
        self._bold = bool(number & 0x08)
        self._height = 2 if number & 0x10 else 1
        self._width = 2 if number & 0x20 else 1

    def _letter(self, byte: int) -> None:
        letter = _decoded(byte, self._pages.get(self._page))
        if letter == UNKNOWN_LETTER:
            self._happened(f"byte {byte:02x} on page {self._page}")
        if unicodedata.combining(letter) and self._line:
            last = self._line[-1]
            self._line[-1] = last._replace(letter=unicodedata.normalize("NFC", last.letter + letter))
        else:
            self._set(letter)

    def _set(self, letter: str) -> None:
        if self._used_columns() + self._width > self._columns:
            self._print_line(self._spacing)
        self._line.append(Cell(letter, self._bold, self._width, self._height))

    def _used_columns(self) -> int:
        return sum(cell.width for cell in self._line)

    def _print_line(self, rows: int, *, always: bool = False) -> None:
        """Print what is set, and move by so many rows or the height of the letters. always: log an empty line too."""
        line, self._line = self._line, []
        if line or always:
            self.text.append("".join(cell.letter for cell in line))
        if not line:
            self.strip.feed(rows)
            return
        height = max(cell.height for cell in line) * CELL_HEIGHT
        picture = Image.new("1", (self._dots, max(rows, height)), 0)
        left = self._margin(self._dots - sum(cell.width for cell in line) * CELL_WIDTH)
        for cell in line:
            picture.paste(_glyph(cell), (left, height - cell.height * CELL_HEIGHT))
            left += cell.width * CELL_WIDTH
        self.strip.print_rows(picture.tobytes())


def _doubled(byte: int) -> bytes:
    return int("".join(bit * 2 for bit in f"{byte:08b}"), 2).to_bytes(2, "big")


_DOUBLED = tuple(_doubled(byte) for byte in range(256))


def _decoded(byte: int, page: Page | None) -> str:
    if byte < 0x80:
        return chr(byte)
    match page:
        case Page.CP437 | Page.CP1258:
            return bytes((byte,)).decode(page.value, "replace")
        case Page.TCVN3_LOWER:
            return _tcvn3_lower().get(byte, UNKNOWN_LETTER)
        case Page.TCVN3_UPPER:
            return _tcvn3_upper().get(byte, UNKNOWN_LETTER)
        case None:
            return UNKNOWN_LETTER


@cache
def _tcvn3_lower() -> Mapping[int, str]:
    """The small letters of TCVN 5712, as the C library knows them. Raises ConverterMissingError."""
    iconv = shutil.which("iconv")
    if iconv is None:
        raise ConverterMissingError
    numbers = range(0xA1, 0x100)
    # A letter a line, because a mark would join the letter before it.
    lines = b"".join(bytes((number, _LF)) for number in numbers)
    command = (iconv, "-f", "TCVN5712-1", "-t", "UTF-8")
    done = subprocess.run(command, input=lines, capture_output=True, check=True)  # noqa: S603 - a fixed command
    letters = zip(numbers, done.stdout.decode().split("\n"), strict=False)
    return {number: letter for number, letter in letters if letter.islower()}


@cache
def _tcvn3_upper() -> Mapping[int, str]:
    """The second page: capitals where their small letters stand, but Ă, Â and Đ where TCVN 5712 has them."""
    capitals = {number: letter.upper() for number, letter in _tcvn3_lower().items() if letter not in "ăâđ"}
    return {**capitals, 0xA1: "Ă", 0xA2: "Â", 0xA7: "Đ"}


@lru_cache(maxsize=_GLYPHS_MAX)
def _glyph(cell: Cell) -> Image.Image:
    """A letter in its cell, ink 1; larger ones are the small one enlarged, as printers do."""
    picture = Image.new("1", (CELL_WIDTH, CELL_HEIGHT), 0)
    canvas = ImageDraw.Draw(picture)
    canvas.fontmode = "1"
    if cell.letter == UNKNOWN_LETTER:
        canvas.rectangle((1, 4, CELL_WIDTH - 3, _BASELINE), outline=1)
    else:
        canvas.text((CELL_WIDTH // 2, _BASELINE), cell.letter, fill=1, font=_font(cell.bold), anchor="ms")
    return picture.resize((CELL_WIDTH * cell.width, CELL_HEIGHT * cell.height), Image.Resampling.NEAREST)


@cache
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_file(bold)), _FONT_PX, layout_engine=ImageFont.Layout.BASIC)
