"""Every way in which somebody is not let in, and that none of them makes a record or opens anything."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import pytest_asyncio

from device.access import Denied
from device.core.events import PackagesArrived
from device.core.log_in import DELAYS_S, Denial
from device.store import DeviceStore
from protocol.values import DAY_MS
from tests.device.branch import CODES, COLLECTOR, PASSWORD, SmallHub, card
from tests.device.doorway import WRONG_CODE, Door, branch, door, make_ready, nowhere

PIN, WRONG_PIN = "2580", "2581"
TRIES_MAX = len(DELAYS_S)


@pytest_asyncio.fixture
async def store(store: DeviceStore, hub: SmallHub) -> DeviceStore:
    """The store of a handheld that has been in touch with its hub once."""
    hub.packages = branch()
    await make_ready(store, hub)
    return store



async def wrong(one: Door) -> object:
    return await one.denied()


async def wait(one: Door) -> object:
    await one.fail(3)
    return await one.denied(password=PASSWORD)


async def locked(one: Door) -> object:
    await one.lock()
    return await one.denied(password=PASSWORD)


async def expired(one: Door) -> object:
    one.clock.wall_ms += 8 * DAY_MS
    return await one.denied(password=PASSWORD)


async def no_policy(one: Door) -> object:
    one.app.session.work.policy = None
    return await one.denied(password=PASSWORD)


async def bad_verifier(one: Door) -> object:
    bad = replace(card(), verifier="$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")
    await one.app.dispatch(PackagesArrived(packages=branch((bad,), version=2)))
    return await one.denied(password=PASSWORD)


async def pin_wrong(one: Door) -> object:
    await one.access.set_pin(COLLECTOR, PIN)
    return await one.access.unlock(COLLECTOR, WRONG_PIN)


async def pin_locked(one: Door) -> object:
    return await one.access.unlock(COLLECTOR, PIN)


async def pin_form(one: Door) -> object:
    return await one.access.set_pin(COLLECTOR, "123")


async def code_form(one: Door) -> object:
    return await one.override("123")


async def code_wrong(one: Door) -> object:
    return await one.override(WRONG_CODE)


async def code_locked(one: Door) -> object:
    await one.fail_codes(TRIES_MAX)
    return await one.override(CODES[0])


async def code_not_needed(one: Door) -> object:
    return await one.access.open_log_in(bytes(16), COLLECTOR, CODES[0])


PROVOKED: dict[Denial, Callable[[Door], Awaitable[object]]] = {
    Denial.WRONG: wrong,
    Denial.WAIT: wait,
    Denial.LOCKED: locked,
    Denial.EXPIRED: expired,
    Denial.NO_POLICY: no_policy,
    Denial.BAD_VERIFIER: bad_verifier,
    Denial.PIN_WRONG: pin_wrong,
    Denial.PIN_LOCKED: pin_locked,
    Denial.PIN_FORM: pin_form,
    Denial.CODE_FORM: code_form,
    Denial.CODE_WRONG: code_wrong,
    Denial.CODE_LOCKED: code_locked,
    Denial.CODE_NOT_NEEDED: code_not_needed,
}


def test_every_denial_is_provoked_here() -> None:
    assert set(PROVOKED) == set(Denial)


@pytest.mark.parametrize("why", PROVOKED)
async def test_denied_with_its_reason_and_no_record_is_made(store: DeviceStore, why: Denial) -> None:
    async with door(store, nowhere()) as one:
        outcome = await PROVOKED[why](one)
        assert isinstance(outcome, Denied)
        assert outcome.why is why
        assert one.seq == 0
