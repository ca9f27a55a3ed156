"""Folded rows out: account, ledger lines and case files of a subject are replaced whole, never patched."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete

from hub.core.account import AccountState, BillState
from hub.core.conflicts import Case
from hub.core.handhelds import HandheldState, Told
from hub.core.ledger import JournalEntry
from hub.core.routing import change_of
from hub.store.bulk import insert_rows
from hub.store.facts import IN_MAX, batches
from hub.store.schema import account, case_file, ledger
from protocol import codec
from protocol.package import Stop
from protocol.records import ReadingSkipped, ReadingTaken

Values = dict[str, Any]


def account_subject(customer: str) -> str:
    """Subject of a customer's rows."""
    return f"account:{customer}"


def day_subject(collector: str, day: str) -> str:
    """Subject of the rows of a collector's date."""
    return f"day:{collector}:{day}"


def handheld_subject(device: int) -> str:
    """Subject of a handheld's case files."""
    return f"handheld:{device}"


def bank_subject(seq: int) -> str:
    """Subject of a bank line matched to nobody. seq: of its record on the hub's chain."""
    return f"bank:{seq}"


def account_values(unit: str, state: AccountState, stop: Stop, route: str, branch: str, version: int) -> Values:
    """The account row of a state."""
    taken, skipped = state.period.taken, state.period.skipped
    record = taken.record if taken is not None else None
    assert record is None or isinstance(record, ReadingTaken)
    skip = skipped.record if skipped is not None and taken is None else None
    assert skip is None or isinstance(skip, ReadingSkipped)
    bill = state.current or BillState("", state.period.period, 0)
    arrears = [one for one in state.bills.values() if one is not state.current]
    return {
        "unit": unit,
        "customer": state.customer,
        "route": route,
        "branch": branch,
        "category": stop.category,
        "payment_method": stop.payment_method,
        "period": state.period.period,
        "reading": taken.digest if taken is not None else b"",
        "read_code": record.code if record is not None else "",
        "index_m3": record.index if record is not None else 0,
        "use_m3": record.use_m3 if record is not None else 0,
        "days": record.days if record is not None else 0,
        "skip_code": skip.code if skip is not None else "",
        "hold": state.hold.value if state.hold is not None else "",
        "holds_alone": " ".join(reason.value for reason in state.holds_alone),
        "billed": int(state.period.bill is not None),
        "bill_vnd": bill.total_vnd,
        "bill_open_vnd": bill.open_vnd,
        "bill_cash_vnd": bill.settled_cash_vnd,
        "bill_bank_vnd": bill.settled_bank_vnd,
        "bank_equals_bill": int(state.bank_equals_bill),
        "estimate_m3": state.estimate_m3,
        "estimate_vnd": state.estimate_vnd,
        "opening_bills": len(stop.arrears),
        "opening_vnd": sum(one.amount_vnd for one in stop.arrears),
        "arrears_open_vnd": sum(one.open_vnd for one in arrears),
        "arrears_cash_vnd": sum(one.settled_cash_vnd for one in arrears),
        "cash_vnd": state.cash_vnd,
        "bank_vnd": state.bank_vnd,
        "credit_vnd": state.credit_vnd,
        "suspense_vnd": state.suspense_vnd,
        "cash_and_bank_vnd": state.cash_and_bank_vnd,
        "bank_twice_vnd": state.bank_twice_vnd,
        "collector": state.collector,
        "visited_ms": state.visited_ms,
        "change": codec.encode(codec.pack(change_of(state, stop.payment_method, version))),
        "version": version,
    }


def handheld_values(state: HandheldState) -> Values:
    """Columns of a handheld's row that follow from its chain."""
    return {"receipt_no": state.receipt_no, "fork_from": state.fork_from, **told_values(state.told)}


def told_values(told: Told | None) -> Values:
    """What a handheld last said of itself; all absent before it said anything."""
    status = told.status if told is not None else None
    return {
        "told_ms": told.at_ms if told is not None else None,
        "software": status.software if status is not None else None,
        "unsent": status.unsent if status is not None else None,
        "battery_percent": status.battery_percent if status is not None else None,
        "charging": status.charging if status is not None else None,
        "storage_free_mib": status.storage_free_mib if status is not None else None,
        "clock_fault": status.clock if status is not None else None,
        "printer_fault": status.printer if status is not None else None,
    }


def ledger_values(unit: str, subject: str, entries: Sequence[JournalEntry]) -> list[Values]:
    """Ledger rows of a subject, numbered in the order of its entries."""
    rows: list[Values] = []
    for number, entry in enumerate(entries, start=1):
        for line in entry.lines:
            rows.append(
                {
                    "unit": unit,
                    "subject": subject,
                    "n": len(rows) + 1,
                    "entry": number,
                    "device": entry.device,
                    "seq": entry.seq,
                    "digest": entry.digest,
                    "day": entry.day,
                    "account": line.account.number,
                    "party": line.party,
                    "amount_vnd": line.amount_vnd,
                }
            )
    return rows


def case_values(unit: str, subject: str, cases: Sequence[Case]) -> list[Values]:
    """Case file rows of a subject; the same case twice is one."""
    rows: dict[bytes, Values] = {}
    for case in cases:
        rows[case.key] = {
            "unit": unit,
            "subject": subject,
            "key": case.key,
            "klass": case.klass.value,
            "customer": case.customer,
            "collector": case.collector,
            "device": case.device,
            "seq": case.seq,
            "day": case.day,
            "period": case.period,
            "money_vnd": case.money_vnd,
            "for_person": int(case.for_person),
            "settled": int(case.settled),
            "detail": case.detail,
            "facts": b"".join(case.facts),
        }
    return list(rows.values())


def replace_accounts(connection: Connection, unit: str, values: Sequence[Values]) -> None:
    """Put account rows in place of what was there."""
    customers = [row["customer"] for row in values]
    query = delete(account).where(
        account.c.unit == unit, account.c.customer.in_(bindparam("customers", expanding=True))
    )
    for part in batches(customers, IN_MAX):
        connection.execute(query, {"customers": part})
    insert_rows(connection, account, values)


def replace_postings(
    connection: Connection, unit: str, subjects: Iterable[str], lines: Sequence[Values], cases: Sequence[Values]
) -> None:
    """Put ledger lines and case files of some subjects in place of what was there."""
    ordered = sorted(subjects)
    for table in (ledger, case_file):
        query = delete(table).where(table.c.unit == unit, table.c.subject.in_(bindparam("subjects", expanding=True)))
        for part in batches(ordered, IN_MAX):
            connection.execute(query, {"subjects": part})
    insert_rows(connection, ledger, lines)
    insert_rows(connection, case_file, cases)
