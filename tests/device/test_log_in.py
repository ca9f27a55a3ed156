"""Wrong tries and policies that have grown old: the arithmetic alone, under every clock and restart."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, builds, integers, just, lists, one_of, tuples

from device.core.log_in import (
    DELAYS_S,
    DENIAL_WORDS,
    PIN_DIGITS_MAX,
    PIN_DIGITS_MIN,
    Denial,
    Heard,
    Tries,
    is_expired,
    is_pin,
)
from protocol.package import LOGIN_DAYS
from protocol.values import DAY_MS, Instant
from tests.device.branch import NOON_MS, StillClock, card, policy

WAITS_S = (0, 0, 0, 30, 120, 600)  # Before each try, as the product promises; no seventh comes.
TRIES_MAX = len(WAITS_S)


def fail(tries: Tries, clock: StillClock) -> Tries:
    """One wrong try at the first moment at which it may be made."""
    clock.up_ms += tries.wait_ms(clock.now())
    assert tries.wait_ms(clock.now()) == 0
    return tries.one_more(clock.now())


def failed(times: int, clock: StillClock) -> Tries:
    """So many wrong tries, one after the other."""
    tries = Tries()
    for _ in range(times):
        tries = fail(tries, clock)
    return tries


# Waits.


def test_waits_grow_from_nothing_to_ten_minutes_and_then_the_door_stays_shut() -> None:
    clock, tries = StillClock(), Tries()
    for wait_s in WAITS_S:
        assert not tries.locked
        assert tries.wait_ms(clock.now()) == wait_s * 1000
        tries = fail(tries, clock)
    assert tries.locked
    clock.up_ms += 1000 * DAY_MS
    assert tries.locked, "no wait opens a door that is locked"


def test_wait_runs_out_to_the_millisecond() -> None:
    clock = StillClock()
    tries = failed(3, clock)
    clock.up_ms += 30_000 - 1
    assert tries.wait_ms(clock.now()) == 1
    clock.up_ms += 1
    assert tries.wait_ms(clock.now()) == 0


@pytest.mark.parametrize("failures", [3, 4, 5])
def test_machine_that_starts_anew_in_the_middle_of_a_wait_waits_the_whole_of_it(failures: int) -> None:
    clock = StillClock()
    tries = failed(failures, clock)
    clock.up_ms += tries.wait_ms(clock.now()) - 1
    clock.reboot()
    assert tries.wait_ms(clock.now()) == WAITS_S[failures] * 1000
    clock.up_ms = WAITS_S[failures] * 1000 - 1
    assert tries.wait_ms(clock.now()) == 1
    clock.up_ms += 1
    assert tries.wait_ms(clock.now()) == 0


def test_machine_that_starts_anew_after_a_wait_is_over_waits_again_rather_than_trust_a_clock() -> None:
    clock = StillClock()
    tries = failed(3, clock)
    clock.up_ms += DAY_MS
    clock.reboot()
    clock.wall_ms += DAY_MS
    assert tries.wait_ms(clock.now()) == 30_000


@pytest.mark.parametrize("jump_ms", [-NOON_MS, -DAY_MS, 600_000, 100 * 365 * DAY_MS])
@pytest.mark.parametrize("failures", range(TRIES_MAX + 1))
def test_wall_clock_moved_any_way_changes_no_wait(failures: int, jump_ms: int) -> None:
    clock = StillClock()
    tries = failed(failures, clock)
    before = tries.wait_ms(clock.now()), tries.locked
    clock.wall_ms += jump_ms
    assert (tries.wait_ms(clock.now()), tries.locked) == before
    assert tries.one_more(clock.now()) == tries.one_more(Instant(wall_ms=0, up_ms=clock.up_ms, boot=clock.boot))


# What anybody with the handheld in the hand can do between two tries.
Move = tuple[str, int]
moves = one_of(
    tuples(just("sleep"), integers(0, 700)),
    tuples(just("off"), integers(0, 5)),
    tuples(just("clock"), integers(-(10**9), 10**9)),
    tuples(just("program"), just(0)),
    tuples(just("try"), just(0)),
)


@given(script=lists(moves, max_size=60))
def test_no_restart_and_no_clock_ever_lets_a_try_through_sooner_than_an_honest_clock(script: list[Move]) -> None:
    clock, tries, true_ms, made_at_ms = StillClock(), Tries(), 0, list[int]()
    for what, number in script:
        match what:
            case "sleep":
                clock.up_ms += number * 1000
                clock.wall_ms += number * 1000
                true_ms += number * 1000
            case "off":
                true_ms += number * 1000
                clock.reboot()
            case "clock":
                clock.wall_ms += number * 1000
            case "program":  # What is on disk is all that it knows.
                tries = Tries(
                    failed=tries.failed, boot=tries.boot, until_up_ms=tries.until_up_ms, opened=tries.opened
                )
            case _:
                if not tries.locked and tries.wait_ms(clock.now()) == 0:
                    tries = tries.one_more(clock.now())
                    made_at_ms.append(true_ms)
    assert len(made_at_ms) <= TRIES_MAX
    for number in range(1, len(made_at_ms)):
        assert made_at_ms[number] - made_at_ms[number - 1] >= WAITS_S[number] * 1000


@given(script=lists(moves, max_size=30))
def test_whatever_was_done_to_it_the_next_try_is_never_further_than_ten_minutes_of_a_running_machine(
    script: list[Move],
) -> None:
    clock, tries = StillClock(), Tries()
    for what, number in script:
        if what == "off":
            clock.reboot()
        elif what == "sleep":
            clock.up_ms += number * 1000
        elif what == "clock":
            clock.wall_ms += number * 1000
        elif what == "try" and not tries.locked and tries.wait_ms(clock.now()) == 0:
            tries = tries.one_more(clock.now())
    assert tries.locked or 0 <= tries.wait_ms(clock.now()) <= 600_000


# Forgiveness.


def test_right_try_forgives_all_wrong_ones() -> None:
    clock = StillClock()
    tries = failed(5, clock).forgiven()
    assert (tries.failed, tries.wait_ms(clock.now()), tries.locked) == (0, 0, False)


def test_log_in_that_the_branch_opened_is_forgiven_once_and_not_again() -> None:
    clock = StillClock()
    locked = failed(TRIES_MAX, clock)
    assert locked.as_opened(card(opened=0)) == locked
    once = locked.as_opened(card(opened=1))
    assert not once.locked
    for _ in range(TRIES_MAX):
        once = fail(once, clock)
    assert once.locked
    assert once.as_opened(card(opened=1)) == once
    assert not once.as_opened(card(opened=2)).locked


def test_log_in_that_was_opened_before_a_right_try_is_not_opened_by_it_again() -> None:
    clock = StillClock()
    tries = failed(2, clock).as_opened(card(opened=3)).forgiven()
    for _ in range(TRIES_MAX):
        tries = fail(tries, clock)
    assert tries.as_opened(card(opened=3)).locked
    assert tries.as_opened(card(opened=None)).locked
    assert tries.as_opened(card(opened=2)).locked, "an older word of the branch opens nothing"


# A policy that has grown old.


def expired(wall_ms: int, heard: Heard | None, *, record_ms: int = 0, seq: int = 0, days: int | None = None) -> bool:
    given = policy(login_days=days)
    return is_expired(given, heard, wall_ms=wall_ms, last_record_ms=record_ms, last_seq=seq)


HEARD = Heard(at_ms=NOON_MS, latest_ms=NOON_MS, seq=10)


@pytest.mark.parametrize(("granted", "days"), [(None, LOGIN_DAYS), (7, 7), (30, 30)])
def test_log_in_works_for_the_days_granted_and_no_longer(granted: int | None, days: int) -> None:
    assert days >= 7
    assert not expired(NOON_MS + days * DAY_MS, HEARD, days=granted)
    assert expired(NOON_MS + days * DAY_MS + 1, HEARD, days=granted)


def test_clock_set_back_does_not_make_the_hub_s_word_younger() -> None:
    later = HEARD.seen(NOON_MS + 8 * DAY_MS)
    assert later.seen(0) == later
    for wall_ms in (0, NOON_MS, NOON_MS + 8 * DAY_MS):
        assert expired(wall_ms, later)


def test_clock_set_back_before_anybody_looked_is_told_by_the_records_made_meanwhile() -> None:
    assert expired(NOON_MS, HEARD, record_ms=NOON_MS + 8 * DAY_MS, seq=11)
    assert not expired(NOON_MS, HEARD, record_ms=NOON_MS + 6 * DAY_MS, seq=11)


def test_record_of_a_clock_that_was_wrong_before_the_hub_was_heard_makes_nothing_old() -> None:
    """A chain's time never goes back: after one jump ahead each of its records bears that time, heard or not."""
    assert not expired(NOON_MS, HEARD, record_ms=NOON_MS + 400 * DAY_MS, seq=10)


