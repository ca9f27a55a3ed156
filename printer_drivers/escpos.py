"""A document as the bytes of an ESC/POS printer, in pieces between which its status may be asked.

A picture goes out as bands of GS v 0 and, for blank rows, ESC J. ESC J counts in motion units, which on mobile printers
are dots; some printers made to stand on a counter count half dots.

Sources: Epson ESC/POS reference (DLE EOT, ESC @, ESC E, ESC J, ESC t, FS ., GS !, GS ( H, GS a, GS I, GS r, GS V,
GS v 0); Zebra ZQ110 command manual, p. 19, and Epson TM-T88III manual, p. 470 (motion units).
"""

from collections.abc import Iterator
from enum import Enum, StrEnum, auto
from itertools import accumulate
from typing import NamedTuple, assert_never

from PIL import Image

from printer_drivers.codepages import code
from printer_drivers.profiles import Fence, Profile, TextPages
from printer_drivers.raster import WHITE, render
from protocol.document import Align, Document, Feed, Line, QrCode, Rule, Style, Text, layout

# A printer without marks must say so, or the collector is asked why the paper is misspelt.
FOLDED_NOTE = "(In khong dau)"

_INITIALIZE = b"\x1b@"
_NO_DOUBLE_BYTES = b"\x1c."  # Many printers wake up set to Chinese, and take two Vietnamese letters for one sign.
_CUT = b"\x1dV\x01"  # A partial cut, which leaves a bridge; printers that can do the other only do that.

_BAND_HEADER_BYTES = 8
_FEED_BYTES = 3
_FEED_ROWS_MAX = 255
_FENCE_BYTES = 11
# What one band more costs: its header and, with printers that answer each, the fence behind it.
_BAND_COST_BYTES = _BAND_HEADER_BYTES + _FENCE_BYTES

_ID_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ID_LENGTH = 4
_TEXT_LINE_ROWS = 34  # A sixth of an inch, where a printer begins.
FENCES_MAX = len(_ID_DIGITS) ** _ID_LENGTH

_AUTO_STATUS = 0b1110  # On-line and off-line, errors, paper; not the drawer, of which a collector has none.


class Mode(StrEnum):
    """How a document is set. FOLDED: ASCII without marks, the last resort, which the paper says of itself."""

    RASTER = "raster"
    TEXT = "text"
    FOLDED = "folded"


class Kind(Enum):
    """What a segment does. SETUP prints nothing and moves nothing; INK may do either."""

    SETUP = auto()
    INK = auto()


class Segment(NamedTuple):
    """Whole commands: between two segments, never within one, the printer may be asked something.

    rows: how far the paper moves, in dots; at text lines about.
    """

    data: bytes
    kind: Kind
    rows: int = 0


class EncodeError(Exception):
    """A letter that the printer cannot set. letter: in NFC; where: the line of the paper it stands on."""

    def __init__(self, letter: str, where: str) -> None:
        super().__init__(f"the printer has no {letter!r} (U+{ord(letter):04X}), which stands on the line {where!r}")
        self.letter = letter
        self.where = where


def encode(
    document: Document, profile: Profile, mode: Mode = Mode.RASTER, pages: TextPages | None = None
) -> Iterator[Segment]:
    """The document from set-up to the feed that brings its end past the tear bar, or the cut.

    pages: for Mode.TEXT, and only for it; that a person has read them on paper is the caller's affair. All that can be
    wrong with a document is found before the first segment. Raises EncodeError; ValueError for text without pages; what
    `raster.render` raises.
    """
    match mode:
        case Mode.RASTER:
            setup, ink = b"", raster_segments(render(document, profile.dots), profile)
        case Mode.TEXT:
            if pages is None:
                raise ValueError("text needs the pages that were confirmed on paper")
            setup, ink = _text(document, profile, pages)
        case Mode.FOLDED:
            note = Text(FOLDED_NOTE, Style(align=Align.CENTER))
            setup, ink = _text(Document((note, *document.items)), profile, None)
        case never:
            assert_never(never)
    return _paper(initialize() + setup, ink, profile)


