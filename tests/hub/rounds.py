"""Rounds on one seed: collectors at doors, an office, clones and odd clocks, played against the real hub.

`live` keeps everything that was signed: the hub's own records in chain order, and each handheld's chain, a clone being
a chain of its own that shares a beginning with another. What is in a round is chosen to happen often, not to be likely.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from random import Random

from sqlalchemy import Connection, select

from hub.app import Hub, post
from hub.cashier import cash_owed_vnd, close_day, decide, receive_cash, take_paper_back
from hub.codes import give
from hub.core.conflicts import ConflictClass
from hub.office import OfficeError
from hub.statements import LineStanding, claim_line
from hub.store.schema import fact
from protocol.chain import digest
from protocol.codes import code_proof
from protocol.records import (
    BankCredited,
    CashCollected,
    CashCounted,
    CollectionVoided,
    ContactNoted,
    ContactOutcome,
    DayTotals,
    Decision,
    Denomination,
    DeviceStatus,
    LogInOpened,
    PaperKind,
    PaperPrinted,
    PrintOutcome,
    ReadingSkipped,
    ReadingTaken,
    RuleOverridden,
    ShiftClosed,
    ShiftOpened,
    StatusMoment,
    VoidReason,
)
from protocol.sealed import Sealed
from protocol.tariff import Tariff
from protocol.values import local_date, start_of_day_ms
from tests.hub.oracle import Opened, supervisors_code
from tests.hub.worlds import (
    BANK_BIN,
    DAYS,
    FAULTS,
    HUB_SEED,
    MORNING_MS,
    PERIOD,
    ROUTES,
    UNIT,
    UPLOAD_SIZES,
    Folded,
    Handset,
    House,
    Watch,
    attempt_from_the_middle,
    bring,
    handsets_of,
    houses_of,
    open_cases,
    open_copy,
    reading_of,
    set_up,
    state_of,
)

STEPS_A_DAY = 80


@dataclass(slots=True)
class World:
    """All that was signed in one round. setting: a hub's home before the round began."""

    seed: int
    setting: Path
    houses: tuple[House, ...]
    before: list[bytes]
    of_hub: list[bytes]
    chains: list[Handset]
    counted: Counter[str]
    state: Folded

    @property
    def messages(self) -> set[bytes]:
        """The set of facts."""
        return {*self.before, *self.of_hub, *(one for chain in self.chains for one in chain.messages)}

    @property
    def opened(self) -> dict[str, Opened]:
        return {house.customer: house.opened for house in self.houses}


async def live(seed: int, folder: Path) -> World:
    """Play one round against the real hub, in the order in which it happened."""
    random = Random(seed)
    houses, handsets = houses_of(random), handsets_of(random)
    folder.mkdir(parents=True)  # noqa: ASYNC240
    setting = await set_up(folder, houses, handsets)
    watch = Watch()
    log = select(fact.c.message).where(fact.c.device == 0).order_by(fact.c.seq)
    hub = await open_copy(setting, folder / "live", watch)
    try:
        before = await hub.read(lambda connection: list(connection.execute(log).scalars()))
        tariff = await hub.read(hub.books.tariff)
        round_ = Round(random, hub, watch, houses, handsets, tariff)
        await round_.play()
        state = await state_of(hub)
        of_hub = await hub.read(lambda connection: list(connection.execute(log).scalars()))
    finally:
        await hub.close()
    return World(seed, setting, houses, before, of_hub[len(before) :], round_.handsets, round_.counted, state)


