"""Cash that exists: notes move from a customer's purse into the collector's bag and from there to the cashier.

Nothing here looks at a record, so what the cashier counts can never be a copy of what the system believes.
"""

from collections import Counter
from collections.abc import Mapping

from protocol.records import DENOMINATIONS

LOOSE = 1  # Change below the smallest note, counted in single đồng.


def notes_for(amount_vnd: int) -> Counter[int]:
    """The notes with which somebody pays an amount exactly."""
    notes: Counter[int] = Counter()
    for value in (*DENOMINATIONS, LOOSE):
        pieces, amount_vnd = divmod(amount_vnd, value)
        if pieces:
            notes[value] = pieces
    return notes


def worth_vnd(notes: Mapping[int, int]) -> int:
    """What notes are worth."""
    return sum(value * pieces for value, pieces in notes.items())


class Bag:
    """A collector's bag."""

    def __init__(self) -> None:
        self.notes: Counter[int] = Counter()

    def take(self, notes: Mapping[int, int]) -> None:
        """A customer hands notes over."""
        self.notes.update(notes)

    def give_back(self, amount_vnd: int) -> Counter[int]:
        """Hand an amount back, changing notes at the market if the right ones are missing."""
        whole = worth_vnd(self.notes)
        assert amount_vnd <= whole, "nobody can hand out what is not in the bag"
        self.notes = notes_for(whole - amount_vnd)
        return notes_for(amount_vnd)

    def lose(self, amount_vnd: int) -> None:
        """Notes fall out on the way."""
        self.give_back(amount_vnd)

    def empty(self) -> dict[int, int]:
        """Put everything on the cashier's table."""
        notes, self.notes = dict(self.notes), Counter()
        return {value: pieces for value, pieces in sorted(notes.items(), reverse=True) if pieces}
