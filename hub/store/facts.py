"""Facts in and out of the database, and what the fold needs beside them.

Every function takes a connection inside a transaction. A parsed record is remembered by its digest: bytes that hash
alike say alike, so the memory cannot go stale.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, text, update

from hub.core.account import HUB, Fact
from hub.core.codes import CodeUse, GivenCode, use_of
from hub.core.handhelds import ChainLink
from hub.store.bulk import insert_rows
from hub.store.schema import ABOUT_CODES, day_close, decision, fact, handheld
from protocol import codec
from protocol.envelope import frame
from protocol.fields import Items
from protocol.records import HEADS_MAX, CodeGiven, DayClosed, HandheldRecord, Header, HeadRef, Record
from protocol.sealed import UnreadableError, parse

_Heads = Annotated[tuple[HeadRef, ...], Items(0, HEADS_MAX)]
_read_heads = codec.reader(_Heads)
_write_heads = codec.writer(_Heads)
IN_MAX = 500  # Values in one IN list: SQLite takes 32,766, and one statement text serves all.
PARSED_MAX = 20_000  # Records remembered: a branch's uploads of a day.


class NewFact(NamedTuple):
    """A row to insert."""

    device: int
    seq: int
    digest: bytes
    prev: bytes
    kind: int
    ord: int
    customer: str
    collector: str
    day: str
    quarantined: int
    message: bytes


class ParsedRecords:
    """Bounded memory of what messages say; the oldest is forgotten first."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[Header | None, Record | None, str]] = OrderedDict()

    def remember(self, digest: bytes, header: Header | None, record: Record | None, unreadable: str = "") -> None:
        """Keep what a message says."""
        self._known[digest] = (header, record, unreadable)
        if len(self._known) > PARSED_MAX:
            self._known.popitem(last=False)

    def of(self, device: int, digest: bytes, message: bytes) -> tuple[Header | None, Record | None, str]:
        """Header, record, and why there is none, of a stored message. device: whose chain it stands in."""
        if (known := self._known.get(digest)) is not None:
            return known
        header: Header | None = None
        record: Record | None = None
        unreadable = ""
        try:
            header, record = parse(codec.decode(frame(message).payload))
            if device != HUB and not isinstance(record, HandheldRecord):
                header, record, unreadable = None, None, f"a handheld does not make {type(record).__name__}"
        except UnreadableError as error:
            unreadable = str(error)
        self.remember(digest, header, record, unreadable)
        return header, record, unreadable


def insert_facts(connection: Connection, unit: str, rows: Sequence[NewFact]) -> None:
    """Add facts that are not there yet."""
    insert_rows(connection, fact, [{"unit": unit, **row._asdict()} for row in rows])


def known_digests(connection: Connection, unit: str, device: int, first: int, last: int) -> dict[int, set[bytes]]:
    """Digests the hub has of a chain, by seq, in a range of positions."""
    query = select(fact.c.seq, fact.c.digest).where(
        fact.c.unit == unit, fact.c.device == device, fact.c.seq.between(first, last)
    )
    found: dict[int, set[bytes]] = defaultdict(set)
    for seq, digest in connection.execute(query):
        found[seq].add(digest)
    return found


def day_at(connection: Connection, unit: str, device: int, seq: int, digest: bytes) -> str:
    """Business date at a position of a chain."""
    query = select(fact.c.day).where(
        fact.c.unit == unit, fact.c.device == device, fact.c.seq == seq, fact.c.digest == digest
    )
    day: str = connection.execute(query).scalar_one()
    return day


def facts_of_customers(
    connection: Connection, unit: str, customers: Iterable[str], parsed: ParsedRecords
) -> dict[str, list[Fact]]:
    """All readable facts of some customers."""
    found: dict[str, list[Fact]] = defaultdict(list)
    query = select(fact).where(
        fact.c.unit == unit, fact.c.customer.in_(bindparam("customers", expanding=True))
    )
    for part in batches(sorted(customers), IN_MAX):
        for row in connection.execute(query, {"customers": part}):
            if (one := fact_of(row, parsed)) is not None:
                found[row.customer].append(one)
    return found


def facts_of_day(
    connection: Connection, unit: str, collector: str, day: str, kinds: tuple[int, ...], parsed: ParsedRecords
) -> list[Fact]:
    """Facts of some kinds of one collector and business date, by chain."""
    query = (
        select(fact)
        .where(fact.c.unit == unit, fact.c.collector == collector, fact.c.day == day, fact.c.kind.in_(kinds))
        .order_by(fact.c.device, fact.c.seq, fact.c.digest)
    )
    return [one for row in connection.execute(query) if (one := fact_of(row, parsed)) is not None]


def fact_of(row: Any, parsed: ParsedRecords) -> Fact | None:
    """A row as the fold sees it; None when its record cannot be read."""
    header, record, _ = parsed.of(row.device, row.digest, row.message)
    if header is None or record is None:
        return None
    return Fact(
        device=row.device,
        seq=row.seq,
        digest=row.digest,
        ord=row.ord,
        day=row.day,
        collector=row.collector,
        quarantined=bool(row.quarantined),
        header=header,
        record=record,
    )


