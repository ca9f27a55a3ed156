"""The books of one unit: folds what was touched and puts the result in place, inside the caller's transaction.

One way in for handhelds' uploads and for the hub's own records: facts are inserted, then `refold` derives everything
that depends on them. Nothing else writes accounts, ledger lines or case files.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection, bindparam, select, update

from hub.core.account import HUB, AccountBase, AccountState, Close, Fact, Prices
from hub.core.codes import NO_FAULTS, CodeFault, CodeUse, code_key, code_of, faults
from hub.core.conflicts import Case, ConflictClass
from hub.core.days import DayState, fold_day
from hub.core.fold import fold, fold_stranger
from hub.core.handhelds import Chain, ChainLink, HandheldState, apart, of_chain
from hub.core.ledger import JournalEntry, credited
from hub.store import folded
from hub.store.facts import (
    IN_MAX,
    NewFact,
    ParsedRecords,
    add_close,
    batches,
    closes_of,
    fact_of,
    facts_of_customers,
    facts_of_day,
    forks,
    given_codes,
    insert_facts,
    is_decided,
    links_of,
    remember_decision,
    set_quarantine,
    uses_of_codes,
)
from hub.store.schema import case_file, customer, fact, handheld, policy, tariff, unit
from protocol import codec
from protocol.chain import Tip, digest, follows
from protocol.envelope import Purpose, SigningKey, VerifyKey, open_sealed
from protocol.package import Policy, Stop, open_policy
from protocol.records import (
    BankCredited,
    CashCounted,
    CashReceived,
    CodeGiven,
    DayClosed,
    Decision,
    ExtractImported,
    Header,
    HeadRef,
    HubRecord,
    LogInOpened,
    RuleOverridden,
    SupervisorDecided,
)
from protocol.sealed import Sealed, parse, seal_record
from protocol.tariff import Tariff
from protocol.values import local_date

DAY_KINDS = (CashCounted.KIND, CashReceived.KIND, DayClosed.KIND, SupervisorDecided.KIND)
BASES_MAX = 80_000  # Customers remembered; one branch of four companies.


@dataclass(slots=True)
class Touched:
    """What new facts touched."""

    customers: set[str]
    days: set[tuple[str, str]]
    bank: list[Fact]

    @classmethod
    def nothing(cls) -> "Touched":
        return cls(set(), set(), [])


@dataclass(frozen=True, slots=True)
class CustomerBase:
    """A customer with the columns that are copied to its account row."""

    base: AccountBase
    route: str
    branch: str


class Books:
    """Folding for one unit. `key` signs the hub's records.

    Remembers what the extract says, so one instance serves writing transactions only, one after the other; readers
    that fold make their own. `forget` after an import, a tariff, a policy or a rollback.
    """

    def __init__(self, unit_code: str, key: SigningKey) -> None:
        self.unit = unit_code
        self.key = key
        self.parsed = ParsedRecords()
        self._bases: dict[str, CustomerBase] = {}
        self._prices: Prices | None = None
        self._code_key = code_key(key.private.private_bytes_raw())

    # The hub's own chain.

    def append(self, connection: Connection, record: HubRecord, now_ms: int, intent: bytes | None = None) -> Fact:
        """Seal a record of the hub, add it to the hub's chain, and say what it is as a fact. Locks the head row."""
        row = connection.execute(select(unit).where(unit.c.unit == self.unit).with_for_update()).one()
        tip = Tip(row.head_seq, row.head_digest)
        at_ms = max(row.head_at_ms, now_ms)
        header = Header(seq=tip.seq + 1, prev=tip.digest, at_ms=at_ms, intent=intent)
        return self._insert(connection, seal_record(header, record, self.key))

    def replay(self, connection: Connection, message: bytes) -> Fact:
        """Insert a record of the hub that was sealed before, in chain order: how a hub is rebuilt from its log."""
        row = connection.execute(select(unit).where(unit.c.unit == self.unit).with_for_update()).one()
        header, record = parse(codec.decode(open_sealed(message, VerifyKey.of(self.key.public), Purpose.RECORD)))
        sealed = Sealed(message, digest(message), header, record)
        assert follows(header.seq, header.prev, Tip(row.head_seq, row.head_digest)), "the hub's own chain has no gaps"
        return self._insert(connection, sealed)

    def _insert(self, connection: Connection, sealed: Sealed) -> Fact:
        one = hub_fact(sealed)
        insert_facts(connection, self.unit, [new_fact(one, sealed)])
        connection.execute(
            update(unit)
            .where(unit.c.unit == self.unit)
            .values(head_seq=one.seq, head_digest=sealed.digest, head_at_ms=sealed.header.at_ms)
        )
        self.parsed.remember(sealed.digest, sealed.header, sealed.record)
        if isinstance(sealed.record, DayClosed):
            add_close(connection, self.unit, one.seq, sealed.record)
        if isinstance(sealed.record, SupervisorDecided):
            remember_decision(connection, self.unit, sealed.record.subject)
        if isinstance(sealed.record, CodeGiven):
            self._pass_code(connection, sealed.record)
        return one

    def _pass_code(self, connection: Connection, record: CodeGiven) -> None:
        """Numbers up to this one are not given again."""
        where = (handheld.c.unit == self.unit, handheld.c.device == record.device)
        behind = handheld.c.next_code <= record.code_no
        connection.execute(update(handheld).where(*where, behind).values(next_code=record.code_no + 1))

    def touched_by(self, connection: Connection, one: Fact) -> Touched:
        """What a record of the hub touches; a decision on a fork moves quarantine first."""
        touched = Touched.nothing()
        record = one.record
        name = getattr(record, "customer", None)
        if name is not None:
            touched.customers.add(name)
        match record:
            case BankCredited(customer=None):
                touched.bank.append(one)
            case CashReceived():
                touched.days.add((record.collector, record.business_date))
            case DayClosed():
                touched.days.add((record.collector, record.business_date))
                touched.customers |= self._late_customers(connection, record)
            case SupervisorDecided():
                if record.device is not None:
                    touched.customers |= self.judge_handheld(connection, record.device)
                if record.collector is not None and record.business_date is not None:
                    touched.days.add((record.collector, record.business_date))
                touched.bank += self._bank_line_of(connection, record.subject)
            case CodeGiven():
                touched.customers |= self._relying_on(connection, record)
            case _:
                pass
        return touched

    def _relying_on(self, connection: Connection, record: CodeGiven) -> set[str]:
        """Customers for whom a code was used before the hub knew that it had been given, as after a restore."""
        uses = uses_of_codes(connection, self.unit, record.device, self.parsed)
        early = [use for use in uses if use.number == record.code_no]
        found = {use.customer for use in early if use.customer}
        if any(not use.customer for use in early):
            found |= self.judge_handheld(connection, record.device)
        return found

    def _late_customers(self, connection: Connection, record: DayClosed) -> set[str]:
        """Customers with facts that the cut leaves outside: their postings may move, their voids may be too late.

        Facts behind the heads, and facts of the collector on handhelds that the cut does not name. A cut names every
        handheld that had anything of the collector, so when it is made there is little to find; in another order
        there may be.
        """
        forked = forks(connection, self.unit)
        heads = {head.device: head.seq for head in record.heads}
        behind = [
            (fact.c.device == device) & (fact.c.seq > min(seq, forked.get(device, seq + 1) - 1))
            for device, seq in heads.items()
        ]
        elsewhere = (fact.c.collector == record.collector) & fact.c.device.not_in([HUB, *heads])
        found: set[str] = set()
        for condition in (*behind, elsewhere):
            query = select(fact.c.customer).where(fact.c.unit == self.unit, fact.c.customer != "", condition)
            found |= set(connection.execute(query.distinct()).scalars())
        return found

    # Folding.

    def refold(self, connection: Connection, touched: Touched) -> int:
        """Derive again all that was touched; the unit's change counter after it."""
        connection.execute(update(unit).where(unit.c.unit == self.unit).values(changes=unit.c.changes + 1))
        version: int = connection.execute(select(unit.c.changes).where(unit.c.unit == self.unit)).scalar_one()
        lines: list[folded.Values] = []
        cases: list[folded.Values] = []
        subjects: list[str] = []
        accounts: list[folded.Values] = []

        def post(subject: str, entries: Sequence[JournalEntry], found: Sequence[Case]) -> None:
            subjects.append(subject)
            lines.extend(folded.ledger_values(self.unit, subject, entries))
            cases.extend(folded.case_values(self.unit, subject, found))

        for known, state in self.fold_accounts(connection, touched.customers):
            base = known.base
            accounts.append(folded.account_values(self.unit, state, base.stop, known.route, known.branch, version))
            post(folded.account_subject(state.customer), state.entries, state.cases)
        for name, entries, strange in self.strangers(connection, touched.customers):
            post(folded.account_subject(name), entries, strange)
        for collector, day in sorted(touched.days):
            day_state = self.fold_day(connection, collector, day)
            post(folded.day_subject(collector, day), day_state.entries, day_state.cases)
        for one in touched.bank:
            assert isinstance(one.record, BankCredited)
            entries, found = self.fold_unmatched(connection, one)
            post(folded.bank_subject(one.seq), entries, found)
        folded.replace_accounts(connection, self.unit, accounts)
        folded.replace_postings(connection, self.unit, subjects, lines, cases)
        return version

    def fold_accounts(
        self, connection: Connection, customers: Iterable[str]
    ) -> Iterable[tuple[CustomerBase, AccountState]]:
        """Fold some customers, in order. Strangers to every extract are left out: see `strangers`."""
        names = sorted(customers)
        bases = self.bases(connection, names)
        for part in batches(names, IN_MAX):
            facts = facts_of_customers(connection, self.unit, part, self.parsed)
            closes = self._closes(connection, facts.values())
            overriding = (one.device for found in facts.values() for one in found if overrides(one))
            code_faults = self.code_faults(connection, set(overriding))
            for name in part:
                if (known := bases.get(name)) is not None:
                    yield known, fold(known.base, facts.get(name, []), closes, code_faults)

    def strangers(
        self, connection: Connection, customers: Iterable[str]
    ) -> Iterable[tuple[str, list[JournalEntry], list[Case]]]:
        """Books of those customers that no extract has named."""
        names = sorted(customers)
        unknown = set(names) - self.bases(connection, names).keys()
        if not unknown:
            return
        facts = facts_of_customers(connection, self.unit, unknown, self.parsed)
        closes = self._closes(connection, facts.values())
        for name in sorted(facts):
            yield name, *fold_stranger(name, facts[name], closes)

    def _closes(self, connection: Connection, facts: Iterable[list[Fact]]) -> list[Close]:
        """Cuts of the collectors that appear in some facts."""
        about = [one for found in facts for one in found]
        collectors = {one.collector for one in about if one.collector}
        if not collectors:
            return []
        rows = closes_of(connection, self.unit, collectors, min(one.day for one in about))
        forked = forks(connection, self.unit) if rows else {}
        chains = {device: links_of(connection, self.unit, device, self.parsed) for device in forked}
        decisions = {device: self.decisions_on(connection, device) for device in forked}
        closes: list[Close] = []
        for row in rows:
            heads: dict[int, list[HeadRef]] = {}
            for head in row.heads:
                heads.setdefault(head.device, []).append(head)
            strange: frozenset[bytes] = frozenset()
            disputed: frozenset[bytes] = frozenset()
            for device in heads.keys() & forked.keys():
                links = chains[device]
                strange |= apart(forked[device], links, [head.digest for head in heads[device]])
                named = [link for link in links if link.digest not in strange]
                disputed |= Chain(named, adopted_by(decisions[device], row.seq)).quarantined
            reach = {device: max(head.seq for head in found) for device, found in heads.items()}
            closes.append(Close(row.collector, row.day, row.seq, reach, strange, disputed))
        return closes

    # Supervisors' codes.

    def code(self, device: int, number: int) -> str:
        """A supervisor's code, made again."""
        return code_of(self._code_key, device, number)

    def code_faults(self, connection: Connection, devices: Set[int]) -> Mapping[bytes, CodeFault]:
        """Uses of codes by some handhelds that do not hold, by digest of their record."""
        if not devices:
            return NO_FAULTS
        given = given_codes(connection, self.unit, self.parsed)
        found: dict[bytes, CodeFault] = {}
        for device in sorted(devices):
            uses: list[CodeUse] = uses_of_codes(connection, self.unit, device, self.parsed)
            found |= faults(uses, given.get(device, {}), partial(self.code, device))
        return found

    def fold_day(self, connection: Connection, collector: str, day: str) -> DayState:
        """Fold one collector's date."""
        facts = facts_of_day(connection, self.unit, collector, day, DAY_KINDS, self.parsed)
        return fold_day(collector, day, facts)

    def fold_unmatched(self, connection: Connection, one: Fact) -> tuple[list[JournalEntry], list[Case]]:
        """A bank line that names nobody: money in suspense, and a case until a person has decided on it."""
        assert isinstance(one.record, BankCredited)
        case = unmatched_case(one)
        settled = is_decided(connection, self.unit, case.key)
        entry = JournalEntry(one.device, one.seq, one.digest, one.day, credited(one.record))
        return [entry], [replace(case, settled=settled)]

    def _bank_line_of(self, connection: Connection, case_key: bytes) -> list[Fact]:
        """The unmatched bank line behind a case, if it is one."""
        where = (case_file.c.unit == self.unit, case_file.c.key == case_key)
        found = connection.execute(select(case_file.c.seq, case_file.c.klass).where(*where)).first()
        if found is None or found.klass != ConflictClass.BANK_UNMATCHED.value:
            return []
        query = select(fact).where(fact.c.unit == self.unit, fact.c.device == HUB, fact.c.seq == found.seq)
        return [one for row in connection.execute(query) if (one := fact_of(row, self.parsed)) is not None]

    def judge_handheld(self, connection: Connection, device: int) -> set[str]:
        """Fold a whole chain: forks, quarantine and case files. Rare; customers with facts from the fork on."""
        links = links_of(connection, self.unit, device, self.parsed)
        decisions = self.decisions_on(connection, device)
        chain = Chain(links, adopted_by(decisions))
        touched: set[str] = set()
        if chain.fork_from:
            touched = set_quarantine(connection, self.unit, device, chain.fork_from, chain.quarantined)
        self.write_handheld(connection, self.state_of_chain(connection, device, links, decisions))
        return touched

    def state_of_chain(
        self,
        connection: Connection,
        device: int,
        links: Sequence[ChainLink],
        decisions: Mapping[int, SupervisorDecided],
    ) -> HandheldState:
        """What a whole chain says, quarantine being as the facts have it."""
        opened = any(isinstance(link.record, LogInOpened) for link in links)
        code_faults = self.code_faults(connection, {device} if opened else set())
        decided = frozenset(one.subject for one in decisions.values())
        return of_chain(device, links, decided, adopted_by(decisions), code_faults)

    def write_handheld(self, connection: Connection, state: HandheldState) -> None:
        """Put a handheld's case files and derived columns in place."""
        subject = folded.handheld_subject(state.device)
        folded.replace_postings(
            connection, self.unit, [subject], [], folded.case_values(self.unit, subject, state.cases)
        )
        connection.execute(
            update(handheld)
            .where(handheld.c.unit == self.unit, handheld.c.device == state.device)
            .values(**folded.handheld_values(state))
        )

    def refold_everything(self, connection: Connection) -> None:
        """Derive all that an older hub had derived by its own rules; records that it could not read may be readable."""
        self.forget()
        for device in connection.execute(select(handheld.c.device).where(handheld.c.unit == self.unit)).scalars().all():
            self.judge_handheld(connection, device)
        touched = Touched.nothing()
        listed = select(customer.c.customer).where(customer.c.unit == self.unit)
        named = select(fact.c.customer).where(fact.c.unit == self.unit, fact.c.customer != "").distinct()
        for query in (listed, named):
            touched.customers |= set(connection.execute(query).scalars())
        own = select(fact).where(fact.c.unit == self.unit, fact.c.device == HUB).order_by(fact.c.seq)
        for one in (fact_of(row, self.parsed) for row in connection.execute(own).all()):
            if one is not None and one.collector:
                touched.days.add((one.collector, one.day))
            if one is not None and isinstance(one.record, BankCredited) and one.record.customer is None:
                touched.bank.append(one)
        self.refold(connection, touched)

    def decisions_on(self, connection: Connection, device: int) -> dict[int, SupervisorDecided]:
        """What supervisors have decided of a handheld, by position on the hub's chain."""
        query = select(fact.c.seq, fact.c.digest, fact.c.message).where(
            fact.c.unit == self.unit, fact.c.device == HUB, fact.c.kind == SupervisorDecided.KIND
        )
        found: dict[int, SupervisorDecided] = {}
        for row in connection.execute(query):
            _, record, _ = self.parsed.of(HUB, row.digest, row.message)
            if isinstance(record, SupervisorDecided) and record.device == device:
                found[row.seq] = record
        return found

    # What the extract says.

    def bases(self, connection: Connection, customers: Sequence[str]) -> dict[str, CustomerBase]:
        """What the extract, the tariff and the policy say of some customers."""
        missing = [name for name in customers if name not in self._bases]
        if missing:
            if len(self._bases) + len(missing) > BASES_MAX:
                self._bases.clear()
                missing = list(customers)
            self._load_bases(connection, missing)
        return {name: self._bases[name] for name in customers if name in self._bases}

    def _load_bases(self, connection: Connection, customers: Sequence[str]) -> None:
        row = connection.execute(select(unit).where(unit.c.unit == self.unit)).one()
        if self._prices is None:
            self._prices = Prices(self.tariff(connection))
        policy_now = self.policy(connection)
        imports = {
            found.seq: (local_date(found.ord), found.seq, found.digest)
            for found in connection.execute(
                select(fact.c.seq, fact.c.ord, fact.c.digest).where(
                    fact.c.unit == self.unit, fact.c.device == HUB, fact.c.kind == ExtractImported.KIND
                )
            )
        }
        query = select(customer).where(
            customer.c.unit == self.unit, customer.c.customer.in_(bindparam("customers", expanding=True))
        )
        for part in batches(customers, IN_MAX):
            for found in connection.execute(query, {"customers": part}):
                base = AccountBase(
                    stop=codec.unpack(Stop, codec.decode(found.stop)),
                    period=row.period,
                    prices=self._prices,
                    policy=policy_now,
                    opening=imports[found.opening_seq],
                )
                self._bases[found.customer] = CustomerBase(base, found.route, found.branch)

    def forget(self) -> None:
        """An extract, a tariff or a policy changed: read what they say again."""
        self._bases.clear()
        self._prices = None

    def tariff(self, connection: Connection) -> Tariff:
        """The tariff of the last extract."""
        query = select(tariff.c.body).where(tariff.c.unit == self.unit).order_by(tariff.c.seq.desc()).limit(1)
        return codec.unpack(Tariff, codec.decode(connection.execute(query).scalar_one()))

    def policy(self, connection: Connection) -> Policy:
        """The newest policy."""
        return open_policy(self.policy_message(connection), VerifyKey.of(self.key.public))

    def policy_message(self, connection: Connection) -> bytes:
        """The newest policy as it was signed."""
        query = select(policy.c.message).where(policy.c.unit == self.unit)
        message: bytes = connection.execute(query.order_by(policy.c.version.desc()).limit(1)).scalar_one()
        return message


