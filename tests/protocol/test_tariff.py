"""Bills: published price tables, worked bills for every rounding policy, and an oracle in exact fractions."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import codec
from protocol.tariff import (
    CONSUMPTION_M3_MAX,
    ROUNDING,
    Bill,
    BillLine,
    Block,
    BlocksPer,
    ChangeInPeriod,
    Price,
    Tariff,
    TariffError,
    TariffProblem,
    TariffVersion,
    compute_bill,
    divide,
    half_up,
)


def flat(price_vnd: int, group: str = "household", area: str = "urban") -> Price:
    return Price(area=area, group=group, blocks=(Block(price_vnd=price_vnd),))


def blocks(*steps: tuple[int | None, int], group: str = "household") -> Price:
    made = tuple(Block(up_to_m3=up_to_m3, price_vnd=price_vnd) for up_to_m3, price_vnd in steps)
    return Price(area="urban", group=group, blocks=made)


def version(*prices: Price, **changes: object) -> TariffVersion:
    """Prices with 5 % VAT in them and a fee of 10 %, unless changed."""
    plain = TariffVersion(
        version="V1",
        decision="1/QĐ",
        effective_from="2020-01-01",
        vat_included=1,
        vat_percent=5,
        fee_percent=10,
        rounding="net_half_up_then_fee_half_up",
        blocks_per=BlocksPer.HOUSEHOLD,
        prices=prices,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def tariff(*versions: TariffVersion, by_days: bool = False) -> Tariff:
    change = ChangeInPeriod.BY_DAYS if by_days else ChangeInPeriod.BY_PERIOD
    return Tariff(versions=versions, change_in_period=change)


def bill(
    m3: int,
    of: Tariff,
    *,
    group: str = "household",
    period: str = "2026-06",
    from_date: str = "2026-05-05",
    to_date: str = "2026-06-05",
    households: int = 1,
    persons: int | None = None,
) -> Bill:
    """Of somebody in town; a household and 31 days unless changed."""
    return compute_bill(
        m3,
        of,
        area="urban",
        group=group,
        period=period,
        from_date=from_date,
        to_date=to_date,
        households=households,
        persons=persons,
    )


# Blocks of Cần Thơ until January 2024, per household and month (04/2019/QĐ-UBND).
CT_2019 = blocks((10, 5500), (20, 6800), (30, 7600), (None, 8700))
# Blocks of Ho Chi Minh City in 2013, per person and month, VAT not in them.
HCMC_2013 = blocks((4, 5300), (6, 10200), (None, 11400))


def rows(table: str) -> Iterator[list[str]]:
    lines = (line.split("#")[0].split() for line in table.splitlines())
    return (line for line in lines if line)


# Printed by Tân Hòa for 2013 to 2019 (cskhtanhoa.com.vn, bảng giá nước): what one m3 costs in all.
PUBLISHED_PER_M3 = """
# price    VAT   fee   total
   5300    265   530    6095   # household, to 4 m3 a person
  10200    510  1020   11730   # 4 to 6
  11400    570  1140   13110   # above
   9600    480   960   11040   # production
  10300    515  1030   11845   # offices
  16900    845  1690   19435   # business
