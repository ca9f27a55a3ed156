"""Passwords and PINs, with a store on disk, a hub behind a socket and hashes that cost what they cost."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from device.access import ASK_HUB_S, PASSWORD_LENGTH_MAX, Access, Denied, Granted, _matches
from device.app import App
from device.core.commands import CloseShift
from device.core.effects import FetchPolicy
from device.core.events import ClockCompared, Event, FetchFailed, PackagesArrived
from device.core.log_in import DELAYS_S, NOBODY, Denial, Tries
from device.core.session import CollectorSession
from device.printing import PaperPress, TextFolder
from device.shelf import Shelf
from device.store import SCHEMA_FOLDER, DeviceStore, StoreError, T, _prepare, migrations
from device.uplink import NetworkEffect
from protocol import wire
from protocol.codes import MEMORY_KIB, PASSES
from protocol.envelope import SigningKey
from protocol.package import CollectorCard, seal_policy
from protocol.values import DAY_MS, ClockSource
from protocol.verifier import MEMORY_KIB_MAX
from tests.device.branch import (
    COLLECTOR,
    NOON_MS,
    PASSWORD,
    SmallHub,
    StillClock,
    card,
    identity,
    policy,
)
from tests.device.doorway import SECRET, WRONG_PASSWORD, branch, door, make_ready, nowhere
from tests.device.test_app import die
from tests.virtual_time import in_virtual_time, now_s

NEW_PASSWORD = "nước trong 2026"
PIN, WRONG_PIN = "2580", "2581"
TRIES_MAX = len(DELAYS_S)
STRANGER = SigningKey.of(bytes(range(9, 41)))
IN, IN_BY_HUB = Granted(collector=COLLECTOR), Granted(collector=COLLECTOR, by_hub=True)


@pytest.fixture
def hub(hub: SmallHub) -> SmallHub:
    """A hub with one person who may log in."""
    hub.packages = branch()
    return hub


@pytest_asyncio.fixture
async def store(store: DeviceStore, hub: SmallHub) -> DeviceStore:
    """The store of a handheld that has been in touch with its hub once."""
    await make_ready(store, hub)
    return store


# The right password, and who else is let in.


async def test_right_password_opens_with_and_without_a_network(store: DeviceStore, hub: SmallHub) -> None:
    async with door(store, hub) as online:
        assert await online.log_in() == IN_BY_HUB
    async with door(store, nowhere()) as offline:
        assert await offline.log_in() == IN


async def test_first_log_in_of_all_needs_a_network_and_no_download(tmp_path: Path, hub: SmallHub) -> None:
    empty = await DeviceStore.open(tmp_path / "empty.db")
    hub.calls.clear()
    async with door(empty, nowhere()) as offline:
        assert await offline.log_in() == Denied(why=Denial.NO_POLICY)
    async with door(empty, hub) as online:
        assert await online.log_in() == IN_BY_HUB
    assert hub.calls == ["GET /v1/policy"]
    await empty.close()


async def test_password_changed_at_the_hub_counts_from_the_next_contact_on(store: DeviceStore, hub: SmallHub) -> None:
    hub.packages = branch((card(password=NEW_PASSWORD),), version=2)
    async with door(store, nowhere()) as offline:
        assert await offline.denied(password=NEW_PASSWORD) == Denied(why=Denial.WRONG)
        assert await offline.log_in() == IN
    async with door(store, hub) as online:
        assert await online.denied(password=PASSWORD) == Denied(why=Denial.WRONG)
        assert await online.log_in(password=NEW_PASSWORD) == IN_BY_HUB
    async with door(store, nowhere()) as offline:
        assert await offline.denied(password=PASSWORD) == Denied(why=Denial.WRONG)
        assert await offline.log_in(password=NEW_PASSWORD) == IN


@pytest.mark.parametrize("people", [(), (card(password=None),)], ids=["gone", "without a password"])
async def test_person_closed_at_the_hub_is_out_from_the_next_contact_on(
    store: DeviceStore, hub: SmallHub, people: tuple[CollectorCard, ...]
) -> None:
    hub.packages = branch(people, version=2)
    for place in (hub, nowhere()):
        async with door(store, place) as one:
            assert await one.denied(password=PASSWORD) == Denied(why=Denial.WRONG)


async def test_older_policy_played_again_brings_no_closed_person_back(store: DeviceStore, hub: SmallHub) -> None:
    old, hub.packages = hub.packages, branch((), version=2)
    async with door(store, hub) as one:
        await one.denied(password=PASSWORD)
        hub.packages = old
        assert await one.denied(password=PASSWORD) == Denied(why=Denial.WRONG)


async def test_stranger_that_answers_for_the_hub_is_no_hub_and_the_last_policy_decides(
    store: DeviceStore, hub: SmallHub
) -> None:
    forged = replace(branch(version=9), policy=seal_policy(policy(9, (card(password="dễ"),)), STRANGER))

    async def portal(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=wire.body(forged), content_type=wire.BODY_TYPE)

    hub.instead = portal
    async with door(store, hub) as one:
        assert await one.denied(password="dễ") == Denied(why=Denial.WRONG)
        assert await one.log_in() == IN


async def test_password_longer_than_any_is_wrong_and_costs_no_more(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        assert await one.denied(password=PASSWORD + "x" * PASSWORD_LENGTH_MAX) == Denied(why=Denial.WRONG)


async def test_password_that_only_begins_like_the_right_one_is_wrong_however_long(
    store: DeviceStore, hub: SmallHub
) -> None:
    longest = "x" * PASSWORD_LENGTH_MAX
    hub.packages = branch((card(password=longest), card("ai.do", password=longest + "x")), version=2)
    async with door(store, hub) as one:
        assert await one.log_in(password=longest) == IN_BY_HUB
        for user in (COLLECTOR, "ai.do"):
            assert await one.denied(user, longest + "xy") == Denied(why=Denial.WRONG)


# Wrong tries.


async def test_tries_are_counted_across_programs_and_machines_until_the_door_is_locked(store: DeviceStore) -> None:
    clock = StillClock()
    for number, delay_s in enumerate(DELAYS_S, start=1):
        async with door(store, nowhere(), clock) as one:
            if delay_s:
                assert await one.denied(password=PASSWORD) == Denied(why=Denial.WAIT, wait_s=delay_s)
                clock.reboot()
                clock.wall_ms += DAY_MS  # Whoever moves the clock wins nothing by it.
                assert await one.denied(password=PASSWORD) == Denied(why=Denial.WAIT, wait_s=delay_s)
                clock.wall_ms -= DAY_MS
            clock.up_ms += delay_s * 1000
            outcome = await one.denied()
            assert outcome.why is (Denial.WRONG if number < TRIES_MAX else Denial.LOCKED)
            assert outcome.wait_s == (DELAYS_S[number] if number < TRIES_MAX else 0)
    clock.up_ms += 1000 * DAY_MS
    async with door(store, nowhere(), clock) as one:
        assert await one.denied(password=PASSWORD) == Denied(why=Denial.LOCKED)


async def test_right_password_after_a_wait_forgives(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.fail(TRIES_MAX - 1)
        one.clock.up_ms += DELAYS_S[-1] * 1000
        assert await one.log_in() == IN
        assert (await one.shelf.tries(COLLECTOR)).failed == 0


async def test_many_tries_at_once_are_as_many_tries(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        outcomes = await asyncio.gather(*(one.denied() for _ in range(8)))
        assert [outcome.why for outcome in outcomes] == [Denial.WRONG] * 3 + [Denial.WAIT] * 5
        assert (await one.shelf.tries(COLLECTOR)).failed == 3


async def test_log_in_that_the_branch_opened_is_forgiven_once(store: DeviceStore, hub: SmallHub) -> None:
    async with door(store, nowhere()) as offline:
        await offline.lock()
    hub.packages = branch((card(opened=1),), version=2)
    async with door(store, hub) as online:
        assert await online.log_in() == IN_BY_HUB
        await online.lock()
    async with door(store, hub) as online:
        assert await online.denied(password=PASSWORD) == Denied(why=Denial.LOCKED)


async def test_names_that_nobody_has_share_their_tries_and_wait_and_are_never_locked(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        for number, delay_s in enumerate((*DELAYS_S, *DELAYS_S[-1:] * 3)):
            one.clock.up_ms += delay_s * 1000 - 1
            if delay_s:
                assert await one.denied(user="ai.khac") == Denied(why=Denial.WAIT, wait_s=1)
            one.clock.up_ms += 1
            user = ("ai.cung.duoc", "root", "", "C\x00", "x" * 500, NOBODY, "pin:", "code:login", "ai.khac")[number]
            wait_s = DELAYS_S[min(number + 1, TRIES_MAX - 1)]
            assert await one.denied(user=user) == Denied(why=Denial.WRONG, wait_s=wait_s)
        assert await one.denied(user="ai.khac") == Denied(why=Denial.WAIT, wait_s=DELAYS_S[-1])
        rows = await one.shelf._store.commit(lambda db: db.execute("SELECT subject FROM tries").fetchall())
        assert rows == [(NOBODY,)]
        assert await one.log_in() == IN


async def test_names_that_nobody_has_are_open_again_though_they_were_locked_once(store: DeviceStore) -> None:
    """As a program left them that still locked them."""
    async with door(store, nowhere()) as one:
        await one.shelf.keep_tries(NOBODY, Tries(failed=TRIES_MAX, boot=one.clock.boot))
        assert (await one.denied(user="ai.khac")).why is Denial.WRONG
        assert (await one.shelf.tries(NOBODY)).failed < TRIES_MAX


def test_name_that_nobody_has_takes_as_long_as_one_that_somebody_has() -> None:
    kdf = Argon2id(salt=bytes(16), length=32, iterations=PASSES, lanes=1, memory_cost=MEMORY_KIB)
    usual = replace(card(), verifier=kdf.derive_phc_encoded(PASSWORD.encode()))

    def least_s(person: CollectorCard | None, password: str) -> float:
        spent = []
        for _ in range(3):
            began_s = time.process_time()
            assert not _matches(person, password)
            spent.append(time.process_time() - began_s)
        return min(spent)

    somebody_s = least_s(usual, WRONG_PASSWORD)
    for person, password in ((None, WRONG_PASSWORD), (usual, "x" * (PASSWORD_LENGTH_MAX + 1))):
        assert 0.5 < least_s(person, password) / somebody_s < 2


class WatchedShelf(Shelf):
    """Says when a try has been counted, and is a shelf."""

    def __init__(self, store: DeviceStore) -> None:
        super().__init__(store)
        self.counted = asyncio.Event()

    async def keep_tries(self, subject: str, tries: Tries) -> None:
        await super().keep_tries(subject, tries)
        self.counted.set()


async def test_try_is_on_disk_before_it_is_made_so_that_no_cut_gives_it_back(
    store: DeviceStore, hub: SmallHub
) -> None:
    kdf = Argon2id(
        salt=bytes(16), length=32, iterations=2, lanes=1, memory_cost=MEMORY_KIB_MAX
    )
    slow = replace(card(), verifier=kdf.derive_phc_encoded(PASSWORD.encode()))
    hub.packages = branch((slow,), version=2)
    shelf = WatchedShelf(store)
    async with door(store, hub, shelf=shelf) as one:
        for number in range(1, 4):
            shelf.counted.clear()
            trying = asyncio.create_task(one.log_in())
            await shelf.counted.wait()
            trying.cancel()  # The power fails while the hash is computed: the right password, and nobody saw it.
            with pytest.raises(asyncio.CancelledError):
                await trying
            assert (await Shelf(store).tries(COLLECTOR)).failed == number
    async with door(store, hub) as one:
        assert await one.denied(password=PASSWORD) == Denied(why=Denial.WAIT, wait_s=30)


async def test_try_that_cannot_be_counted_is_not_made(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await store._run(lambda db: db.execute("PRAGMA query_only = ON").fetchone())
        with pytest.raises(StoreError):
            await one.log_in()
        await store._run(lambda db: db.execute("PRAGMA query_only = OFF").fetchone())
        assert await one.log_in() == IN


HOSTILE = {
    "four terabytes": f"$argon2id$v=19$m={2**32 - 1},t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "passes for a week": "$argon2id$v=19$m=8192,t=4294967295,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "a lane for everybody": "$argon2id$v=19$m=65536,t=1,p=255$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "another Argon2": "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "another hash": "$2b$12$KIXQ4S6p1k3c0m6l9Xb5AOh5g3a1x2y3z4A5B6C7D8E9F0G1H2I3J",
    "no salt": "$argon2id$v=19$m=19456,t=2,p=1$$aGFzaGhhc2hoYXNoaGFzaA",
    "a password in the clear": PASSWORD,
}


@pytest.mark.parametrize("verifier", HOSTILE.values(), ids=HOSTILE.keys())
async def test_verifier_that_nobody_should_compute_with_is_said_to_be_one_and_costs_no_try(
    store: DeviceStore, hub: SmallHub, verifier: str
) -> None:
    hub.packages = branch((replace(card(), verifier=verifier), card("ai.do")), version=2)
    async with door(store, hub) as one:
        for _ in range(2 * TRIES_MAX):
            assert await one.denied(password=PASSWORD) == Denied(why=Denial.BAD_VERIFIER)
        assert (await one.shelf.tries(COLLECTOR)).failed == 0
        assert await one.log_in("ai.do") == Granted(collector="ai.do", by_hub=True)


# A hub that has not been heard for long.


async def test_log_in_without_a_network_ends_after_a_week_and_a_word_of_the_hub_renews_it(
    store: DeviceStore, hub: SmallHub
) -> None:
    clock = StillClock()
    clock.wall_ms += 7 * DAY_MS
    async with door(store, nowhere(), clock) as offline:
        assert await offline.log_in() == IN
        clock.wall_ms += 1
        assert await offline.denied(password=PASSWORD) == Denied(why=Denial.EXPIRED)
        assert (await offline.shelf.tries(COLLECTOR)).failed == 0
    hub.now_ms = clock.wall_ms
    async with door(store, hub, clock) as online:
        assert await online.log_in() == IN_BY_HUB
    async with door(store, nowhere(), clock) as offline:
        assert await offline.log_in() == IN


async def test_somebody_at_work_is_let_in_again_however_long_the_hub_has_been_silent(
    store: DeviceStore, hub: SmallHub
) -> None:
    hub.packages = branch((card(), card("ai.do")), version=2)
    clock = StillClock()
    async with door(store, hub, clock) as online:
        await online.log_in()
    async with door(store, nowhere(), clock) as offline:
        await offline.hold_the_money()
        clock.wall_ms += 8 * DAY_MS
        assert await offline.log_in() == IN
        assert await offline.denied("ai.do", PASSWORD) == Denied(why=Denial.EXPIRED)
        await offline.do(CloseShift(intent=bytes(16)))
        assert await offline.denied(password=PASSWORD) == Denied(why=Denial.EXPIRED)


async def test_clock_set_back_makes_no_old_policy_young(store: DeviceStore) -> None:
    clock = StillClock()
    clock.wall_ms += 8 * DAY_MS
    async with door(store, nowhere(), clock) as offline:
        await offline.access.note_time()
    clock.wall_ms = NOON_MS
    async with door(store, nowhere(), clock) as offline:
        assert await offline.denied(password=PASSWORD) == Denied(why=Denial.EXPIRED)


async def test_jump_of_the_clock_that_was_over_before_the_hub_was_heard_locks_nobody_out(
    store: DeviceStore, hub: SmallHub
) -> None:
    """The chain's own time stays where the jump took it; each record made since bears it."""
    clock = StillClock()
    clock.wall_ms += 30 * DAY_MS
    async with door(store, nowhere(), clock) as offline:
        await offline.hold_the_money()
    clock.wall_ms = NOON_MS
    async with door(store, hub, clock) as online:
        assert await online.log_in() == IN_BY_HUB
        await online.read_drop(3)
    async with door(store, nowhere(), clock) as offline:
        assert await offline.log_in() == IN


