"""Paper as data: what stands on a slip, free of fonts, dots and printer commands.

A `Document` is laid out once, by `layout`, on a grid of cells; the image, the text printer and the tests all read
that layout, so what is previewed, printed and tested cannot differ. Size 2 doubles a cell both ways, so a line of
size 2 has half the cells. One character takes one cell, after NFC.

Lines break at spaces only. A no-break space holds an amount and its unit together, and indents where it comes
first; it comes out as a plain space.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, assert_never

from protocol.words import NO_BREAK_SPACE

# The narrowest line of size 2 still holds the largest amount, "9.999.999.999 đ", whole.
COLUMNS_MIN = 16

Size = Literal[1, 2]


class Align(StrEnum):
    """Where a text stands on its line."""

    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a text is set. size: 1, or 2 for double width and height."""

    bold: bool = False
    size: Size = 1
    align: Align = Align.LEFT


PLAIN = Style()


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, wrapped between syllables. Centred text is wrapped to lines of like length."""

    text: str
    style: Style = PLAIN


@dataclass(frozen=True, slots=True)
class Columns:
    """A label at the left and its value flush right.

    When they do not fit one line the label wraps and the value stays whole, at the right end of the last line.
    """

    left: str
    right: str
    bold: bool = False
    size: Size = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """A thin line across the paper."""


@dataclass(frozen=True, slots=True)
class QrCode:
    """A QR code, centred, and a caption centred under it. A printer without QR prints the caption alone."""

    payload: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """Blank lines of size 1."""

    lines: int = 1


Item = Text | Columns | Rule | QrCode | Feed


@dataclass(frozen=True, slots=True)
class Document:
    """One slip of paper, from top to bottom."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a layout: text that fits, and perhaps a value to stand flush right of it."""

    text: str
    style: Style = PLAIN
    right: str = field(default="", kw_only=True)

    def cells(self, columns: int) -> str:
        """The line on `columns` cells of its size, alignment made of spaces, nothing after the last letter."""
        if self.right:
            return self.text + " " * (columns - len(self.text) - len(self.right)) + self.right
        match self.style.align:
            case Align.LEFT:
                return self.text
            case Align.CENTER:
                return " " * ((columns - len(self.text)) // 2) + self.text
            case Align.RIGHT:
                return self.text.rjust(columns)
            case never:
                assert_never(never)


Piece = Line | Rule | QrCode | Feed


def layout(document: Document, columns: int) -> Iterator[Piece]:
    """The document on paper of `columns` cells (32 at 58 mm, 48 at 80 mm), from top to bottom.

    A QrCode comes out once, as a mark for the picture, followed by the lines of its caption.
    Raises ValueError below COLUMNS_MIN.
    """
    if columns < COLUMNS_MIN:
        raise ValueError(f"{columns} columns: a paper has at least {COLUMNS_MIN}")
    for item in document.items:
        match item:
            case Text():
                yield from _text_lines(item.text, item.style, columns)
            case Columns():
                yield from _column_lines(item, columns // item.size)
            case QrCode():
                yield item
                yield from _text_lines(item.caption, Style(align=Align.CENTER), columns)
            case Rule() | Feed():
                yield item
            case never:
                assert_never(never)


def as_text(document: Document, columns: int) -> str:
    """The document in plain letters, each line at most `columns` long and ended by a newline.

    A line of size 2 is wrapped where it would be wrapped on paper.
    """
    lines: list[str] = []
    for piece in layout(document, columns):
        match piece:
            case Line():
                lines.append(piece.cells(columns))
            case Rule():
                lines.append("-" * columns)
            case Feed():
                lines.extend([""] * piece.lines)
            case QrCode():
                pass
            case never:
                assert_never(never)
    return "".join(f"{line}\n" for line in lines)


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` cells, as few as possible; no lines for a blank text.

    Breaks between syllables. What no-break spaces hold together is parted only when it is longer than a line, and
    a syllable is cut only when it alone is.
    """
    lines: list[str] = []
    for unit in _units(text, width):
        if lines and len(lines[-1]) + 1 + len(unit) <= width:
            lines[-1] += " " + unit
        else:
            lines.append(unit)
    return lines


def _text_lines(text: str, style: Style, columns: int) -> Iterator[Line]:
    width = columns // style.size
    lines = wrapped(text, width)
    if style.align is Align.CENTER:
        lines = _balanced(text, lines, width)
    for line in lines:
        yield Line(line, style)


def _column_lines(item: Columns, width: int) -> Iterator[Line]:
    style = Style(bold=item.bold, size=item.size)
    left = wrapped(item.left, width)
    right = " ".join(_syllables(item.right)).replace(NO_BREAK_SPACE, " ")
    if len(right) > width:
        yield from (Line(line, style) for line in left)
        right_style = Style(bold=item.bold, size=item.size, align=Align.RIGHT)
        yield from (Line(line, right_style) for line in wrapped(item.right, width))
        return
    last = left.pop() if left else ""
    if last and len(last) + 1 + len(right) > width:
        left.append(last)
        last = ""
    yield from (Line(line, style) for line in left)
    if last or right:
        yield Line(last, style, right=right)


def _balanced(text: str, lines: list[str], width: int) -> list[str]:
    """The narrowest wrapping that needs no more lines than the widest one does."""
    while width > 1:
        narrower = wrapped(text, width - 1)
        if len(narrower) > len(lines) or any(len(unit) >= width for unit in _units(text, width)):
            break
        lines, width = narrower, width - 1
    return lines


def _units(text: str, width: int) -> Iterator[str]:
    """What must not be parted on lines of `width` cells; no-break spaces are plain from here on."""
    for group in _syllables(text):
        if len(group) <= width:
            yield group.replace(NO_BREAK_SPACE, " ")
            continue
        for syllable in group.split(NO_BREAK_SPACE):
            for start in range(0, len(syllable), width):
                yield syllable[start : start + width]


def _syllables(text: str) -> list[str]:
    """The text in NFC, cut at spaces except no-break ones.

    A control character parts syllables like a space: sent to a printer it would be a command. What shows
    nothing (format characters, surrogates, code points nobody assigned) is dropped.
    """
    letters: list[str] = []
    for letter in unicodedata.normalize("NFC", text):
        category = unicodedata.category(letter)
        if letter == NO_BREAK_SPACE:
            letters.append(letter)
        elif letter.isspace() or category == "Cc":
            letters.append(" ")
        elif category not in {"Cf", "Cs", "Cn"}:
            letters.append(letter)
    groups = "".join(letters).split(" ")
    return [group.rstrip(NO_BREAK_SPACE) for group in groups if group.strip(NO_BREAK_SPACE)]
