"""Tariffs as data, and the bill they make of a consumption.

A tariff is a row of versions; a version prices areas x customer groups by blocks (a flat price is one block)
and says how VAT, the environmental fee and rounding go. Where another city differs: what blocks are counted
for is a member of `BlocksPer` and a line of `_block_scale`; how sums are rounded is a function and a row of
`ROUNDING`; a mix of purposes (so much per cent household, the rest business) is one more call of `pour` in
`compute_bill` for each purpose.

Money is whole đồng, water whole m3. Half a đồng goes up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, NamedTuple

from protocol.fields import M3, VND_MAX, Code, DateText, Int, Items, Name, PeriodText, Vnd
from protocol.values import days_between

BILL_LINES_MAX = 32  # Two versions of sixteen blocks; a record of that many lines stays below its limit.
CONSUMPTION_M3_MAX = 10**6  # What a record carries as M3; no meter at a door passes it in a month.

Percent = Annotated[int, Int(0, 100)]
PriceVnd = Annotated[int, Int(0, 10**7)]


class BlocksPer(StrEnum):
    """What the bounds of blocks are counted for: two households behind one meter have twice the cheap water."""

    HOUSEHOLD = "household"
    PERSON = "person"
    CONNECTION = "connection"


class ChangeInPeriod(StrEnum):
    """What happens when prices change between two readings.

    BY_PERIOD: a billing period has one price list, as Cần Thơ's of 2024 ("from the billing period of
    February").
    BY_DAYS: the water is divided by days between the old and the new prices, as in Ho Chi Minh City.
    """

    BY_PERIOD = "by_period"
    BY_DAYS = "by_days"


class TariffProblem(StrEnum):
    """Why no bill can be made; the value is the key of the text shown."""

    NO_VERSION = "tariff.no_version"
    UNKNOWN_PRICE = "tariff.unknown_price"
    UNKNOWN_ROUNDING = "tariff.unknown_rounding"
    PERSONS_MISSING = "tariff.persons_missing"
    BILL_TOO_LARGE = "tariff.bill_too_large"


class TariffError(Exception):
    """The tariff and the customer's data do not give a bill. The reading can still be kept.

    `detail` names what was looked for: a period or date, an area and group, a policy, an amount.
    """

    def __init__(self, problem: TariffProblem, detail: str) -> None:
        super().__init__(f"{problem}: {detail}")
        self.problem = problem
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A price and the m3 it reaches to, counted from the first m3 of the period; no bound: all the rest."""

    price_vnd: PriceVnd
    up_to_m3: M3 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a group of customers pays in an area. Raises ValueError unless bounds rise and the last is open."""

    area: Code
    group: Code
    blocks: Annotated[tuple[Block, ...], Items(1, 16)]

    def __post_init__(self) -> None:
        bounds = [block.up_to_m3 for block in self.blocks[:-1]]
        reached = 0
        for bound in bounds:
            if bound is None or bound <= reached:
                raise ValueError(f"{self.area}/{self.group}: bounds must rise, none but the last open")
            reached = bound
        if self.blocks[-1].up_to_m3 is not None:
            raise ValueError(f"{self.area}/{self.group}: the last block must be open")


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffVersion:
    """One decision's price list.

    version: short id printed on papers, such as "CT-2024". decision: the document it rests on.
    effective_from: first day of the new prices. effective_from_period: first billing period, where the
    decision counts in periods. effective_to_period: last one, where an end is known; after it there is no
    price, not an old price.
    vat_included: 1 when prices have VAT in them. vat_percent: of the net price.
    fee_percent: environmental fee, of the net price (decree 53/2020/NĐ-CP: 10). fee_from_period: no fee
    before it.
    rounding: a name in ROUNDING. Raises ValueError on a day that does not exist and on a group priced twice.
    """

    version: Code
    decision: Name
    effective_from: DateText
    effective_from_period: PeriodText | None = None
    vat_included: Annotated[int, Int(0, 1)]
    vat_percent: Percent
    fee_percent: Percent
    fee_from_period: PeriodText | None = None
    rounding: Code
    blocks_per: BlocksPer
    prices: Annotated[tuple[Price, ...], Items(1, 400)]
    effective_to_period: PeriodText | None = None

    def __post_init__(self) -> None:
        date.fromisoformat(self.effective_from)
        if len({(price.area, price.group) for price in self.prices}) != len(self.prices):
            raise ValueError(f"{self.version}: a group has two prices in one area")

    def price(self, area: str, group: str) -> Price:
        """The row of an area and group. Raises TariffError when there is none."""
        for price in self.prices:
            if price.area == area and price.group == group:
                return price
        raise TariffError(TariffProblem.UNKNOWN_PRICE, f"{self.version} {area}/{group}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """All price lists known, oldest first. Raises ValueError when they are not, or two have one name."""

    versions: Annotated[tuple[TariffVersion, ...], Items(1, 40)]
    change_in_period: ChangeInPeriod

    def __post_init__(self) -> None:
        starts = [version.effective_from for version in self.versions]
        if any(earlier >= later for earlier, later in pairwise(starts)):
            raise ValueError("versions must be listed oldest first, one a day at most")
        if len({version.version for version in self.versions}) != len(self.versions):
            raise ValueError("two versions have one name")


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """Water at one price. gross_vnd = m3 x price_vnd, with VAT in it where the version's prices have."""

    version: Code
    m3: M3
    price_vnd: PriceVnd
    gross_vnd: Vnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What one period's water costs. No lines when no water flowed.

    gross_vnd: sum of the lines. It equals net + vat where prices have VAT in them, else net.
    total_vnd: what is owed. Raises ValueError when the amounts do not add up, since bills also arrive from
    outside.
    """

    lines: Annotated[tuple[BillLine, ...], Items(0, BILL_LINES_MAX)]
    gross_vnd: Vnd
    net_vnd: Vnd
    vat_vnd: Vnd
    fee_vnd: Vnd
    total_vnd: Vnd

    def __post_init__(self) -> None:
        with_vat = self.net_vnd + self.vat_vnd
        adds_up = (
            all(line.gross_vnd == line.m3 * line.price_vnd for line in self.lines)
            and self.gross_vnd == sum(line.gross_vnd for line in self.lines)
            and self.total_vnd == with_vat + self.fee_vnd
            and self.net_vnd <= self.gross_vnd <= with_vat
        )
        # VAT may be in the old prices and not in the new ones.
        mixed = len({line.version for line in self.lines}) > 1
        if not adds_up or not (mixed or self.gross_vnd in (self.net_vnd, with_vat)):
            raise ValueError(f"a bill of {self.total_vnd} VND does not add up")


class Charges(NamedTuple):
    """What a rounding policy makes of the lines of one version, in whole đồng."""

    net_vnd: int
    vat_vnd: int
    fee_vnd: int


def half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest whole number, halves upward. denominator > 0."""
    assert denominator > 0
    return (2 * numerator + denominator) // (2 * denominator)