async def test_clock_known_to_be_ahead_makes_the_hub_s_word_of_this_minute_no_older(
    store: DeviceStore, hub: SmallHub
) -> None:
    clock = StillClock()
    clock.wall_ms += 10 * DAY_MS
    async with door(store, hub, clock) as online:
        await online.app.dispatch(ClockCompared(offset_ms=-10 * DAY_MS, source=ClockSource.GNSS))
        assert await online.log_in() == IN_BY_HUB
        hub.instead = gone
        assert await online.log_in() == IN


async def gone(request: web.Request) -> web.StreamResponse:
    """The line breaks in the middle of a call."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


# A hub that hangs.


class StoreHere(DeviceStore):
    """A store without a thread of its own: virtual time has no place for one."""

    def __init__(self, path: Path) -> None:
        self.here = sqlite3.connect(path, isolation_level=None)
        _prepare(migrations(SCHEMA_FOLDER), self.here)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return work(self.here)


class WorkHere(ThreadPoolExecutor):
    """Hashes are computed where they are asked for."""

    def submit(self, function: Callable[..., T], /, *args: Any, **named: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(function(*args, **named))
        return future


class Hanging:
    """A network on which every call hangs until a test lets the calls so far go on to their answer."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.calls = 0

    async def perform(self, effect: NetworkEffect) -> Event:
        assert isinstance(effect, FetchPolicy)
        self.calls += 1
        await self.let.wait()
        return PackagesArrived(packages=branch(), what="policy/")