def raster_segments(image: Image.Image, profile: Profile) -> Iterator[Segment]:
    """A picture of mode "1", at most as wide as the paper, in bands of at most `profile.band_rows` rows.

    Blank rows before a band are in its segment. Raises ValueError for another mode or a picture that is too wide.
    """
    if image.mode != "1" or image.width > profile.dots:
        raise ValueError(f"a picture of mode {image.mode}, {image.width} wide, for paper of {profile.dots} dots")
    return _raster_segments(image, profile.band_rows)


def initialize() -> bytes:
    """Set the printer up as if it had just been switched on, for letters of one byte. Prints nothing."""
    return _INITIALIZE + _NO_DOUBLE_BYTES


def realtime_status(n: int) -> bytes:
    """Ask at once, past the buffer. n: 1 printer, 2 why it is off-line, 3 error, 4 paper."""
    assert 1 <= n <= 4, "there are four questions"
    return bytes((0x10, 0x04, n))


def auto_status(on: bool) -> bytes:
    """Have the printer report changes by itself, or stop it."""
    return bytes((0x1D, 0x61, _AUTO_STATUS if on else 0))


def identity(n: int) -> bytes:
    """Ask for a text about the printer. n: 65 firmware, 66 maker, 67 model."""
    return bytes((0x1D, 0x49, n))


def fence(kind: Fence, job: int) -> bytes:
    """A question that is answered once what stands before it has been printed (GS_H) or executed (GS_R)."""
    match kind:
        case Fence.GS_H:
            return b"\x1d(H\x06\x00\x30\x30" + fence_id(job)
        case Fence.GS_R:
            return b"\x1dr\x01"
        case Fence.NONE:
            return b""
        case never:
            assert_never(never)


def fence_id(job: int) -> bytes:
    """The four letters by which the answer to GS ( H is known. job: 0..FENCES_MAX-1."""
    assert 0 <= job < FENCES_MAX, f"{job} has no four digits"
    digits = ""
    for _ in range(_ID_LENGTH):
        job, digit = divmod(job, len(_ID_DIGITS))
        digits = _ID_DIGITS[digit] + digits
    return digits.encode("ascii")


def completion(profile: Profile) -> bytes:
    """NULs enough to complete any command of ours that broke off; a printer that waits for none passes over them.

    They cannot help where bytes were lost within the header of a band, so that it announces another size.
    """
    return bytes(_BAND_HEADER_BYTES + profile.band_rows * _bytes_across(profile.dots))


def _paper(setup: bytes, ink: Iterator[Segment], profile: Profile) -> Iterator[Segment]:
    yield Segment(setup, Kind.SETUP)
    yield from ink
    end = _feed(profile.feed_dots) + (_CUT if profile.cutter else b"")
    if end:
        yield Segment(end, Kind.INK, profile.feed_dots)


def _raster_segments(image: Image.Image, rows_max: int) -> Iterator[Segment]:
    across = _bytes_across(image.width)
    whole = Image.new("1", (across * 8, image.height), WHITE)
    whole.paste(image)
    dots = whole.tobytes("raw", "1;I")  # Printers set a dot where there is a one, Pillow is white there.
    rows = [dots[start : start + across] for start in range(0, len(dots), across)]
    before, skipped_rows = b"", 0
    for band in _bands([len(row.rstrip(b"\x00")) for row in rows], rows_max):
        if band.width_bytes == 0:
            before += _feed(band.rows)
            skipped_rows += band.rows
            continue
        header = b"\x1dv0\x00" + band.width_bytes.to_bytes(2, "little") + band.rows.to_bytes(2, "little")
        ink = b"".join(row[: band.width_bytes] for row in rows[band.top : band.top + band.rows])
        yield Segment(before + header + ink, Kind.INK, skipped_rows + band.rows)
        before, skipped_rows = b"", 0
    if before:
        yield Segment(before, Kind.INK, skipped_rows)


class _Band(NamedTuple):
    """Rows of a picture that go out as one command. width_bytes: 0 where all are blank."""

    top: int
    rows: int
    width_bytes: int


