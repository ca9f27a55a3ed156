"""Every action of branch IT by name: one table that the command line and the server's local door both use.

Arguments and results are JSON values. When no server runs, the command line opens the hub itself; when one does, it
asks the server, because only one process may write.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from hub import cashier, checking, codes, enrolment, export, office, people, photos, statements
from hub.app import Hub
from hub.books import Books
from hub.core.conflicts import CONFLICTS, ConflictClass
from hub.core.days import DayReport
from hub.extract import summary
from hub.store.schema import fact, handheld, person, route
from protocol.records import Decision, Denomination

DEVICE_COLUMNS = (
    *("device", "imei", "collector", "status", "seq", "made", "fork_from", "contact_ms", "told_ms", "software"),
    *("unsent", "battery_percent", "charging", "storage_free_mib", "clock_fault", "printer_fault", "next_code"),
)
Arguments = Mapping[str, Any]
Result = dict[str, Any]
Action = Callable[[Hub, Arguments], Awaitable[Result]]


class AdminError(Exception):
    """An argument is missing or cannot be. The message says which."""


def _text(arguments: Arguments, name: str, default: str | None = None) -> str:
    value = arguments.get(name, default)
    if not isinstance(value, str):
        raise AdminError(f"{name} is missing")
    return value


def _number(arguments: Arguments, name: str) -> int:
    value = arguments.get(name)
    if type(value) is not int:
        raise AdminError(f"{name} must be a whole number")
    return value


def _optional_number(arguments: Arguments, name: str) -> int | None:
    return None if arguments.get(name) is None else _number(arguments, name)


async def import_extract(hub: Hub, arguments: Arguments) -> Result:
    """Take in a billing extract. folder; dry_run; by."""
    folder = Path(_text(arguments, "folder"))
    done = await office.import_extract(
        hub, folder, by=_text(arguments, "by"), dry_run=bool(arguments.get("dry_run", False))
    )
    reading = done.reading
    result: Result = {
        "done": done.done,
        "period": done.period,
        "new": done.new,
        "changed": done.changed,
        "unchanged": done.unchanged,
        "left_out": done.left_out,
        "problems": [problem.text("vi") for problem in reading.problems],
        "problems_left_out": reading.problems_left_out,
        "notices": [notice.vi for notice in reading.notices],
    }
    if reading.extract is not None:
        found = summary(reading.extract)
        result["summary"] = {name: _plain(getattr(found, name)) for name in found.__slots__}
    return result


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value


async def import_bank(hub: Hub, arguments: Arguments) -> Result:
    """Take in a bank statement. file; format; until_ms; by."""
    until = arguments.get("until_ms")
    done = await statements.import_statement(
        hub,
        Path(_text(arguments, "file")),
        by=_text(arguments, "by"),
        bank_format=_text(arguments, "format", "csv"),
        until_ms=until if type(until) is int else None,
    )
    return {
        "new": done.new,
        "known": done.known,
        "matched": done.matched,
        "unmatched": done.unmatched,
        "unmatched_vnd": done.unmatched_vnd,
        "problems": [
            *(problem.text("vi") for problem in done.reading.problems),
            *(f"Giao dịch {name} đã nhận trước đây với nội dung khác: hãy hỏi ngân hàng" for name in done.changed),
        ],
    }


async def add_user(hub: Hub, arguments: Arguments) -> Result:
    """Name a person. code; name; role; phone; verifier (Argon2id, made by the command line); by."""
    await people.add_person(
        hub,
        code=_text(arguments, "code"),
        name=_text(arguments, "name"),
        role=_text(arguments, "role"),
        phone=_text(arguments, "phone", ""),
        verifier=_text(arguments, "verifier", ""),
        by=_text(arguments, "by"),
    )
    return {}


async def set_password(hub: Hub, arguments: Arguments) -> Result:
    """Another password. code; verifier (Argon2id, made by the command line); by."""
    await people.set_password(
        hub, code=_text(arguments, "code"), verifier=_text(arguments, "verifier"), by=_text(arguments, "by")
    )
    return {}


async def unlock_user(hub: Hub, arguments: Arguments) -> Result:
    """Let a collector try again. code; by."""
    await people.unlock(hub, code=_text(arguments, "code"), by=_text(arguments, "by"))
    return {}


async def close_user(hub: Hub, arguments: Arguments) -> Result:
    """No more log-in for somebody. code; by."""
    await people.close_person(hub, code=_text(arguments, "code"), by=_text(arguments, "by"))
    return {}


async def set_policy(hub: Hub, arguments: Arguments) -> Result:
    """Other numbers in the policy. login_days; retype_from_vnd; by."""
    made = await people.set_policy(
        hub,
        by=_text(arguments, "by"),
        login_days=_optional_number(arguments, "login_days"),
        retype_from_vnd=_optional_number(arguments, "retype_from_vnd"),
    )
    return {"version": made.version, "login_days": made.login_days, "retype_from_vnd": made.retype_from_vnd}


async def list_users(hub: Hub, arguments: Arguments) -> Result:
    """Who works here. log_in: whether a password is set. opened: how often wrong tries were forgiven."""

    def read(connection: Connection) -> list[Result]:
        query = select(person).where(person.c.unit == hub.books.unit).order_by(person.c.code)
        names = ("code", "name", "role", "phone", "opened")
        return [
            {**{name: row._mapping[name] for name in names}, "log_in": row.verifier != ""}
            for row in connection.execute(query)
        ]

    return {"people": await hub.read(read)}


async def open_slot(hub: Hub, arguments: Arguments) -> Result:
    """A one-time code for a handheld. collector; by."""
    code = await enrolment.open_slot(hub, collector=_text(arguments, "collector"), by=_text(arguments, "by"))
    return {"code": code}


async def confirm_device(hub: Hub, arguments: Arguments) -> Result:
    """Confirm a handheld's IMEI. device; imei; by."""
    await enrolment.confirm(
        hub, device=_number(arguments, "device"), imei=_text(arguments, "imei"), by=_text(arguments, "by")
    )
    return {}


