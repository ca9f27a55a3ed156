"""A supervisor's codes at the handheld: checked without a network, spent once, guessed in vain."""

import asyncio
import hmac
from dataclasses import replace

import pytest
import pytest_asyncio

from device.access import Denied
from device.core.commands import DownloadRoute
from device.core.effects import Done, Refused
from device.core.log_in import DELAYS_S, Denial
from device.store import DeviceStore
from protocol.reasons import Reason
from protocol.records import LogInOpened, RuleOverridden
from protocol.sealed import Sealed
from protocol.values import DAY_MS
from tests.device.branch import CODES, COLLECTOR, PASSWORD, SmallHub, StillClock, card, codes, download, stop
from tests.device.doorway import BECAUSE, HELD, WRONG_CODE, Door, branch, door, make_ready, nowhere
from tests.device.test_app import intent

DROP_VND = 76_667  # 10 m3 at 7.000 d with VAT in it, and the fee.
TRIES_MAX = len(DELAYS_S)
WRONG = Denied(why=Denial.CODE_WRONG)
NOT_NEEDED = Denied(why=Denial.CODE_NOT_NEEDED)
AT_WORK, AT_LOG_IN = "code:override", "code:login"  # Under which names wrong codes are counted.


@pytest.fixture
def hub(hub: SmallHub) -> SmallHub:
    """A hub that has made three codes for this handheld."""
    hub.packages = branch()
    return hub


@pytest_asyncio.fixture
async def store(store: DeviceStore, hub: SmallHub) -> DeviceStore:
    """The store of a handheld that has been in touch with its hub once."""
    await make_ready(store, hub)
    return store


def sealed_of(outcome: object) -> Sealed:
    assert isinstance(outcome, Done), outcome
    assert outcome.sealed is not None
    return outcome.sealed


def spent(one: Door) -> list[Sealed]:
    """Records that rest on a code."""
    return [made for made in one.app.session.work.records if isinstance(made.record, RuleOverridden | LogInOpened)]


# A hold is lifted.


