"""The made-up branch: same bytes by seed, the shape of a billing extract, and sums that anyone can redo."""

import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path

import pytest

from simulator.sample import SampleBranch, write_branch

Rows = list[dict[str, str]]

HEADERS = {
    "customers.csv": "customer_id,register_no,name,address,phone,collect_address,branch,route,route_day,"
    "walk_seq,lat,lon,area,category,business_type,persons,payment_method,bank_bin,meter_serial,meter_make,"
    "meter_size_mm,meter_digits",
    "history.csv": "customer_id,period,reading_date,index,consumption_m3,read_code,bill_vnd",
    "arrears.csv": "customer_id,bill_no,period,amount_vnd",
    "round.csv": "customer_id,visit_date,index_on_dial,read_code,removed_index,installed_index,at_home,"
    "will_pay_cash,note",
    "bank.csv": "bank_bin,bank_txn_id,value_time,account,amount_vnd,content",
    "bank_truth.csv": "bank_bin,bank_txn_id,kind,customer_ids,purpose",
}
UNREADABLE = {
    "house_closed", "box_locked", "obstructed", "glass_unreadable", "register_fault_or_reversed",
    "buried_not_found", "refused_or_flooded", "dial_missing",
}  # fmt: skip
READABLE = {
    "normal", "reading_left_outside", "reading_by_phone", "vacant", "replaced_periodic", "replaced_lt_7d",
    "replaced_after_stop", "replaced_resized", "rollover_4d", "rollover_5d",
}  # fmt: skip
# Dong per m3 with VAT: decision 215/QĐ-UBND of Cần Thơ.
PRICES_VND = {
    ("urban", "poor_household"): 5640, ("rural", "poor_household"): 4820,
    ("urban", "household"): 9020, ("rural", "household"): 8240,
    ("urban", "public"): 11170, ("rural", "public"): 9310,
    ("urban", "production"): 12400, ("rural", "production"): 9930,
    ("urban", "business"): 15580, ("rural", "business"): 11520,
}  # fmt: skip
STRICT_REGISTER = re.compile(r"(?<!\d)(?:\d{11}|\d{4}[ .-]\d{3}[ .-]\d{4})(?!\d)")


@dataclass(frozen=True)
class Files:
    """A written branch, read back. history: six rows of each customer, oldest first."""

    customers: dict[str, dict[str, str]]
    history: dict[str, Rows]
    round: dict[str, dict[str, str]]
    arrears: Rows
    bank: Rows
    bank_truth: dict[tuple[str, str], dict[str, str]]


def rows(file: Path) -> Rows:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def read(folder: Path) -> Files:
    history: dict[str, Rows] = {}
    for row in rows(folder / "history.csv"):
        history.setdefault(row["customer_id"], []).append(row)
    truth = rows(folder / "bank_truth.csv")
    return Files(
        customers={row["customer_id"]: row for row in rows(folder / "customers.csv")},
        history=history,
        round={row["customer_id"]: row for row in rows(folder / "round.csv")},
        arrears=rows(folder / "arrears.csv"),
        bank=rows(folder / "bank.csv"),
        bank_truth={(row["bank_bin"], row["bank_txn_id"]): row for row in truth},
    )


# The default, others by chance, one spread over fifteen days, the smallest that promises every kind of event.
BRANCHES: tuple[dict[str, int], ...] = (
    {},
    *({"seed": seed} for seed in range(2, 7)),
    {"seed": 7, "days": 15, "routes": 3},
    {"seed": 8, "routes": 1, "customers_per_route": 100, "days": 4},
)


@pytest.fixture(scope="module", params=BRANCHES, ids=str)
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("branch")
    write_branch(folder, **request.param)
    return read(folder)


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory) -> SampleBranch:
    return write_branch(tmp_path_factory.mktemp("default"))


def bill_vnd(customer: dict[str, str], consumption_m3: int) -> int:
    gross = Fraction(consumption_m3 * PRICES_VND[customer["area"], customer["category"]])
    net = floor(gross / Fraction(105, 100) + Fraction(1, 2))
    return int(gross) + floor(Fraction(net, 10) + Fraction(1, 2))


def use_m3(customer: dict[str, str], last_index: int, found: dict[str, str]) -> int | None:
    """By the code alone; None where nothing was read."""
    if not found["index_on_dial"]:
        return None
    new = int(found["index_on_dial"])
    if found["read_code"].startswith("replaced_"):
        return int(found["removed_index"]) - last_index + new - int(found["installed_index"])
    if found["read_code"].startswith("rollover_"):
        return int(10 ** int(customer["meter_digits"])) + new - last_index
    return new - last_index