def _net_and_vat(lines: Sequence[BillLine], version: TariffVersion) -> tuple[int, int]:
    """Net and VAT of the sum of the lines, one rounding."""
    gross_vnd = sum(line.gross_vnd for line in lines)
    if version.vat_included:
        net_vnd = half_up(gross_vnd * 100, 100 + version.vat_percent)
        return net_vnd, gross_vnd - net_vnd
    return gross_vnd, half_up(gross_vnd * version.vat_percent, 100)


def _fee_divisor(version: TariffVersion) -> int:
    """What amount x fee per cent is divided by: takes VAT out first where prices have it."""
    return 100 + version.vat_percent if version.vat_included else 100


def net_half_up_then_fee_half_up(lines: Sequence[BillLine], version: TariffVersion, fee_percent: int) -> Charges:
    """Fee on the net amount as printed, so that a customer can check the paper. The default."""
    net_vnd, vat_vnd = _net_and_vat(lines, version)
    return Charges(net_vnd, vat_vnd, half_up(net_vnd * fee_percent, 100))


def fee_per_m3_half_up(lines: Sequence[BillLine], version: TariffVersion, fee_percent: int) -> Charges:
    """Fee rounded for one m3, then multiplied: Tân Hòa's way (DocSoAndroid, CLocal.TinhTienNuoc)."""
    net_vnd, vat_vnd = _net_and_vat(lines, version)
    divisor = _fee_divisor(version)
    fee_vnd = sum(line.m3 * half_up(line.price_vnd * fee_percent, divisor) for line in lines)
    return Charges(net_vnd, vat_vnd, fee_vnd)


