"""What a round came to against what a separate reckoning says it should: differences by key."""

from collections.abc import Iterator, Mapping
from typing import Any

# What the folded state of a round must reproduce. Everything under a name is compared, unless an entry names a key
# inside.
COMPARED = (
    "customers",
    "customers_per_route",
    "read",
    "consumption_m3_total",
    "consumption_m3_by_category",
    "bill_vnd_total",
    "bill_vnd_by_category",
    "billed_customers",
    "estimate_for_unread",
    "held_each_rule_alone",
    "held_with_precedence_R1_R3_R2",
    "held_total",
    "collectible",
    "cash_expected",
    "cash_customers",
    "collect_rate_percent",
    "by_branch",
    "arrears",
)
# With lines and uploads at their true times nobody collects what the hub knew to be paid, so these move on purpose.
MOVED_ONLINE = ("cash_expected", "collect_rate_percent", "by_branch")


def differences(found: Mapping[str, Any], expected: Mapping[str, Any], *, online: bool) -> list[str]:
    """Keys at which a round differs, in words; empty when it agrees."""
    names = [name for name in COMPARED if not (online and name in MOVED_ONLINE)]
    lines = [line for name in names for line in _differ(name, found.get(name), expected.get(name))]
    if not online:
        wanted = expected["double_payments"]["cash_and_bank_by_truth"]
        doubles = found["double_payments"]["cash_and_bank"]
        lines += _differ("double_payments.lines", doubles["customers"], wanted["lines"])
        lines += _differ("double_payments.bank_sum_vnd", doubles["bank_sum_vnd"], wanted["bank_sum_vnd"])
        twice = expected["double_payments"]["bank_twice_by_strict_matcher"]
        lines += _differ("double_payments.bank_twice", found["double_payments"]["bank_twice"], twice)
    return lines


def _differ(path: str, found: Any, expected: Any) -> Iterator[str]:
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for name in sorted(found.keys() | expected.keys()):
            yield from _differ(f"{path}.{name}", found.get(name), expected.get(name))
    elif found != expected:
        yield f"{path}: {found!r}, expected {expected!r}"
