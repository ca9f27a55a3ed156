"""What one handheld's chain says as a whole: forks, records nobody can read, holes in the receipt series.

A left fold along the chain, so it can go on from where it stopped; `of_chain` runs it from the start. What the handheld
last said of itself comes out too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from hub.core.codes import NO_FAULTS, CodeFault
from hub.core.conflicts import Case, ConflictClass
from protocol.chain import NO_DIGEST
from protocol.records import CashCollected, DeviceStatus, LogInOpened, Record, ShiftOpened
from protocol.values import local_date


class ChainLink(NamedTuple):
    """A record as its chain sees it. record: None when unreadable, with the reason beside it; at_ms is then 0."""

    seq: int
    digest: bytes
    prev: bytes
    collector: str
    at_ms: int
    record: Record | None
    unreadable: str


class Told(NamedTuple):
    """What a handheld last said of itself. at_ms: by its own clock."""

    at_ms: int
    status: DeviceStatus


class HandheldState:
    """Derived of one chain. fork_from: first position of which there are two, 0 if none. receipt_no: last one seen.

    told: None where no status has been seen. code_faults: uses of codes that do not hold, by digest.
    """

    def __init__(
        self,
        device: int,
        receipt_no: int = 0,
        fork_from: int = 0,
        code_faults: Mapping[bytes, CodeFault] = NO_FAULTS,
    ) -> None:
        self.device = device
        self.receipt_no = receipt_no
        self.fork_from = fork_from
        self.told: Told | None = None
        self.cases: list[Case] = []
        self._code_faults = code_faults

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
        elif isinstance(link.record, DeviceStatus):
            self.told = Told(link.at_ms, link.record)
        elif isinstance(link.record, LogInOpened) and (fault := self._code_faults.get(link.digest)) is not None:
            self.cases.append(
                Case(
                    klass=ConflictClass.OVERRIDE_UNPROVEN,
                    facts=(link.digest,),
                    collector=link.collector,
                    device=self.device,
                    seq=link.seq,
                    period=link.record.period,
                    for_person=True,
                    detail=fault.about(link.record.code_no),
                )
            )


def of_chain(
    device: int,
    links: Sequence[ChainLink],
    decided: frozenset[bytes] = frozenset(),
    adopted: Iterable[bytes] = (),
    code_faults: Mapping[bytes, CodeFault] = NO_FAULTS,
) -> HandheldState:
    """State of a whole chain, forks included; links in any order.

    decided: case keys a person has closed. adopted: last records of branches that a person has called true.
    """
    chain = Chain(links, adopted)
    state = HandheldState(device, fork_from=chain.fork_from, code_faults=code_faults)
    for link in chain.links:
        if link.record is None or link.digest not in chain.quarantined:
            state.step(link)
    for branches in chain.forks:
        state.cases.append(
            Case(
                klass=ConflictClass.FORK,
                facts=tuple(link.digest for link in branches),
                collector=branches[0].collector,
                device=device,
                seq=branches[0].seq,
                for_person=True,
                settled=any(link.digest not in chain.quarantined for link in branches),
                detail=str(len(branches)),
            )
        )
    state.cases = [replace(case, settled=True) if case.key in decided else case for case in state.cases]
    return state


class Chain:
    """All records of one handheld as a tree: where it forks, and what counts.

    From a fork on nothing counts but the branch on which an adopted record lies, up to the next fork. A fork on a
    branch that does not count is no case of its own: settling the first one decides on it.
    """

    def __init__(self, links: Sequence[ChainLink], adopted: Iterable[bytes]) -> None:
        self.links = sorted(links, key=lambda link: (link.seq, link.digest))
        self.forks: list[list[ChainLink]] = []
        children: dict[bytes, list[ChainLink]] = {}
        for link in self.links:
            children.setdefault(link.prev, []).append(link)
        true = self._ancestors(adopted)
        counts: set[bytes] = set()
        waiting = [NO_DIGEST]
        while waiting:
            branches = children.pop(waiting.pop(), [])  # Once each: a damaged chain may bite its tail.
            if len(branches) > 1:
                self.forks.append(branches)
                branches = [link for link in branches if link.digest in true]
            counts.update(link.digest for link in branches)
            waiting += [link.digest for link in branches]
        self.forks.sort(key=lambda branches: (branches[0].seq, branches[0].digest))
        self.fork_from = min((branches[0].seq for branches in self.forks), default=0)
        self.quarantined = frozenset(link.digest for link in self.links) - counts

    def _ancestors(self, tips: Iterable[bytes]) -> set[bytes]:
        by_digest = {link.digest: link for link in self.links}
        found: set[bytes] = set()
        for tip in tips:
            at = by_digest.get(tip)
            while at is not None and at.digest not in found:
                found.add(at.digest)
                at = by_digest.get(at.prev)
        return found


def apart(fork_from: int, links: Iterable[ChainLink], heads: Iterable[bytes]) -> frozenset[bytes]:
    """Records from a fork on that lead to none of some heads: a cut that names these does not cover them."""
    behind = {link.digest: link for link in links if link.seq >= fork_from}
    own: set[bytes] = set()
    for head in heads:
        at = behind.get(head)
        while at is not None and at.digest not in own:
            own.add(at.digest)
            at = behind.get(at.prev)
    return frozenset(behind.keys() - own)


def tips(links: Sequence[ChainLink]) -> list[ChainLink]:
    """Last records of all branches of a chain."""
    followed = {link.prev for link in links}
    return [link for link in links if link.digest not in followed]


def business_day(record: Record | None, parent_day: str, order_ms: int) -> str:
    """Business date of a record: of its shift, which the chain before it opened; before any shift, its own date."""
    if isinstance(record, ShiftOpened):
        return record.business_date
    return parent_day or (local_date(order_ms) if record is not None else "")