"""


@pytest.mark.parametrize("rounding", ROUNDING)
@pytest.mark.parametrize("row", list(rows(PUBLISHED_PER_M3)), ids=lambda row: row[0])
def test_published_totals_per_m3_come_out_whatever_the_policy(row: list[str], rounding: str) -> None:
    price_vnd, vat_vnd, fee_vnd, total_vnd = map(int, row)
    made = bill(1, tariff(version(flat(price_vnd), vat_included=0, rounding=rounding)))
    assert (made.gross_vnd, made.net_vnd) == (price_vnd, price_vnd)
    assert (made.vat_vnd, made.fee_vnd, made.total_vnd) == (vat_vnd, fee_vnd, total_vnd)


# Prices of 215/QĐ-UBND, VAT in them. Worked with pencil from price, VAT 5 % and fee 10 %: the rows differ where the
# order of rounding does.
WORKED = """
# policy                         m3  price    gross     net   vat    fee   total
net_half_up_then_fee_half_up      1   5640     5640    5371   269    537    6177
net_half_up_then_fee_half_up      4   5640    22560   21486  1074   2149   24709
net_half_up_then_fee_half_up     10   9020    90200   85905  4295   8591   98791  # 8590.5 goes up
net_half_up_then_fee_half_up      8  11170    89360   85105  4255   8511   97871
net_half_up_then_fee_half_up    100   9020   902000  859048 42952  85905  987905
fee_per_m3_half_up                4   5640    22560   21486  1074   2148   24708  # 4 x 537
fee_per_m3_half_up               10   9020    90200   85905  4295   8590   98790  # 10 x 859
fee_per_m3_half_up                8  11170    89360   85105  4255   8512   97872  # 8 x 1064
fee_per_m3_half_up              100   9020   902000  859048 42952  85900  987900
fee_exact_then_half_up            4   5640    22560   21486  1074   2149   24709  # 2148.57
fee_exact_then_half_up           10   9020    90200   85905  4295   8590   98790  # 8590.48
fee_exact_then_half_up            8  11170    89360   85105  4255   8510   97870  # 8510.48
fee_exact_then_half_up          100   9020   902000  859048 42952  85905  987905
"""


@pytest.mark.parametrize("row", list(rows(WORKED)), ids=lambda row: "-".join(row[:3]))
def test_worked_bill(row: list[str]) -> None:
    m3, price_vnd, gross_vnd, *others = map(int, row[1:])
    made = bill(m3, tariff(version(flat(price_vnd), rounding=row[0])))
    assert made.lines == (BillLine(version="V1", m3=m3, price_vnd=price_vnd, gross_vnd=gross_vnd),)
    assert made.gross_vnd == gross_vnd
    assert [made.net_vnd, made.vat_vnd, made.fee_vnd, made.total_vnd] == others


def test_every_rounding_policy_has_a_worked_bill() -> None:
    assert {row[0] for row in rows(WORKED)} == set(ROUNDING)


def test_blocks_of_2019_give_the_published_sum_for_25_m3() -> None:
    made = bill(25, tariff(version(CT_2019)))
    assert made.gross_vnd == 161_000
    assert [(line.m3, line.price_vnd) for line in made.lines] == [(10, 5500), (10, 6800), (5, 7600)]
    assert bill(0, tariff(version(CT_2019))).lines == ()


# Who shares a meter moves the bounds, not the prices. Sums by hand.
SHARED = """
# counted for  households  persons  m3   gross
  household        1          -     30   199000   # 10 x 5500 + 10 x 6800 + 10 x 7600
  household        2          -     30   178000   # 20 x 5500 + 10 x 6800
  connection       2          -     30   199000
  person           1          2     30   178000
