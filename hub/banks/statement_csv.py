"""A bank's credits as CSV: bank_bin, bank_txn_id, value_time, account, amount_vnd, content.

Banks send a line again when in doubt whether we have it: the same (bank_bin, bank_txn_id) with the same
values counts once. With other values it is a problem, since one of the two is not what happened.
"""

from dataclasses import dataclass, fields

from hub.csv_rows import SENTENCES, Findings, RowProblem, Sentence, rows
from protocol.fields import VND_MAX

STATEMENT_SENTENCES = SENTENCES | {
    "line_differs": (
        "Giao dịch này đã có ở dòng {first} với nội dung khác. Hãy hỏi ngân hàng dòng nào đúng.",
        "Line {first} has this transaction with other values. Ask the bank which of the two is right.",
    ),
    "sum_differs": (
        "Tổng các giao dịch là {found} đồng, ngân hàng báo {wanted} đồng. Hãy tải lại sao kê.",
        "The transactions sum to {found} VND, the bank states {wanted} VND. Fetch the statement again.",
    ),
    "lines_repeated": (
        "{count} dòng được gửi lại, tổng {sum} đồng; mỗi giao dịch chỉ tính một lần.",
        "{count} lines were delivered again, {sum} VND in all; each transaction counts once.",
    ),
}


@dataclass(frozen=True, slots=True)
class BankLine:
    """Money that reached one of our accounts.

    bank_bin: 6 digits. bank_txn_id: unique within the bank. value_time_ms: since 1970 UTC. content: as the
    bank wrote it, in NFC. Bounds are those of the record it becomes.
    """

    bank_bin: str
    bank_txn_id: str
    value_time_ms: int
    account: str
    amount_vnd: int
    content: str


STATEMENT_COLUMNS = tuple(field.name.removesuffix("_ms") for field in fields(BankLine))


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementReading:
    """What came of reading a statement; lines is empty when there are problems: never half a statement.

    lines: each transaction once, in the order first delivered; they sum to sum_vnd. repeated, repeated_vnd:
    deliveries left out because they were there already. sum_vnd + repeated_vnd is the sum of the file's
    column.
    """

    lines: tuple[BankLine, ...]
    sum_vnd: int
    repeated: int
    repeated_vnd: int
    problems: tuple[RowProblem, ...]
    problems_left_out: int
    notices: tuple[Sentence, ...]


def read_statement(content: bytes, *, name: str, stated_sum_vnd: int | None = None) -> StatementReading:
    """Read a statement. stated_sum_vnd: the sum of its transactions, each once, where the bank states it."""
    findings = Findings(STATEMENT_SENTENCES)
    first: dict[tuple[str, str], tuple[int, BankLine]] = {}
    repeated = repeated_vnd = 0
    for row in rows(name, content, STATEMENT_COLUMNS, findings):
        line = BankLine(
            bank_bin=row.digits("bank_bin", 6),
            bank_txn_id=row.text("bank_txn_id", 64),
            value_time_ms=row.instant_ms("value_time"),
            account=row.text("account", 34),
            amount_vnd=row.integer("amount_vnd", 1, VND_MAX),
            content=row.verbatim("content", 400),
        )
        if not row.sound:
            continue
        number, known = first.setdefault((line.bank_bin, line.bank_txn_id), (row.line, line))
        if known != line:
            row.refuse("bank_txn_id", "line_differs", first=number)
        elif number != row.line:
            repeated, repeated_vnd = repeated + 1, repeated_vnd + line.amount_vnd
    lines = tuple(line for _, line in first.values())
    sum_vnd = sum(line.amount_vnd for line in lines)
    if stated_sum_vnd is not None and sum_vnd != stated_sum_vnd and findings.count == 0:
        findings.problem(name, 0, "amount_vnd", "", "sum_differs", found=sum_vnd, wanted=stated_sum_vnd)
    if repeated:
        findings.notice("lines_repeated", count=repeated, sum=repeated_vnd)
    whole = findings.count == 0
    return StatementReading(
        lines=lines if whole else (),
        sum_vnd=sum_vnd if whole else 0,
        repeated=repeated if whole else 0,
        repeated_vnd=repeated_vnd if whole else 0,
        problems=tuple(findings.problems),
        problems_left_out=findings.left_out,
        notices=tuple(findings.notices),
    )