@in_virtual_time
async def test_log_in_while_the_hub_hangs_falls_back_to_the_last_policy_after_three_seconds(tmp_path: Path) -> None:
    asyncio.get_running_loop().set_default_executor(WorkHere())
    store, clock, network = StoreHere(tmp_path / "store.db"), StillClock(), Hanging()
    with closing(store.here):
        session = CollectorSession(identity(), await store.load(), Random(1))
        session_app = App(
            session,
            store=store,
            press=PaperPress(store, TextFolder(tmp_path)),
            network=network,
            clock=clock,
            die=die,
        )
        await session_app.start(tick_s=None)
        await session_app.dispatch(PackagesArrived(packages=branch()))
        access = Access(session_app, Shelf(store), clock, SECRET)
        for number in (1, 2):
            assert await access.log_in(COLLECTOR, PASSWORD) == IN
            assert now_s() == number * ASK_HUB_S
        assert network.calls == 1, "a question that hangs is not asked again beside itself"
        waiting = asyncio.create_task(access.log_in(COLLECTOR, PASSWORD))
        await asyncio.sleep(1)
        network.let.set()
        assert await waiting == IN_BY_HUB
        assert now_s() == 2 * ASK_HUB_S + 1
        await session_app.dispatch(FetchFailed(what="policy/", sentence="no network"))
        await session_app.close()