def test_policy_of_a_program_that_noted_no_hour_locks_nobody_out() -> None:
    assert not expired(NOON_MS + 400 * DAY_MS, None)


@given(
    looks=lists(tuples(integers(0, 20 * DAY_MS), booleans()), max_size=20),
    wall_ms=integers(0, 20 * DAY_MS),
    heard=builds(lambda at_ms: Heard(at_ms=at_ms, latest_ms=at_ms, seq=0), integers(0, DAY_MS)),
)
def test_the_latest_clock_ever_seen_decides_in_whatever_order_it_was_seen(
    looks: list[tuple[int, bool]], wall_ms: int, heard: Heard
) -> None:
    first, seq, record_ms = heard, 0, 0
    for look_ms, makes_record in looks:
        if makes_record:
            seq, record_ms = seq + 1, max(record_ms, look_ms)
        else:
            heard = heard.seen(look_ms)
    latest_ms = max([wall_ms, first.at_ms, *(look_ms for look_ms, _ in looks)])
    assert expired(wall_ms, heard, record_ms=record_ms, seq=seq) == (latest_ms - first.at_ms > LOGIN_DAYS * DAY_MS)


# Forms and words.


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("1" * PIN_DIGITS_MIN, True),
        ("0" * PIN_DIGITS_MAX, True),
        ("1" * (PIN_DIGITS_MIN - 1), False),
        ("1" * (PIN_DIGITS_MAX + 1), False),
        ("", False),
        ("12a4", False),
        ("12 4", False),
        ("١٢٣٤", False),  # Digits, and none of the keypad's.
        ("²²²²", False),
    ],
)
def test_a_pin_is_four_to_eight_digits_of_the_keypad(text: str, fits: bool) -> None:
    assert is_pin(text) is fits


def test_every_denial_has_words_in_both_languages_and_says_how_long_where_one_has_to_wait() -> None:
    assert set(DENIAL_WORDS) == set(Denial)
    for why, languages in DENIAL_WORDS.items():
        assert all(languages)
        assert all(("{wait}" in sentence) == (why is Denial.WAIT) for sentence in languages)


def test_the_delays_are_those_of_the_product() -> None:
    assert DELAYS_S == WAITS_S
    assert replace(Tries(), failed=TRIES_MAX).locked