"""


@pytest.mark.parametrize("row", list(rows(SHARED)), ids=lambda row: "-".join(row[:3]))
def test_bounds_of_blocks_grow_with_those_they_are_counted_for(row: list[str]) -> None:
    persons = None if row[2] == "-" else int(row[2])
    of = tariff(version(CT_2019, blocks_per=BlocksPer(row[0])))
    assert bill(int(row[3]), of, households=int(row[1]), persons=persons).gross_vnd == int(row[4])


def test_quota_of_four_persons_in_ho_chi_minh_city() -> None:
    business = flat(16_900, group="business")  # Flat: nobody is counted.
    of = tariff(version(HCMC_2013, business, vat_included=0, blocks_per=BlocksPer.PERSON))
    assert bill(1, of, group="business").gross_vnd == 16_900
    made = bill(30, of, persons=4)
    assert [(line.m3, line.price_vnd) for line in made.lines] == [(16, 5300), (8, 10200), (6, 11400)]
    assert (made.net_vnd, made.vat_vnd, made.fee_vnd, made.total_vnd) == (234_800, 11_740, 23_480, 270_020)


OLD = version(flat(5000), version="OLD", effective_from="2019-02-12", effective_to_period="2024-01")
NEW = version(flat(9020), version="NEW", effective_from="2024-02-01", effective_from_period="2024-02")

CHANGES = """
# period   from        to          by      -> lines
 2024-01   2023-12-20  2024-01-20  period  -> OLD:31
 2024-02   2024-01-20  2024-02-20  period  -> NEW:31   # all at the price of the period, though 12 days were before
 2024-02   2024-01-01  2024-01-31  period  -> NEW:31   # the decision counts in periods, not in days
 2024-01   2024-01-01  2024-02-03  period  -> OLD:31
 2024-02   2024-01-20  2024-02-20  days    -> OLD:12,NEW:19
 2024-02   2024-01-02  2024-02-02  days    -> OLD:30,NEW:1
 2024-01   2024-01-01  2024-02-01  days    -> OLD:31   # prices of the day of the reading come too late for its water
 2024-02   2024-02-01  2024-03-03  days    -> NEW:31
 2024-02   2024-02-20  2024-02-20  days    -> NEW:31   # no days: one price list
 2024-02   2024-02-20  2024-01-20  days    -> NEW:31   # a clock set wrong
