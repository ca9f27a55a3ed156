"""The billing extract a branch imports before a round: read whole, checked whole, or refused with every
reason.

A folder holds customers.csv, history.csv, arrears.csv and tariff.json, each possibly packed
(customers.csv.gz). One
problem anywhere and there is no extract: half an extract would be a round in which somebody is forgotten or
owes twice. What does not make the round wrong is a notice.
"""

import gzip
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TypeVar

from hub.csv_rows import SENTENCES, Findings, RowProblem, Sentence, rows
from hub.tariff_file import TariffFileError, read_tariff
from protocol.fields import VND_MAX
from protocol.readings import READING_CODES, UseRule
from protocol.records import OPEN_BILLS_MAX
from protocol.tariff import CONSUMPTION_M3_MAX, Tariff, TariffError, versions_for
from protocol.values import period_after

CUSTOMERS, HISTORY, ARREARS, TARIFF = "customers.csv", "history.csv", "arrears.csv", "tariff.json"
FILE_NAMES = (CUSTOMERS, HISTORY, ARREARS, TARIFF)
FILE_BYTES_MAX = 2**29  # Unpacked: thirty histories of 63,000 customers. Stops a packed file that is a trap.

PAYMENT_METHODS = frozenset({"TT", "CK", "NT"})  # Cash at the door, bank transfer, collection order.
AREAS = frozenset({"urban", "rural"})
ROUTE_DAY_LAST = 28  # The last day every month has.
LATITUDES, LONGITUDES = (8, 24), (102, 118)  # Degrees around Vietnam and its islands.

