"""The collection rules (các điều kiện không cho thu) and the warnings of a reading.

HOLDS is a tuple: its order is the precedence. A reading is always saved; a hold only keeps money from being taken, in
words, with its code on the record. WARNINGS ask for the value to be keyed again and never block. Source: product.md,
collection rules.
"""

from collections.abc import Callable

from protocol.facts import Facts, Reading
from protocol.readings import READING_CODES, UseRule, above_register, fell_by_policy
from protocol.reasons import Reason

Rule = Callable[[Reading | None, Facts], Reason | None]

BY_BANK = "CK"
BY_TREASURY = "NT"


def pays_elsewhere(reading: Reading | None, facts: Facts) -> Reason | None:
    """Hold every bill of a customer who pays by bank transfer or by collection order; needs no reading (R1)."""
    if facts.payment_method == BY_BANK:
        return Reason.PAYS_BY_TRANSFER
    if facts.payment_method == BY_TREASURY:
        return Reason.PAYS_BY_COLLECTION_ORDER
    return None


def reading_below_previous(reading: Reading | None, facts: Facts) -> Reason | None:
    """Hold this period's bill when the new index is below the old one and no code explains it (R3).

    A rollover or a replacement explains it; `hold_over_estimate` does only where the previous period was an estimate.
    """
    if reading is None or reading.index >= facts.previous_index:
        return None
    rule = READING_CODES[reading.code].rule
    if rule in (UseRule.ROLLOVER, UseRule.REPLACED):
        return None
    if rule is UseRule.HOLD_OVER and facts.previous_was_estimate:
        return None
    return Reason.READING_BELOW_PREVIOUS


def consumption_drop(reading: Reading | None, facts: Facts) -> Reason | None:
    """Hold this period's bill when use per day fell by the policy's share and amount, or to zero (R2)."""
    if reading is None or not fell_by_policy(
        reading.use, facts.last_use, facts.drop_per_mille, facts.drop_m3_min
    ):
        return None
    return Reason.CONSUMPTION_DROP


def far_above_expected(reading: Reading | None, facts: Facts) -> Reason | None:
    """Warn when use is above the range that the customer's own history makes usual."""
    if reading is None or reading.use.m3 <= facts.usual_range_m3[1]:
        return None
    return Reason.FAR_ABOVE_EXPECTED


def zero_consumption(reading: Reading | None, facts: Facts) -> Reason | None:
    """Warn when no water was used, unless the code says that it was to be so."""
    if reading is None or reading.use.m3 != 0:
        return None
    if READING_CODES[reading.code].rule in (UseRule.ZERO, UseRule.HOLD_OVER):
        return None
    return Reason.ZERO_CONSUMPTION


def index_above_register(reading: Reading | None, facts: Facts) -> Reason | None:
    """Warn when the index has more digits than the register."""
    if reading is None or not above_register(reading.index, facts.register_digits):
        return None
    return Reason.ABOVE_REGISTER


HOLDS: tuple[Rule, ...] = (pays_elsewhere, reading_below_previous, consumption_drop)  # Order is precedence.
WARNINGS: tuple[Rule, ...] = (index_above_register, far_above_expected, zero_consumption)


def hold(reading: Reading | None, facts: Facts) -> Reason | None:
    """The first rule that keeps money from being taken at a stop, with or without a reading."""
    return next((reason for rule in HOLDS if (reason := rule(reading, facts)) is not None), None)


def holds_alone(reading: Reading | None, facts: Facts) -> tuple[Reason, ...]:
    """Every rule that would hold, each by itself, for statistics."""
    return tuple(reason for rule in HOLDS if (reason := rule(reading, facts)) is not None)


def warnings(reading: Reading, facts: Facts) -> tuple[Reason, ...]:
    """What must be keyed again before it is believed."""
    return tuple(reason for rule in WARNINGS if (reason := rule(reading, facts)) is not None)
