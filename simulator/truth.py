"""What is really there in a round: dials, people at home, money they would pay. Read from round.csv and bank.csv."""

import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from pathlib import Path

FIRST_VISIT_MINUTE = 7 * 60 + 30
LAST_VISIT_MINUTE = 16 * 60 + 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One customer as the collector finds it. index: None when the dial cannot be read."""

    customer: str
    route: str
    walk_seq: int
    day: str
    index: int | None
    code: str
    removed_index: int | None
    installed_index: int | None
    at_home: bool
    pays_cash: bool


@dataclass(frozen=True, slots=True)
class BankMoment:
    """When a bank line came in. customers: whose money it really is."""

    bank_bin: str
    transaction: str
    value_ms: int
    amount_vnd: int
    customers: tuple[str, ...]
    purpose: str


def table(folder: Path, name: str) -> list[dict[str, str]]:
    """Rows of a CSV file of the folder, plain or gzip."""
    plain = folder / name
    if plain.is_file():
        text = plain.read_text(encoding="utf-8")
    else:
        text = gzip.decompress((folder / f"{name}.gz").read_bytes()).decode()
    return list(csv.DictReader(StringIO(text)))


def visits(folder: Path) -> dict[str, list[Visit]]:
    """Visits by date, each route in walking order."""
    places = {row["customer_id"]: (row["route"], int(row["walk_seq"])) for row in table(folder, "customers.csv")}
    found: dict[str, list[Visit]] = defaultdict(list)
    for row in table(folder, "round.csv"):
        route, walk_seq = places[row["customer_id"]]
        found[row["visit_date"]].append(
            Visit(
                customer=row["customer_id"],
                route=route,
                walk_seq=walk_seq,
                day=row["visit_date"],
                index=_number(row["index_on_dial"]),
                code=row["read_code"],
                removed_index=_number(row["removed_index"]),
                installed_index=_number(row["installed_index"]),
                at_home=row["at_home"] == "1",
                pays_cash=row["will_pay_cash"] == "1",
            )
        )
    for of_day in found.values():
        of_day.sort(key=lambda visit: (visit.route, visit.walk_seq))
    return dict(sorted(found.items()))


def bank_moments(folder: Path) -> list[BankMoment]:
    """Bank lines in order of time, each once, with their truth."""
    truth = {(row["bank_bin"], row["bank_txn_id"]): row for row in table(folder, "bank_truth.csv")}
    found: dict[tuple[str, str], BankMoment] = {}
    for row in table(folder, "bank.csv"):
        key = (row["bank_bin"], row["bank_txn_id"])
        found[key] = BankMoment(
            *key,
            int(datetime.fromisoformat(row["value_time"]).timestamp()) * 1000,
            int(row["amount_vnd"]),
            tuple(truth[key]["customer_ids"].split("|")) if truth[key]["customer_ids"] else (),
            truth[key]["purpose"],
        )
    return sorted(found.values(), key=lambda line: (line.value_ms, line.bank_bin, line.transaction))


def _number(text: str) -> int | None:
    return int(text) if text else None