class Round:
    """Collectors at doors, an office, and uploads between them, one step at a time."""

    def __init__(
        self,
        random: Random,
        hub: Hub,
        watch: Watch,
        houses: tuple[House, ...],
        handsets: list[Handset],
        tariff: Tariff,
        steps_a_day: int = STEPS_A_DAY,
    ) -> None:
        self.random = random
        self.hub = hub
        self.watch = watch
        self.houses = houses
        self.handsets = list(handsets)
        self.tariff = tariff
        self.doors = (
            *houses,
            House("02999999", ROUTES[0], "household", 300, (("02999999-2026-10", "2026-10", 60_000),)),
        )
        self.use_m3 = {house.customer: random.choice((-3, 5, 6, 14, 20, 28)) for house in self.doors}
        self.counted: Counter[str] = Counter()
        self.to_close: list[tuple[str, str]] = []
        self.transactions = 0
        self.given: dict[int, int] = {}
        self.steps_a_day = steps_a_day
        steps = range(steps_a_day * 3 // 2, steps_a_day * len(DAYS))
        self.clonings = {random.choice(steps): one for one in handsets if random.random() < 0.9}

    async def play(self) -> None:
        """All days, and at the end everybody sends all."""
        step = 0
        for day in DAYS:
            self.watch.now_ms = max(self.watch.now_ms, start_of_day_ms(day) + MORNING_MS)
            for one in self.handsets:
                self._open_shift(one, day)
            for _ in range(self.steps_a_day):
                step += 1
                if step in self.clonings:
                    self.handsets.append(self.clonings[step].clone())
                self.watch.now_ms += self.random.randrange(20_000, 300_000)
                await self._step()
            await self._evening(day)
        for one in self.handsets:
            while one.sent < len(one.messages):
                await self._upload(one)
        for _ in range(12):
            self.watch.now_ms += 60_000
            await self._office()
        while self.to_close:
            await self._close()

    async def _step(self) -> None:
        one, chance = self.random.choice(self.handsets), self.random.randrange(100)
        await self._besides(one)
        if chance < 29:
            self._read(one)
        elif chance < 32:
            record = ReadingSkipped(customer=self._door(one).customer, period=PERIOD, code="house_closed")
            self._print(one, one.make(record, self.watch.now_ms), PaperKind.NOTICE, 1)
        elif chance < 53:
            self._collect(one)
        elif chance < 60:
            self._reprint(one)
        elif chance < 74:
            self._void(one)
        elif chance < 76:
            one.make_unreadable(self.random.choice(FAULTS), self.watch.now_ms)
        elif chance < 86:
            await self._upload(one)
        else:
            await self._office()

    async def _besides(self, one: Handset) -> None:
        """What a handheld tells beside readings and money, and what a supervisor is called for."""
        chance = self.random.randrange(100)
        if chance < 4:
            outcome = self.random.choice(list(ContactOutcome))
            one.make(ContactNoted(customer=self._door(one).customer, period=PERIOD, outcome=outcome), self.watch.now_ms)
        elif chance < 8:
            moment, percent = self.random.choice(list(StatusMoment)), self.random.choice((None, 15, 90))
            record = DeviceStatus(period=PERIOD, moment=moment, software="test", unsent=3, battery_percent=percent)
            one.make(record, self.watch.now_ms)
        elif chance < 14:
            await self._give_code(one)
        elif chance < 18:
            self._override(one)
        elif chance < 21:
            number, about = self._code_no(one), one.collector.encode()
            opened = LogInOpened(period=PERIOD, code_no=number, proof=self._proof(one, number, about))
            one.make(opened, self.watch.now_ms)

    # With a supervisor on the telephone.

    async def _give_code(self, one: Handset) -> None:
        customer = self.random.choice((None, self.random.choice(self.houses).customer))
        work = partial(give, hub=self.hub, device=one.device, reason="asked", by="supervisor", customer_id=customer)
        shown = await self.hub.write(work)
        assert shown.code == supervisors_code(HUB_SEED, one.device, shown.number)
        self.given[one.device] = shown.number + 1

    def _code_no(self, one: Handset) -> int:
        """The next code of a handheld, or one that was used or not yet given."""
        given = self.given.get(one.device, 0)
        return self.random.randrange(given + 2) if self.random.random() < 0.4 else max(0, given - 1)

    def _proof(self, one: Handset, number: int, about: bytes) -> bytes:
        right = code_proof(supervisors_code(HUB_SEED, one.device, number), about)
        return right if self.random.random() < 0.85 else bytes(16)

    def _override(self, one: Handset) -> None:
        """Of a reading that is held, or of any; the collection may follow, or be there already."""
        random = self.random
        held = [name for name in one.taken if self.use_m3[name] < 9]
        names = sorted(held if held and random.random() < 0.4 else one.taken)
        if not names:
            return
        number, name = self._code_no(one), random.choice(names)
        record = RuleOverridden(
            customer=name,
            period=PERIOD,
            reading=one.taken[name].digest,
            hold="CONSUMPTION_DROP",
            reason="the house was empty",
            code_no=number,
            proof=self._proof(one, number, one.taken[name].digest),
        )
        one.make(record, self.watch.now_ms)

    # At the door.

    def _open_shift(self, one: Handset, day: str) -> None:
        if day == DAYS[1] and self.random.random() < 0.5:
            one.package = one.package._replace(version=2)
        one.day = day
        one.make(ShiftOpened(period=PERIOD, business_date=day, software="test"), self.watch.now_ms)

    def _door(self, one: Handset) -> House:
        return self.random.choice([*(house for house in self.doors if house.route in one.rounds), self.doors[-1]])

    def _read(self, one: Handset) -> None:
        house, random = self._door(one), self.random
        use = self.use_m3[house.customer]
        if use > 0 and random.random() < 0.4:
            use += random.choice((1, 2, 25))
        record = reading_of(self.tariff, house, use, billed_m3=use + 3 if random.random() < 0.25 else use)
        one.taken[house.customer] = one.make(record, self.watch.now_ms)
        if random.random() < 0.2:
            self._print(one, one.taken[house.customer], PaperKind.BILL_NOTICE, 1)

    def _collect(self, one: Handset) -> None:
        random, house = self.random, self._door(one)
        if one.taken and random.random() < 0.7:
            name = random.choice(sorted(one.taken))
            house = next(each for each in self.doors if each.customer == name)
        told = [each.taken[house.customer] for each in self.handsets if house.customer in each.taken]
        reading = one.taken.get(house.customer)
        if told and random.random() < 0.15:
            reading = random.choice(told)
        asked = [(number, vnd) for number, _, vnd in house.arrears if random.random() < 0.7]
        if random.random() < 0.4:  # A bill that no extract lists.
            asked.append((f"{house.customer}-{random.choice(('2026-06', '2026-07'))}", 1000 * random.randint(20, 25)))
        named = reading.record if reading is not None else None
        if isinstance(named, ReadingTaken) and named.bill is not None and named.bill.total_vnd > 0:
            asked.append((named.bill_no, named.bill.total_vnd))
        else:
            reading = None
        if not asked:
            return
        sum_vnd = sum(vnd for _, vnd in asked)
        credit_vnd = random.randint(1, 5000) if random.random() < 0.15 else None
        rounding_vnd = 500 - sum_vnd % 1000 if random.random() < 0.15 else None
        one.receipt_no += 2 if random.random() < 0.2 else 1
        record = CashCollected(
            customer=house.customer,
            period=PERIOD,
            amount_vnd=sum_vnd - (credit_vnd or 0) + (rounding_vnd or 0),
            bills=tuple(number for number, _ in asked),
            bills_vnd=tuple(vnd for _, vnd in asked),
            bill_periods=tuple(number[-7:] for number, _ in asked),
            receipt_no=one.receipt_no,
            reading=reading.digest if reading is not None else None,
            credit_vnd=credit_vnd,
            rounding_vnd=rounding_vnd,
        )
        one.collected.append(one.make(record, self.watch.now_ms))
        if random.random() < 0.6:
            self._print(one, one.collected[-1], PaperKind.RECEIPT, 1)

    def _print(self, one: Handset, about: Sealed, paper: PaperKind, print_no: int) -> None:
        outcome = self.random.choice(list(PrintOutcome))
        record = PaperPrinted(
            period=PERIOD,
            paper=paper,
            about=about.digest,
            print_no=print_no,
            outcome=outcome,
            customer=getattr(about.record, "customer", None),
            reason="PAPER_OUT" if outcome is PrintOutcome.NOT_PRINTED else None,
        )
        one.make(record, self.watch.now_ms)

    def _reprint(self, one: Handset) -> None:
        if one.collected:
            self._print(one, self.random.choice(one.collected), PaperKind.RECEIPT, 2)

    def _void(self, one: Handset) -> None:
        random = self.random
        mine = one.collected[-6:]
        if random.random() < 0.25:
            mine = [sealed for each in self.handsets for sealed in each.collected]
        if not mine:
            return
        target = random.choice(mine)
        assert isinstance(target.record, CashCollected)
        record = CollectionVoided(
            customer=target.record.customer,
            period=PERIOD,
            collection=target.digest,
            reason=random.choice(list(VoidReason)),
        )
        one.make(record, self.watch.now_ms)

    async def _evening(self, day: str) -> None:
        """Bags are counted, most handhelds send, cash is handed in, some dates are closed at once, some later."""
        totals = DayTotals(**{item.name: 0 for item in fields(DayTotals)})
        for one in self.handsets:
            self.watch.now_ms += 60_000
            one.make(CashCounted(period=PERIOD, business_date=day, notes=(), total_vnd=0), self.watch.now_ms)
            one.make(ShiftClosed(period=PERIOD, business_date=day, totals=totals), self.watch.now_ms)
            if self.random.random() < 0.5:
                while one.sent < len(one.messages):
                    await self._upload(one)
        for collector in sorted({one.collector for one in self.handsets}):
            self.watch.now_ms += 60_000
            owed = await self.hub.read(partial(cash_owed_vnd, unit_code=UNIT, collector=collector, day=day))
            await self._receive(collector, day, owed + self.random.choice((0, -20_000, 5_000, 5_000)))
            self.to_close.append((collector, day))
            if self.random.random() < 0.6:
                await self._close()
            if self.random.random() < 0.3:
                await self._bank(None)

    # At the branch.

    async def _office(self) -> None:
        chance = self.random.randrange(100)
        if chance < 36:
            await self._bank(None if chance < 8 else self.random.choice(self.houses))
        elif chance < 44:
            collector = self.random.choice(self.handsets).collector
            past = [day for day in DAYS if day <= local_date(self.watch.now_ms)]
            await self._receive(collector, self.random.choice(past), self.random.choice((7_000, 20_000)))
        elif chance < 60:
            await self._paper_back()
        elif chance < 92:
            await self._decide()
        else:
            await self._close()

    async def _bank(self, house: House | None) -> None:
        random = self.random
        known = [random.randint(1_000, 200_000)]
        if house is not None:
            asked = [vnd for _, _, vnd in house.arrears]
            for one in self.handsets:
                sealed = one.taken.get(house.customer)
                if sealed is not None and isinstance(sealed.record, ReadingTaken) and sealed.record.bill is not None:
                    asked.append(sealed.record.bill.total_vnd)
            known += [vnd for vnd in (*asked, *asked, sum(asked)) if vnd > 0]
        self.transactions += 1
        record = BankCredited(
            period=PERIOD,
            bank_bin=BANK_BIN,
            transaction=f"FT{self.transactions:06d}",
            value_ms=self.watch.now_ms,
            account="0123456789",
            amount_vnd=random.choice(known),
            content="chuyen tien nuoc",
            match="one" if house is not None else "none",
            customer=house.customer if house is not None else None,
        )
        await self.hub.write(lambda connection: self._credit(connection, record))

    def _credit(self, connection: Connection, record: BankCredited) -> None:
        assert claim_line(connection, UNIT, record) is LineStanding.NEW
        post(connection, self.hub.books, record, self.watch.now_ms)

    async def _receive(self, collector: str, day: str, vnd: int) -> None:
        if vnd > 0:
            notes = (Denomination(1_000, vnd // 1_000), Denomination(1, vnd % 1_000))
            await receive_cash(self.hub, collector=collector, day=day, notes=notes, by="cashier")

    async def _paper_back(self) -> None:
        """Somebody hands in a receipt, of a voided collection more often than not."""
        voided = {row["facts"][:32] for row in await self.hub.read(open_cases) if row["klass"].startswith("void-")}
        every = [(one, sealed) for one in self.handsets for sealed in one.collected]
        wanted = [pair for pair in every if pair[1].digest in voided] or every
        if not wanted:
            return
        one, sealed = self.random.choice(wanted)
        assert isinstance(sealed.record, CashCollected)
        with suppress(OfficeError):  # The paper may be here before the record.
            await take_paper_back(self.hub, device=one.device, receipt_no=sealed.record.receipt_no, by="cashier")

    async def _decide(self) -> None:
        cases = await self.hub.read(open_cases)
        if not cases:
            return
        row, decision, tip = self.random.choice(cases), Decision.NOTED, b""
        if row["klass"].startswith("void-") and len(row["facts"]) == 64:
            decision = Decision.ACCEPT_VOID
        elif row["klass"] == ConflictClass.FORK.value:
            decision = Decision.ADOPT_BRANCH
            branch = self.random.choice([one for one in self.handsets if one.device == row["device"]])
            tip = digest(self.random.choice(branch.messages[row["seq"] - 1 : branch.sent]))
        await decide(self.hub, case_key=row["key"], decision=decision, reason="looked at", by="supervisor", tip=tip)

    async def _close(self) -> None:
        if self.to_close:
            collector, day = self.to_close.pop(0)
            await close_day(self.hub, collector=collector, day=day, by="supervisor", reason="end of day")

    async def _upload(self, one: Handset) -> None:
        """Send what comes next; now and then from further back, or with the first record forgotten."""
        random, left = self.random, len(one.messages) - one.sent
        if left == 0:
            return
        if left > 1 and random.random() < 0.12:
            await attempt_from_the_middle(self.hub, one, self.counted)
        start = max(0, one.sent - random.choice((0, 0, 0, 1, 4)))
        await bring(self.hub, one, start, one.sent + random.choice(UPLOAD_SIZES), self.counted)