async def list_devices(hub: Hub, arguments: Arguments) -> Result:
    """Handhelds: what they made and what is here, what each last said of itself and when, and how far its clock was
    off.
    """

    def read(connection: Connection) -> list[Result]:
        query = select(handheld).where(handheld.c.unit == hub.books.unit).order_by(handheld.c.device)
        return [
            {**{name: row._mapping[name] for name in DEVICE_COLUMNS}, **_clock_of(connection, hub.books, row)}
            for row in connection.execute(query).all()
        ]

    return {"devices": await hub.read(read)}


def _clock_of(connection: Connection, books: Books, row: Any) -> Result:
    """How far a handheld's clock was off, and by whose word, when it made the last record that is here."""
    where = (fact.c.unit == books.unit, fact.c.device == row.device, fact.c.seq == row.seq)
    last = connection.execute(select(fact.c.digest, fact.c.message).where(*where, fact.c.digest == row.digest)).first()
    header = books.parsed.of(row.device, last.digest, last.message)[0] if last is not None else None
    if header is None or header.evidence is None:
        return {"clock_offset_ms": None, "clock_source": None}
    clock = header.evidence.clock
    return {"clock_offset_ms": clock.offset_ms, "clock_source": clock.source.name}


async def give_code(hub: Hub, arguments: Arguments) -> Result:
    """The next supervisor's code of a handheld. device; reason; customer; by."""
    shown = await codes.give_code(
        hub,
        device=_number(arguments, "device"),
        reason=_text(arguments, "reason"),
        by=_text(arguments, "by"),
        customer_id=_text(arguments, "customer", "") or None,
    )
    return {"code": shown.code, "number": shown.number, "left": shown.left}


async def publish(hub: Hub, arguments: Arguments) -> Result:
    """Publish a route for a collector. route; collector; by."""
    version = await office.publish(
        hub,
        route_code=_text(arguments, "route"),
        collector=_text(arguments, "collector"),
        by=_text(arguments, "by"),
    )
    return {"version": version}


async def list_routes(hub: Hub, arguments: Arguments) -> Result:
    """Routes with who walks them."""

    def read(connection: Connection) -> list[Result]:
        query = select(route).where(route.c.unit == hub.books.unit).order_by(route.c.route)
        names = ("route", "branch", "collector", "version")
        return [{name: row._mapping[name] for name in names} for row in connection.execute(query)]

    return {"routes": await hub.read(read)}


async def receive_cash(hub: Hub, arguments: Arguments) -> Result:
    """Cash from a collector. collector; day; notes {value: pieces}; by; intent (hex)."""
    notes = arguments.get("notes")
    if not isinstance(notes, Mapping):
        raise AdminError("notes must name values and pieces")
    if not all(type(pieces) is int for pieces in notes.values()):
        raise AdminError("notes must name values and pieces")
    counted = [Denomination(int(value), pieces) for value, pieces in notes.items() if pieces]
    intent = arguments.get("intent")
    amount = await cashier.receive_cash(
        hub,
        collector=_text(arguments, "collector"),
        day=_text(arguments, "day"),
        notes=counted,
        by=_text(arguments, "by"),
        intent=bytes.fromhex(intent) if isinstance(intent, str) else None,
    )
    return {"amount_vnd": amount}


async def take_paper_back(hub: Hub, arguments: Arguments) -> Result:
    """A voided receipt's paper is back. device; receipt_no; by."""
    amount = await cashier.take_paper_back(
        hub,
        device=_number(arguments, "device"),
        receipt_no=_number(arguments, "receipt_no"),
        by=_text(arguments, "by"),
    )
    return {"amount_vnd": amount}


