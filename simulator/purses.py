"""Cash that exists: notes move from a customer's purse into the collector's bag and from there to the cashier.

Nothing here looks at a record, so what the cashier counts can never be a copy of what the system believes. Notes are
neither made nor lost: what leaves one purse is in another.
"""

from collections import Counter
from collections.abc import Mapping

from protocol.records import DENOMINATIONS

LOOSE = 1  # Change below the smallest note, counted in single đồng.
AT_HOME_VND = 50_000  # Customers have their money ready in notes up to the next multiple of this.


def notes_for(amount_vnd: int) -> Counter[int]:
    """The fewest notes that are worth an amount."""
    notes: Counter[int] = Counter()
    for value in (*DENOMINATIONS, LOOSE):
        pieces, amount_vnd = divmod(amount_vnd, value)
        if pieces:
            notes[value] = pieces
    return notes


def worth_vnd(notes: Mapping[int, int]) -> int:
    """What notes are worth."""
    return sum(value * pieces for value, pieces in notes.items())


class Purse:
    """Notes that somebody carries: a customer's purse, a collector's bag."""

    def __init__(self, amount_vnd: int = 0) -> None:
        self.notes = notes_for(amount_vnd)

    @classmethod
    def ready_for(cls, amount_vnd: int) -> "Purse":
        """The purse of a customer who knows what the bill will be, and has no small change."""
        return cls(-(-amount_vnd // AT_HOME_VND) * AT_HOME_VND)

    @property
    def worth_vnd(self) -> int:
        """What is in it."""
        return worth_vnd(self.notes)

    def put(self, notes: Mapping[int, int]) -> None:
        """Notes come in."""
        self.notes.update(notes)

    def hand_over(self, amount_vnd: int) -> Counter[int]:
        """Notes of exactly this worth go out; who has not got them changes at the next stall."""
        whole = self.worth_vnd
        assert amount_vnd <= whole, "nobody can hand out what is not in the purse"
        self.notes = notes_for(whole - amount_vnd)
        return notes_for(amount_vnd)

    def pay(self, amount_vnd: int, bag: "Purse") -> None:
        """Hand over the largest notes until it is enough, and take the change."""
        given: Counter[int] = Counter()
        for value in sorted(self.notes, reverse=True):
            while self.notes[value] and worth_vnd(given) < amount_vnd:
                self.notes[value] -= 1
                given[value] += 1
        assert worth_vnd(given) >= amount_vnd, "the customer has not got enough"
        bag.put(given)
        self.put(bag.hand_over(worth_vnd(given) - amount_vnd))

    def empty(self) -> dict[int, int]:
        """Everything on the table, large notes first."""
        notes, self.notes = self.notes, Counter()
        return {value: pieces for value, pieces in sorted(notes.items(), reverse=True) if pieces}
