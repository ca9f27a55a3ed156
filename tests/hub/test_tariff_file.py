"""The tariff file of a billing extract: read as sent, or refused with the place and the remedy."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from hub.tariff_file import TariffFileError, read_tariff
from protocol.tariff import BlocksPer, ChangeInPeriod, Tariff, compute_bill

File = dict[str, Any]

FILE: File = {
    "currency": "VND",
    "unit": "VND per m3",
    "vat_percent": 5,
    "env_fee_percent_of_net": 10,
    "env_fee_from_period": "2023-02",
    "rounding_rule": "net_half_up_then_fee_half_up",
    "rounding_rule_text": "in words",
    "versions": [
        {
            "id": "A-2019",
            "decision": "04/2019/QĐ-UBND",
            "decision_date": "2019-02-12",
            "effective_to_period": "2024-01",
            "vat_included": True,
            "areas": ["urban", "rural"],
            "groups": {
                "household": {"blocks": [[10, 5500], [20, 6800], [None, 7600]], "per": "household_month"},
                "business": {"flat": 11100},
            },
            "check": {"group": "household", "m3": 25, "gross": 161000},
        },
        {
            "id": "A-2024",
            "decision": "215/QĐ-UBND",
            "effective_from": "2024-02-01",
            "effective_from_period": "2024-02",
            "effective_to_period": None,
            "vat_included": True,
            "areas": {"urban": {"household": {"flat": 9020}}, "rural": {"household": {"flat": 8240}}},
            "note": "in words",
        },
    ],
}


def changed(*changes: tuple[str, object]) -> File:
    """The file with some values set; a path is keys and list positions joined by "/"."""
    file: Any = copy.deepcopy(FILE)
    for path, value in changes:
        *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
        place = file
        for step in way:
            place = place[step]
        place[last] = value
    return dict(file)


def without(path: str) -> File:
    file = changed((path, None))
    place: Any = file
    *way, last = path.split("/")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    del place[last]
    return file


def total_vnd(tariff: Tariff, area: str, group: str, period: str, m3: int) -> int:
    first, last = f"{period}-01", f"{period}-28"
    bill = compute_bill(m3, tariff, area=area, group=group, period=period, from_date=first, to_date=last)
    return bill.total_vnd


def test_areas_with_groups_of_their_own_and_areas_that_share_them() -> None:
    tariff = read_tariff(FILE)
    assert [version.version for version in tariff.versions] == ["A-2019", "A-2024"]
    assert total_vnd(tariff, "urban", "household", "2026-06", 1) == 9879
    assert total_vnd(tariff, "rural", "household", "2026-06", 100) == 902_476
    assert total_vnd(tariff, "urban", "household", "2022-12", 25) == 161_000  # Before the fee began.
    assert total_vnd(tariff, "rural", "business", "2022-12", 2) == 22_200


def test_dates_charges_and_policy_are_kept() -> None:
    old, new = read_tariff(FILE).versions
    assert (old.effective_from, old.effective_from_period, old.effective_to_period) == ("2019-02-12", None, "2024-01")
    assert (new.effective_from, new.effective_from_period, new.effective_to_period) == ("2024-02-01", "2024-02", None)
    assert (new.vat_included, new.vat_percent, new.fee_percent, new.fee_from_period) == (1, 5, 10, "2023-02")
    assert (new.rounding, new.decision) == ("net_half_up_then_fee_half_up", "215/QĐ-UBND")


def test_a_version_may_have_charges_of_its_own() -> None:
    file = changed(("versions/1/vat_percent", 8), ("versions/1/env_fee_from_period", None))
    old, new = read_tariff(file).versions
    assert (old.vat_percent, old.fee_from_period) == (5, "2023-02")
    assert (new.vat_percent, new.fee_from_period) == (8, None)


def test_change_in_period_is_by_period_unless_said() -> None:
    assert read_tariff(FILE).change_in_period is ChangeInPeriod.BY_PERIOD
    assert read_tariff(changed(("change_in_period", "by_days"))).change_in_period is ChangeInPeriod.BY_DAYS


def test_blocks_may_be_counted_for_persons() -> None:
    file = changed(("versions/0/groups/household/per", "person_month"))
    assert read_tariff(file).versions[0].blocks_per is BlocksPer.PERSON


HOUSEHOLD = "versions/0/groups/household"
URBAN = "versions/1/areas/urban"

REFUSED: dict[str, tuple[Callable[[], object], str, str]] = {
    "not an object": (lambda: [], "", "object"),
    "another currency": (lambda: changed(("currency", "USD")), "currency", "VND"),
    "prices per thousand litres": (lambda: without("unit"), "unit", "VND per m3"),
    "misspelt key": (lambda: changed(("env_fee_from_peroid", "2023-02")), "env_fee_from_peroid", "not known"),
    "misspelt key of a version": (lambda: changed(("versions/1/vat", 5)), "versions[1].vat", "not known"),
    "misspelt key of a group": (
        lambda: changed((f"{URBAN}/household/flatt", 1)),
        "versions[1].areas.urban.household.flatt",
        "not known",
    ),
    "no versions": (lambda: changed(("versions", [])), "versions", "one version or more"),
    "newest first": (lambda: changed(("versions", FILE["versions"][::-1])), "versions", "oldest first"),
    "too many to carry": (
        lambda: changed(
            (HOUSEHOLD + "/blocks", [[bound, 1] for bound in range(1, 20)] + [[None, 1]]), ("versions/0/check", None)
        ),
        "versions",
        "1 to 16",
    ),
    "price with a fraction": (
        lambda: changed((f"{URBAN}/household/flat", 9020.0)),
        "versions[1].areas.urban.household.flat",
        "whole VND",
    ),
    "price as text": (
        lambda: changed((f"{URBAN}/household/flat", "9.020")),
        "versions[1].areas.urban.household.flat",
        "whole VND",
    ),
    "price below zero": (
        lambda: changed((f"{URBAN}/household/flat", -1)),
        "versions[1].areas.urban.household.flat",
        "whole VND",
    ),
    "neither flat nor blocks": (
        lambda: changed((f"{URBAN}/household", {})),
        "versions[1].areas.urban.household",
        "either",
    ),
    "flat and blocks": (
        lambda: changed((HOUSEHOLD + "/flat", 1)),
        "versions[0].groups.household",
        "either",
    ),
    "bounds that fall": (
        lambda: changed((HOUSEHOLD + "/blocks/1/0", 10)),
        "versions[0].groups.household.blocks",
        "rise",
    ),
    "last block bounded": (
        lambda: changed((HOUSEHOLD + "/blocks/2/0", 30)),
        "versions[0].groups.household.blocks",
        "open",
    ),
    "row that is not a pair": (
        lambda: changed((HOUSEHOLD + "/blocks/1", [20])),
        "versions[0].groups.household.blocks[1]",
        "pair",
    ),
    "blocks not said for whom": (
        lambda: without(HOUSEHOLD + "/per"),
        "versions[0].groups.household.per",
        "household_month",
    ),
    "blocks for persons and for households": (
        lambda: changed(("versions/0/groups/business", {"blocks": [[None, 1]], "per": "person_month"})),
        "versions[0]",
        '"per"',
    ),
    "areas missing": (lambda: without("versions/1/areas"), "versions[1].areas", "object"),
    "shared groups missing": (lambda: without("versions/0/groups"), "versions[0].groups", "object"),
    "groups beside areas of their own": (
        lambda: changed(("versions/1/groups", {})),
        "versions[1].groups",
        "move it",
    ),
    "area named twice": (lambda: changed(("versions/0/areas/1", "urban")), "versions[0]", "two prices"),
    "nothing priced": (lambda: changed(("versions/1/areas", {})), "versions[1].areas", "prices nothing"),
    "name with a space": (
        lambda: changed((URBAN + "/big house", {"flat": 1})),
        "versions[1].areas.urban.big house",
        "letters",
    ),
    "no day to start from": (lambda: without("versions/0/decision_date"), "versions[0].decision_date", "YYYY-MM-DD"),
    "day that does not exist": (
        lambda: changed(("versions/1/effective_from", "2024-02-30")),
        "versions[1]",
        "day",
    ),
    "period written by hand": (
        lambda: changed(("versions/1/effective_from_period", "2/2024")),
        "versions[1].effective_from_period",
        "YYYY-MM",
    ),
    "VAT flag as a number": (
        lambda: changed(("versions/1/vat_included", 1)),
        "versions[1].vat_included",
        "true",
    ),
    "VAT missing": (lambda: without("vat_percent"), "vat_percent", "missing"),
    "VAT as a share": (lambda: changed(("vat_percent", 0.05)), "vat_percent", "whole number"),
    "rounding not known": (lambda: changed(("rounding_rule", "up")), "rounding_rule", "fee_per_m3_half_up"),
    "change not known": (lambda: changed(("change_in_period", "by_moon")), "change_in_period", "by_days"),
    "check that does not come out": (
        lambda: changed((HOUSEHOLD + "/blocks/0/1", 5600)),
        "versions[0].check.gross",
        "162000",
    ),
    "check of a group without price": (
        lambda: changed(("versions/0/check/group", "farm")),
        "versions[0].check",
        "unknown_price",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_place_and_remedy(case: str) -> None:
    make, path, remedy = REFUSED[case]
    with pytest.raises(TariffFileError) as caught:
        read_tariff(make())
    assert caught.value.path == path
    assert remedy in caught.value.problem