def _bands(widths_bytes: list[int], rows_max: int) -> list[_Band]:
    """The cheapest cut of a picture into bands and blank rows.

    widths_bytes: of each row, up to its last ink. A band is as wide as its widest row, so a cut where the rows get
    narrow (marks above, tails below) can save more than the header it costs.
    """
    total = len(widths_bytes)
    dearest = total * (_BAND_COST_BYTES + max(widths_bytes, default=0)) + 1
    cost_bytes = [0] + [dearest] * total
    last: list[_Band] = [_Band(0, 0, 0)] * (total + 1)
    for top in range(total):
        so_far = cost_bytes[top]
        if widths_bytes[top] == 0:
            end = top + 1
            while end < total and end - top < _FEED_ROWS_MAX and widths_bytes[end] == 0:
                end += 1
            if so_far + _FEED_BYTES < cost_bytes[end]:
                cost_bytes[end] = so_far + _FEED_BYTES
                last[end] = _Band(top, end - top, 0)
            continue
        so_far += _BAND_COST_BYTES
        for rows, width in enumerate(accumulate(widths_bytes[top : top + rows_max], max), 1):
            cost = so_far + width * rows
            if cost < cost_bytes[top + rows]:
                cost_bytes[top + rows] = cost
                last[top + rows] = _Band(top, rows, width)
    found: list[_Band] = []
    end = total
    while end:
        found.append(last[end])
        end = last[end].top
    return found[::-1]


def _feed(rows: int) -> bytes:
    full, rest = divmod(rows, _FEED_ROWS_MAX)
    return b"\x1bJ\xff" * full + (b"\x1bJ" + bytes((rest,)) if rest else b"")


def _bytes_across(dots: int) -> int:
    return -(-dots // 8)


def _text(document: Document, profile: Profile, pages: TextPages | None) -> tuple[bytes, Iterator[Segment]]:
    """Set-up and lines in the printer's own letters, in ASCII where there are no pages."""
    typesetter = _Typesetter(pages)
    segments: list[Segment] = []
    for piece in layout(document, profile.columns):
        match piece:
            case Line():
                cells = piece.cells(profile.columns // piece.style.size)
                line = typesetter.line(cells, piece.style)
                segments.append(Segment(line, Kind.INK, _TEXT_LINE_ROWS * piece.style.size))
            case Rule():
                line = typesetter.line("-" * profile.columns, Style())
                segments.append(Segment(line, Kind.INK, _TEXT_LINE_ROWS))
            case Feed():
                if piece.lines:
                    blank = typesetter.line("", Style()) + b"\n" * (piece.lines - 1)
                    segments.append(Segment(blank, Kind.INK, _TEXT_LINE_ROWS * piece.lines))
            case QrCode():
                picture = render(Document((QrCode(piece.payload),)), profile.dots)
                segments.extend(raster_segments(picture, profile))
            case never:
                assert_never(never)
    return typesetter.setup, iter(segments)


class _Typesetter:
    """Lines of text, each with as few commands as what the printer already does allows.

    setup: what is to be sent before the first line.
    """

    def __init__(self, pages: TextPages | None) -> None:
        self.setup = b""
        self._pages = pages
        self._page: int | None = None
        self._style = Style()

    def line(self, text: str, style: Style) -> bytes:
        """A line and its end. Raises EncodeError."""
        data = bytearray(self._switch_to(style))
        for letter in text:
            found = code(letter, self._pages)
            if found is None:
                raise EncodeError(letter, text.strip())
            data += self._turn_to(found.page) + found.data
        return bytes(data) + b"\n"

    def _switch_to(self, style: Style) -> bytes:
        data = b""
        if style.bold != self._style.bold:
            data += b"\x1bE" + bytes((style.bold,))
        if style.size != self._style.size:
            data += b"\x1d!" + bytes(((style.size - 1) * 0x11,))
        self._style = style
        return data

    def _turn_to(self, page: int | None) -> bytes:
        """The page that is first needed is set up before the paper."""
        if page is None or page == self._page:
            return b""
        first, self._page = self._page is None, page
        turn = b"\x1bt" + bytes((page,))
        if not first:
            return turn
        self.setup = turn
        return b""
