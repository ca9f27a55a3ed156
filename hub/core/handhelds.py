"""What one handheld's chain says as a whole: forks, records nobody can read, holes in the receipt series.

A left fold along the chain, so it can go on from where it stopped; `of_chain` runs it from the start.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from hub.core.conflicts import Case, ConflictClass
from protocol.records import CashCollected, Record, ShiftOpened
from protocol.values import local_date


class ChainLink(NamedTuple):
    """A record as its chain sees it. record: None when unreadable, with the reason beside it."""

    seq: int
    digest: bytes
    prev: bytes
    collector: str
    record: Record | None
    unreadable: str


class HandheldState:
    """Derived of one chain. fork_from: first position of which there are two, 0 if none. receipt_no: last one seen."""

    def __init__(self, device: int, receipt_no: int = 0, fork_from: int = 0) -> None:
        self.device = device
        self.receipt_no = receipt_no
        self.fork_from = fork_from
        self.cases: list[Case] = []

    def step(self, link: ChainLink) -> None:
        """Take the next record of a chain that has not forked."""
        if link.record is None:
            self.cases.append(
                Case(
                    klass=ConflictClass.UNREADABLE,
                    facts=(link.digest,),
                    collector=link.collector,
                    device=self.device,
                    seq=link.seq,
                    for_person=True,
                    detail=link.unreadable[:200],
                )
            )
        elif isinstance(link.record, CashCollected):
            expected = self.receipt_no + 1
            if link.record.receipt_no != expected:
                self.cases.append(
                    Case(
                        klass=ConflictClass.RECEIPT_MISSING,
                        facts=(link.digest,),
                        customer=link.record.customer,
                        collector=link.collector,
                        device=self.device,
                        seq=link.seq,
                        period=link.record.period,
                        for_person=True,
                        detail=f"{expected} → {link.record.receipt_no}",
                    )
                )
            self.receipt_no = link.record.receipt_no


def of_chain(
    device: int, links: Sequence[ChainLink], decided: frozenset[bytes] = frozenset(), *, adopted: bool = False
) -> HandheldState:
    """State of a whole chain, forks included; links in any order.

    decided: case keys a person has closed. adopted: a person has said which branch is true.
    """
    ordered = sorted(links, key=lambda link: (link.seq, link.digest))
    state = HandheldState(device, fork_from=fork_position(ordered))
    for link in ordered:
        if state.fork_from == 0 or link.seq < state.fork_from or link.record is None:
            state.step(link)
    if state.fork_from:
        branches = tuple(link.digest for link in ordered if link.seq == state.fork_from)
        collector = next(link.collector for link in ordered if link.seq == state.fork_from)
        state.cases.append(
            Case(
                klass=ConflictClass.FORK,
                facts=branches,
                collector=collector,
                device=device,
                seq=state.fork_from,
                for_person=True,
                settled=adopted,
                detail=str(len(branches)),
            )
        )
    state.cases = [replace(case, settled=True) if case.key in decided else case for case in state.cases]
    return state


def fork_position(links: Iterable[ChainLink]) -> int:
    """First seq at which there are two records, 0 if there is none."""
    seen: dict[int, bytes] = {}
    doubles = [link.seq for link in links if seen.setdefault(link.seq, link.digest) != link.digest]
    return min(doubles, default=0)


def quarantine(
    fork_from: int, links: Sequence[ChainLink], adopted_tips: Iterable[bytes]
) -> frozenset[bytes]:
    """Digests that count for nothing: from the fork on, but for the branches that end in an adopted tip."""
    if fork_from == 0:
        return frozenset()
    by_digest = {link.digest: link for link in links}
    free: set[bytes] = set()
    for tip in adopted_tips:
        at = by_digest.get(tip)
        while at is not None and at.seq >= fork_from and at.digest not in free:
            free.add(at.digest)
            at = by_digest.get(at.prev)
    return frozenset(link.digest for link in links if link.seq >= fork_from and link.digest not in free)


def apart(fork_from: int, links: Iterable[ChainLink], head_seq: int, head_digest: bytes) -> frozenset[bytes]:
    """Records from a fork up to a head that do not lead to it: a cut that names the head does not cover them."""
    between = {link.digest: link for link in links if fork_from <= link.seq <= head_seq}
    own: set[bytes] = set()
    at = between.get(head_digest)
    while at is not None:
        own.add(at.digest)
        at = between.get(at.prev)
    return frozenset(between.keys() - own)


def business_day(record: Record | None, parent_day: str, order_ms: int) -> str:
    """Business date of a record: of its shift, which the chain before it opened; before any shift, its own date."""
    if isinstance(record, ShiftOpened):
        return record.business_date
    return parent_day or (local_date(order_ms) if record is not None else "")
