"""The stops of a handheld in the order they are walked, what a search looks through, and which of them are near.

Folded once for each set of packages: a search of 2,757 customers takes a few milliseconds, and nobody waits for it. A
keypad has no letters, so each name is also kept as the digits of the keys that bear its letters (T9): 2 for abc, 3 for
def.
"""

from dataclasses import dataclass
from math import cos, isqrt, radians

from device.core.stops import StopWork
from device.core.work import Work
from protocol.package import Stop
from protocol.records import PaperKind, PaperPrinted, PrintOutcome
from protocol.values import Fix
from protocol.words import fold, nfc, unmarked

FOUND_MAX = 50  # More than anyone scrolls through.
ENDING_MIN = 3  # From here on the last digits of a number single out a meter; two of them fit every hundredth.
MICROMETRES_PER_UNIT = 11_119  # Of a ten-millionth of a degree on a sphere of 6,371 km, the earth's mean radius.
COSINE_PER_MYRIAD = tuple(round(10_000 * cos(radians(degree))) for degree in range(91))
HALF_TURN_E7, TURN_E7 = 1_800_000_000, 3_600_000_000
_KEYS = ("abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz")
_TO_DIGITS = str.maketrans({letter: str(key) for key, letters in enumerate(_KEYS, 2) for letter in letters})
# How well a word fits, best first. A name that is keyed stands before numbers that only contain the digits.
_WHOLE, _NAME_KEYED, _BEGINS, _NAME_BEGINS_KEYED, _ENDS_NUMBER, _WITHIN = range(1, 7)
_AS_MARKED = 0  # The query as it was typed, marks and all.
_KEYED = (_NAME_KEYED, _NAME_BEGINS_KEYED)


@dataclass(frozen=True, slots=True)
class _Line:
    """What is looked through of one customer. A blank stands before and behind each word, so that whole words,
    beginnings and ends can be told apart.
    """

    customer: str
    folded: str
    numbers: str
    keyed: str
    marked: str


class StopIndex:
    """All stops of a handheld. The order is that of the walk, route by route, day by day."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._made_for: frozenset[tuple[str, int]] | None = None
        self._lines: list[_Line] = []
        self._place: dict[str, int] = {}
        self._notices: dict[tuple[str, str], int] = {}
        self._looked_through = 0

    def in_walking_order(self, collector: str | None = None) -> list[StopWork]:
        """All stops as they are walked; of one collector's routes where one is named."""
        self._refresh()
        works = [self._work.stops[line.customer] for line in self._lines]
        return works if collector is None else [work for work in works if work.package.collector == collector]

    def search(self, query: str, collector: str | None = None) -> list[StopWork]:
        """Stops in which every word of the query occurs, at most FOUND_MAX.

        Names as they were typed with their marks come first, then whole words, then beginnings, ends of numbers, and
        the rest; walking order within. Digits are looked for in all numbers and, as keys, in names; where both are
        many, each has half of what is shown.
        """
        self._refresh()
        typed = " ".join(nfc(query).lower().split())
        wanted = fold(typed).split()
        if not wanted:
            return []
        marked = f" {typed}" if unmarked(typed) != typed else None
        stops = self._work.stops
        ranked = sorted(
            (rank, place, line.customer)
            for place, line in enumerate(self._lines)
            if collector in (None, stops[line.customer].package.collector)
            and (rank := _rank(line, wanted, marked)) is not None
        )
        keyed = [one for one in ranked if one[0] in _KEYED]
        other = [one for one in ranked if one[0] not in _KEYED]
        half = FOUND_MAX // 2
        shown = other[: max(half, FOUND_MAX - len(keyed))] + keyed[: max(half, FOUND_MAX - len(other))]
        return [stops[customer] for _, _, customer in sorted(shown)]

    def neighbours(self, customer: str, collector: str) -> tuple[StopWork | None, StopWork | None]:
        """The stops before and behind one on the walk of a collector; none for one that has left the walk."""
        self._refresh()
        place = self._place.get(customer)
        if place is None:
            return None, None
        before = (self._work.stops[line.customer] for line in reversed(self._lines[:place]))
        behind = (self._work.stops[line.customer] for line in self._lines[place + 1 :])
        mine = (next((work for work in side if work.package.collector == collector), None) for side in (before, behind))
        previous, following = mine
        return previous, following

    def notice_left_ms(self, work: StopWork) -> int | None:
        """When a notice or bill notice of this period last came out for a customer; None where none did."""
        records = self._work.records
        for sealed in records[self._looked_through :]:
            record = sealed.record
            if (
                isinstance(record, PaperPrinted)
                and record.customer is not None
                and record.paper in (PaperKind.NOTICE, PaperKind.BILL_NOTICE)
                and record.outcome is PrintOutcome.PRINTED
            ):
                self._notices[record.customer, record.period] = sealed.header.at_ms
        self._looked_through = len(records)
        return self._notices.get((work.stop.customer, work.package.period))

    def _refresh(self) -> None:
        held = frozenset((package.route, package.version) for package in self._work.packages.values())
        if held == self._made_for:
            return
        works = sorted(self._work.stops.values(), key=_walk)
        self._lines = [_line(work) for work in works]
        self._place = {line.customer: place for place, line in enumerate(self._lines)}
        self._made_for = held