def current_bills_vnd(files: Files) -> dict[str, int]:
    """Of the customers that were read, not below their last index, with something to pay."""
    bills = {}
    for customer_id, customer in files.customers.items():
        used = use_m3(customer, int(files.history[customer_id][-1]["index"]), files.round[customer_id])
        if used is not None and used > 0:
            bills[customer_id] = bill_vnd(customer, used)
    return bills


def dropped(files: Files, customer_id: str) -> bool:
    """To zero, or by 30 % a day and 3 m3."""
    older, last = files.history[customer_id][-2:]
    now = files.round[customer_id]
    used = use_m3(files.customers[customer_id], int(last["index"]), now)
    assert used is not None
    last_used = int(last["consumption_m3"])
    if last_used <= 0:
        return False
    read_on = [
        date.fromisoformat(day) for day in (older["reading_date"], last["reading_date"], now["visit_date"])
    ]
    last_days, days = ((after - before).days for before, after in pairwise(read_on))
    kept = Fraction(used, days) / Fraction(last_used, last_days)
    return used == 0 or (kept <= Fraction(7, 10) and last_used - used >= 3)


def contents_by_file(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first, again, other = tmp_path / "first", tmp_path / "again", tmp_path / "other"
    for folder, seed in ((first, 5), (again, 5), (other, 6)):
        write_branch(folder, seed=seed)
    assert contents_by_file(first) == contents_by_file(again)
    changed = {
        name for name, content in contents_by_file(other).items() if content != (first / name).read_bytes()
    }
    assert changed == set(HEADERS)


def test_the_branch_names_its_files_and_keeps_to_the_numbers_asked_for(tmp_path: Path) -> None:
    branch = write_branch(tmp_path / "not" / "there", period="2027-01", routes=3, customers_per_route=20)
    assert (branch.period, len(branch.routes)) == ("2027-01", 3)
    assert {file.name for file in branch.files} == {*HEADERS, "tariff.json"}
    assert sorted(branch.files) == sorted(branch.folder.iterdir())
    files = read(branch.folder)
    assert Counter(row["route"] for row in files.customers.values()) == dict.fromkeys(branch.routes, 20)
    assert {row["branch"] for row in files.customers.values()} == {branch.branch}
    periods = ["2026-07", "2026-08", "2026-09", "2026-10", "2026-11", "2026-12"]
    assert all([row["period"] for row in past] == periods for past in files.history.values())


@pytest.mark.parametrize("sizes", [(0, 1, 1), (100, 1, 1), (1, 0, 1), (1, 5001, 1), (1, 1, 0), (1, 1, 16)])
def test_a_branch_of_impossible_size_is_refused_before_anything_is_written(
    tmp_path: Path, sizes: tuple[int, int, int]
) -> None:
    routes, customers_per_route, days = sizes
    with pytest.raises(ValueError, match=f"{routes=} {customers_per_route=} {days=}"):
        write_branch(tmp_path / "branch", routes=routes, customers_per_route=customers_per_route, days=days)
    assert not (tmp_path / "branch").exists()


@pytest.mark.parametrize("period", ["2024-07", "11/2026"])
def test_a_period_unwritten_or_before_the_flat_prices_is_refused(tmp_path: Path, period: str) -> None:
    with pytest.raises(ValueError, match=period):
        write_branch(tmp_path / "branch", period=period)
    assert not (tmp_path / "branch").exists()


def test_a_branch_of_one_customer_still_has_every_file(tmp_path: Path) -> None:
    branch = write_branch(tmp_path, routes=1, customers_per_route=1)
    for name, header in HEADERS.items():
        assert (branch.folder / name).read_text(encoding="utf-8").splitlines()[0] == header


def test_files_are_utf8_with_lf_and_every_letter_is_composed(branch: SampleBranch) -> None:
    for file in branch.files:
        text = file.read_bytes().decode("utf-8")
        assert text.endswith("\n")
        assert "\r" not in text
        assert unicodedata.is_normalized("NFC", text)
        if file.name in HEADERS:
            assert text.splitlines()[0] == HEADERS[file.name]


def test_names_and_addresses_carry_diacritics_and_bank_lines_do_not(branch: SampleBranch) -> None:
    files = read(branch.folder)
    vietnamese = [row for row in files.customers.values() if not row["name"].isascii()]
    assert len(vietnamese) > 0.9 * len(files.customers)
    assert all(len(row["name"].split()) >= 2 for row in files.customers.values())
    assert not any(row["address"].isascii() for row in files.customers.values())
    assert all(line["content"].isascii() for line in files.bank)


def test_the_tariff_is_the_published_one_in_both_versions(branch: SampleBranch) -> None:
    tariff = json.loads((branch.folder / "tariff.json").read_bytes())
    assert (tariff["vat_percent"], tariff["env_fee_percent_of_net"]) == (5, 10)
    assert tariff["rounding_rule"] == "net_half_up_then_fee_half_up"
    old, new = tariff["versions"]
    assert (old["effective_to_period"], new["effective_from_period"]) == ("2024-01", "2024-02")
    prices = {
        (area, category): price["flat"]
        for area, groups in new["areas"].items()
        for category, price in groups.items()
    }
    assert prices == PRICES_VND
    # 25 m3 of a household by the blocks of 2019: 10 x 5,500 + 10 x 6,800 + 5 x 7,600.
    assert old["check"] == {"group": "household", "m3": 25, "gross": 161_000}
    assert old["groups"]["household"]["blocks"] == [[10, 5500], [20, 6800], [30, 7600], [None, 8700]]


def test_keys_are_unique_and_every_customer_has_its_rows(files: Files) -> None:
    customers = files.customers.values()
    for column in ("register_no", "meter_serial", "address"):
        assert len({row[column] for row in customers}) == len(files.customers)
    assert set(files.history) == set(files.round) == set(files.customers)
    assert {len(past) for past in files.history.values()} == {6}
    assert len({row["bill_no"] for row in files.arrears}) == len(files.arrears)
    assert {(line["bank_bin"], line["bank_txn_id"]) for line in files.bank} == set(files.bank_truth)


def test_customers_keep_to_the_forms_of_the_extract(files: Files) -> None:
    forms = {
        "customer_id": r"0\d{7}",
        "register_no": r"0\d{10}",
        "phone": r"(095\d{7})?",
        "lat": r"9\.\d{6}",
        "lon": r"10[56]\.\d{6}",
        "area": "urban|rural",
        "category": "household|poor_household|public|production|business",
        "persons": r"([1-9]|1[0-4])?",
        "payment_method": "TT|CK|NT",
        "meter_size_mm": "15|20|25|40",
        "meter_digits": "[45]",
        "address": r"\d+(/\d+)? .+, Phường .+, TP\. .+",
    }
    for row in files.customers.values():
        for column, form in forms.items():
            assert re.fullmatch(form, row[column]), (column, row[column])
        assert bool(row["persons"]) == (row["category"] in {"household", "poor_household"})
        assert re.fullmatch("" if row["payment_method"] == "TT" else r"\d{6}", row["bank_bin"])


def test_a_route_is_walked_in_order_with_rising_registers_and_even_days(files: Files) -> None:
    routes: dict[str, Rows] = {}
    for row in files.customers.values():
        routes.setdefault(row["route"], []).append(row)
    for stops in routes.values():
        assert [int(row["walk_seq"]) for row in stops] == list(range(1, len(stops) + 1))
        assert all(before["register_no"] < after["register_no"] for before, after in pairwise(stops))
        days = [int(row["route_day"]) for row in stops]
        a_day = Counter(days)
        assert days == sorted(days)
        assert list(a_day) == list(range(1, max(days) + 1))
        assert max(a_day.values()) - min(a_day.values()) <= 1


@pytest.mark.parametrize("days", [1, 15])
def test_the_round_keeps_the_days_asked_for(tmp_path: Path, days: int) -> None:
    write_branch(tmp_path, days=days)
    files = read(tmp_path)
    visited = {int(row["visit_date"][-2:]) for row in files.round.values()}
    assert visited == set(range(1, days + 1))


def test_shares_are_roughly_those_asked_for(tmp_path: Path) -> None:
    write_branch(tmp_path, routes=2, customers_per_route=1000)
    files = read(tmp_path)
    customers = files.customers.values()

    def percent(column: str) -> dict[str, float]:
        counts = Counter(row[column] for row in customers)
        return {value: 100 * count / len(files.customers) for value, count in counts.items()}

    assert percent("payment_method") == pytest.approx({"TT": 72, "CK": 24, "NT": 4}, abs=1)
    assert percent("meter_digits") == pytest.approx({"4": 70, "5": 30}, abs=6)
    assert percent("category")["household"] == pytest.approx(88.5, abs=1)
    assert len(percent("category")) == 5
    assert percent("phone")[""] == pytest.approx(22, abs=4)
    assert 3 < percent("area")["rural"] < 20
    assert 1.5 < 100 * len({row["customer_id"] for row in files.arrears}) / len(files.customers) < 2.5
    used = sorted(
        int(row["consumption_m3"])
        for customer_id, past in files.history.items()
        if files.customers[customer_id]["category"] == "household"
        for row in past
    )
    assert 12 <= used[len(used) // 2] <= 18
    held = [dropped(files, customer_id) for customer_id in current_bills_vnd(files)]
    assert 0.08 < sum(held) / len(held) < 0.22


def history_steps(files: Files) -> Iterator[tuple[dict[str, str], Rows, dict[str, str]]]:
    """(customer, rows before, row) for all but the first row, whose index before is not on file."""
    for customer_id, past in files.history.items():
        for at in range(1, len(past)):
            yield files.customers[customer_id], past[:at], past[at]


def test_history_follows_its_codes(files: Files) -> None:
    unknown_before = False
    for customer, before, row in history_steps(files):
        capacity = 10 ** int(customer["meter_digits"])
        old, new, used = int(before[-1]["index"]), int(row["index"]), int(row["consumption_m3"])
        code = row["read_code"]
        assert 0 <= new < capacity
        assert used >= 0
        if code in UNREADABLE:
            uses = [int(past["consumption_m3"]) for past in before[-3:]]
            assert used == floor(Fraction(sum(uses), len(uses)) + Fraction(1, 2))
            assert new == old + used
        elif code == "hold_over_estimate":
            assert (new, used) == (old, 0)
            assert before[-1]["read_code"] in UNREADABLE | {code}
        elif code.startswith("replaced_"):
            assert new < old
            unknown_before = True
        elif code.startswith("rollover_"):
            assert code == f"rollover_{customer['meter_digits']}d"
            assert used == capacity + new - old
        else:
            assert code in READABLE
            assert used == new - old
            assert code != "vacant" or used == 0
    assert unknown_before


def test_history_is_read_on_the_day_of_the_route_or_a_day_later(files: Files) -> None:
    for customer_id, past in files.history.items():
        route_day = int(files.customers[customer_id]["route_day"])
        for row in past:
            assert row["reading_date"].startswith(row["period"])
            assert int(row["reading_date"][-2:]) - route_day in {0, 1}


def test_every_bill_of_history_follows_the_tariff(files: Files) -> None:
    for customer_id, past in files.history.items():
        for row in past:
            assert int(row["bill_vnd"]) == bill_vnd(files.customers[customer_id], int(row["consumption_m3"]))


def test_arrears_are_the_last_one_to_three_bills_of_history(files: Files) -> None:
    owed: dict[str, list[tuple[str, str]]] = {}
    for row in files.arrears:
        owed.setdefault(row["customer_id"], []).append((row["period"], row["amount_vnd"]))
    for customer_id, bills in owed.items():
        booked = [(row["period"], row["bill_vnd"]) for row in files.history[customer_id]]
        assert bills == booked[-len(bills) :]
        assert all(int(amount_vnd) > 0 for _, amount_vnd in bills)
    assert {len(bills) for bills in owed.values()} == {1, 2, 3}


def test_the_round_shows_only_what_its_codes_allow(files: Files) -> None:
    for customer_id, found in files.round.items():
        customer, last = files.customers[customer_id], files.history[customer_id][-1]
        capacity = 10 ** int(customer["meter_digits"])
        code = found["read_code"]
        assert (code in UNREADABLE) == (found["index_on_dial"] == "")
        assert code in UNREADABLE | READABLE
        replaced = code.startswith("replaced_")
        assert replaced == bool(found["removed_index"]) == bool(found["installed_index"])
        used = use_m3(customer, int(last["index"]), found)
        if used is None:
            continue
        assert 0 <= int(found["index_on_dial"]) < capacity
        # Below the last index without a code that explains it: then the note does.
        assert (used < 0) == bool(found["note"])
        if replaced:
            assert int(found["removed_index"]) >= int(last["index"])
            assert int(found["index_on_dial"]) >= int(found["installed_index"])
        if code.startswith("rollover_"):
            assert code == f"rollover_{customer['meter_digits']}d"
            assert 0 <= used < capacity // 2
        assert code != "vacant" or used == 0


def test_nobody_is_met_where_nobody_is_and_only_cash_customers_pay_at_the_door(files: Files) -> None:
    for customer_id, found in files.round.items():
        if found["read_code"] in {"house_closed", "vacant", "reading_left_outside", "reading_by_phone"}:
            assert found["at_home"] == "0"
        if found["will_pay_cash"] == "1":
            assert files.customers[customer_id]["payment_method"] == "TT"


def test_every_kind_of_event_can_be_met(files: Files) -> None:
    found = Counter(row["read_code"] for row in files.round.values())
    booked = Counter(row["read_code"] for past in files.history.values() for row in past)
    assert sum(found[code] for code in UNREADABLE) >= 3
    assert sum(count for code, count in found.items() if code.startswith("replaced_")) >= 2
    assert {"rollover_4d", "rollover_5d", "vacant"} <= set(found)
    assert {"hold_over_estimate", "rollover_4d", "vacant"} <= set(booked)
    assert sum(booked[code] for code in UNREADABLE) >= 3
    assert len({row["note"] for row in files.round.values()} - {""}) == 2
    assert any(dropped(files, customer_id) for customer_id in current_bills_vnd(files))


def test_credits_pay_the_current_bill_of_those_they_were_for(files: Files) -> None:
    bills = current_bills_vnd(files)
    owed: Counter[str] = Counter()
    for row in files.arrears:
        owed[row["customer_id"]] += int(row["amount_vnd"])
    for line in files.bank:
        truth = files.bank_truth[line["bank_bin"], line["bank_txn_id"]]
        payers = truth["customer_ids"].split("|") if truth["customer_ids"] else []
        if truth["kind"] == "not_ours":
            assert (payers, truth["purpose"]) == ([], "other")
            continue
        assert truth["purpose"] in {"current", "current+arrears"}
        assert len(payers) == (2 if truth["kind"] == "two_customers" else 1)
        with_arrears = truth["purpose"] == "current+arrears"
        expected = sum(bills[payer] + (owed[payer] if with_arrears else 0) for payer in payers)
        assert int(line["amount_vnd"]) == expected
        visited = max(files.round[payer]["visit_date"] for payer in payers)
        at = datetime.fromisoformat(line["value_time"])
        assert line["value_time"].endswith("+07:00")
        assert at.date().isoformat() > visited or at.hour >= 18
        assert at.day <= 23


def test_a_strict_matcher_finds_the_payer_unless_the_content_is_mangled(files: Files) -> None:
    by_register = {row["register_no"]: customer_id for customer_id, row in files.customers.items()}
    for line in files.bank:
        truth = files.bank_truth[line["bank_bin"], line["bank_txn_id"]]
        runs = (re.sub(r"\D", "", run) for run in STRICT_REGISTER.findall(line["content"]))
        matched = [by_register[run] for run in runs if run in by_register]
        mangled = truth["kind"].startswith("mangled_")
        assert matched == ([] if mangled or not truth["customer_ids"] else truth["customer_ids"].split("|"))


def test_a_double_payment_is_of_someone_who_also_pays_at_the_door(files: Files) -> None:
    bills = current_bills_vnd(files)
    doubles = [row for row in files.bank_truth.values() if row["kind"] == "double_with_cash"]
    assert doubles
    for row in doubles:
        found = files.round[row["customer_ids"]]
        assert (found["at_home"], found["will_pay_cash"]) == ("1", "1")
        assert row["customer_ids"] in bills
        assert not dropped(files, row["customer_ids"])
    by_bank = [row for row in files.bank_truth.values() if row["kind"] == "cash_customer_by_bank"]
    assert by_bank
    for row in by_bank:
        found = files.round[row["customer_ids"]]
        assert files.customers[row["customer_ids"]]["payment_method"] == "TT"
        assert "0" in {found["at_home"], found["will_pay_cash"]} or dropped(files, row["customer_ids"])


def test_the_statement_shows_every_form_and_delivers_a_line_twice(files: Files) -> None:
    kinds = Counter(row["kind"] for row in files.bank_truth.values())
    assert {"exact", "treasury", "two_customers", "not_ours", "cash_customer_by_bank"} <= set(kinds)
    assert any(kind.startswith("mangled_") for kind in kinds)
    plain = [
        line["content"]
        for line in files.bank
        if files.bank_truth[line["bank_bin"], line["bank_txn_id"]]["kind"] == "exact"
    ]
    forms = {
        "alone": r"\d{11}",
        "in a sentence": r".*[a-z] \d{11}",
        "grouped": r".* \d{4}([ .-])\d{3}\1\d{4} .*",
        "beside another account": r".*\D\d{10}\D\d{11}\D.*\d{13}.*",
        "between letters": r"[A-Z]+\d{11}[A-Z].*",
    }
    for form, pattern in forms.items():
        assert any(re.fullmatch(pattern, content) for content in plain), form
    lines = Counter(tuple(line.values()) for line in files.bank)
    assert set(lines.values()) == {1, 2}
    assert len(lines) == len(files.bank_truth)


def test_the_statement_is_in_order_of_time_but_for_lines_delivered_again(files: Files) -> None:
    first_delivery = list(dict.fromkeys((line["value_time"], line["bank_txn_id"]) for line in files.bank))
    assert [at for at, _ in first_delivery] == sorted(at for at, _ in first_delivery)