def fee_exact_then_half_up(lines: Sequence[BillLine], version: TariffVersion, fee_percent: int) -> Charges:
    """Fee of the exact net amount, rounded once at the end."""
    net_vnd, vat_vnd = _net_and_vat(lines, version)
    gross_vnd = sum(line.gross_vnd for line in lines)
    return Charges(net_vnd, vat_vnd, half_up(gross_vnd * fee_percent, _fee_divisor(version)))


Rounding = Callable[[Sequence[BillLine], TariffVersion, int], Charges]

ROUNDING: dict[str, Rounding] = {
    "net_half_up_then_fee_half_up": net_half_up_then_fee_half_up,
    "fee_per_m3_half_up": fee_per_m3_half_up,
    "fee_exact_then_half_up": fee_exact_then_half_up,
}


class Segment(NamedTuple):
    """A version and its weight in the period: days, or 1 where the period is not divided."""

    version: TariffVersion
    weight: int


def compute_bill(
    consumption_m3: int,
    tariff: Tariff,
    *,
    area: str,
    group: str,
    period: str,
    from_date: str,
    to_date: str,
    households: int = 1,
    persons: int | None = None,
) -> Bill:
    """The bill of a consumption, 0 or more m3, between the readings of two dates.

    Where versions share a period (BY_DAYS) each rounds its own part: their VAT, fee and policy may differ.
    Raises TariffError when no version, price or policy applies, persons are needed and not known, or the
    amount is more than a record carries.
    """
    assert consumption_m3 >= 0, "a use below zero is held, never billed"
    assert households >= 1
    if consumption_m3 > CONSUMPTION_M3_MAX:
        raise TariffError(TariffProblem.BILL_TOO_LARGE, f"{consumption_m3} m3")
    segments = versions_for(tariff, period=period, from_date=from_date, to_date=to_date)
    weights = [segment.weight for segment in segments]
    lines: list[BillLine] = []
    net_vnd = vat_vnd = fee_vnd = 0
    for number, share_m3 in enumerate(divide(consumption_m3, weights)):
        version = segments[number].version
        price = version.price(area, group)
        scale = _block_scale(version, price, households, persons)
        bounds = [
            None if block.up_to_m3 is None else divide(block.up_to_m3 * scale, weights)[number]
            for block in price.blocks
        ]
        part = pour(share_m3, version.version, price, bounds)
        charges = _charges(part, version, period)
        lines += part
        net_vnd += charges.net_vnd
        vat_vnd += charges.vat_vnd
        fee_vnd += charges.fee_vnd
    total_vnd = net_vnd + vat_vnd + fee_vnd
    if total_vnd > VND_MAX or len(lines) > BILL_LINES_MAX:
        raise TariffError(TariffProblem.BILL_TOO_LARGE, f"{total_vnd} VND")
    return Bill(
        lines=tuple(lines),
        gross_vnd=sum(line.gross_vnd for line in lines),
        net_vnd=net_vnd,
        vat_vnd=vat_vnd,
        fee_vnd=fee_vnd,
        total_vnd=total_vnd,
    )