# PIN.


async def test_pin_opens_a_locked_screen_and_no_other_one_does(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        assert not await one.access.has_pin(COLLECTOR)
        assert await one.access.set_pin(COLLECTOR, PIN) is None
        assert await one.access.has_pin(COLLECTOR)
        assert await one.access.unlock(COLLECTOR, PIN) == IN
        assert await one.access.unlock(COLLECTOR, WRONG_PIN) == Denied(why=Denial.PIN_WRONG)
        assert await one.access.unlock("ai.do", PIN) == Denied(why=Denial.PIN_LOCKED)
    async with door(store, nowhere()) as again:
        assert await again.access.unlock(COLLECTOR, PIN) == IN
        assert await again.access.set_pin(COLLECTOR, "13571357") is None
        assert await again.access.unlock(COLLECTOR, PIN) == Denied(why=Denial.PIN_WRONG)
        assert await again.access.unlock(COLLECTOR, "13571357") == IN


async def test_pin_is_worth_nothing_on_another_handheld(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.access.set_pin(COLLECTOR, PIN)
        thief = Access(one.app, one.shelf, one.clock, bytes(32))
        assert await thief.unlock(COLLECTOR, PIN) == Denied(why=Denial.PIN_WRONG)


async def test_pin_guessed_too_often_leaves_the_password_and_the_password_leaves_the_pin(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.access.set_pin(COLLECTOR, PIN)
        for number, delay_s in enumerate(DELAYS_S, start=1):
            if delay_s:
                assert await one.access.unlock(COLLECTOR, PIN) == Denied(why=Denial.WAIT, wait_s=delay_s)
                one.clock.up_ms += delay_s * 1000
            outcome = await one.access.unlock(COLLECTOR, WRONG_PIN)
            assert isinstance(outcome, Denied)
            assert outcome.why is (Denial.PIN_WRONG if number < TRIES_MAX else Denial.PIN_LOCKED)
        assert await one.access.unlock(COLLECTOR, PIN) == Denied(why=Denial.PIN_LOCKED)
        assert await one.log_in() == IN
        assert await one.access.unlock(COLLECTOR, PIN) == IN


async def test_wrong_passwords_cost_no_pin_and_wrong_pins_no_password(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.access.set_pin(COLLECTOR, PIN)
        await one.lock()
        assert await one.access.unlock(COLLECTOR, PIN) == IN
        assert await one.denied(password=PASSWORD) == Denied(why=Denial.LOCKED)
