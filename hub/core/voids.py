"""Voids: which collections are taken back, by what, and on which dates.

A void counts by itself before its receipt was out and before a cut came between; else when the paper is back or a
supervisor accepts it. Source: merge.md, voids.
"""

from collections.abc import Sequence

from hub.core.account import Close, Fact, first_open_day
from hub.core.ledger import JournalEntry, Line, reversed_lines
from protocol.records import (
    CashCollected,
    CollectionVoided,
    Decision,
    PaperKind,
    PaperPrinted,
    PaperReturned,
    PrintOutcome,
    SupervisorDecided,
)

Undoing = tuple[Fact, Fact]  # A void, and the fact by which it takes effect: itself, or a returned paper or decision.


class Voids:
    """The voids of one account. facts: all of it, canonical order. effective: by the digest of the collection."""

    def __init__(self, facts: Sequence[Fact], closes: Sequence[Close]) -> None:
        self.facts = facts
        self.closes = sorted(closes, key=lambda close: close.seq)
        self.valid = [fact for fact in facts if not fact.quarantined]
        self.voided = {fact.record.collection for fact in facts if isinstance(fact.record, CollectionVoided)}
        self.effective = self._effective(self.valid) if self.voided else {}

    def in_time(self, collection: Fact, void: Fact) -> bool:
        """A void counts by itself on the handheld that collected, with no cut of that date or a later one in
        between.
        """
        if void.device != collection.device or void.seq < collection.seq:
            return False
        return not any(
            close.collector == collection.collector
            and close.day >= collection.day
            and close.covers(collection)
            and not close.covers(void)
            for close in self.closes
        )

    def paper_out(self, collection: Fact, void: Fact, known: Sequence[Fact] | None = None) -> bool:
        """Whether its receipt was out, or may have been, when the collection was voided: by the chain, not by
        clocks.
        """
        return any(
            isinstance(f.record, PaperPrinted)
            and f.record.about == collection.digest
            and f.record.paper is PaperKind.RECEIPT
            and f.record.outcome is not PrintOutcome.NOT_PRINTED
            and (f.device != void.device or f.seq < void.seq)
            for f in (self.valid if known is None else known)
        )

    def entries(self, collection: Fact, lines: tuple[Line, ...]) -> list[JournalEntry]:
        """What takes a collection back, and lets it stand again where that came to be disputed. lines: its own."""
        found: list[JournalEntry] = []
        for because, day in self._turns(collection):
            lines = reversed_lines(lines)
            found.append(JournalEntry(because.device, because.seq, because.digest, day, lines))
        return found

    def _turns(self, collection: Fact) -> list[tuple[Fact, str]]:
        """Facts by which a collection was taken back, stood again, and so on, each with the date it posts to.

        As long as nothing forks, voids only add up, and there is one turn or none. A clone that shows up later, or a
        branch adopted later, changes what had counted when a date was closed: the date stays as it was closed, and the
        turn posts to the next open one.
        """
        if collection.digest not in self.voided:
            return []
        since = min(fact.day for fact in self.facts)
        turns: list[tuple[Fact, str]] = []
        before: list[Close] = []
        was: Undoing | None = None
        for close in self.closes:
            if close.collector == collection.collector and close.day >= since:
                now = self._effective(self._known_at(close, before)).get(collection.digest)
                turns += self._turn(was, now, before)
                was = now
                before.append(close)
        return turns + self._turn(was, self.effective.get(collection.digest), before)

    @staticmethod
    def _turn(was: Undoing | None, now: Undoing | None, before: Sequence[Close]) -> list[tuple[Fact, str]]:
        undoing = now or was
        if undoing is None or (was is None) == (now is None):
            return []
        return [(undoing[1], first_open_day(undoing[1].day, {close.day for close in before}))]

    def _known_at(self, close: Close, before: Sequence[Close]) -> list[Fact]:
        """What counted when a date was closed, after others.

        A void by another handheld than collected is left to the decision that accepts it: the cut need not name it.
        """
        makers = {fact.digest: fact.device for fact in self.facts if isinstance(fact.record, CashCollected)}
        return [
            fact
            for fact in self.facts
            if fact.digest not in close.disputed
            and (
                any(one.covers(fact) for one in (*before, close))
                or (
                    isinstance(fact.record, CollectionVoided)
                    and makers.get(fact.record.collection, fact.device) != fact.device
                )
            )
        ]

    def _effective(self, known: Sequence[Fact]) -> dict[bytes, Undoing]:
        """The voids that take effect when this is all that counts."""
        taken = {f.digest: f for f in known if isinstance(f.record, CashCollected)}
        paper_back: dict[bytes, Fact] = {}
        accepted: dict[bytes, Fact] = {}
        for fact in known:
            match fact.record:
                case PaperReturned():
                    paper_back.setdefault(fact.record.collection, fact)
                case SupervisorDecided(decision=Decision.ACCEPT_VOID):
                    accepted.setdefault(fact.record.subject, fact)
                case _:
                    pass
        found: dict[bytes, Undoing] = {}
        for void in known:
            if not isinstance(void.record, CollectionVoided) or void.record.collection in found:
                continue
            collection = taken.get(void.record.collection)
            if collection is None:
                continue
            because = accepted.get(collection.digest)
            if self.in_time(collection, void):
                paper_out = self.paper_out(collection, void, known)
                because = paper_back.get(collection.digest) or because if paper_out else void
            if because is not None:
                found[collection.digest] = (void, because)
        return found
