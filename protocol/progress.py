"""Read and collect rates against targets: one function for the handheld and the hub, so that they never differ."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counts of customers. cash_customers: those who pay at the door (TT); cash_paid: of them, paid for this period."""

    stops: int
    read: int
    cash_customers: int
    cash_paid: int

    @property
    def read_per_myriad(self) -> int:
        """Read rate in hundredths of a percent, rounded half up."""
        return rate_per_myriad(self.read, self.stops)

    @property
    def collect_per_myriad(self) -> int:
        """Collect rate in hundredths of a percent, rounded half up."""
        return rate_per_myriad(self.cash_paid, self.cash_customers)

    def left_to_read(self, target_per_mille: int) -> int:
        """Customers still to read until the target is reached."""
        return _left(self.read, self.stops, target_per_mille)

    def left_to_collect(self, target_per_mille: int) -> int:
        """Cash customers still to collect from until the target is reached."""
        return _left(self.cash_paid, self.cash_customers, target_per_mille)

    def may_stop(self, collect_target_per_mille: int) -> bool:
        """The round may stop once the collect rate is reached (product.md, targets)."""
        return self.cash_customers > 0 and self.left_to_collect(collect_target_per_mille) == 0


def rate_per_myriad(part: int, whole: int) -> int:
    """part / whole in hundredths of a percent, rounded half up; 0 of nothing is 0."""
    return (part * 20_000 + whole) // (2 * whole) if whole else 0


def _left(done: int, whole: int, target_per_mille: int) -> int:
    return max(0, -(-whole * target_per_mille // 1000) - done)
