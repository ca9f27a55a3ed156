"""One collector's business date on one handheld: what the day slip and ShiftClosed say."""

from dataclasses import dataclass, field

from protocol.records import CashCollected, DayTotals, Denomination, PackageRef


@dataclass(slots=True)
class ShiftWork:
    """A business date as it fills. Totals run over all shifts of the date on this handheld.

    counted: notes as counted last. closed_with: of each ShiftClosed, by its digest, the notes counted before it.
    """

    collector: str
    business_date: str
    period: str
    package: PackageRef
    is_open: bool = True
    read: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    collected: list[CashCollected] = field(default_factory=list)
    voided: list[CashCollected] = field(default_factory=list)
    printed: int = 0
    reprinted: int = 0
    counted: tuple[Denomination, ...] = ()
    closed_with: dict[bytes, tuple[Denomination, ...]] = field(default_factory=dict)

    @property
    def cash_vnd(self) -> int:
        """What the collector should have in the bag for this date. A voided collection's money has gone back."""
        return sum(record.amount_vnd for record in self.collected) - sum(record.amount_vnd for record in self.voided)

    def paper(self, print_no: int) -> None:
        """A paper is out, or may be: told once of each, on the date when its first print job ended so."""
        if print_no == 1:
            self.printed += 1
        else:
            self.reprinted += 1

    def totals(self) -> DayTotals:
        """The figures of the date."""
        receipts = [record.receipt_no for record in self.collected]
        return DayTotals(
            read=len(self.read),
            skipped=len(self.skipped - self.read),
            collected=len(self.collected),
            collected_vnd=sum(record.amount_vnd for record in self.collected),
            voided=len(self.voided),
            voided_vnd=sum(record.amount_vnd for record in self.voided),
            printed=self.printed,
            reprinted=self.reprinted,
            receipt_first=min(receipts, default=0),
            receipt_last=max(receipts, default=0),
        )