def overrides(one: Fact) -> bool:
    """Whether a fact relies on a supervisor's code."""
    return isinstance(one.record, RuleOverridden)


def adopted_by(decisions: Mapping[int, SupervisorDecided], before_seq: int | None = None) -> list[bytes]:
    """Last records of the branches that decisions call true; of those made before a position, if one is given."""
    return [
        one.subject
        for seq, one in decisions.items()
        if one.decision is Decision.ADOPT_BRANCH and (before_seq is None or seq < before_seq)
    ]


def unmatched_case(one: Fact) -> Case:
    """The case of a bank line that names nobody."""
    record = one.record
    assert isinstance(record, BankCredited)
    return Case(
        klass=ConflictClass.BANK_UNMATCHED,
        facts=(one.digest,),
        seq=one.seq,
        day=one.day,
        period=record.period,
        money_vnd=record.amount_vnd,
        for_person=True,
        detail=record.content[:200],
    )


def hub_fact(sealed: Sealed) -> Fact:
    """A record of the hub's own chain as a fact. Its date is its own, or the one it speaks of."""
    record = sealed.record
    return Fact(
        device=HUB,
        seq=sealed.header.seq,
        digest=sealed.digest,
        ord=sealed.header.at_ms,
        day=getattr(record, "business_date", None) or local_date(sealed.header.at_ms),
        collector=_collector_of(record),
        quarantined=False,
        header=sealed.header,
        record=sealed.record,
    )


def _collector_of(record: object) -> str:
    """Collector whose date a hub record is about; "" for those about something else."""
    about_a_day = isinstance(record, CashReceived | DayClosed | SupervisorDecided)
    return (getattr(record, "collector", None) or "") if about_a_day else ""


def new_fact(one: Fact, sealed: Sealed) -> NewFact:
    """The row of a fact."""
    return NewFact(
        device=one.device,
        seq=one.seq,
        digest=one.digest,
        prev=sealed.header.prev,
        kind=sealed.record.KIND,
        ord=one.ord,
        customer=getattr(sealed.record, "customer", None) or "",
        collector=one.collector,
        day=one.day,
        quarantined=int(one.quarantined),
        message=sealed.message,
    )
