"""Facts: all that the rules may look at. Built alike on the handheld, from its package, and at the hub, from the
account.
"""

from dataclasses import dataclass

from protocol.package import Policy, Stop
from protocol.readings import READING_CODES, Use, UseRule, expected_range_m3


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """payment_method: TT, CK or NT. last_use: of the period before. previous_index: what the office holds."""

    payment_method: str
    previous_index: int
    previous_was_estimate: bool
    last_use: Use
    usual_range_m3: tuple[int, int]
    register_digits: int
    drop_per_mille: int
    drop_m3_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was keyed at the meter, with the use it comes to."""

    code: str
    index: int
    use: Use


def facts_of(stop: Stop, policy: Policy) -> Facts:
    """The facts of one stop under a policy."""
    last = stop.history[-1]
    return Facts(
        payment_method=stop.payment_method,
        previous_index=last.index,
        previous_was_estimate=READING_CODES[last.code].rule in (UseRule.ESTIMATE, UseRule.HOLD_OVER),
        last_use=Use(last.use_m3, last.days),
        usual_range_m3=expected_range_m3([past.use_m3 for past in stop.history]),
        register_digits=stop.meter.digits,
        drop_per_mille=policy.drop_per_mille,
        drop_m3_min=policy.drop_m3_min,
    )
