"""Rows of a CSV file made outside (billing extract, bank statement): read strictly, and explained to whoever
sent it.

A file is UTF-8 (a byte-order mark is tolerated), comma-separated, with one header line; LF or CRLF. Text that
is not in Unicode NFC is normalised and counted. Nothing is guessed: a value that does not fit becomes a
`RowProblem` with its place and a sentence in Vietnamese and English, and the reader that asked for it throws
the row away.
"""

import csv
import datetime
import io
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

PROBLEMS_MAX = 200  # More than this is one mistake made to a whole column: its first rows show it.
VALUE_SHOWN_MAX = 40  # Characters of a wrong value: enough to find it, short enough for one line.
INTEGER_DIGITS_MAX = 18  # Whatever is longer is no quantity of ours, and int() of it would cost time.

SENTENCES: dict[str, tuple[str, str]] = {
    # Key: (Vietnamese, English). Each says what is wrong and what to do; both use the same fields.
    "not_utf8": (
        "Tệp không phải UTF-8. Trong Excel hãy lưu lại dạng «CSV UTF-8 (Comma delimited)».",
        "The file is not UTF-8. In Excel, save it again as “CSV UTF-8 (Comma delimited)”.",
    ),
    "no_header": (
        "Tệp trống. Dòng đầu phải là tên các cột.",
        "The file is empty. Its first line must name the columns.",
    ),
    "wrong_separator": (
        "Các cột cách nhau bằng {found}, cần dấu phẩy. Hãy xuất lại: dấu phẩy ngăn cột, dấu chấm thập phân.",
        "The columns are separated by {found}, not commas. Export again: commas, and a point for decimals.",
    ),
    "missing_column": (
        "Thiếu cột này ở dòng tiêu đề (tệp có: {found}). Hãy thêm cột hoặc sửa lại tên cột.",
        "The header line lacks this column (it has: {found}). Add the column or correct its name.",
    ),
    "column_twice": (
        "Cột này có hai lần ở dòng tiêu đề. Hãy bỏ bớt một cột.",
        "The header line names this column twice. Remove one of them.",
    ),
    "unknown_columns": (
        "{file}: bỏ qua các cột không dùng đến: {found}.",
        "{file}: columns that are not used were ignored: {found}.",
    ),
    "normalised": (
        "{file}: {count} dòng có chữ tiếng Việt ghép rời (không phải NFC) đã được chuyển sang NFC.",
        "{file}: {count} lines held letters composed of parts (not NFC); they were turned into NFC.",
    ),
    "row_length": (
        "Dòng có {found} ô nhưng tiêu đề có {wanted} cột. Ô có dấu phẩy phải đặt trong dấu ngoặc kép.",
        "The line has {found} values but the header {wanted} columns. Quote a value that holds a comma.",
    ),
    "broken_quotes": (
        "Từ dòng này dấu ngoặc kép không khớp. Hãy đóng ngoặc kép; ngoặc kép ở trong ô phải viết hai lần.",
        "From this line on the double quotes do not match. Close each; write a quote inside a value twice.",
    ),
    "required": ("Ô này không được để trống. Hãy điền giá trị.", "This value must not be empty. Fill it in."),
    "too_long": (
        "Dài {found} ký tự, tối đa {high}. Hãy rút ngắn.",
        "It has {found} characters, {high} at most. Shorten it.",
    ),
    "control_character": (
        "Ô có ký tự điều khiển (xuống dòng, tab ...). Hãy xóa ký tự đó.",
        "The value holds a control character (line break, tab ...). Remove it.",
    ),
    "digits": (
        "Phải gồm đúng {wanted} chữ số. Nếu Excel đã bỏ số 0 ở đầu, hãy định dạng cột là Text rồi xuất lại.",
        "It must be exactly {wanted} digits. If Excel dropped a leading 0, make the column Text first.",
    ),
    "integer": (
        "Phải là số nguyên, chỉ gồm chữ số, không có dấu chấm, dấu phẩy hay dấu cách.",
        "It must be a whole number: digits only, no points, commas or spaces.",
    ),
    "range": ("Phải từ {low} đến {high}. Hãy sửa lại.", "It must be {low} to {high}. Correct it."),
    "choice": ("Phải là một trong: {choices}.", "It must be one of: {choices}."),
    "code": (
        "Chỉ được gồm chữ không dấu, chữ số và các dấu . _ - (tối đa {high} ký tự).",
        "Only letters without accents, digits and . _ - are allowed ({high} characters at most).",
    ),
    "date": ("Phải là ngày có thật, dạng 2026-10-31.", "It must be a real date, written 2026-10-31."),
    "period": ("Phải là kỳ dạng 2026-10 (năm-tháng).", "It must be a period written 2026-10 (year-month)."),
    "instant": (
        "Phải là thời điểm có múi giờ, dạng 2026-10-31T08:15:00+07:00.",
        "It must be a moment with its time zone, written 2026-10-31T08:15:00+07:00.",
    ),
    "degrees": (
        "Phải là độ thập phân, dấu chấm, tối đa 7 chữ số lẻ, dạng 10.034567.",
        "It must be decimal degrees with a point and at most 7 decimals, written 10.034567.",
    ),
    "degrees_range": (
        "Phải từ {low} đến {high} độ. Kiểm tra vĩ độ và kinh độ có bị đổi chỗ không.",
        "It must be {low} to {high} degrees. Check whether latitude and longitude changed places.",
    ),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is to be said to branch IT, in both languages; `key` names it for tests and for counting."""

    key: str
    vi: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """One thing that must be put right before the file can be taken.

    line: line of the file as an editor counts it, the header being 1; 0 when the file as a whole is meant.
    column: name of the column, "" when the line as a whole is meant.
    value: the value as it stands in the file, cut to VALUE_SHOWN_MAX characters.
    """

    file: str
    line: int
    column: str
    value: str
    sentence: Sentence

    def text(self, language: str) -> str:
        """Place, value and sentence in one line; language is "vi" or "en"."""
        words = ("dòng", "cột") if language == "vi" else ("line", "column")
        place = [self.file]
        place += [f"{words[0]} {self.line}"] if self.line else []
        place += [f"{words[1]} {self.column}"] if self.column else []
        shown = f" «{self.value}»" if self.value else ""
        return f"{', '.join(place)}:{shown} {self.sentence.vi if language == 'vi' else self.sentence.en}"


@dataclass(slots=True)
class Findings:
    """Problems and notices gathered while reading: the first PROBLEMS_MAX problems are kept, all are counted.

    sentences: the table that keys are looked up in; a reader with words of its own passes SENTENCES | its
    table.
    """

    sentences: dict[str, tuple[str, str]] = field(default_factory=lambda: SENTENCES)
    problems: list[RowProblem] = field(default_factory=list)
    notices: list[Sentence] = field(default_factory=list)
    count: int = 0

    def problem(self, file: str, line: int, column: str, value: str, key: str, **fields: int | str) -> None:
        self.count += 1
        if len(self.problems) < PROBLEMS_MAX:
            shown = value if len(value) <= VALUE_SHOWN_MAX else value[: VALUE_SHOWN_MAX - 1] + "…"
            shown = "".join(letter if letter.isprintable() else "�" for letter in shown)
            said = self.sentence(key, **fields)
            self.problems.append(RowProblem(file=file, line=line, column=column, value=shown, sentence=said))

    def notice(self, key: str, **fields: int | str) -> None:
        self.notices.append(self.sentence(key, **fields))

    def sentence(self, key: str, **fields: int | str) -> Sentence:
        vi, en = self.sentences[key]
        return Sentence(key, vi.format(**fields), en.format(**fields))

    @property
    def left_out(self) -> int:
        """Problems found beyond those kept."""
        return self.count - len(self.problems)


@lru_cache(maxsize=4096)  # A round has a few hundred distinct dates and a file names each thousands of times.
def _is_date(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _is_period(text: str) -> bool:
    return re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text) is not None


_CODE = re.compile(r"[0-9A-Za-z_.-]+")
_DEGREES = re.compile(r"(-?)([0-9]{1,3})(?:\.([0-9]{1,7}))?")
_INSTANT = re.compile(r"20\d{2}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Row:
    """The values of one line, asked for by column and kind.

    An answer that does not fit is reported, makes the row unsound, and is stood in for by a value of the
    right type, so that the whole line is examined; the asker drops a row that is not `sound`. One object
    serves all lines of a file.
    """

    __slots__ = ("_file", "_findings", "_positions", "line", "sound", "values")

    def __init__(self, file: str, findings: Findings, positions: dict[str, int]) -> None:
        self._file, self._findings, self._positions = file, findings, positions
        self.line, self.sound = 0, True
        self.values: Sequence[str] = ()

    def refuse(self, column: str, key: str, **fields: int | str) -> None:
        """Report the value of a column (or, with column "", the line) and call the row unsound."""
        self.sound = False
        value = self.values[self._positions[column]] if column else ""
        self._findings.problem(self._file, self.line, column, value, key, **fields)

    def empty(self, column: str) -> bool:
        return not self.values[self._positions[column]].strip()

    def integer(self, column: str, low: int, high: int) -> int:
        """A whole number written in digits alone, within inclusive bounds of 0 or more."""
        text = self.values[self._positions[column]]
        if text.isdecimal() and text.isascii() and len(text) <= INTEGER_DIGITS_MAX:
            value = int(text)
            if low <= value <= high:
                return value
            self.refuse(column, "range", low=low, high=high)
        else:
            self.refuse(column, "integer" if text.strip() else "required")
        return low

    def optional_integer(self, column: str, low: int, high: int) -> int | None:
        return None if self.empty(column) else self.integer(column, low, high)

    def digits(self, column: str, length: int) -> str:
        """A number that is a name, so that its leading zeros count."""
        text = self.values[self._positions[column]]
        if len(text) != length or not (text.isdecimal() and text.isascii()):
            self.refuse(column, "digits" if text.strip() else "required", wanted=length)
        return text

    def optional_digits(self, column: str, length: int) -> str:
        return "" if self.empty(column) else self.digits(column, length)

    def text(self, column: str, high: int, *, optional: bool = False) -> str:
        """Free text without control characters, spaces around it removed; high: characters."""
        text = self.values[self._positions[column]].strip()
        if not text and not optional:
            self.refuse(column, "required")
        elif len(text) > high:
            self.refuse(column, "too_long", found=len(text), high=high)
        elif _CONTROL.search(text):
            self.refuse(column, "control_character")
        return text

    def verbatim(self, column: str, high: int) -> str:
        """Text as another system wrote it, even empty or with control characters; high: characters."""
        text = self.values[self._positions[column]]
        if len(text) > high:
            self.refuse(column, "too_long", found=len(text), high=high)
        return text

    def code(self, column: str, high: int) -> str:
        text = self.values[self._positions[column]]
        if len(text) > high or not _CODE.fullmatch(text):
            self.refuse(column, "code" if text.strip() else "required", high=high)
        return text

    def choice(self, column: str, choices: Collection[str]) -> str:
        text = self.values[self._positions[column]]
        if text not in choices:
            self.refuse(column, "choice" if text.strip() else "required", choices=", ".join(sorted(choices)))
        return text

    def date(self, column: str) -> str:
        """An existing day, YYYY-MM-DD."""
        text = self.values[self._positions[column]]
        if not _is_date(text):
            self.refuse(column, "date" if text.strip() else "required")
        return text

    def period(self, column: str) -> str:
        """A billing period, YYYY-MM."""
        text = self.values[self._positions[column]]
        if not _is_period(text):
            self.refuse(column, "period" if text.strip() else "required")
        return text

    def instant_ms(self, column: str) -> int:
        """A moment with its offset from UTC, as milliseconds since 1970."""
        text = self.values[self._positions[column]]
        if _INSTANT.fullmatch(text):
            try:
                return (datetime.datetime.fromisoformat(text) - _EPOCH) // datetime.timedelta(milliseconds=1)
            except ValueError:
                pass  # The form is right but there is no such day, hour or offset: said below.
        self.refuse(column, "instant" if text.strip() else "required")
        return 0

    def degrees_e7(self, column: str, low: int, high: int) -> int:
        """Decimal degrees turned into units of 10**-7 degree, digit by digit; bounds are whole degrees."""
        text = self.values[self._positions[column]]
        parts = _DEGREES.fullmatch(text)
        if parts is None:
            self.refuse(column, "degrees" if text.strip() else "required")
            return low * 10**7
        sign, whole, decimals = parts.groups(default="")
        value = int(whole) * 10**7 + int(decimals.ljust(7, "0"))
        value = -value if sign else value
        if not low * 10**7 <= value <= high * 10**7:
            self.refuse(column, "degrees_range", low=low, high=high)
        return value


def rows(file: str, content: bytes, columns: Sequence[str], findings: Findings) -> Iterator[Row]:
    """The lines under the header, in order, as one `Row` object set anew for each; blank lines are skipped.

    columns: those that must be there, in any order; others are ignored with a notice. A file that cannot be
    taken apart (encoding, separator, header) yields nothing and leaves a problem in findings.
    """
    text = _text(file, content, findings)
    if text is None:
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    started = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        if not _header_fits(file, header, columns, findings):
            return
        row = Row(file, findings, {name: header.index(name) for name in columns})
        width = len(header)
        started = reader.line_num + 1
        for values in reader:
            if len(values) == width:
                row.line, row.values, row.sound = started, values, True
                yield row
            elif values:
                line = ",".join(values)
                findings.problem(file, started, "", line, "row_length", found=len(values), wanted=width)
            started = reader.line_num + 1
    except csv.Error:
        findings.problem(file, started, "", "", "broken_quotes")


def _text(file: str, content: bytes, findings: Findings) -> str | None:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        findings.problem(file, line, "", content[error.start : error.start + 4].hex(" "), "not_utf8")
        return None
    if not unicodedata.is_normalized("NFC", text):
        count = sum(not unicodedata.is_normalized("NFC", line) for line in text.split("\n"))
        findings.notice("normalised", file=file, count=count)
        text = unicodedata.normalize("NFC", text)
    return text


def _header_fits(file: str, header: list[str], columns: Sequence[str], findings: Findings) -> bool:
    if not any(header):
        findings.problem(file, 1, "", "", "no_header")
        return False
    for separator, name in ((";", "«;»"), ("\t", "«tab»"), ("|", "«|»")):
        if len(header) < len(columns) and set(columns) & set(",".join(header).split(separator)) - set(header):
            findings.problem(file, 1, "", ",".join(header), "wrong_separator", found=name)
            return False
    found = ", ".join(header)
    missing = [name for name in columns if name not in header]
    twice = [name for name in columns if header.count(name) > 1]
    for name in missing:
        findings.problem(file, 1, name, "", "missing_column", found=found)
    for name in twice:
        findings.problem(file, 1, name, "", "column_twice")
    unknown = [name for name in header if name not in columns]
    if unknown and not missing:
        findings.notice("unknown_columns", file=file, found=", ".join(name or "«»" for name in unknown))
    return not missing and not twice