EXTRACT_SENTENCES = SENTENCES | {
    "missing_file": (
        "Không có tệp này trong thư mục (cũng không có bản nén {name}.gz). Hãy chép đủ bốn tệp.",
        "The folder lacks this file (and {name}.gz too). Copy all four files.",
    ),
    "file_twice": (
        "Thư mục có cả tệp này và bản nén {name}.gz. Hãy bỏ một trong hai.",
        "The folder has this file and {name}.gz as well. Remove one of them.",
    ),
    "unpacking": ("Không giải nén được. Hãy nén lại tệp.", "It cannot be unpacked. Pack the file again."),
    "file_too_large": ("Tệp lớn hơn {high} byte. Hãy xuất lại.", "It exceeds {high} bytes. Export it again."),
    "not_json": (
        "Biểu giá không phải JSON hợp lệ: {reason}. Hãy xuất lại tệp.",
        "The tariff is not valid JSON: {reason}. Export the file again.",
    ),
    "tariff": (
        "Biểu giá không dùng được ở {path}: {reason}. Hãy sửa chỗ này.",
        "The tariff cannot be used at {path}: {reason}. Correct this place.",
    ),
    "no_rows": ("Tệp không có dòng dữ liệu nào. Hãy xuất lại.", "The file has no rows. Export it again."),
    "repeated": (
        "Đã có ở dòng {first}; mỗi giá trị chỉ được có một lần. Hãy sửa một trong hai dòng.",
        "It is on line {first} already and must be there once. Correct one of the two lines.",
    ),
    "walk_repeated": (
        "Lộ trình {route} đã có số thứ tự này ở dòng {first}. Hãy đánh lại thứ tự.",
        "Route {route} has this walking number on line {first} already. Number the route again.",
    ),
    "route_branches": (
        "Lộ trình {route} thuộc {branch} ở dòng {first}. Một lộ trình chỉ thuộc một chi nhánh.",
        "Route {route} belongs to {branch} on line {first}. A route belongs to one branch.",
    ),
    "no_price": (
        "Không có giá cho nhóm này, khu vực {area}, kỳ {period} ({reason}). Sửa nhóm hoặc bổ sung biểu giá.",
        "No price for this group, area {area}, period {period} ({reason}). Correct the group or the tariff.",
    ),
    "unknown_customer": (
        "Không có khách hàng này trong customers.csv. Thêm khách hàng hoặc bỏ dòng này.",
        "customers.csv has no such customer. Add the customer or remove this line.",
    ),
    "period_repeated": (
        "Khách hàng {customer} đã có kỳ này ở dòng {first}. Hãy bỏ một trong hai dòng.",
        "Customer {customer} has this period on line {first} already. Remove one of the two lines.",
    ),
    "period_order": (
        "Kỳ này đứng sau kỳ {before} của cùng khách hàng. Hãy sắp xếp theo kỳ tăng dần.",
        "It stands after period {before} of the same customer. Sort the periods upwards.",
    ),
    "reading_date_order": (
        "Ngày đọc phải sau ngày đọc kỳ trước ({before}). Hãy sửa ngày.",
        "The reading date must be after that of the period before ({before}). Correct the date.",
    ),
    "index_over_dial": (
        "Lớn hơn số lớn nhất đồng hồ {digits} chữ số chỉ được ({high}). Sửa chỉ số hoặc meter_digits.",
        "More than a dial of {digits} digits can show ({high}). Correct the index or meter_digits.",
    ),
    "no_history": (
        "Không có dòng nào trong history.csv nên không có chỉ số cũ. Thêm một dòng (chỉ số lúc gắn đồng hồ).",
        "No line in history.csv, so no previous index. Add one (the index when the meter was fitted).",
    ),
    "arrears_many": (
        "Khách hàng {customer} có hơn {high} hóa đơn nợ. Hãy gộp các kỳ cũ hoặc giải quyết riêng.",
        "Customer {customer} has more than {high} unpaid bills. Merge the oldest, or settle them apart.",
    ),
    "arrears_after": (
        "Kỳ nợ sau kỳ cuối của history.csv ({last}). Hãy kiểm tra kỳ.",
        "The period owed is after the last one of history.csv ({last}). Check the period.",
    ),
    "not_in_last_period": (
        "{count} khách hàng không có kỳ {last} trong history.csv (ví dụ {first}); dùng kỳ gần nhất của họ.",
        "{count} customers lack period {last} in history.csv (such as {first}); their latest period is used.",
    ),
    "arrears_differ": (
        "{count} khoản nợ khác tiền nước của kỳ đó trong history.csv (ví dụ {first}); lấy theo arrears.csv.",
        "{count} arrears differ from that period's bill in history.csv (as for {first}); arrears.csv counts.",
    ),
    "bank_and_method": (
        "{count} khách hàng có bank_bin không khớp payment_method (ví dụ {first}); vẫn theo payment_method.",
        "{count} customers have a bank_bin that does not fit payment_method (such as {first}), which counts.",
    ),
}


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A customer as billing knows him, in walking order of the route. Fields are the columns of
    customers.csv.

    customer_id 8 digits, register_no 11 digits; optional texts are "" when absent. lat_e7, lon_e7: WGS84
    degrees times 10**7. route_day: day of the month of the reading. meter_digits: of whole m3 on the dial.
    """

    customer_id: str
    register_no: str
    name: str
    address: str
    phone: str
    collect_address: str
    branch: str
    route: str
    route_day: int
    walk_seq: int
    lat_e7: int
    lon_e7: int
    area: str
    category: str
    business_type: str
    persons: int | None
    payment_method: str
    bank_bin: str
    meter_serial: str
    meter_make: str
    meter_size_mm: int
    meter_digits: int


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One past period of a customer: the index in whole m3 as the office holds it, and its bill."""

    customer_id: str
    period: str
    reading_date: str
    index: int
    consumption_m3: int
    read_code: str
    bill_vnd: int


@dataclass(frozen=True, slots=True)
class ArrearRow:
    """An unpaid bill of a past period; amount_vnd is more than 0."""

    customer_id: str
    bill_no: str
    period: str
    amount_vnd: int


CUSTOMER_COLUMNS = tuple(field.name.removesuffix("_e7") for field in fields(CustomerRow))
HISTORY_COLUMNS = tuple(field.name for field in fields(HistoryRow))
ARREAR_COLUMNS = tuple(field.name for field in fields(ArrearRow))

RowType = TypeVar("RowType")
Numbered = list[tuple[int, RowType]]  # Rows with the lines they stand on.


