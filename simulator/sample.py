"""A made-up branch of a few hundred customers, with the truth of its round, for demonstration and tests.

`write_branch` writes what a branch gets from its billing office (customers, history, arrears, bank credits,
tariff) and what only the simulator knows (round.csv: what the collector will find; bank_truth.csv: what each
credit was for). UTF-8 CSV with a header, LF, ISO dates, whole m3, whole dong; all follows from the seed.

The bill arithmetic stands here a second time on purpose: nothing of `protocol` or `hub` is imported, so a
sample whose bills agree with theirs is the word of an independent witness.
"""

import csv
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, assert_never

from simulator import sample_names as names

ICT: Final = timezone(timedelta(hours=7))
ROUND: Final = 6  # The step after the six periods of history, counted from 0.
FIRST_PERIOD: Final = "2024-02"  # From here the price list is flat, and `Customer.bill_vnd` knows no blocks.
LEAST_FLOW_L: Final = 400  # Litres a day from which a planned event shows in whole m3 in any month.

Row: TypeAlias = Sequence[object]  # One line of a CSV file, in the order of names.COLUMNS; None is empty.
# By customer_id: (period, amount_vnd), oldest first.
Arrears: TypeAlias = Mapping[str, Sequence[tuple[str, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleBranch:
    """What was written. branch: its Vietnamese name; period: YYYY-MM of the round; files: all of them."""

    folder: Path
    branch: str
    routes: tuple[str, ...]
    period: str
    files: tuple[Path, ...]


class Story(StrEnum):
    """The one thing out of the ordinary that happens to a customer, so that no two events blur each other."""

    PLAIN = "plain"
    UNREAD = "unread"
    OVERESTIMATED = "overestimated"  # Unread, and so little used that the estimate stands above the dial.
    REPLACED = "replaced"
    REPLACED_UNRECORDED = "replaced_unrecorded"  # The collector meets a dial the office has not heard of.
    ROLLOVER_4D = "rollover_4d"
    ROLLOVER_5D = "rollover_5d"
    VACANT = "vacant"  # From its step on.
    READ_OUTSIDE = "read_outside"


class Plot(NamedTuple):
    """A story and the step it happens at: 0..5 in history, 6 in the round."""

    story: Story
    step: int


# Plot: (share in thousandths, at least so many). Even a small sample shows each once, so the rare ones come
# more often than in life. None is at step 0: the index before it is not on file, so nobody could check it.
PLOTS: Final = {
    Plot(Story.UNREAD, ROUND): (10, 3),
    Plot(Story.REPLACED, ROUND): (8, 2),
    Plot(Story.REPLACED_UNRECORDED, ROUND): (2, 1),
    Plot(Story.OVERESTIMATED, ROUND - 1): (2, 1),
    Plot(Story.ROLLOVER_4D, ROUND): (2, 1),
    Plot(Story.ROLLOVER_5D, ROUND): (1, 1),
    Plot(Story.VACANT, ROUND): (3, 1),
    Plot(Story.VACANT, 3): (3, 1),
    Plot(Story.READ_OUTSIDE, ROUND): (5, 2),
    Plot(Story.OVERESTIMATED, 3): (2, 1),
    Plot(Story.UNREAD, 2): (9, 1),
    Plot(Story.UNREAD, 5): (9, 1),
    Plot(Story.REPLACED, 2): (32, 1),
    Plot(Story.ROLLOVER_4D, 4): (1, 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One month at one meter.

    index: what the office books; dial: what the dial shows, None where it cannot be read. Both whole m3.
    consumption_m3: as booked; in the round also below 0, where the dial stands below the last index.
    """

    on: date
    read_code: str
    index: int
    dial: int | None
    consumption_m3: int
    removed_index: int | None = None
    installed_index: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """fields: as in customers.csv. visits: six of history, then the round."""

    fields: Mapping[str, str]
    visits: tuple[Visit, ...]
    at_home: bool
    will_pay_cash: bool

    @property
    def customer_id(self) -> str:
        return self.fields["customer_id"]

    @property
    def current_bill_vnd(self) -> int:
        """0 where there is none: not read, below the last index, or nothing used."""
        visit = self.visits[ROUND]
        return 0 if visit.dial is None or visit.consumption_m3 < 0 else self.bill_vnd(visit)

    def bill_vnd(self, visit: Visit) -> int:
        """Gross at the price with VAT; net = gross / 1.05, half up; fee = net / 10, half up; gross + fee."""
        gross_vnd = visit.consumption_m3 * names.PRICES_2024_VND[self.fields["area"]][self.fields["category"]]
        net_vnd = (gross_vnd * 200 + 105) // 210
        return gross_vnd + (net_vnd + 5) // 10

    @property
    def pays_at_the_door(self) -> bool:
        """Met, willing, paying in cash, with a bill that no drop by 30 % and 3 m3 holds back."""
        older, last, now = self.visits[ROUND - 2 :]
        last_days, days = (last.on - older.on).days, (now.on - last.on).days
        fell_far = now.consumption_m3 * last_days * 10 <= last.consumption_m3 * days * 7
        held = fell_far and last.consumption_m3 - now.consumption_m3 >= 3
        return self.at_home and self.will_pay_cash and self.current_bill_vnd > 0 and not held


class Credit(NamedTuple):
    """One bank credit and what it was for."""

    at: datetime
    bank_bin: str
    amount_vnd: int
    content: str
    kind: str
    customer_ids: tuple[str, ...]
    purpose: str


def write_branch(
    folder: Path,
    *,
    seed: int = 1,
    routes: int = 2,
    customers_per_route: int = 150,
    period: str = "2026-11",
    days: int = 1,
) -> SampleBranch:
    """Write the files of one branch before and during the round of `period` (YYYY-MM); makes the folder.

    routes: 1..99. customers_per_route: 1..5000. days: 1..15, the days of the month a route is spread over, in
    even pieces of the walk. Same arguments, same bytes; every kind of event from 100 customers on.
    Raises ValueError for a number out of range, and for a history that begins before the flat prices.
    """
    if not (1 <= routes <= 99 and 1 <= customers_per_route <= 5000 and 1 <= days <= 15):
        raise ValueError(f"{routes=} {customers_per_route=} {days=}")
    firsts = _months_until(period)
    if f"{firsts[1]:%Y-%m}" < FIRST_PERIOD:
        raise ValueError(f"history before {FIRST_PERIOD}: {period=}")
    rng = random.Random(seed)
    codes = tuple(f"{names.ROUTE_PREFIX}-{number:02d}" for number in range(1, routes + 1))
    residents = names.residents(codes, customers_per_route, days, rng)
    plots = _plots(len(residents), rng)
    customers = [_lived(*pair, firsts, rng) for pair in zip(residents, plots, strict=True)]
    arrears = _unpaid(customers, firsts, rng)
    bank, bank_truth = _statement(_credits(customers, arrears, rng), rng)
    tables: dict[str, list[Row]] = {
        "customers.csv": [tuple(customer.fields.values()) for customer in customers],
        "history.csv": _history_rows(customers, firsts),
        "arrears.csv": _arrears_rows(arrears),
        "round.csv": _round_rows(customers),
        "bank.csv": bank,
        "bank_truth.csv": bank_truth,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([names.COLUMNS[name], *rows])
    tariff = json.dumps(names.TARIFF, ensure_ascii=False, indent=1) + "\n"
    (folder / "tariff.json").write_text(tariff, encoding="utf-8", newline="\n")
    files = tuple(folder / name for name in (*tables, "tariff.json"))
    return SampleBranch(folder=folder, branch=names.BRANCH, routes=codes, period=period, files=files)


def _months_until(period: str) -> list[date]:
    """First days of eight months: the one before the history, the six of history, the round."""
    months = [date.fromisoformat(f"{period}-01")]
    while len(months) < ROUND + 2:
        months.insert(0, (months[0] - timedelta(days=1)).replace(day=1))
    return months


def _plots(count: int, rng: random.Random) -> list[Plot]:
    """A plot for each customer; at least half of them lead a plain life, however small the sample."""
    planned = [plot for plot, shares in PLOTS.items() for _ in range(names.share(count, *shares))]
    plots = (planned[: count // 2] + [Plot(Story.PLAIN, 0)] * count)[:count]
    rng.shuffle(plots)
    return plots


def _lived(resident: names.Resident, plot: Plot, firsts: Sequence[date], rng: random.Random) -> Customer:
    """A resident after seven visits, and in what mood the collector meets it."""
    fields, daily_l = resident
    if plot.story in names.ROLLOVER_DIGITS:
        fields = fields | {"meter_digits": names.ROLLOVER_DIGITS[plot.story]}
    if plot.story not in {Story.PLAIN, Story.VACANT}:
        daily_l = max(daily_l, LEAST_FLOW_L)
    # A reader is late now and then; the round keeps its days, so that a one-day demonstration takes one day.
    late_days = [int(rng.randrange(100) < 5) for _ in firsts[:-1]] + [0]
    offsets = [int(fields["route_day"]) - 1 + late for late in late_days]
    dates = [first + timedelta(days=offset) for first, offset in zip(firsts, offsets, strict=True)]
    months: list[tuple[date, int]] = []
    for step, (before, on) in enumerate(pairwise(dates)):
        # A bell around the mean, a quarter of it wide: about one month in six falls by 30 % or more.
        per_mille = 250 + sum(rng.randrange(500) for _ in range(3))
        if plot.story is Story.OVERESTIMATED and step in {plot.step, plot.step + 1}:
            per_mille //= 20
        if plot.story is Story.VACANT and step >= plot.step:
            per_mille = 0
        months.append((on, daily_l * (on - before).days * per_mille // 1000))
    capacity_m3, largest_l = 10 ** int(fields["meter_digits"]), names.largest_month_l(daily_l)
    if plot.story in names.ROLLOVER_DIGITS:
        before_l = sum(month_l for _, month_l in months[: plot.step])
        start_l = capacity_m3 * 1000 - before_l - months[plot.step][1] // 2
    else:
        start_l = rng.randrange(3 * largest_l, capacity_m3 * 1000 - 8 * largest_l)
    visits = _visits(plot, months, start_l, capacity_m3, rng)
    at_home = rng.randrange(100) < 90 and visits[ROUND].read_code not in names.NOBODY_HOME_CODES
    will_pay_cash = rng.randrange(100) < 91 and fields["payment_method"] == "TT"
    return Customer(fields=fields, visits=visits, at_home=at_home, will_pay_cash=will_pay_cash)


def _visits(
    plot: Plot, months: Iterable[tuple[date, int]], start_l: int, capacity_m3: int, rng: random.Random
) -> tuple[Visit, ...]:
    """What the visits find. months: (visit, litres used until then); start_l: litres measured before them."""
    visits: list[Visit] = []
    total_l, held = start_l, start_l // 1000
    for step, (on, month_l) in enumerate(months):
        due = step >= plot.step if plot.story is Story.VACANT else step == plot.step
        story = plot.story if due else Story.PLAIN
        total_l += month_l
        removed, installed = total_l // 1000, 0
        if story in {Story.REPLACED, Story.REPLACED_UNRECORDED}:
            since_l = month_l * rng.randrange(10, 60) // 100
            removed, installed = (total_l - since_l) // 1000, rng.choice((0, 0, 0, 1, 2))
            total_l = installed * 1000 + since_l
        shown = total_l // 1000 % capacity_m3
        seen = Visit(on=on, read_code="normal", index=shown, dial=shown, consumption_m3=shown - held)
        match story:
            case Story.UNREAD | Story.OVERESTIMATED:
                uses_m3 = [visit.consumption_m3 for visit in visits[-3:]]
                mean_m3 = (2 * sum(uses_m3) + len(uses_m3)) // (2 * len(uses_m3))  # Half up.
                code = rng.choice(names.UNREADABLE_CODES)
                seen = Visit(on=on, read_code=code, index=held + mean_m3, dial=None, consumption_m3=mean_m3)
            case Story.REPLACED:
                seen = replace(seen, read_code=rng.choice(names.REPLACED_CODES), removed_index=removed)
                used_m3 = removed - held + shown - installed
                seen = replace(seen, installed_index=installed, consumption_m3=used_m3)
            case Story.REPLACED_UNRECORDED:
                seen = replace(seen, note=names.NOTE_REPLACED_UNRECORDED)
            case Story.ROLLOVER_4D | Story.ROLLOVER_5D:
                seen = replace(seen, read_code=story.value, consumption_m3=capacity_m3 + shown - held)
            case Story.VACANT:
                seen = replace(seen, read_code="vacant")
            case Story.READ_OUTSIDE:
                seen = replace(seen, read_code=rng.choice(names.READ_OUTSIDE_CODES))
            case Story.PLAIN if shown < held and step == ROUND:
                seen = replace(seen, note=names.NOTE_OVERESTIMATED)
            case Story.PLAIN if shown < held:
                seen = replace(seen, read_code="hold_over_estimate", index=held, consumption_m3=0)
            case Story.PLAIN:
                pass
            case _ as never:
                assert_never(never)
        held = seen.index
        visits.append(seen)
    return tuple(visits)


def _unpaid(customers: Sequence[Customer], firsts: Sequence[date], rng: random.Random) -> Arrears:
    """About 2 % of the customers owe their last one, two or three bills (80/15/5 %, each at least once)."""
    able = [customer for customer in customers if all(map(customer.bill_vnd, customer.visits[-4:-1]))]
    owing = rng.sample(able, min(len(able), names.share(len(customers), 21, 3)))
    counts = names.dealt(len(owing), {"2": 150, "3": 50}, "1", rng)
    periods = [f"{first:%Y-%m}" for first in firsts[1:-1]]
    arrears = {}
    for customer, count in zip(owing, counts, strict=True):
        bills_vnd = map(customer.bill_vnd, customer.visits[:ROUND])
        arrears[customer.customer_id] = list(zip(periods, bills_vnd, strict=True))[-int(count) :]
    return arrears


def _history_rows(customers: Iterable[Customer], firsts: Sequence[date]) -> list[Row]:
    rows: list[Row] = []
    for customer in customers:
        for first, visit in zip(firsts[1:-1], customer.visits[:ROUND], strict=True):
            booked = (visit.on, visit.index, visit.consumption_m3, visit.read_code, customer.bill_vnd(visit))
            rows.append((customer.customer_id, f"{first:%Y-%m}", *booked))
    return rows


def _arrears_rows(arrears: Arrears) -> list[Row]:
    bills = [(customer_id, *bill) for customer_id, owed in arrears.items() for bill in owed]
    return [
        (customer_id, f"HD{period[:4]}{period[5:]}{number:06d}", period, amount_vnd)
        for number, (customer_id, period, amount_vnd) in enumerate(bills, 1)
    ]


def _round_rows(customers: Iterable[Customer]) -> list[Row]:
    rows: list[Row] = []
    for customer in customers:
        visit = customer.visits[ROUND]
        found = (visit.on, visit.dial, visit.read_code, visit.removed_index, visit.installed_index)
        met = (int(customer.at_home), int(customer.will_pay_cash))
        rows.append((customer.customer_id, *found, *met, visit.note))
    return rows


def _credits(customers: Sequence[Customer], arrears: Arrears, rng: random.Random) -> list[Credit]:
    """Credits up to day 23, unordered: of transfer customers, the treasury, cash customers and strangers."""
    billed = [customer for customer in customers if customer.current_bill_vnd]
    rng.shuffle(billed)
    cash, transfer, treasury = (
        [customer for customer in billed if customer.fields["payment_method"] == method]
        for method in ("TT", "CK", "NT")
    )
    at_door = [customer for customer in cash if customer.pays_at_the_door]
    away = [customer for customer in cash if not customer.pays_at_the_door]
    few = names.share(len(customers), 4)
    paid = transfer[: len(transfer) * 7 // 10]
    pairs, singles = paid[: 2 * few], paid[2 * few :]
    first = customers[0].visits[ROUND].on.replace(day=1)
    registers = frozenset(customer.fields["register_no"] for customer in customers)
    wordings = names.Wordings(first, registers, rng)

    def credit(kind: str, content: str, *payers: Customer, purpose: str = "current") -> Credit:
        visited = max(payer.visits[ROUND].on for payer in payers)
        owed_vnd = sum(payer.current_bill_vnd for payer in payers)
        if purpose == "current+arrears":
            owed_vnd += sum(bill_vnd for payer in payers for _, bill_vnd in arrears[payer.customer_id])
        bank_bin = payers[0].fields["bank_bin"] or rng.choice(list(names.BANK_BINS))
        ids = tuple(payer.customer_id for payer in payers)
        return Credit(_moment(visited, rng), bank_bin, owed_vnd, content, kind, ids, purpose)

    credits = []
    for number, payer in enumerate(singles):
        kind, content = "exact", wordings.plain(payer.fields)
        if number % 9 == 4:
            kind, content = wordings.mangled(payer.fields)
        purpose = "current+arrears" if payer.customer_id in arrears else "current"
        credits.append(credit(kind, content, payer, purpose=purpose))
    for payer, other in zip(pairs[::2], pairs[1::2], strict=False):
        credits.append(credit("two_customers", wordings.for_two(payer.fields, other.fields), payer, other))
    for payer in treasury[: (len(treasury) + 1) // 2]:
        credits.append(credit("treasury", wordings.treasury(payer.fields), payer))
    for payer in away[: 2 * few]:
        credits.append(credit("cash_customer_by_bank", wordings.plain(payer.fields), payer))
    for payer in at_door[:few]:
        credits.append(credit("double_with_cash", wordings.plain(payer.fields), payer))
    for pattern in names.NOT_OURS_CONTENTS * few:
        content = pattern.format(number=rng.randrange(1000, 99_999))
        bank_bin, amount_vnd = rng.choice(list(names.BANK_BINS)), rng.randrange(200, 40_000) * 1000
        credits.append(Credit(_moment(first, rng), bank_bin, amount_vnd, content, "not_ours", (), "other"))
    return credits


def _moment(earliest: date, rng: random.Random) -> datetime:
    """Time of a credit: the evening of the earliest day, when the collector has been, or a later day."""
    day = earliest.replace(day=rng.randrange(earliest.day, 24))  # The sweep round ends on day 23.
    hour = rng.randrange(18 if day == earliest else 6, 23)
    return datetime.combine(day, time(hour, rng.randrange(60), rng.randrange(60)), ICT)


def _statement(credits: Iterable[Credit], rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Lines of bank.csv, some delivered again a few lines later, and of bank_truth.csv."""
    bank: list[Row] = []
    truth: list[Row] = []
    for number, credit in enumerate(sorted(credits), 1):
        txn_id = f"FT{credit.at:%y%m%d}{credit.bank_bin[3:]}{number:06d}"
        account, at = f"1180{credit.bank_bin}77", credit.at.isoformat()
        bank.append((credit.bank_bin, txn_id, at, account, credit.amount_vnd, credit.content))
        truth.append((credit.bank_bin, txn_id, credit.kind, "|".join(credit.customer_ids), credit.purpose))
    resent = rng.sample(range(len(bank)), names.share(len(bank), 10))
    for line in sorted(resent, reverse=True):  # From the end, so that the earlier positions still hold.
        bank.insert(line + rng.randrange(1, 6), bank[line])
    return bank, truth
