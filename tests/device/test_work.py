"""What a handheld knows: downloads, what the hub tells, and that a restart at any moment gives all of it back."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from, tuples

from device.core.commands import (
    CloseShift,
    CountCash,
    DownloadRoute,
    OpenLogIn,
    OpenShift,
    OpenStop,
    PrintPaper,
    SendNow,
    SkipReading,
    Which,
)
from device.core.effects import Effect, FetchChanges, FetchPackages, KeepPackage, KeepPolicy, Upload
from device.core.events import (
    PACKAGES,
    FetchFailed,
    PackagesArrived,
    PowerRead,
    Tick,
    UploadAcked,
    UploadLost,
)
from device.core.session import CollectorSession
from device.core.work import BrokenChainError
from protocol import codec
from protocol.chain import EMPTY, digest, follows
from protocol.envelope import Purpose, SigningKey, VerifyKey, open_sealed
from protocol.package import KnownReading, OpenBill, seal_package, seal_policy
from protocol.reasons import Reason
from protocol.records import (
    RECORD_KINDS,
    CashCollected,
    CollectionVoided,
    Denomination,
    HandheldRecord,
    PaperKind,
    PrintOutcome,
)
from protocol.sealed import Sealed, parse
from protocol.values import DAY_MS
from protocol.wire import Packages
from tests.device.branch import (
    COLLECTOR,
    DEVICE_KEY,
    HUB_KEY,
    PERIOD,
    ROUTE,
    SECOND_COLLECTOR,
    download,
    identity,
    package,
    policy,
    stop,
)
from tests.device.handset import OCTOBER, STOPS, USUAL_VND, Handset

OWN_KEY = VerifyKey.of(DEVICE_KEY.public)
STRANGER = SigningKey.of(bytes(range(9, 41)))


@pytest.fixture
def handset() -> Handset:
    """A handheld with its route, no shift open."""
    return Handset()


# Downloads.


def arrive(handset: Handset, packages: Packages) -> list[type[Effect]]:
    return [type(effect) for effect in handset.give(PackagesArrived(packages=packages))]


def test_newer_package_takes_the_place_of_the_older(handset: Handset) -> None:
    assert arrive(handset, download((stop(1), stop(6)), version=2)) == [KeepPolicy, KeepPackage]
    assert sorted(handset.session.work.stops) == ["C00001", "C00006"]


@pytest.mark.parametrize("version", [2, 1])
def test_older_or_same_package_and_policy_change_nothing(version: int) -> None:
    handset = Handset(downloaded=False)
    handset.give(PackagesArrived(packages=download(STOPS, version=2)))
    before = handset.store.memory()
    assert arrive(handset, download((stop(6),), version=version)) == []
    assert handset.store.memory() == before
    assert "C00006" not in handset.session.work.stops


def test_one_bad_message_keeps_nothing_of_a_download(handset: Handset) -> None:
    good = download((stop(6),), version=2)
    other = seal_package(package((stop(7),), version=2, route="R02"), STRANGER)
    bad_policy = seal_policy(policy(2), STRANGER)
    (message,) = good.packages
    forged = {
        "a policy by a stranger": replace(good, policy=bad_policy),
        "one package by a stranger": replace(good, packages=(message, other)),
        "a package with a bit turned": replace(good, packages=(message[:200] + b"\x00" + message[201:],)),
        "a package cut short": replace(good, packages=(message[:-1],)),
        "a policy where a package should be": replace(good, packages=(good.policy,)),
    }
    before = handset.store.memory()
    for what, packages in forged.items():
        assert arrive(handset, packages) == [], what
        assert handset.store.memory() == before, what
        assert handset.session.exchange.trouble, what
    assert arrive(handset, good) == [KeepPolicy, KeepPackage]
    assert handset.session.exchange.trouble == ""


def test_expired_package_blocks_a_new_shift_and_not_an_open_one(handset: Handset) -> None:
    handset.open_shift()
    handset.wait(41 * DAY_MS)
    handset.sold(1)
    handset.done(CloseShift(intent=handset.intent()))
    again = OpenShift(intent=handset.intent(), collector=COLLECTOR)
    assert handset.refused(again) is Reason.PACKAGE_EXPIRED


def test_customer_who_moved_to_another_route_stands_in_the_newer_package(handset: Handset) -> None:
    moved = replace(package((replace(stop(1), walk_seq=77),), route="R00"), issued_ms=package(()).issued_ms + 1)
    packages = Packages(policy=seal_policy(policy(2), HUB_KEY), packages=(seal_package(moved, HUB_KEY),))
    handset.give(PackagesArrived(packages=packages))
    for _ in range(2):
        assert handset.session.work.stops["C00001"].package.route == "R00"
        handset.restart()


def test_shift_goes_on_under_a_republished_package(handset: Handset) -> None:
    handset.open_shift()
    handset.sold(1)
    known = KnownReading(digest=b"\x05" * 32, index=121, code="normal", use_m3=21, open_vnd=0)
    handset.give(PackagesArrived(packages=download((stop(1), replace(stop(2), known=known)), version=2)))
    progress = handset.session.work.progress()
    assert (progress.stops, progress.read, progress.cash_customers, progress.cash_paid) == (2, 2, 2, 1)
    record = handset.read(2)
    assert record.header.evidence is not None
    assert record.header.evidence.package.version == 2


def test_progress_counts_cash_customers_as_the_hub_last_told(handset: Handset) -> None:
    handset.open_shift()
    handset.sold(1)
    handset.hear(2, version=1, method="CK")
    progress = handset.session.work.progress()
    assert (progress.stops, progress.read, progress.cash_customers, progress.cash_paid) == (5, 1, 2, 1)


def test_failed_download_says_why_and_can_be_tried_again(handset: Handset) -> None:
    handset.give(DownloadRoute())
    assert handset.session.busy
    handset.give(FetchFailed(what=PACKAGES, sentence="no network"))
    assert (handset.session.exchange.trouble, handset.session.busy) == ("no network", False)
    assert handset.give(DownloadRoute())[0] == FetchPackages()


def test_stop_is_asked_for_once_until_the_answer_comes(handset: Handset) -> None:
    opened = OpenStop(customer="C00001")
    assert FetchChanges(route=ROUTE, after=0) in handset.give(opened)
    assert not any(isinstance(effect, FetchChanges) for effect in handset.give(opened))
    handset.hear(1, version=5)
    assert FetchChanges(route=ROUTE, after=5) in handset.give(opened)
    handset.give(FetchFailed(what=ROUTE, sentence="x"))
    assert FetchChanges(route=ROUTE, after=5) in handset.give(opened)
    assert handset.refused(OpenStop(customer="C00099")) is Reason.CUSTOMER_NOT_ON_ROUTE


# A restart at any moment.


def facts_of(session: CollectorSession) -> dict[str, object]:
    """All that a collector, a paper or the hub could ever learn of a session."""
    work = session.work
    return {
        "chain": (work.tip, work.at_ms, work.receipt_no, session.outbox.unsent),
        "shift": (work.shift, work.days),
        "papers": (work.papers, work.prints),
        "codes": (work.codes_used, session.exchange.codes),
        "intents": {intent: sealed.message for intent, sealed in work.by_intent.items()},
        "versions": (work.policy, work.packages, work.changes_version),
        "stops": {
            customer: (
                [one.due(which) for which in Which],
                (one.hold(), one.is_read, one.is_paid(), one.bill(), one.facts_now),
                (one.taken, one.skipped, one.told, one.collections),
                (one.contact, one.comes_back, one.overridden, one.mark),
            )
            for customer, one in work.stops.items()
        },
        "progress": work.progress(),
    }


def opened(messages: list[bytes]) -> list[Sealed]:
    """Records of a chain, checked with nothing but the protocol."""
    tip, records = EMPTY, []
    for message in messages:
        header, record = parse(codec.decode(open_sealed(message, OWN_KEY, Purpose.RECORD)))
        assert follows(header.seq, header.prev, tip)
        records.append(Sealed(message, digest(message), header, record))
        tip = records[-1].tip
    return records


def check_chain(handset: Handset) -> None:
    """The promises on money, from the signed records alone."""
    records = opened(handset.store.messages)
    for before, after in pairwise(records):
        assert after.header.at_ms >= before.header.at_ms
    intents = [sealed.header.intent for sealed in records if sealed.header.intent is not None]
    assert len(set(intents)) == len(intents)
    voided = {sealed.record.collection for sealed in records if isinstance(sealed.record, CollectionVoided)}
    collections = {sealed.digest: sealed.record for sealed in records if isinstance(sealed.record, CashCollected)}
    assert [record.receipt_no for record in collections.values()] == list(range(1, len(collections) + 1))
    standing = [record for name, record in collections.items() if name not in voided]
    bills = [bill for record in standing for bill in record.bills]
    assert len(set(bills)) == len(bills), "a bill was paid twice"
    for record in collections.values():
        total = sum(record.bills_vnd) - (record.credit_vnd or 0) + (record.rounding_vnd or 0)
        assert record.amount_vnd == total
    days = handset.session.work.days.values()
    assert sum(day.cash_vnd for day in days) == sum(record.amount_vnd for record in standing)
    assert all(day.cash_vnd >= 0 for day in days)


class CutStore:
    """Watches a handheld's store: after every durable effect, what is there must make a sound session."""

    def __init__(self, handset: Handset) -> None:
        self._handset = handset
        perform = handset.store.perform

        def perform_and_look(effect: Effect) -> None:
            perform(effect)  # type: ignore[arg-type]
            self.look()

        handset.store.perform = perform_and_look  # type: ignore[method-assign]

    def look(self) -> None:
        store = self._handset.store
        session = CollectorSession(identity(), store.memory(), Random(2))
        assert session.work.tip.seq == len(store.messages)
        assert session.outbox.unsent == len(store.messages) - store.acked[0]
        assert session.work.papers == store.papers
        for about in (job.about for job in store.papers):
            assert about in session.work.by_digest, "a paper without its record"


