"""Uploads: verify, then store, fold and advance in one transaction, then acknowledge.

`Intake.take` is the whole walk. The signatures are checked before the transaction, on threads; everything that
depends on what the hub has is decided inside it. An ack leaves only after the commit.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from hub.books import Books, Touched
from hub.clock import Clock
from hub.core.conflicts import ConflictClass
from hub.core.handhelds import ChainLink, HandheldState, business_day
from hub.core.verify import Arrival, Placement, RefusedError, arrivals, frames, place
from hub.store.database import Database
from hub.store.facts import NewFact, day_at, insert_facts, known_digests
from hub.store.folded import told_values
from hub.store.schema import handheld, package, unit
from protocol.chain import NO_DIGEST, Tip
from protocol.envelope import Frame, VerifyKey
from protocol.records import LogInOpened, PackageRef
from protocol.wire import Ack, Head, RefusalCode, seal_ack

PENDING, ACTIVE = "pending", "active"  # Standing of a handheld: enrolled, and confirmed by a person.
VERIFY_THREADS = 2  # Ed25519 releases the interpreter lock; the branch's machine has at least two cores.
VERIFY_PART = 128  # Records one thread checks at a time.


@dataclass(frozen=True, slots=True)
class Sender:
    """An enrolled handheld, as the head row has it."""

    device: int
    key: VerifyKey
    status: str
    collector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of an upload. ack: signed, for the kept prefix, None when nothing was kept. refused: why it ended
    there.
    """

    ack: bytes | None
    head: Head
    refused: RefusedError | None
    counted: dict[ConflictClass, int] = field(default_factory=dict)