@dataclass(frozen=True, slots=True)
class ExtractFile:
    """A file as read, unpacked: what the journal refers to by digest and the hub keeps. size: bytes."""

    name: str
    sha256: bytes
    size: int
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """A whole, consistent extract, rows in the order of their files; last_period: the latest in history."""

    customers: tuple[CustomerRow, ...]
    history: tuple[HistoryRow, ...]
    arrears: tuple[ArrearRow, ...]
    tariff: Tariff
    files: tuple[ExtractFile, ...]
    last_period: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractReading:
    """An extract, or the problems that prevent it. problems_left_out: how many more were found."""

    extract: Extract | None
    problems: tuple[RowProblem, ...]
    problems_left_out: int
    notices: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractSummary:
    """An extract in numbers, for the dry run. Mappings are sorted by name; arrears_vnd is the sum of all."""

    customers: int
    customers_by_route: Mapping[str, int]
    customers_by_branch: Mapping[str, int]
    customers_by_payment_method: Mapping[str, int]
    arrears: int
    arrears_customers: int
    arrears_vnd: int
    periods: tuple[str, ...]


def read_extract(folder: Path) -> ExtractReading:
    """Read and check the four files of a folder. Raises OSError when a file that is there cannot be read."""
    findings = Findings(EXTRACT_SENTENCES)
    files = [file for name in FILE_NAMES if (file := _file(folder, name, findings))]
    extract = _extract(tuple(files), findings) if findings.count == 0 else None
    return ExtractReading(
        extract=extract if findings.count == 0 else None,
        problems=tuple(findings.problems),
        problems_left_out=findings.left_out,
        notices=tuple(findings.notices),
    )


