"""Totals of the folded state, for the office and for proving a round: read from the account rows, never from the
extract.
"""

from collections import Counter
from typing import Any

from sqlalchemy import Connection, func, select

from hub.books import Books
from hub.core.ledger import Account
from hub.store.schema import account, ledger
from protocol.progress import rate_per_myriad
from protocol.reasons import Reason

Rows = list[Any]
TRANSFER = (Reason.PAYS_BY_TRANSFER.value, Reason.PAYS_BY_COLLECTION_ORDER.value)
RULES = {
    "R1": TRANSFER,
    "R2": (Reason.CONSUMPTION_DROP.value,),
    "R3": (Reason.READING_BELOW_PREVIOUS.value,),
}


def totals(connection: Connection, books: Books) -> dict[str, Any]:
    """Figures of the current period, as JSON values. Rates are percent with two decimals."""
    everyone = select(account).where(account.c.unit == books.unit)
    rows = list(connection.execute(everyone.order_by(account.c.customer)))
    return {
        "customers": len(rows),
        "customers_per_route": dict(sorted(Counter(row.route for row in rows).items())),
        **_readings(rows),
        **_holds(rows),
        **_collections(rows),
        "by_branch": _by_branch(rows),
        "arrears": _arrears(rows),
        "double_payments": {
            "cash_and_bank": {
                "customers": sum(1 for row in rows if row.cash_and_bank_vnd),
                "bank_sum_vnd": sum(row.cash_and_bank_vnd for row in rows),
            },
            "bank_twice": {
                "customers": sum(1 for row in rows if row.bank_twice_vnd),
                "second_sum_vnd": sum(row.bank_twice_vnd for row in rows),
            },
        },
        "ledger": _ledger(connection, books),
    }


def _readings(rows: Rows) -> dict[str, Any]:
    """What was read and billed; the unread are only in the estimate."""
    billed = [row for row in rows if row.billed]
    unread = [row for row in rows if not row.reading]
    return {
        "read": {
            "read": len(rows) - len(unread),
            "unread": len(unread),
            "first_round_read_rate_percent": _percent(len(rows) - len(unread), len(rows)),
            "codes": dict(sorted(Counter(row.read_code or row.skip_code for row in rows).items())),
        },
        "consumption_m3_total": sum(row.use_m3 for row in billed),
        "consumption_m3_by_category": _by_category(billed, "use_m3"),
        "bill_vnd_total": sum(row.bill_vnd for row in billed),
        "bill_vnd_by_category": _by_category(billed, "bill_vnd"),
        "billed_customers": len(billed),
        "estimate_for_unread": {
            "customers": len(unread),
            "m3_mean_of_last_three_half_up": sum(row.estimate_m3 for row in unread),
            "bill_vnd": sum(row.estimate_vnd for row in unread),
        },
    }


def _holds(rows: Rows) -> dict[str, Any]:
    """Customers held, by the first rule that holds them and by each rule alone."""
    first = Counter(name for row in rows for name, reasons in RULES.items() if row.hold in reasons)
    alone = Counter(
        name for row in rows for name, reasons in RULES.items() if set(reasons) & set(row.holds_alone.split())
    )
    return {
        "held_each_rule_alone": {name: alone.get(name, 0) for name in RULES},
        "held_with_precedence_R1_R3_R2": {name: first.get(name, 0) for name in ("R1", "R3", "R2")},
        "held_total": sum(first.values()),
    }


def _collections(rows: Rows) -> dict[str, Any]:
    """Who could be collected from, who paid, and the rates."""
    cash = [row for row in rows if row.payment_method == "TT"]
    collectible = [row for row in rows if row.reading and not row.hold and row.billed and row.bill_vnd > 0]
    paid = [row for row in rows if row.bill_cash_vnd > 0]
    paid_or_bank = [row for row in rows if row.bill_cash_vnd > 0 or row.bank_equals_bill]
    return {
        "collectible": {"customers": len(collectible), "bill_vnd": sum(row.bill_vnd for row in collectible)},
        "cash_expected": {
            "customers": len(paid),
            "current_bills_vnd": sum(row.bill_cash_vnd for row in paid),
            "with_all_arrears_of_the_same_customers_vnd": sum(row.bill_cash_vnd + row.arrears_cash_vnd for row in paid),
            "of_them_with_arrears": sum(1 for row in paid if row.arrears_cash_vnd > 0),
        },
        "collect_rate_percent": {
            "of_collectible": _percent(len(paid), len(collectible)),
            "of_cash_customers": _percent(len(paid), len(cash)),
            "of_all_customers_cash_only": _percent(len(paid), len(rows)),
            "of_all_customers_cash_and_bank": _percent(len(paid_or_bank), len(rows)),
        },
        "cash_customers": {
            "all": len(cash),
            "read": sum(1 for row in cash if row.reading),
            "unread": sum(1 for row in cash if not row.reading),
        },
    }


def _arrears(rows: Rows) -> dict[str, Any]:
    """Bills of earlier periods as the extract brought them."""
    owing = [row for row in rows if row.opening_bills]
    return {
        "customers": len(owing),
        "share_percent": _percent(len(owing), len(rows)),
        "bills": sum(row.opening_bills for row in owing),
        "total_vnd": sum(row.opening_vnd for row in owing),
        "customers_by_number_of_periods": {
            str(number): count for number, count in sorted(Counter(row.opening_bills for row in owing).items())
        },
    }


def _percent(part: int, whole: int) -> float:
    return rate_per_myriad(part, whole) / 100


def _by_category(rows: Rows, column: str) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row.category] += row._mapping[column]
    return dict(sorted(sums.items()))


def _by_branch(rows: Rows) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for branch in sorted({row.branch for row in rows}):
        mine = [row for row in rows if row.branch == branch]
        cash = [row for row in mine if row.payment_method == "TT"]
        paid = [row for row in cash if row.bill_cash_vnd > 0]
        read = [row for row in mine if row.reading]
        found[branch] = {
            "customers": len(mine),
            "read": len(read),
            "cash_customers": len(cash),
            "cash_paid": len(paid),
            "held_R2_R3_of_cash": sum(1 for row in cash if row.hold),
            "read_rate_percent": _percent(len(read), len(mine)),
            "collect_rate_of_cash_customers_percent": _percent(len(paid), len(cash)),
        }
    return found


def _ledger(connection: Connection, books: Books) -> dict[str, int]:
    """Balance of each account, by number."""
    query = (
        select(ledger.c.account, func.sum(ledger.c.amount_vnd))
        .where(ledger.c.unit == books.unit)
        .group_by(ledger.c.account)
    )
    balances = {row[0]: int(row[1]) for row in connection.execute(query)}
    return {one.number: balances.get(one.number, 0) for one in Account}