class Intake:
    """Takes uploads for one unit."""

    def __init__(self, database: Database, books: Books, clock: Clock, checkpoint: Callable[[str], None]) -> None:
        self._database = database
        self._books = books
        self._clock = clock
        self._checkpoint = checkpoint
        self._threads = ThreadPoolExecutor(VERIFY_THREADS, "verify")
        self._senders: dict[bytes, Sender] = {}

    async def take(self, body: bytes) -> Taken:
        """An upload, from bytes to ack. Raises RefusedError when nothing of it could be looked at."""
        parts = frames(body)
        sender = await self.sender(parts[0][1].kid)
        if sender.status == PENDING:
            raise RefusedError(RefusalCode.NOT_CONFIRMED, "the branch has not confirmed this handheld's IMEI yet")
        found, refused = await self._verify(parts, sender.key)
        if not found and refused is not None:
            raise refused
        taken = await self._database.write(lambda connection: self._apply(connection, sender, found, refused))
        self._checkpoint("after commit")
        return taken

    async def sender(self, kid: bytes) -> Sender:
        """The handheld of a key. Raises RefusedError for one that is not enrolled."""
        if (known := self._senders.get(kid)) is not None:
            return known
        row = await self._database.read(
            lambda connection: connection.execute(
                select(handheld).where(handheld.c.unit == self._books.unit, handheld.c.kid == kid)
            ).first()
        )
        if row is None:
            raise RefusedError(RefusalCode.UNKNOWN_KEY, "this handheld is not enrolled here: enrol it again")
        sender = Sender(row.device, VerifyKey.of(row.public_key), row.status, row.collector)
        if row.status == ACTIVE:
            self._senders[kid] = sender
        return sender

    def forget_senders(self) -> None:
        """A handheld was confirmed or revoked."""
        self._senders.clear()

    def close(self) -> None:
        """Let the verifying threads go."""
        self._threads.shutdown()

    async def head(self, device: int) -> tuple[Head, bytes]:
        """How far the hub has a chain, and the signed ack of it."""

        unit_code = self._books.unit

        def read(connection: Connection) -> tuple[Head, int]:
            row = connection.execute(
                select(handheld.c.seq, handheld.c.digest).where(
                    handheld.c.unit == unit_code, handheld.c.device == device
                )
            ).one()
            changes: int = connection.execute(select(unit.c.changes).where(unit.c.unit == unit_code)).scalar_one()
            return Head(seq=row.seq, digest=row.digest), changes

        head, changes = await self._database.read(read)
        ack = Ack(
            device=device, from_seq=head.seq, to_seq=head.seq, digest=head.digest, hub_ms=self._clock(), changes=changes
        )
        return head, seal_ack(ack, self._books.key)

    async def _verify(self, parts: list[tuple[bytes, Frame]], key: VerifyKey) -> tuple[list[Arrival], RefusedError |
    None]:
        """Check signatures and decode, in parallel parts; keep the prefix up to the first bad one."""
        loop = asyncio.get_running_loop()
        jobs = [
            loop.run_in_executor(self._threads, arrivals, parts[start : start + VERIFY_PART], key)
            for start in range(0, len(parts), VERIFY_PART)
        ]
        found: list[Arrival] = []
        for start, (good, refused) in enumerate(await asyncio.gather(*jobs)):
            found += good
            if refused is not None:
                refused.index += start * VERIFY_PART
                return found, refused
        return found, None

    def _apply(
        self, connection: Connection, sender: Sender, found: list[Arrival], refused: RefusedError | None
    ) -> Taken:
        """Inside the transaction: place, insert, fold, advance."""
        books, device = self._books, sender.device
        row = connection.execute(
            select(handheld)
            .where(handheld.c.unit == books.unit, handheld.c.device == device)
            .with_for_update()
        ).one()
        tip = Tip(row.seq, row.digest)
        known = self._known(connection, device, tip, found, forked=row.fork_from > 0)
        counted: dict[ConflictClass, int] = {}
        fresh: list[Arrival] = []
        last: Arrival | None = None
        forked = row.fork_from > 0
        for index, one in enumerate(found):
            where = place(one.position, one.digest, known)
            if where is Placement.GAP:
                counted[ConflictClass.GAP] = 1
                refused = RefusedError(RefusalCode.GAP, "a record before this one is missing here", index)
                break
            last = one
            if where is Placement.KNOWN:
                counted[ConflictClass.DUPLICATE] = counted.get(ConflictClass.DUPLICATE, 0) + 1
                continue
            forked = forked or where is Placement.FORK
            known.setdefault(one.position.seq, set()).add(one.digest)
            fresh.append(one)
        version = self._store(connection, device, tip, row, fresh, forked=forked) if fresh else 0
        ack = None
        if last is not None:
            ack = seal_ack(
                Ack(
                    device=device,
                    from_seq=found[0].position.seq,
                    to_seq=last.position.seq,
                    digest=last.digest,
                    hub_ms=self._clock(),
                    changes=version,
                ),
                books.key,
            )
        head = connection.execute(
            select(handheld.c.seq, handheld.c.digest).where(
                handheld.c.unit == books.unit, handheld.c.device == device
            )
        ).one()
        return Taken(ack=ack, head=Head(seq=head.seq, digest=head.digest), refused=refused, counted=counted)

    def _known(
        self, connection: Connection, device: int, tip: Tip, found: list[Arrival], *, forked: bool
    ) -> dict[int, set[bytes]]:
        """What the hub has around the positions of an upload; the usual next upload asks the database nothing."""
        seqs = [one.position.seq for one in found]
        if min(seqs) == tip.seq + 1 and not forked:
            return {tip.seq: {tip.digest}}
        known = known_digests(connection, self._books.unit, device, min(seqs) - 1, max(seqs))
        known.setdefault(0, set()).add(NO_DIGEST)
        return known

    def _store(
        self, connection: Connection, device: int, tip: Tip, row: Any, fresh: list[Arrival], *, forked: bool
    ) -> int:
        """Insert new facts, fold what they touch, advance the head; the change counter after it."""
        books = self._books
        rows = self._rows(connection, device, tip, row, fresh)
        try:
            insert_facts(connection, books.unit, rows)
        except IntegrityError as error:  # A race that the head row's lock makes impossible; never half an upload.
            raise RefusedError(RefusalCode.STORAGE, "the hub could not store this: send it again") from error
        touched = Touched.nothing()
        for one in fresh:
            books.parsed.remember(one.digest, one.header, one.record, one.unreadable)
            if one.customer:
                touched.customers.add(one.customer)
        self._advance(connection, device, tip, row, rows)
        if forked:
            touched.customers |= books.judge_handheld(connection, device)
        else:
            self._step(connection, device, row, fresh)
        return books.refold(connection, touched)

    def _rows(
        self, connection: Connection, device: int, tip: Tip, row: Any, fresh: list[Arrival]
    ) -> list[NewFact]:
        """Rows of new facts: business date along the chain, order clamped to the package each names."""
        unit_code = self._books.unit
        limits = self._package_limits(connection, fresh)
        days: dict[tuple[int, bytes], str] = {(0, NO_DIGEST): "", (tip.seq, tip.digest): row.day}
        rows: list[NewFact] = []
        for one in fresh:
            seq, prev = one.position.seq, one.position.prev
            parent = days.get((seq - 1, prev))
            if parent is None:
                parent = day_at(connection, unit_code, device, seq - 1, prev)
            order = 0
            if one.header is not None:
                order = one.header.at_ms
                evidence = one.header.evidence
                if evidence is not None and (bounds := limits.get(evidence.package)) is not None:
                    order = min(max(order, bounds[0]), bounds[1])
            day = days[seq, one.digest] = business_day(one.record, parent, order)
            rows.append(
                NewFact(
                    device=device,
                    seq=seq,
                    digest=one.digest,
                    prev=prev,
                    kind=one.position.kind,
                    ord=order,
                    customer=one.customer,
                    collector=one.collector[:32],
                    day=day,
                    quarantined=0,
                    message=one.message,
                )
            )
        return rows

    def _package_limits(
        self, connection: Connection, fresh: list[Arrival]
    ) -> dict[PackageRef, tuple[int, int]]:
        """Validity of the packages that an upload names."""
        named = {
            one.header.evidence.package
            for one in fresh
            if one.header is not None and one.header.evidence is not None
        }
        limits: dict[PackageRef, tuple[int, int]] = {}
        for ref in sorted(named):
            found = connection.execute(
                select(package.c.issued_ms, package.c.expires_ms).where(
                    package.c.unit == self._books.unit,
                    package.c.route == ref.route,
                    package.c.version == ref.version,
                )
            ).first()
            if found is not None:
                limits[ref] = (found.issued_ms, found.expires_ms)
        return limits

    def _advance(self, connection: Connection, device: int, tip: Tip, row: Any, rows: list[NewFact]) -> None:
        """Move the head along its own branch; another branch of a fork leaves it where it is."""
        day: str = row.day
        for new in rows:
            if (new.seq, new.prev) == (tip.seq + 1, tip.digest):
                tip, day = Tip(new.seq, new.digest), new.day
        connection.execute(
            update(handheld)
            .where(handheld.c.unit == self._books.unit, handheld.c.device == device)
            .values(
                seq=tip.seq,
                digest=tip.digest,
                day=day,
                contact_ms=self._clock(),
                made=max(row.made, tip.seq),
            )
        )

    def _step(self, connection: Connection, device: int, row: Any, fresh: list[Arrival]) -> None:
        """Take new records of a chain that has not forked; its earlier case files stay as they are."""
        opened = any(isinstance(one.record, LogInOpened) for one in fresh)
        code_faults = self._books.code_faults(connection, {device} if opened else set())
        state = HandheldState(device, receipt_no=row.receipt_no, code_faults=code_faults)
        for one in fresh:
            at_ms = one.header.at_ms if one.header is not None else 0
            place = one.position
            state.step(
                ChainLink(place.seq, one.digest, place.prev, one.collector, at_ms, one.record, one.unreadable)
            )
        if state.cases:
            self._books.judge_handheld(connection, device)
            return
        values: dict[str, Any] = {}
        if state.receipt_no != row.receipt_no:
            values["receipt_no"] = state.receipt_no
        if state.told is not None:
            values |= told_values(state.told)
        if values:
            connection.execute(
                update(handheld)
                .where(handheld.c.unit == self._books.unit, handheld.c.device == device)
                .values(values)
            )