"""


@pytest.mark.parametrize("row", list(rows(CHANGES)), ids=lambda row: "_".join(row[:4]))
def test_price_change_between_readings(row: list[str]) -> None:
    of = tariff(OLD, NEW, by_days=row[3] == "days")
    made = bill(31, of, period=row[0], from_date=row[1], to_date=row[2])
    assert ",".join(f"{line.version}:{line.m3}" for line in made.lines) == row[5]


def test_a_version_without_a_first_period_starts_by_the_day_of_the_reading() -> None:
    of = tariff(OLD, replace(NEW, effective_from_period=None))
    for day, name in (("2024-01-31", "OLD"), ("2024-02-01", "NEW")):
        assert bill(1, of, period="2024-01", to_date=day).lines[0].version == name


def test_bounds_of_blocks_are_divided_like_the_water() -> None:
    dearer = replace(version(blocks((10, 6000), (None, 9000))), version="V2", effective_from="2026-05-15")
    made = bill(31, tariff(version(CT_2019), dearer, by_days=True))
    assert [(line.version, line.m3, line.price_vnd) for line in made.lines] == [
        ("V1", 3, 5500),  # 10 of 31 days: 10 m3, of which blocks of 3.2, 6.5 and 9.7 in whole m3.
        ("V1", 3, 6800),
        ("V1", 4, 7600),
        ("V2", 7, 6000),
        ("V2", 14, 9000),
    ]


def test_fee_begins_with_its_period() -> None:
    of = tariff(version(flat(9020), fee_from_period="2023-02"))
    assert [bill(10, of, period=period).fee_vnd for period in ("2023-01", "2023-02")] == [0, 8591]


def test_old_prices_with_vat_and_new_without_share_a_period() -> None:
    without = version(flat(1000), version="V2", effective_from="2026-05-20", vat_included=0)
    made = bill(31, tariff(version(flat(1050)), without, by_days=True))
    assert [(line.m3, line.gross_vnd) for line in made.lines] == [(15, 15_750), (16, 16_000)]
    assert (made.gross_vnd, made.net_vnd, made.vat_vnd, made.fee_vnd) == (31_750, 31_000, 1_550, 3_100)


WITH_QUOTAS = version(HCMC_2013, blocks_per=BlocksPer.PERSON)

REFUSALS: dict[str, Callable[[], Bill]] = {
    "no_version: before the first": lambda: bill(1, tariff(NEW), period="2024-01"),
    "no_version: days before the first": lambda: bill(1, tariff(NEW, by_days=True), from_date="2024-01-31"),
    "no_version: after the last has ended": lambda: bill(1, tariff(OLD), period="2024-02"),
    "no_version: days after the last has ended": lambda: bill(1, tariff(OLD, by_days=True)),
    "unknown_price: group": lambda: bill(1, tariff(version(flat(9020, group="business")))),
    "unknown_price: area": lambda: bill(1, tariff(version(flat(8240, area="rural")))),
    "unknown_rounding: of a newer release": lambda: bill(1, tariff(version(flat(9020), rounding="to_the_moon"))),
    "persons_missing: not known": lambda: bill(1, tariff(WITH_QUOTAS)),
    "persons_missing: nobody": lambda: bill(1, tariff(WITH_QUOTAS), persons=0),
    "bill_too_large: water": lambda: bill(CONSUMPTION_M3_MAX + 1, tariff(version(flat(1)))),
    "bill_too_large: money": lambda: bill(CONSUMPTION_M3_MAX, tariff(version(flat(15_580)))),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_no_bill_when(case: str) -> None:
    with pytest.raises(TariffError) as caught:
        REFUSALS[case]()
    assert caught.value.problem == f"tariff.{case.split(':', 1)[0]}"


def test_every_problem_has_a_case() -> None:
    assert {f"tariff.{case.split(':', 1)[0]}" for case in REFUSALS} == set(TariffProblem)


def test_negative_use_is_a_programmers_error() -> None:
    with pytest.raises(AssertionError):
        bill(-1, tariff(version(flat(9020))))


NOT_A_TARIFF: dict[str, Callable[[], object]] = {
    "bounds fall": lambda: blocks((20, 1), (10, 2), (None, 3)),
    "bound of nothing": lambda: blocks((0, 1), (None, 3)),
    "an open block in the middle": lambda: blocks((None, 1), (None, 3)),
    "the last block is bounded": lambda: blocks((10, 1), (20, 3)),
    "a day that does not exist": lambda: version(flat(1), effective_from="2026-02-30"),
    "a group priced twice": lambda: version(flat(1), flat(2)),
    "newest first": lambda: tariff(NEW, OLD),
    "one name for two": lambda: tariff(OLD, replace(NEW, version="OLD")),
}


@pytest.mark.parametrize("case", NOT_A_TARIFF)
def test_not_a_tariff_when(case: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        NOT_A_TARIFF[case]()


@pytest.mark.parametrize("field", ["gross_vnd", "net_vnd", "vat_vnd", "fee_vnd", "total_vnd"])
def test_a_bill_that_arrives_with_one_amount_changed_is_refused(field: str) -> None:
    packed = codec.pack(bill(7, tariff(version(CT_2019))))
    key = next(plan.key for plan in codec.plan(Bill) if plan.name == field)
    amount_vnd = packed[key]
    assert isinstance(amount_vnd, int)
    with pytest.raises(ValueError, match="does not add up"):
        codec.unpack(Bill, packed | {key: amount_vnd + 1})


def test_tariff_and_bill_travel_inside_a_signed_body() -> None:
    of = tariff(OLD, replace(NEW, prices=(HCMC_2013, flat(15_580, group="business"))), by_days=True)
    made = bill(31, tariff(version(CT_2019)))
    received = codec.decode(codec.encode({1: codec.pack(of), 2: codec.pack(made)}))
    assert isinstance(received, dict)
    assert codec.unpack(Tariff, received[1]) == of
    assert codec.unpack(Bill, received[2]) == made


# An oracle of its own kind: every m3 is priced by itself, in exact fractions, rounded where the policy says.


def to_whole(amount: Fraction) -> int:
    return floor(amount + Fraction(1, 2))


def expected_bill(m3: int, of: TariffVersion, scale: int) -> tuple[int, int, int]:
    """Net, VAT and fee of water at one version's prices."""
    steps = of.prices[0].blocks
    prices = [
        next(step.price_vnd for step in steps if step.up_to_m3 is None or place < step.up_to_m3 * scale)
        for place in range(m3)
    ]
    taken_out = 1 + Fraction(of.vat_percent * of.vat_included, 100)
    exact_net = sum(prices) / taken_out
    net_vnd = to_whole(exact_net)
    vat_vnd = sum(prices) - net_vnd if of.vat_included else to_whole(exact_net * of.vat_percent / 100)
    fee_vnd = {
        "net_half_up_then_fee_half_up": lambda rate: to_whole(net_vnd * rate),
        "fee_per_m3_half_up": lambda rate: sum(to_whole(price / taken_out * rate) for price in prices),
        "fee_exact_then_half_up": lambda rate: to_whole(exact_net * rate),
    }[of.rounding](Fraction(of.fee_percent, 100))
    return net_vnd, vat_vnd, fee_vnd