Move = Callable[[Handset, int], object]
ROUTE_STOPS = (*STOPS, *(stop(number) for number in range(6, 10)))
PAY_CASH = (1, 2, 3, 6, 7, 8, 9)


def payer(number: int) -> int:
    return PAY_CASH[number % len(PAY_CASH)]


def hub_answers(handset: Handset, number: int) -> None:
    """The oldest upload ends: an ack of all of it, of a part, or nothing."""
    uploads = [one for one in handset.asked if isinstance(one, Upload)]
    if not uploads or not handset.session.outbox.busy:
        return
    if number % 4 == 0:
        handset.give(UploadLost(sentence="lost"))
    else:
        upto = uploads[-1].to_seq - (number % 2) * ((uploads[-1].to_seq - uploads[-1].from_seq) // 2)
        handset.give(UploadAcked(message=handset.signed_ack(upto)))


def hub_tells(handset: Handset, number: int) -> None:
    version = handset.session.work.changes_version.get(ROUTE, 0) + number % 3
    bills = ((OCTOBER,), (), (replace(OCTOBER, amount_vnd=10_000),))[number % 3]
    handset.hear(
        3,
        version=version,
        period="2026-12" if number % 6 == 5 else PERIOD,
        credit_vnd=number % 2 * 7_000,
        settled_vnd=number % 5 // 4 * USUAL_VND,
        bills=bills,
        method="CK" if number % 7 == 0 else "TT",
    )


def republish(handset: Handset, number: int) -> None:
    stops = tuple(replace(one, credit_vnd=number * 100) for one in ROUTE_STOPS[: 9 - number % 3])
    handset.give(PackagesArrived(packages=download(stops, version=1 + number % 4, changes=number % 5)))


def paper_ends(handset: Handset, number: int) -> None:
    if handset.printing:
        handset.end_print(PrintOutcome(1 + number % 3))


def sell(handset: Handset, number: int) -> None:
    handset.answer(handset.take(payer(number)))
    handset.answer(handset.pay(payer(number)))


def move_clock(handset: Handset, number: int) -> None:
    handset.clock.up_ms += number * 1_000
    handset.clock.wall_ms += (number - 20) * 60_000


def tap_twice(handset: Handset, number: int) -> None:
    tap = handset.pay(1 + number % 5)
    first, again = handset.answer(tap), handset.answer(tap)
    assert type(first) is type(again)


def second_opens(handset: Handset, number: int) -> None:
    """Another collector takes the handheld, whoever was working."""
    handset.answer(
        OpenShift(intent=handset.intent(), collector=SECOND_COLLECTOR, business_date=f"2026-11-{24 + number % 2}")
    )


def supervisor_opens(handset: Handset, number: int) -> None:
    code = f"{number:02d}12345678"
    handset.answer(OpenLogIn(intent=handset.intent(), collector=COLLECTOR, supervisor_code=code))


def hold_is_lifted(handset: Handset, number: int) -> None:
    """A steep drop, and a code that is mostly a new one; then the money."""
    handset.answer(handset.take(payer(number), 110))
    handset.answer(handset.override(payer(number), f"{number:02d}12345678"))
    handset.answer(handset.pay(payer(number)))


def with_second_collector() -> Handset:
    handset = Handset(ROUTE_STOPS)
    other = replace(package((stop(20),), route="R02"), collector=SECOND_COLLECTOR)
    policy_1 = seal_policy(policy(), HUB_KEY)
    handset.give(PackagesArrived(packages=Packages(policy=policy_1, packages=(seal_package(other, HUB_KEY),))))
    return handset


MOVES: dict[str, Move] = {
    "open": lambda h, n: h.answer(
        OpenShift(intent=h.intent(), collector=COLLECTOR, business_date=f"2026-11-{24 + n % 2}")
    ),
    "read": lambda h, n: h.answer(h.take(1 + n % 5, (121, 90, 110, 150, 100)[n % 7 % 5], confirmed=n % 2 == 0)),
    "skip": lambda h, n: h.answer(SkipReading(intent=h.intent(), customer=f"C{1 + n % 5:05d}", code="house_closed")),
    "collect": lambda h, n: h.answer(h.pay(1 + n % 6, tuple(Which)[n % 4 % 3])),
    "sell": sell,
    "tap twice": tap_twice,
    "void": lambda h, n: h.answer(h.void(1 + n % 4)),
    "print": lambda h, n: h.answer(
        PrintPaper(kind=PaperKind(1 + n % 4), customer=f"C{payer(n):05d}", receipt_no=1 + n % 3)
    ),
    "paper ends": paper_ends,
    "count": lambda h, n: h.answer(CountCash(intent=h.intent(), notes=(Denomination(1_000, n),))),
    "close": lambda h, n: h.answer(CloseShift(intent=h.intent())),
    "contact": lambda h, n: h.answer(h.contact(1 + n % 5, f"2026-12-{1 + n % 31:02d}" if n % 2 else None)),
    "second opens": second_opens,
    "supervisor opens": supervisor_opens,
    "hold is lifted": hold_is_lifted,
    "power": lambda h, n: h.give(PowerRead(battery_percent=n, charging=n % 3 == 0, storage_free_mib=n)),
    "hub answers": hub_answers,
    "hub tells": hub_tells,
    "republish": republish,
    "clock": move_clock,
    "send": lambda h, n: h.give(SendNow()),
    "tick": lambda h, n: h.give(Tick()),
    "restart": lambda h, n: h.restart(),
}


# Work that moves money comes more often than chance alone would let it.
ORDER = (*MOVES, *("sell", "paper ends") * 3, "open", "void")


@settings(max_examples=60)
@given(moves=lists(tuples(sampled_from(ORDER), integers(0, 41)), min_size=5, max_size=30))
def test_restart_at_any_moment_gives_back_what_was_decided(moves: list[tuple[str, int]]) -> None:
    handset = with_second_collector()
    handset.open_shift()
    CutStore(handset)
    for name, number in moves:
        MOVES[name](handset, number)
        restored = CollectorSession(identity(), handset.store.memory(), Random(3))
        assert facts_of(restored) == facts_of(handset.session), name
    check_chain(handset)


def test_moves_reach_every_kind_of_record() -> None:
    handset = with_second_collector()
    chance = Random(1)
    for _ in range(400):
        MOVES[chance.choice(ORDER)](handset, chance.randrange(42))
    assert set(handset.kinds) == {kind for kind in RECORD_KINDS.values() if issubclass(kind, HandheldRecord)}
    check_chain(handset)
    before = facts_of(handset.session)
    handset.session = CollectorSession(identity(), handset.store.memory(), Random(3))
    assert facts_of(handset.session) == before


def test_damaged_chain_on_disk_is_noticed_at_start(handset: Handset) -> None:
    handset.open_shift()
    handset.read(1)
    handset.read(2)
    whole = handset.store.memory()
    gap = replace(whole, messages=(whole.messages[0], whole.messages[2]))
    with pytest.raises(BrokenChainError, match="does not follow"):
        CollectorSession(identity(), gap, Random(1))


def test_one_changed_bit_in_any_record_is_noticed_at_start(handset: Handset) -> None:
    handset.open_shift()
    for number in (1, 2):
        handset.read(number)
    whole = handset.store.memory()
    for place, message in enumerate(whole.messages):
        for at in range(0, len(message), 7):
            spoilt = message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]
            messages = (*whole.messages[:place], spoilt, *whole.messages[place + 1 :])
            with pytest.raises(ValueError, match=r"."):
                CollectorSession(identity(), replace(whole, messages=messages), Random(1))


def test_word_of_the_hub_outlives_a_restart(handset: Handset) -> None:
    handset.hear(3, version=9, bills=(OpenBill(bill_no=OCTOBER.bill_no, period="2026-10", amount_vnd=1_000),))
    handset.restart()
    assert handset.due_vnd(3, Which.ARREARS) == 1_000
    assert FetchChanges(route=ROUTE, after=9) in handset.give(OpenStop(customer="C00003"))