def links_of(connection: Connection, unit: str, device: int, parsed: ParsedRecords) -> list[ChainLink]:
    """A whole chain, forks included."""
    query = (
        select(fact).where(fact.c.unit == unit, fact.c.device == device).order_by(fact.c.seq, fact.c.digest)
    )
    links: list[ChainLink] = []
    for row in connection.execute(query):
        header, record, unreadable = parsed.of(row.device, row.digest, row.message)
        at_ms = header.at_ms if header is not None else 0
        links.append(ChainLink(row.seq, row.digest, row.prev, row.collector, at_ms, record, unreadable))
    return links


def _about_codes(connection: Connection, unit: str, device: int, parsed: ParsedRecords) -> list[Fact]:
    """Readable facts of one chain that give or use codes, along the chain."""
    query = select(fact).where(fact.c.unit == unit, fact.c.device == device, text(f"fact.{ABOUT_CODES}"))
    rows = connection.execute(query.order_by(fact.c.seq, fact.c.digest))
    return [one for row in rows if (one := fact_of(row, parsed)) is not None]


def uses_of_codes(
    connection: Connection, unit: str, device: int, parsed: ParsedRecords, *, quarantined: bool = False
) -> list[CodeUse]:
    """What a handheld did with its codes, along its chain. quarantined: also what counts for nothing."""
    return [
        use
        for one in _about_codes(connection, unit, device, parsed)
        if (quarantined or not one.quarantined)
        and (
            use := use_of(one.record, seq=one.seq, digest=one.digest, at_ms=one.ord, collector=one.collector)
        ) is not None
    ]


def given_codes(connection: Connection, unit: str, parsed: ParsedRecords) -> dict[int, dict[int, GivenCode]]:
    """Codes that supervisors were shown, by handheld and number. Of one shown twice the first counts."""
    found: dict[int, dict[int, GivenCode]] = defaultdict(dict)
    for one in _about_codes(connection, unit, HUB, parsed):
        if isinstance(one.record, CodeGiven):
            given = GivenCode(one.ord, one.record.customer or "")
            found[one.record.device].setdefault(one.record.code_no, given)
    return found


def forks(connection: Connection, unit: str) -> dict[int, int]:
    """Handhelds whose chain has forked, and from where."""
    query = select(handheld.c.device, handheld.c.fork_from).where(handheld.c.unit == unit, handheld.c.fork_from > 0)
    return {row.device: row.fork_from for row in connection.execute(query)}


def remember_decision(connection: Connection, unit: str, subject: bytes) -> None:
    """Index what a person has decided on, so that the fold of a bank line finds it."""
    if not is_decided(connection, unit, subject):
        connection.execute(insert(decision).values(unit=unit, subject=subject))


def is_decided(connection: Connection, unit: str, subject: bytes) -> bool:
    """Whether a person has decided on something."""
    query = select(decision.c.subject).where(decision.c.unit == unit, decision.c.subject == subject)
    return connection.execute(query).first() is not None


def set_quarantine(
    connection: Connection, unit: str, device: int, fork_from: int, quarantined: frozenset[bytes]
) -> set[str]:
    """Mark which facts from a fork on count for nothing; customers with facts there, since cuts may see them anew."""
    query = select(fact.c.seq, fact.c.digest, fact.c.customer, fact.c.quarantined).where(
        fact.c.unit == unit, fact.c.device == device, fact.c.seq >= fork_from
    )
    touched: set[str] = set()
    for row in connection.execute(query).all():
        wanted = int(row.digest in quarantined)
        if wanted != row.quarantined:
            connection.execute(
                update(fact)
                .where(
                    fact.c.unit == unit,
                    fact.c.device == device,
                    fact.c.seq == row.seq,
                    fact.c.digest == row.digest,
                )
                .values(quarantined=wanted)
            )
        if row.customer:
            touched.add(row.customer)
    return touched


def add_close(connection: Connection, unit: str, seq: int, record: DayClosed) -> None:
    """Index a cut so that the fold finds it by collector."""
    connection.execute(
        insert(day_close).values(
            unit=unit,
            collector=record.collector,
            day=record.business_date,
            seq=seq,
            heads=codec.encode(_write_heads(record.heads)),
        )
    )


class CloseRow(NamedTuple):
    """A cut as it was recorded."""

    collector: str
    day: str
    seq: int
    heads: tuple[HeadRef, ...]


def closes_of(connection: Connection, unit: str, collectors: Iterable[str], since: str) -> list[CloseRow]:
    """Cuts of some collectors for dates from `since` on."""
    query = select(day_close).where(
        day_close.c.unit == unit,
        day_close.c.collector.in_(bindparam("collectors", expanding=True)),
        day_close.c.day >= since,
    )
    closes: list[CloseRow] = []
    for part in batches(sorted(collectors), IN_MAX):
        for row in connection.execute(query, {"collectors": part}):
            heads = _read_heads(codec.decode(row.heads), "heads")
            closes.append(CloseRow(row.collector, row.day, row.seq, heads))
    return closes


def batches(items: Sequence[str], size: int) -> Iterator[list[str]]:
    """Consecutive parts of at most `size` items."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
