"""Papers by which a person judges a printer: is anything cut, blurred or misspelt? Which code pages does it have?"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from PIL import Image

from printer_drivers.codepages import code
from printer_drivers.escpos import Kind, Segment, encode, raster_segments
from printer_drivers.profiles import CELL_DOTS, Profile, Scheme, TextPages
from printer_drivers.raster import render
from protocol.document import Align, Columns, Document, Item, QrCode, Rule, Style, Text

_VOWELS = "aăâeêioôơuưy"
_TONES = ("", "\N{COMBINING GRAVE ACCENT}", "\N{COMBINING HOOK ABOVE}", "\N{COMBINING TILDE}")
_TONES_BELOW = ("\N{COMBINING ACUTE ACCENT}", "\N{COMBINING DOT BELOW}")
_NO_BREAK = "\N{NO-BREAK SPACE}"  # Other spaces at the beginning of a line are dropped.

# From nothing to the largest amount that a paper can name.
_AMOUNTS = ("0 đ", "161.700 đ", "9.999.999.999 đ")
# What a code of version 6 holds of small letters; transfer codes, all capitals and digits, are longer and as dense.
_QR_LENGTH = 104

# Where printers of one brand or another have Vietnamese pages, besides what the profile says.
COMMON_PAGES = (27, 30, 31, 32, 35, 52, 94)
# Has no Vietnamese anywhere. A printer that passes over the number of a page it lacks stays on the page before, which
# must not be one that could be read.
_PLAIN_PAGE = 0
_TEXT_LINE_ROWS = 34  # A sixth of an inch, where a printer begins.

_CENTER = Style(align=Align.CENTER)
_TITLE = Style(bold=True, size=2, align=Align.CENTER)


class PageSample(NamedTuple):
    """What is set on each page in one way. words: short enough for one line beside a label, marks apart or not."""

    scheme: Scheme
    words: str


# By the letter of their labels. The samples of TCVN-3 have one case only, since its pages have, and the bare letters
# ă, â and đ, whose capitals stand elsewhere; the sample of CP1258 has all five tones, which it may fail to set.
PAGE_SAMPLES: Mapping[str, PageSample] = MappingProxyType(
    {
        "t": PageSample(Scheme.TCVN3, "đã nộp tiền nước năm cân"),
        "T": PageSample(Scheme.TCVN3, "ĐÃ NỘP TIỀN NƯỚC NĂM CÂN"),
        "C": PageSample(Scheme.CP1258, "Đã nộp ĐỦ tiền NƯỚC"),
    }
)


class PageLine(NamedTuple):
    """A line of the page ticket. label: the number of the page and the letter of the sample, as "30 T"."""

    page: int
    letter: str

    @property
    def label(self) -> str:
        """What the line is called, in ASCII, which is alike on all pages."""
        return f"{self.page} {self.letter}"


def test_ticket(profile: Profile) -> Document:
    """A paper on which a person sees whether this printer, set up so, prints ours well.

    It fits `profile.dots`, carries every letter of the language in both cases and weights, the largest amount in large
    type, and a code as dense as those that customers pay by. It bears no date, so two of them are alike.
    """
    columns = profile.dots // CELL_DOTS
    small = "đ " + " ".join(_with_all_tones(vowel) for vowel in _VOWELS)
    bold = Style(bold=True)
    items: tuple[Item, ...] = (
        Text("PHIẾU IN THỬ", _TITLE),
        Text("Test ticket", _CENTER),
        Rule(),
        Columns("Máy in / printer", profile.name),
        Columns("Model", profile.model),
        Columns("Khổ / width", f"{profile.dots} chấm, {columns} cột"),
        Rule(),
        *(Text(line) for line in _ruler(columns)),
        Text("Hai đầu dòng trên phải đủ | và số", _CENTER),
        Rule(),
        *(Text(row, style) for style in (Style(), bold) for row in (small, small.upper())),
        Rule(),
        *(Text(amount, Style(size=2, align=Align.RIGHT)) for amount in _AMOUNTS),
        Text(_AMOUNTS[-1], Style(bold=True, size=2, align=Align.RIGHT)),
        Rule(),
        QrCode(_qr_payload(profile), "Quét được mã này là mã in đủ nét"),
        Rule(),
        Text("HẾT PHIẾU / END", _CENTER),
    )
    return Document(items)


def candidate_pages(profile: Profile) -> tuple[int, ...]:
    """Numbers of the pages that may be Vietnamese on this printer, in order."""
    told = {page for pages in profile.pages for page in (pages.lower, pages.upper) if page is not None}
    return tuple(sorted(told.union(COMMON_PAGES)))


def page_lines(profile: Profile) -> tuple[PageLine, ...]:
    """The lines of the page ticket, from top to bottom."""
    return tuple(PageLine(page, letter) for page in candidate_pages(profile) for letter in PAGE_SAMPLES)


def page_ticket(profile: Profile) -> tuple[Segment, ...]:
    """A paper on which a person reads which code pages this printer has.

    Each candidate page sets the samples of PAGE_SAMPLES with bytes that are right on one kind of page. A line that
    reads right, letter by letter, names its page: `t` and `T` are the small letters and the capitals of TCVN-3, `C` is
    CP1258. How they are to read stands at the top, as a picture.
    """
    head = raster_segments(render(_page_head(profile), profile.dots), profile)
    lines = (Segment(_page_line(line), Kind.INK, _TEXT_LINE_ROWS) for line in page_lines(profile))
    return _paper((*head, *lines), profile)


def picture_paper(image: Image.Image, profile: Profile) -> tuple[Segment, ...]:
    """A picture of mode "1" as a paper, from set-up to the feed past the tear bar. Raises ValueError if too wide."""
    return _paper(raster_segments(image, profile), profile)


def _paper(ink: Iterable[Segment], profile: Profile) -> tuple[Segment, ...]:
    """What prints, between the beginning and the end that every paper has."""
    nothing = Document(())
    setup, *rest = encode(nothing, profile)
    margin = sum(1 for _ in raster_segments(render(nothing, profile.dots), profile))
    return (setup, *ink, *rest[margin:])


def _with_all_tones(vowel: str) -> str:
    return "".join(unicodedata.normalize("NFC", vowel + tone) for tone in (*_TONES, *_TONES_BELOW))


def _ruler(columns: int) -> Iterator[str]:
    """Tens, units, and a line whose first and last sign stand in the outermost cells."""
    numbers = range(1, columns + 1)
    yield "".join(_NO_BREAK if number % 10 else str(number // 10) for number in numbers)
    yield "".join(str(number % 10) for number in numbers)
    yield f"|<{'-' * (columns - 4)}>|"


def _qr_payload(profile: Profile) -> str:
    """Says which printer drew it; no application takes it for a payment."""
    return f"Ghi Thu: in thu, {profile.model}, {profile.dots} ".ljust(_QR_LENGTH, "5")


def _page_head(profile: Profile) -> Document:
    return Document(
        (
            Text("BẢNG MÃ CHỮ", _TITLE),
            Text("Code pages", _CENTER),
            Text(profile.model, _CENTER),
            Rule(),
            Text("Đánh dấu các dòng giống hệt mẫu, cả chữ hoa, chữ thường và dấu."),
            Text("Mark the lines that read exactly like these:"),
            *(Text(f"{letter} {sample.words}") for letter, sample in PAGE_SAMPLES.items()),
            Text("t, T: TCVN-3. C: CP1258"),
            Rule(),
        )
    )


def _page_line(line: PageLine) -> bytes:
    scheme, words = PAGE_SAMPLES[line.letter]
    upper = line.page if scheme is Scheme.TCVN3 else None
    pages = TextPages(scheme=scheme, lower=line.page, upper=upper)
    data = bytearray(_turn_to(_PLAIN_PAGE) + line.label.encode("ascii") + b" " + _turn_to(line.page))
    for letter in words:
        found = code(letter, pages)
        assert found is not None, f"{letter} of the sample is not in {scheme}"
        data += found.data
    return bytes(data) + b"\n"


def _turn_to(page: int) -> bytes:
    return b"\x1bt" + bytes((page,))