def distance_m(fix: Fix, stop: Stop) -> int | None:
    """Metres from a position to a meter as the crow flies; None where the office does not know the meter's place.

    On integers: on a sphere and flat between the two points, the east-west part shortened by the cosine of the
    position's latitude from a table of whole degrees, interpolated. Within 1 % over the few kilometres of a route.
    """
    if stop.latitude_e7 == 0 and stop.longitude_e7 == 0:
        return None  # An empty cell of the office's extract; the Gulf of Guinea has no meters.
    north = stop.latitude_e7 - fix.latitude_e7
    east = (stop.longitude_e7 - fix.longitude_e7 + HALF_TURN_E7) % TURN_E7 - HALF_TURN_E7
    degree, rest_e7 = divmod(abs(fix.latitude_e7), 10**7)
    low, high = COSINE_PER_MYRIAD[degree], COSINE_PER_MYRIAD[min(90, degree + 1)]
    east = east * (low * (10**7 - rest_e7) + high * rest_e7) // (10**4 * 10**7)
    return (isqrt(north * north + east * east) * MICROMETRES_PER_UNIT + 500_000) // 1_000_000


def _walk(work: StopWork) -> tuple[str, int, int, str]:
    return work.package.route, work.stop.route_day, work.stop.walk_seq, work.stop.customer


def _line(work: StopWork) -> _Line:
    stop = work.stop
    numbers = " ".join((stop.register_no, stop.meter.serial, stop.customer))
    text = " ".join((stop.name, stop.address, numbers))
    keyed = fold(stop.name).translate(_TO_DIGITS)
    return _Line(stop.customer, f" {fold(text)} ", f" {fold(numbers)} ", f" {keyed} ", f" {nfc(text).lower()} ")


def _rank(line: _Line, wanted: list[str], marked: str | None) -> int | None:
    """How well a line fits: as well as the word that fits worst; None: not at all. marked: a query that has marks."""
    worst = 0
    for word in wanted:
        rank = _rank_of_word(line, word)
        if rank is None:
            return None
        worst = max(worst, rank)
    if marked is not None and marked in line.marked:
        return _AS_MARKED
    return worst


def _rank_of_word(line: _Line, word: str) -> int | None:
    is_keyed = word.isdigit()
    if f" {word} " in line.folded:
        return _WHOLE
    if is_keyed and f" {word} " in line.keyed:
        return _NAME_KEYED
    if f" {word}" in line.folded:
        return _BEGINS
    if is_keyed and f" {word}" in line.keyed:
        return _NAME_BEGINS_KEYED
    if is_keyed and len(word) >= ENDING_MIN and f"{word} " in line.numbers:
        return _ENDS_NUMBER
    return _WITHIN if word in line.folded else None