@st.composite
def block_prices(draw: st.DrawFn) -> Price:
    bounds = sorted(draw(st.sets(st.integers(1, 60), max_size=4)))
    return blocks(*((bound, draw(st.integers(0, 30_000))) for bound in [*bounds, None]))


@st.composite
def versions(draw: st.DrawFn) -> TariffVersion:
    return version(
        draw(block_prices()),
        vat_included=draw(st.integers(0, 1)),
        vat_percent=draw(st.integers(0, 20)),
        fee_percent=draw(st.integers(0, 40)),
        rounding=draw(st.sampled_from(sorted(ROUNDING))),
    )


@given(st.integers(0, 150), versions(), st.integers(1, 5))
def test_bill_equals_pricing_every_m3_in_fractions(m3: int, of: TariffVersion, households: int) -> None:
    made = bill(m3, tariff(of), households=households)
    assert (made.net_vnd, made.vat_vnd, made.fee_vnd) == expected_bill(m3, of, households)
    assert sum(line.m3 for line in made.lines) == m3
    assert made.gross_vnd == (made.net_vnd + made.vat_vnd if of.vat_included else made.net_vnd)


def two_versions(first: TariffVersion, second: TariffVersion, days: int, whole: int) -> tuple[Tariff, str]:
    """Prices that change `days` into a period of `whole` days, and its last day."""
    start = date(2026, 5, 5)
    change, end = start + timedelta(days=days), start + timedelta(days=whole)
    second = replace(second, version="V2", effective_from=change.isoformat())
    return tariff(first, second, by_days=True), end.isoformat()


@given(st.integers(0, 200), versions(), versions(), st.integers(1, 62), st.integers(1, 62))
def test_water_divided_by_days_is_all_billed(
    m3: int, first: TariffVersion, second: TariffVersion, days: int, more: int
) -> None:
    of, end = two_versions(first, second, days, days + more)
    made = bill(m3, of, to_date=end)
    old_m3 = sum(line.m3 for line in made.lines if line.version == "V1")
    assert old_m3 == to_whole(Fraction(m3 * days, days + more))
    assert sum(line.m3 for line in made.lines) == m3


@given(st.integers(0, 200), versions(), versions(), st.integers(0, 40), st.integers(1, 40), st.booleans())
def test_one_more_m3_never_makes_the_bill_smaller(
    m3: int, first: TariffVersion, second: TariffVersion, days: int, more: int, changes: bool
) -> None:
    of, end = two_versions(first, second, days, days + more)
    of = of if changes else tariff(first)
    assert bill(m3, of, to_date=end).total_vnd <= bill(m3 + 1, of, to_date=end).total_vnd


@given(st.integers(0, 10**6), st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_parts_sum_to_the_whole_and_lie_within_one_of_their_share(quantity: int, weights: list[int]) -> None:
    parts = divide(quantity, weights)
    assert sum(parts) == quantity
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(quantity * weight, sum(weights))) <= 1


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_halves_go_up(numerator: int, denominator: int) -> None:
    assert half_up(numerator, denominator) == to_whole(Fraction(numerator, denominator))