def summary(extract: Extract) -> ExtractSummary:
    """Count an extract for whoever decides to import it."""
    return ExtractSummary(
        customers=len(extract.customers),
        customers_by_route=_counted([row.route for row in extract.customers]),
        customers_by_branch=_counted([row.branch for row in extract.customers]),
        customers_by_payment_method=_counted([row.payment_method for row in extract.customers]),
        arrears=len(extract.arrears),
        arrears_customers=len({row.customer_id for row in extract.arrears}),
        arrears_vnd=sum(row.amount_vnd for row in extract.arrears),
        periods=tuple(sorted({row.period for row in extract.history})),
    )


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _file(folder: Path, name: str, findings: Findings) -> ExtractFile | None:
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.is_file() and packed.is_file():
        findings.problem(name, 0, "", "", "file_twice", name=name)
        return None
    if not plain.is_file() and not packed.is_file():
        findings.problem(name, 0, "", "", "missing_file", name=name)
        return None
    try:
        with plain.open("rb") if plain.is_file() else gzip.open(packed) as stream:
            content = stream.read(FILE_BYTES_MAX + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        findings.problem(packed.name, 0, "", "", "unpacking")
        return None
    if len(content) > FILE_BYTES_MAX:
        findings.problem(name, 0, "", "", "file_too_large", high=FILE_BYTES_MAX)
        return None
    return ExtractFile(name, hashlib.sha256(content).digest(), len(content), content)


def _extract(files: tuple[ExtractFile, ...], findings: Findings) -> Extract | None:
    contents = {file.name: file.content for file in files}
    tariff = _tariff(contents[TARIFF], findings)
    customers = _customers(contents[CUSTOMERS], findings)
    history = _history(contents[HISTORY], findings)
    arrears = _arrears(contents[ARREARS], findings)
    if tariff is None or findings.count:
        return None  # Files that do not hold by themselves would fail against each other on every line.
    last_period = max(row.period for _, row in history)
    _check_prices(customers, tariff, last_period, findings)
    _check_customers(customers, findings)
    _check_history(history, customers, last_period, findings)
    _check_arrears(arrears, {row.customer_id for _, row in customers}, history, last_period, findings)
    return Extract(
        customers=tuple(row for _, row in customers),
        history=tuple(row for _, row in history),
        arrears=tuple(row for _, row in arrears),
        tariff=tariff,
        files=files,
        last_period=last_period,
    )


def _tariff(content: bytes, findings: Findings) -> Tariff | None:
    try:
        return read_tariff(json.loads(content.decode("utf-8-sig"), object_pairs_hook=_object))
    except TariffFileError as error:
        findings.problem(TARIFF, 0, "", "", "tariff", path=error.path or TARIFF, reason=error.problem)
    except RecursionError:
        findings.problem(TARIFF, 0, "", "", "not_json", reason="nested too deeply")
    except ValueError as error:
        findings.problem(TARIFF, 0, "", "", "not_json", reason=str(error))
    return None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object in which no name stands twice: of two prices, neither may win by its place."""
    named = dict(pairs)
    if len(named) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{twice!r} stands twice in one object")
    return named


def _customers(content: bytes, findings: Findings) -> Numbered[CustomerRow]:
    customers: Numbered[CustomerRow] = []
    for row in rows(CUSTOMERS, content, CUSTOMER_COLUMNS, findings):
        customer = CustomerRow(
            customer_id=row.digits("customer_id", 8),
            register_no=row.digits("register_no", 11),
            name=row.text("name", 200),
            address=row.text("address", 300),
            phone=row.optional_digits("phone", 10),
            collect_address=row.text("collect_address", 400, optional=True),
            branch=row.text("branch", 200),
            route=row.code("route", 40),
            route_day=row.integer("route_day", 1, ROUTE_DAY_LAST),
            walk_seq=row.integer("walk_seq", 1, 99_999),
            lat_e7=row.degrees_e7("lat", *LATITUDES),
            lon_e7=row.degrees_e7("lon", *LONGITUDES),
            area=row.choice("area", AREAS),
            category=row.code("category", 40),
            business_type=row.text("business_type", 120, optional=True),
            persons=row.optional_integer("persons", 1, 1_000),
            payment_method=row.choice("payment_method", PAYMENT_METHODS),
            bank_bin=row.optional_digits("bank_bin", 6),
            meter_serial=row.text("meter_serial", 32),
            meter_make=row.text("meter_make", 40),
            meter_size_mm=row.integer("meter_size_mm", 15, 600),
            meter_digits=row.integer("meter_digits", 4, 9),
        )
        if row.sound:
            customers.append((row.line, customer))
    if not customers and not findings.count:
        findings.problem(CUSTOMERS, 0, "", "", "no_rows")
    return customers


def _history(content: bytes, findings: Findings) -> Numbered[HistoryRow]:
    history: Numbered[HistoryRow] = []
    for row in rows(HISTORY, content, HISTORY_COLUMNS, findings):
        past = HistoryRow(
            customer_id=row.digits("customer_id", 8),
            period=row.period("period"),
            reading_date=row.date("reading_date"),
            index=row.integer("index", 0, 10**9 - 1),
            consumption_m3=row.integer("consumption_m3", 0, CONSUMPTION_M3_MAX),
            read_code=row.choice("read_code", READING_CODES),
            bill_vnd=row.integer("bill_vnd", 0, VND_MAX),
        )
        if row.sound:
            history.append((row.line, past))
    if not history and not findings.count:
        findings.problem(HISTORY, 0, "", "", "no_rows")
    return history


def _arrears(content: bytes, findings: Findings) -> Numbered[ArrearRow]:
    arrears: Numbered[ArrearRow] = []
    for row in rows(ARREARS, content, ARREAR_COLUMNS, findings):
        arrear = ArrearRow(
            customer_id=row.digits("customer_id", 8),
            bill_no=row.code("bill_no", 32),
            period=row.period("period"),
            amount_vnd=row.integer("amount_vnd", 1, VND_MAX),
        )
        if row.sound:
            arrears.append((row.line, arrear))
    return arrears


def _once(file: str, column: str, values: Iterable[tuple[int, str]], findings: Findings) -> None:
    first: dict[str, int] = {}
    for line, value in values:
        if (before := first.setdefault(value, line)) != line:
            findings.problem(file, line, column, value, "repeated", first=before)


def _check_customers(customers: Numbered[CustomerRow], findings: Findings) -> None:
    _once(CUSTOMERS, "customer_id", ((line, row.customer_id) for line, row in customers), findings)
    _once(CUSTOMERS, "register_no", ((line, row.register_no) for line, row in customers), findings)
    _once(CUSTOMERS, "meter_serial", ((line, row.meter_serial) for line, row in customers), findings)
    wrong = partial(findings.problem, CUSTOMERS)
    walks: dict[tuple[str, int], int] = {}
    branches: dict[str, tuple[str, int]] = {}
    for line, row in customers:
        route, place = row.route, row.walk_seq
        if (first := walks.setdefault((route, place), line)) != line:
            wrong(line, "walk_seq", str(place), "walk_repeated", route=route, first=first)
        branch, first = branches.setdefault(route, (row.branch, line))
        if branch != row.branch:
            wrong(line, "branch", row.branch, "route_branches", route=route, branch=branch, first=first)
    odd = [row.customer_id for _, row in customers if (row.payment_method == "TT") == bool(row.bank_bin)]
    if odd:
        findings.notice("bank_and_method", count=len(odd), first=odd[0])


def _check_prices(
    customers: Numbered[CustomerRow],
    tariff: Tariff,
    last_period: str,
    findings: Findings,
) -> None:
    """The tariff must price every customer in the round that follows, or the door would see no bill."""
    period = period_after(last_period)
    dates = {"from_date": f"{last_period}-01", "to_date": f"{period}-{ROUTE_DAY_LAST}"}
    lacking: dict[tuple[str, str], str] = {}
    for area, category in {(row.area, row.category) for _, row in customers}:
        try:
            for segment in versions_for(tariff, period=period, **dates):
                segment.version.price(area, category)
        except TariffError as error:
            lacking[area, category] = str(error)
    wrong = partial(findings.problem, CUSTOMERS)
    for line, row in customers if lacking else ():
        if reason := lacking.get((row.area, row.category)):
            wrong(line, "category", row.category, "no_price", area=row.area, period=period, reason=reason)


def _check_history(
    history: Numbered[HistoryRow],
    customers: Numbered[CustomerRow],
    last_period: str,
    findings: Findings,
) -> None:
    digits = {row.customer_id: row.meter_digits for _, row in customers}
    wrong = partial(findings.problem, HISTORY)
    lines: dict[tuple[str, str], int] = {}
    latest: dict[str, HistoryRow] = {}
    for line, row in history:
        customer, period = row.customer_id, row.period
        before = latest.get(customer)
        if customer not in digits:
            wrong(line, "customer_id", customer, "unknown_customer")
        elif (first := lines.setdefault((customer, period), line)) != line:
            wrong(line, "period", period, "period_repeated", customer=customer, first=first)
        elif before is not None and period < before.period:
            wrong(line, "period", period, "period_order", before=before.period)
        else:
            date = row.reading_date
            if before is not None and date <= before.reading_date:
                wrong(line, "reading_date", date, "reading_date_order", before=before.reading_date)
            latest[customer] = row
    _check_dials(history, digits, findings)
    for line, known in customers:
        if known.customer_id not in latest:
            findings.problem(CUSTOMERS, line, "customer_id", known.customer_id, "no_history")
    behind = [customer for customer, row in latest.items() if row.period != last_period]
    if behind:
        findings.notice("not_in_last_period", count=len(behind), last=last_period, first=behind[0])


def _check_dials(history: Numbered[HistoryRow], digits: Mapping[str, int], findings: Findings) -> None:
    """No index beyond what the present meter can show. Rows before its fitting were read on another dial."""
    wrong = partial(findings.problem, HISTORY)
    replaced: set[str] = set()
    for line, row in reversed(history):
        shown = digits.get(row.customer_id)
        if shown is None or row.customer_id in replaced:
            continue
        high = 10**shown - 1
        if row.index > high:
            wrong(line, "index", str(row.index), "index_over_dial", digits=shown, high=high)
        if READING_CODES[row.read_code].rule is UseRule.REPLACED:
            replaced.add(row.customer_id)


def _check_arrears(
    arrears: Numbered[ArrearRow],
    known: Container[str],
    history: Numbered[HistoryRow],
    last_period: str,
    findings: Findings,
) -> None:
    _once(ARREARS, "bill_no", ((line, row.bill_no) for line, row in arrears), findings)
    owing = {row.customer_id for _, row in arrears}
    bills = {(row.customer_id, row.period): row.bill_vnd for _, row in history if row.customer_id in owing}
    wrong = partial(findings.problem, ARREARS)
    lines: dict[tuple[str, str], int] = {}
    differing: list[str] = []
    counts: Counter[str] = Counter()
    for line, row in arrears:
        customer, period = row.customer_id, row.period
        counts[customer] += 1
        if counts[customer] == OPEN_BILLS_MAX + 1:
            wrong(line, "customer_id", customer, "arrears_many", customer=customer, high=OPEN_BILLS_MAX)
        elif customer not in known:
            wrong(line, "customer_id", customer, "unknown_customer")
        elif (first := lines.setdefault((customer, period), line)) != line:
            wrong(line, "period", period, "period_repeated", customer=customer, first=first)
        elif period > last_period:
            wrong(line, "period", period, "arrears_after", last=last_period)
        elif bills.get((customer, period), row.amount_vnd) != row.amount_vnd:
            differing.append(row.bill_no)
    if differing:
        findings.notice("arrears_differ", count=len(differing), first=differing[0])