async def test_code_lifts_a_hold_without_a_network_and_leaves_a_record_that_proves_it(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        reading = await one.hold_the_money()
        assert one.due_vnd == 0
        sealed = sealed_of(await one.override(CODES[1]))
        assert one.due_vnd == DROP_VND
        assert sealed.record == RuleOverridden(
            customer=HELD,
            period="2026-11",
            reading=reading.digest,
            hold="CONSUMPTION_DROP",
            reason=BECAUSE,
            code_no=1,
            proof=hmac.digest(CODES[1].encode(), reading.digest, "sha256")[:16],
        )
        assert sealed.header.intent == intent(50)
        assert sealed.message in (await store.load()).messages
    async with door(store, nowhere()) as again:
        assert again.due_vnd == DROP_VND


async def test_code_works_once_whatever_it_was_spent_on(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.hold_the_money()
        sealed_of(await one.override(CODES[0]))
        await one.read_drop(3)
        assert await one.override(CODES[0], 51) == Refused(reason=Reason.CODE_USED)
        await one.lock()
        assert await one.open_log_in(CODES[0]) == Refused(reason=Reason.CODE_USED)
        sealed_of(await one.open_log_in(CODES[1]))
    async with door(store, nowhere()) as again:
        for code in CODES[:2]:
            assert await again.override(code, 52) == Refused(reason=Reason.CODE_USED)
        sealed_of(await again.override(CODES[2], 53))
        assert again.due_vnd == DROP_VND


async def test_code_tapped_twice_at_the_same_moment_is_spent_once(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.hold_the_money()
        outcomes = await asyncio.gather(*(one.override(CODES[0], number) for number in (50, 50, 51, 52)))
        assert len(spent(one)) == 1
        assert sum(isinstance(outcome, Done) for outcome in outcomes) in (1, 2)
        assert {outcome.reason for outcome in outcomes if isinstance(outcome, Refused)} == {Reason.CODE_USED}


async def test_same_tap_again_is_the_same_record_and_no_second_try(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.hold_the_money()
        first = sealed_of(await one.override())
        await one.fail_codes(2)
        before = await one.shelf.tries(AT_WORK)
        assert before.failed == 2
        again = await one.override()
        assert again == Done(sealed=first, again=True)
        assert await one.shelf.tries(AT_WORK) == before
        assert len(spent(one)) == 1


async def test_code_is_not_spent_where_there_is_nothing_to_lift(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        assert await one.override(CODES[0]) == Refused(reason=Reason.NO_OPEN_SHIFT)
        await one.hold_the_money()
        await one.read_drop(3, 121)
        assert await one.override(CODES[0], 51) == Refused(reason=Reason.NOTHING_TO_OVERRIDE)
        await one.read_drop(4)
        sealed_of(await one.override(CODES[0], 52))


async def test_no_code_lifts_the_hold_of_a_bank_payer(store: DeviceStore, hub: SmallHub) -> None:
    bank = replace(stop(1), payment_method="CK")
    hub.packages = download((bank,), version=2, collectors=(card(),), codes=codes(version=2))
    async with door(store, hub) as one:
        await one.app.dispatch(DownloadRoute())
        await one.app.quiet()
        await one.hold_the_money()
        assert await one.override() == Refused(reason=Reason.NOTHING_TO_OVERRIDE)
        assert spent(one) == []


# Codes that are none.


@pytest.mark.parametrize("text", ["", "123456789", "12345678901", "00123456 8", "0O12345678", "٠٠١٢٣٤٥٦٧٨"])
async def test_what_has_not_ten_digits_is_no_try(store: DeviceStore, text: str) -> None:
    async with door(store, nowhere()) as one:
        for _ in range(2 * TRIES_MAX):
            assert await one.override(text) == Denied(why=Denial.CODE_FORM)
        assert (await one.shelf.tries(AT_WORK)).failed == 0


async def test_code_of_another_handheld_is_wrong_here(store: DeviceStore, hub: SmallHub) -> None:
    theirs = "0311112222"
    hub.packages = replace(branch(), codes=codes((theirs,), version=9, device=8))
    async with door(store, hub) as one:
        await one.app.dispatch(DownloadRoute())
        await one.app.quiet()
        await one.hold_the_money()
        assert await one.override(theirs) == WRONG
        sealed_of(await one.override(CODES[0]))


async def test_code_that_a_newer_list_has_left_out_is_wrong_and_an_older_list_brings_none_back(
    store: DeviceStore, hub: SmallHub
) -> None:
    old = hub.packages
    hub.packages = replace(old, codes=codes(CODES[1:], version=2))
    async with door(store, hub) as one:
        for packages in (hub.packages, old):
            hub.packages = packages
            await one.app.dispatch(DownloadRoute())
            await one.app.quiet()
        await one.hold_the_money()
        assert await one.override(CODES[0]) == WRONG
    async with door(store, nowhere()) as again:
        assert await again.override(CODES[0], 51) == WRONG
        sealed_of(await again.override(CODES[1], 52))


async def test_right_digits_under_another_number_are_wrong(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.hold_the_money()
        assert await one.override("01" + CODES[0][2:]) == WRONG
        assert await one.override("99" + CODES[0][2:]) == WRONG


async def test_handheld_without_codes_says_wrong_and_counts(tmp_path_factory: pytest.TempPathFactory) -> None:
    bare = await DeviceStore.open(tmp_path_factory.mktemp("bare") / "store.db")
    async with door(bare, nowhere()) as one:
        assert await one.override() == WRONG
        assert (await one.shelf.tries(AT_WORK)).failed == 1
    await bare.close()


async def test_wrong_codes_delay_across_restarts_and_then_lock_until_the_hub_is_reached(
    store: DeviceStore, hub: SmallHub
) -> None:
    clock = StillClock()
    for number, delay_s in enumerate(DELAYS_S, start=1):
        async with door(store, nowhere(), clock) as one:
            if delay_s:
                assert await one.override() == Denied(why=Denial.WAIT, wait_s=delay_s)
                clock.reboot()
                assert await one.override() == Denied(why=Denial.WAIT, wait_s=delay_s)
                clock.up_ms += delay_s * 1000
            outcome = await one.override(WRONG_CODE)
            assert isinstance(outcome, Denied)
            assert outcome.why is (Denial.CODE_WRONG if number < TRIES_MAX else Denial.CODE_LOCKED)
    async with door(store, nowhere(), clock) as offline:
        await offline.hold_the_money()
        assert await offline.override() == Denied(why=Denial.CODE_LOCKED)
    async with door(store, hub, clock) as online:
        sealed_of(await online.override())
        assert online.due_vnd == DROP_VND


async def test_wrong_codes_stand_in_the_way_of_nothing_but_codes(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.fail_codes(TRIES_MAX)
        assert isinstance(await one.denied(), Denied)
        await one.hold_the_money()
        await one.read_drop(3, 121)
        assert one.due_vnd > 0


# A locked log-in is opened.


async def test_code_opens_a_locked_log_in_and_leaves_a_record(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.lock()
        assert await one.denied(password=PASSWORD) == Denied(why=Denial.LOCKED)
        sealed = sealed_of(await one.open_log_in())
        proof = hmac.digest(CODES[0].encode(), COLLECTOR.encode(), "sha256")[:16]
        assert sealed.record == LogInOpened(period="2026-11", code_no=0, proof=proof)
        assert sealed.header.evidence is not None
        assert sealed.header.evidence.collector == COLLECTOR
        assert not isinstance(await one.log_in(), Denied)
    async with door(store, nowhere()) as again:
        assert spent(again)[0].message == sealed.message
        assert not isinstance(await again.log_in(), Denied)


async def test_code_that_opened_a_log_in_gives_as_many_tries_as_the_first_time_and_no_more(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.lock()
        sealed_of(await one.open_log_in())
        await one.lock()
        assert await one.denied(password=PASSWORD) == Denied(why=Denial.LOCKED)


async def test_same_tap_again_opens_no_log_in_a_second_time(store: DeviceStore) -> None:
    """A form that is kept could otherwise be sent again and again, for a password guessed as often as one likes."""
    async with door(store, nowhere()) as one:
        await one.lock()
        first = sealed_of(await one.open_log_in())
        await one.lock()
        again = await one.open_log_in()
        assert again == Done(sealed=first, again=True)
        assert len(spent(one)) == 1
        assert await one.denied(password=PASSWORD) == Denied(why=Denial.LOCKED)


async def test_same_tap_for_somebody_else_opens_nobody_else_s_log_in(store: DeviceStore, hub: SmallHub) -> None:
    hub.packages = branch((card(), card("ai.do")), version=2)
    async with door(store, hub) as one:
        await one.lock("ai.do")
        await one.lock()
        sealed_of(await one.open_log_in())
        await one.open_log_in(user="ai.do")
        assert await one.denied("ai.do", PASSWORD) == Denied(why=Denial.LOCKED)


async def test_power_that_fails_between_the_record_and_the_opening_leaves_nobody_locked_out(
    store: DeviceStore,
) -> None:
    async with door(store, nowhere()) as one:
        await one.lock()
        locked = await one.shelf.tries(COLLECTOR)
        sealed_of(await one.open_log_in())
        await one.shelf.keep_tries(COLLECTOR, locked)  # As the disk stands when only the record was written.
    async with door(store, nowhere()) as again:
        await again.open_log_in()
        assert not isinstance(await again.log_in(), Denied)


async def test_code_for_a_person_without_a_route_here_is_not_spent(store: DeviceStore, hub: SmallHub) -> None:
    hub.packages = branch((card(), card("ai.do")), version=2)
    async with door(store, hub) as one:
        await one.lock("ai.do")
        assert await one.open_log_in(user="ai.do") == Refused(reason=Reason.NO_PACKAGE)
        assert spent(one) == []
        await one.lock()
        sealed_of(await one.open_log_in(number=61))


# Strangers at the log-in.


@pytest.mark.parametrize("user", [COLLECTOR, "ai.cung.duoc"])
async def test_a_log_in_that_is_not_shut_needs_no_code_and_none_is_tried(store: DeviceStore, user: str) -> None:
    async with door(store, nowhere()) as one:
        await one.fail(TRIES_MAX - 1, user)
        for code in (WRONG_CODE, CODES[0]) * TRIES_MAX:
            assert await one.open_log_in(code, user=user) == NOT_NEEDED
        assert (await one.shelf.tries(AT_LOG_IN)).failed == 0
        assert spent(one) == []


async def test_wrong_codes_at_the_log_in_cost_those_at_work_none_and_the_other_way_round(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        await one.hold_the_money()
        await one.lock()
        for delay_s in DELAYS_S:
            one.clock.up_ms += delay_s * 1000
            assert isinstance(await one.open_log_in(WRONG_CODE, 91), Denied)
        assert await one.open_log_in(CODES[1]) == Denied(why=Denial.CODE_LOCKED)
        sealed_of(await one.override())
        assert one.due_vnd == DROP_VND
        await one.read_drop(3)
        await one.fail_codes(TRIES_MAX)
        assert await one.override(CODES[1], 51) == Denied(why=Denial.CODE_LOCKED)
    async with door(store, nowhere()) as again:
        assert (await again.shelf.tries(AT_LOG_IN)).locked


async def test_code_opens_a_log_in_that_has_expired_though_no_try_was_wrong(store: DeviceStore) -> None:
    async with door(store, nowhere()) as one:
        assert await one.open_log_in() == NOT_NEEDED
        one.clock.wall_ms += 8 * DAY_MS
        assert await one.denied(password=PASSWORD) == Denied(why=Denial.EXPIRED)
        sealed_of(await one.open_log_in())
        assert not isinstance(await one.log_in(), Denied)
