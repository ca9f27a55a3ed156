"""The stops of a handheld in the order they are walked, and what a search looks through.

Folded once for each set of packages: a search of 2,757 customers takes a few milliseconds, and nobody waits for it. A
keypad has no letters, so each name is also kept as the digits of the keys that bear its letters (T9): 2 for abc, 3 for
def.
"""

from dataclasses import dataclass

from device.core.stops import StopWork
from device.core.work import Work
from protocol.words import fold, unmarked

FOUND_MAX = 50  # More than anyone scrolls through.
_KEYS = ("abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz")
_TO_DIGITS = str.maketrans({letter: str(key) for key, letters in enumerate(_KEYS, 2) for letter in letters})


@dataclass(frozen=True, slots=True)
class _Line:
    """What is looked through of one customer; each begins with a blank, so that beginnings of words are found."""

    customer: str
    folded: str
    digits: str
    marked: str


class StopIndex:
    """All stops of a handheld. The order is that of the walk, route by route, day by day."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._made_for: frozenset[tuple[str, int]] | None = None
        self._lines: list[_Line] = []
        self._place: dict[str, int] = {}

    def in_walking_order(self, collector: str | None = None) -> list[StopWork]:
        """All stops as they are walked; of one collector's routes where one is named."""
        self._refresh()
        works = [self._work.stops[line.customer] for line in self._lines]
        return works if collector is None else [work for work in works if work.package.collector == collector]

    def search(self, query: str, collector: str | None = None) -> list[StopWork]:
        """Stops in which every word of the query occurs, at most FOUND_MAX.

        Names as they were typed with their marks come first, then whole beginnings of words, then the rest; walking
        order within. A query of digits alone also finds names by the keys of their letters.
        """
        self._refresh()
        wanted = fold(query).split()
        if not wanted:
            return []
        ranked = sorted(
            (rank, place, line.customer)
            for place, line in enumerate(self._lines)
            if (rank := _rank(line, wanted, query)) is not None
        )
        works = (self._work.stops[customer] for _, _, customer in ranked)
        return [work for work in works if collector in (None, work.package.collector)][:FOUND_MAX]

    def neighbours(self, customer: str, collector: str) -> tuple[StopWork | None, StopWork | None]:
        """The stops before and behind one on the walk of a collector."""
        self._refresh()
        place = self._place[customer]
        before = (self._work.stops[line.customer] for line in reversed(self._lines[:place]))
        behind = (self._work.stops[line.customer] for line in self._lines[place + 1 :])
        mine = (next((work for work in side if work.package.collector == collector), None) for side in (before, behind))
        previous, following = mine
        return previous, following

    def _refresh(self) -> None:
        held = frozenset((package.route, package.version) for package in self._work.packages.values())
        if held == self._made_for:
            return
        works = sorted(self._work.stops.values(), key=_walk)
        self._lines = [_line(work) for work in works]
        self._place = {line.customer: place for place, line in enumerate(self._lines)}
        self._made_for = held


def _walk(work: StopWork) -> tuple[str, int, int, str]:
    return work.package.route, work.stop.route_day, work.stop.walk_seq, work.stop.customer


def _line(work: StopWork) -> _Line:
    stop = work.stop
    text = " ".join((stop.name, stop.address, stop.register_no, stop.meter.serial, stop.customer))
    folded = f" {fold(text)}"
    name = f" {fold(stop.name)}".translate(_TO_DIGITS)
    return _Line(stop.customer, folded, name, f" {text.lower()}")


def _rank(line: _Line, wanted: list[str], query: str) -> int | None:
    """How well a line fits; None: not at all."""
    if all(word in line.folded for word in wanted):
        if unmarked(query) != query and query.lower().strip() in line.marked:
            return 0
        return 1 if all(f" {word}" in line.folded for word in wanted) else 2
    if all(word.isdigit() and f" {word}" in line.digits for word in wanted):
        return 3
    return None