async def report_day(hub: Hub, arguments: Arguments) -> Result:
    """The three columns. collector; day; without them all open dates."""
    if "collector" in arguments:
        pairs = [(_text(arguments, "collector"), _text(arguments, "day"))]
    else:
        pairs = await hub.read(lambda connection: cashier.open_days(connection, hub.books))
    reports = await hub.read(
        lambda connection: [cashier.day_report(connection, hub.books, *pair) for pair in pairs]
    )
    return {"days": [_day(report) for report in reports]}


def _day(report: DayReport) -> Result:
    return {
        "collector": report.collector,
        "day": report.day,
        "handheld_vnd": report.handheld_vnd,
        "hub_vnd": report.hub_vnd,
        "counted_vnd": report.counted_vnd,
        "received_vnd": report.received_vnd,
        "difference_vnd": report.difference_vnd,
        "behind": list(report.behind),
        "closed": report.closed is not None,
        "handhelds": [
            {"device": one.device, "totals": asdict(one.totals) if one.totals else None, "hub_seq": one.hub_seq}
            for one in report.handhelds
        ],
    }


async def close_day(hub: Hub, arguments: Arguments) -> Result:
    """Close a collector's date. collector; day; reason; by."""
    reason = arguments.get("reason")
    report = await cashier.close_day(
        hub,
        collector=_text(arguments, "collector"),
        day=_text(arguments, "day"),
        by=_text(arguments, "by"),
        reason=reason if isinstance(reason, str) and reason else None,
    )
    return _day(report)


async def list_cases(hub: Hub, arguments: Arguments) -> Result:
    """Open cases in words; with all, also those that are settled or settled themselves."""
    only_open = not arguments.get("all")
    rows = await hub.read(lambda connection: cashier.cases(connection, hub.books.unit, only_open=only_open))
    return {"cases": [_case(row) for row in rows]}


def _case(row: dict[str, Any]) -> Result:
    conflict = CONFLICTS[ConflictClass(row["klass"])]
    return {
        "key": row["key"].hex(),
        "class": row["klass"],
        "title": conflict.title[0],
        "done": conflict.done[0],
        "customer": row["customer"],
        "collector": row["collector"],
        "device": row["device"],
        "seq": row["seq"],
        "day": row["day"],
        "money_vnd": row["money_vnd"],
        "detail": row["detail"],
    }


async def decide(hub: Hub, arguments: Arguments) -> Result:
    """Settle a case. key (hex); decision; reason; by; tip (hex, for ADOPT_BRANCH)."""
    try:
        decision = Decision(_text(arguments, "decision"))
    except ValueError as error:
        raise AdminError(f"decision must be one of {', '.join(Decision)}") from error
    await cashier.decide(
        hub,
        case_key=bytes.fromhex(_text(arguments, "key")),
        decision=decision,
        reason=_text(arguments, "reason"),
        by=_text(arguments, "by"),
        tip=bytes.fromhex(_text(arguments, "tip", "")),
    )
    return {}


async def check(hub: Hub, arguments: Arguments) -> Result:
    """Does everything still hold? findings is empty when it does. Believes nothing that is remembered in memory.

    photos_missing: named by a record and not here, which is no finding: they travel by themselves.
    """
    fresh = Books(hub.books.unit, hub.books.key)
    found = await hub.read(lambda connection: checking.findings(connection, fresh))
    count = await hub.read(lambda connection: connection.execute(select(func.count()).select_from(fact)).scalar_one())
    named = await hub.read(lambda connection: photos.named_photos(connection, fresh))
    missing, damaged = await asyncio.to_thread(photos.Photos(hub.home.folder).lacking, named)
    found += [f"the photo {name} is not the one that a record names" for name in damaged]
    return {"findings": found, "facts": count, "photos": len(named), "photos_missing": missing}


async def export_totals(hub: Hub, arguments: Arguments) -> Result:
    """Totals of the folded state."""
    return await hub.read(lambda connection: export.totals(connection, hub.books))


ACTIONS: dict[str, Action] = {
    "import": import_extract,
    "bank": import_bank,
    "user.add": add_user,
    "user.list": list_users,
    "user.password": set_password,
    "user.unlock": unlock_user,
    "user.close": close_user,
    "policy.set": set_policy,
    "device.slot": open_slot,
    "device.confirm": confirm_device,
    "device.list": list_devices,
    "device.code": give_code,
    "package.publish": publish,
    "package.routes": list_routes,
    "day.receive": receive_cash,
    "day.paper": take_paper_back,
    "day.report": report_day,
    "day.close": close_day,
    "case.list": list_cases,
    "case.decide": decide,
    "check": check,
    "export": export_totals,
}