def versions_for(tariff: Tariff, *, period: str, from_date: str, to_date: str) -> tuple[Segment, ...]:
    """The versions that price a period, oldest first.

    BY_DAYS counts the days from_date <= day < to_date: prices that start on the day of the new reading come
    too late for its water. Dates that give no days (a clock set wrong) fall back to one version, so that the
    visit can go on. Raises TariffError when none applies, or none to the first days.
    """
    if tariff.change_in_period is ChangeInPeriod.BY_PERIOD or from_date >= to_date:
        started = [version for version in tariff.versions if _has_started(version, period, to_date)]
        segments = [Segment(version, 1) for version in started[-1:]]
    else:
        segments = _segments_by_days(tariff, from_date, to_date)
    if not segments:
        raise TariffError(TariffProblem.NO_VERSION, f"{period}, {from_date} to {to_date}")
    newest = segments[-1].version
    if newest.effective_to_period is not None and newest.effective_to_period < period:
        raise TariffError(TariffProblem.NO_VERSION, f"{period}: {newest.version} has ended")
    return tuple(segments)


def _has_started(version: TariffVersion, period: str, to_date: str) -> bool:
    if version.effective_from_period is not None:
        return version.effective_from_period <= period
    return version.effective_from <= to_date


def _segments_by_days(tariff: Tariff, from_date: str, to_date: str) -> list[Segment]:
    """Versions with their days; none when the first days have no price."""
    starts = [version.effective_from for version in tariff.versions]
    if starts[0] > from_date:
        return []
    segments: list[Segment] = []
    for version, next_start in zip(tariff.versions, [*starts[1:], to_date], strict=True):
        begin, end = max(version.effective_from, from_date), min(next_start, to_date)
        if begin < end:
            segments.append(Segment(version, days_between(begin, end)))
    return segments


def divide(quantity: int, weights: Sequence[int]) -> tuple[int, ...]:
    """A quantity in whole parts by weight, which sum to it.

    Running totals are rounded half up: the first of two parts is rounded, the second is the rest.
    """
    whole = sum(weights)
    parts: list[int] = []
    passed = given = 0
    for weight in weights:
        passed += weight
        reached = half_up(quantity * passed, whole)
        parts.append(reached - given)
        given = reached
    return tuple(parts)


def _block_scale(version: TariffVersion, price: Price, households: int, persons: int | None) -> int:
    """What the bounds of blocks are multiplied by."""
    if len(price.blocks) == 1 or version.blocks_per is BlocksPer.CONNECTION:
        return 1
    if version.blocks_per is BlocksPer.HOUSEHOLD:
        return households
    if persons is None or persons < 1:
        raise TariffError(TariffProblem.PERSONS_MISSING, f"{version.version} {price.area}/{price.group}")
    return persons


def pour(m3: int, version: str, price: Price, bounds: Sequence[int | None]) -> list[BillLine]:
    """Water filled into blocks in order. bounds: one for each, after scaling. An empty block has no line."""
    lines: list[BillLine] = []
    billed_m3 = 0
    for block, bound in zip(price.blocks, bounds, strict=True):
        end_m3 = m3 if bound is None else min(m3, bound)
        if end_m3 > billed_m3:
            in_block_m3, price_vnd = end_m3 - billed_m3, block.price_vnd
            gross_vnd = in_block_m3 * price_vnd
            lines.append(BillLine(version=version, m3=in_block_m3, price_vnd=price_vnd, gross_vnd=gross_vnd))
            billed_m3 = end_m3
    return lines


def _charges(lines: Sequence[BillLine], version: TariffVersion, period: str) -> Charges:
    """Net, VAT and fee of one version's lines, by its policy."""
    rounding = ROUNDING.get(version.rounding)
    if rounding is None:
        raise TariffError(TariffProblem.UNKNOWN_ROUNDING, f"{version.version} {version.rounding}")
    fee_is_due = version.fee_from_period is None or version.fee_from_period <= period
    return rounding(lines, version, version.fee_percent if fee_is_due else 0)
