"""Every code that a print job can end with has a sentence that a collector can act on."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

import pytest

from device.core.effects import SEEN_BY_COLLECTOR
from device.paper_words import FILE, GENERAL, PAPER_WORDS, paper_words
from protocol import codec
from protocol.fields import Code
from protocol.words import fold

ROOT = Path(__file__).resolve().parents[2]
# Where codes are made: what a printer says, what a link says, what the handheld says of its own papers.
MAKERS = (
    *("printer_drivers/replies.py", "printer_drivers/session.py", "device/printing.py", "device/linked_printer.py"),
    *(f"printer_drivers/transports/{path.name}" for path in sorted((ROOT / "printer_drivers/transports").glob("*.py"))),
)
CODE = re.compile(r"[a-z]+(-[a-z]+)*")
TAKE_A_CODE = ("LinkError", "LinkLost", "_GaveUpError", "not_printed")
LETTERS_MAX = 110  # Three lines of a small screen.


def codes_in(tree: ast.AST) -> Iterator[str]:
    """Codes as they are written: handed to an error or a result, returned, or standing before their sentence."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in TAKE_A_CODE:
                yield from texts_in(first)
            case ast.keyword(arg="reason", value=value) | ast.Return(value=ast.Constant() as value):
                yield from texts_in(value)
            case ast.Assign(targets=[ast.Name(id="reason")], value=value):
                yield from texts_in(value)
            case ast.Assign(value=ast.Tuple(elts=[ast.Constant(value=str(code)), ast.Constant(value=str(words))])):
                if " " in words:
                    yield code
            case _:
                pass


def texts_in(value: ast.AST) -> Iterator[str]:
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
            yield node.value


def made() -> dict[str, str]:
    """Codes found in the source, and where."""
    return {code: path for path in MAKERS for code in codes_in(ast.parse((ROOT / path).read_text(encoding="utf-8")))}


def test_every_code_that_is_made_anywhere_has_its_words() -> None:
    found = made()
    assert {"paper-out", "stalled", "fence-missing", "letter-missing", "lost", "no-bluetooth"} <= found.keys(), "blind"
    assert {code: path for code, path in found.items() if code not in PAPER_WORDS} == {}


@pytest.mark.parametrize("code", PAPER_WORDS)
def test_words_say_what_is_wrong_and_what_to_do(code: str) -> None:
    vi, en = paper_words(code)
    assert normalize("NFC", vi) == vi
    assert fold(vi) != vi.lower(), "Vietnamese has its marks"
    assert en.isascii()
    assert {len(one) <= LETTERS_MAX for one in (vi, en)} == {True}
    if code != SEEN_BY_COLLECTOR:
        assert [one.count(": ") for one in (vi, en)] == [1, 1], "trouble: remedy"


@pytest.mark.parametrize("code", sorted(PAPER_WORDS.keys() - {FILE}))
def test_codes_can_stand_in_a_record(code: str) -> None:
    assert codec.reader(Code)(code, "reason") == code


@pytest.mark.parametrize("code", ["file-ENOSPC", "file-EACCES", "file-error"])
def test_every_trouble_with_files_has_one_sentence(code: str) -> None:
    assert paper_words(code) == PAPER_WORDS[FILE]


@pytest.mark.parametrize("code", ["", "on-fire", "PAPER-OUT", "files", "0x17"])
def test_code_of_a_later_version_has_a_general_sentence(code: str) -> None:
    assert paper_words(code) == GENERAL
