"""Supervisors' codes: shown once, ready on every handheld, and looked at again when a record relies on one."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, update

from hub import codes as codes_module
from hub.codes import GIVEN_KEPT, READY, READY_MIN, Shown, give, give_code, keep_ready, sheet_of
from hub.core.codes import CLOCK_SLACK_MS, NUMBERS, CodeFault, CodeUse, GivenCode, code_key, code_of, faults
from hub.core.conflicts import ConflictClass
from hub.core.fold import fold
from hub.office import OfficeError
from hub.store.facts import facts_of_customers
from hub.store.schema import code_sheet, handheld
from protocol import codec
from protocol.codes import SupervisorCodes, code_hash, code_proof, is_code, number_of, open_codes
from protocol.envelope import VerifyKey
from protocol.package import open_policy
from protocol.reasons import Reason
from protocol.records import CashCollected, Decision, LogInOpened, ReadingTaken, RuleOverridden
from protocol.sealed import Sealed
from protocol.wire import Packages
from tests.hub.branch import AN, HOUSES, Branch, handsets, open_branch
from tests.hub.oracle import supervisors_code
from tests.hub.served import Served, refusal_in
from tests.hub.worlds import HUB_KEY, HUB_SEED, PERIOD, ROUTES, reading_of, state_of

HUB = VerifyKey.of(HUB_KEY.public)
HOUSE, OTHER_HOUSE = HOUSES
HELD_M3 = 5  # Against 12 in the period before.
UNPROVEN = (ConflictClass.OVERRIDE_UNPROVEN.value, HOUSE.customer, False)
AGAINST_HOLD = (ConflictClass.COLLECTED_AGAINST_HOLD.value, HOUSE.customer, False)


async def shown(branch: Branch, customer: str | None = None) -> str:
    """The next code of the first handheld, without the slow sheet behind it."""
    work = partial(give, hub=branch.hub, device=1, reason="empty house", by="supervisor", customer_id=customer)
    made: Shown = await branch.hub.write(work)
    return made.code


def override(branch: Branch, reading: Sealed, code: str, *, about: bytes | None = None) -> Sealed:
    """What the first handheld signs once a code has been keyed. about: what the proof is over, if not the reading."""
    assert isinstance(reading.record, ReadingTaken)
    record = RuleOverridden(
        customer=reading.record.customer,
        period=PERIOD,
        reading=reading.digest,
        hold="CONSUMPTION_DROP",
        reason="empty house",
        code_no=number_of(code),
        proof=code_proof(code, reading.digest if about is None else about),
    )
    return branch.an.make(record, branch.watch.now_ms)


def log_in_opened(branch: Branch, code: str, collector: str = AN) -> Sealed:
    record = LogInOpened(period=PERIOD, code_no=number_of(code), proof=code_proof(code, collector.encode("ascii")))
    return branch.an.make(record, branch.watch.now_ms)


async def detail(branch: Branch, klass: ConflictClass) -> str:
    (row,) = [one for one in (await state_of(branch.hub)).cases if one["klass"] == klass.value]
    return str(row["detail"])


async def sheet(branch: Branch, device: int = 1) -> SupervisorCodes | None:
    message = await branch.hub.read(lambda connection: sheet_of(connection, branch.hub.books, device))
    return None if message is None else open_codes(message, HUB)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hashes that cost nothing; the codes that were hashed, in order."""
    hashed: list[str] = []

    def cheap(code: str, salt: bytes) -> bytes:
        hashed.append(code)
        return salt + salt

    monkeypatch.setattr(codes_module, "code_hash", cheap)
    return hashed


# The codes themselves.


def test_a_code_is_what_rfc_5869_and_an_hmac_make_of_the_seed_by_hand() -> None:
    key = code_key(HUB_SEED)
    for device in (1, 2, 999_999):
        for number in range(NUMBERS):
            code = code_of(key, device, number)
            assert code == supervisors_code(HUB_SEED, device, number)
            assert is_code(code)
            assert number_of(code) == number


def test_codes_of_two_handhelds_two_numbers_or_two_hubs_have_nothing_in_common() -> None:
    keys = [code_key(HUB_SEED), code_key(bytes(32))]
    chances = [code_of(key, device, number)[2:] for key in keys for device in (1, 11) for number in range(NUMBERS)]
    assert len(set(chances)) > len(chances) - 3, "eight digits meet by chance once in ten thousand pairs of hundreds"


def use(seq: int, number: int, *, right: bool = True, customer: str = "", at_ms: int = 0) -> CodeUse:
    about = f"record {seq}".encode()
    proof = code_proof(code_of(bytes(32), 1, number), about) if right else bytes(16)
    return CodeUse(seq, f"{seq:032d}".encode(), at_ms, number, proof, about, customer)


def judged(uses: Sequence[CodeUse], codes: dict[int, GivenCode]) -> list[CodeFault | None]:
    found = faults(uses, codes, partial(code_of, bytes(32), 1))
    return [found.get(one.digest) for one in uses]


def test_of_two_uses_of_a_code_the_first_along_the_chain_counts_however_they_come() -> None:
    uses = [use(seq, 3) for seq in (4, 9, 7)]
    assert judged(uses, {3: GivenCode(0, "")}) == [None, CodeFault.USED_BEFORE, CodeFault.USED_BEFORE]


def test_a_proof_that_is_wrong_uses_no_code_up() -> None:
    assert judged([use(1, 3, right=False), use(2, 3)], {3: GivenCode(0, "")}) == [CodeFault.WRONG_PROOF, None]


def test_a_code_that_was_guessed_before_it_was_given_is_named_so_and_gone() -> None:
    late = GivenCode(CLOCK_SLACK_MS + 1, "")
    assert judged([use(1, 3), use(2, 3, at_ms=late.at_ms)], {3: late}) == [CodeFault.NOT_GIVEN, CodeFault.USED_BEFORE]
    assert judged([use(1, 3)], {}) == [CodeFault.NOT_GIVEN]


def test_a_handheld_whose_clock_is_a_day_slow_is_believed() -> None:
    assert judged([use(1, 3)], {3: GivenCode(CLOCK_SLACK_MS, "")}) == [None]


@pytest.mark.parametrize(("named", "used", "fault"), [("A", "B", CodeFault.OTHER_CUSTOMER), ("A", "A", None)])
def test_a_code_given_for_one_customer_is_no_other_customers(named: str, used: str, fault: CodeFault | None) -> None:
    assert judged([use(1, 3, customer=used)], {3: GivenCode(0, named)}) == [fault]
    assert judged([use(1, 3)], {3: GivenCode(0, named)}) == [None], "a log-in is about nobody"


@settings(max_examples=60)
@given(
    uses=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=12),
    known=st.sets(st.integers(0, 5)),
    seed=st.integers(),
)
def test_no_order_of_arrival_changes_a_verdict_and_a_code_serves_once(
    uses: list[tuple[int, bool]], known: set[int], seed: int
) -> None:
    chain = [use(seq, number, right=right) for seq, (number, right) in enumerate(uses, start=1)]
    codes = {number: GivenCode(0, "") for number in known}
    verdicts = dict(zip(chain, judged(chain, codes), strict=True))
    mixed = list(chain)
    Random(seed).shuffle(mixed)
    assert dict(zip(mixed, judged(mixed, codes), strict=True)) == verdicts
    good = [one.number for one, fault in verdicts.items() if fault is None]
    assert len(good) == len(set(good))
    assert set(good) == {number for number, right in uses if right} & known


# Overrides.


async def test_an_override_with_a_code_that_was_given_lifts_the_hold_of_its_reading(branch: Branch) -> None:
    code = await shown(branch, HOUSE.customer)
    reading = branch.read(branch.an, HOUSE, HELD_M3)
    await branch.send(branch.an)
    assert (await branch.account())["hold"] == "CONSUMPTION_DROP"
    override(branch, reading, code)
    branch.collect(branch.an, reading)
    await branch.send(branch.an)
    found = await branch.account()
    assert (found["hold"], found["holds_alone"], found["bill_open_vnd"]) == ("", "CONSUMPTION_DROP", 0)
    assert await branch.cases() == []
    assert await branch.findings() == []


async def test_an_override_ends_with_the_reading_it_was_for(branch: Branch) -> None:
    reading = branch.read(branch.an, HOUSE, HELD_M3)
    override(branch, reading, await shown(branch))
    branch.watch.now_ms += 60_000
    again = branch.read(branch.an, HOUSE, HELD_M3 + 1)
    await branch.send(branch.an)
    assert (await branch.account())["hold"] == "CONSUMPTION_DROP"
    branch.collect(branch.an, again)
    await branch.send(branch.an)
    assert AGAINST_HOLD in await branch.cases()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("guessed", CodeFault.NOT_GIVEN),
        ("another handheld's", CodeFault.WRONG_PROOF),
        ("another reading's", CodeFault.WRONG_PROOF),
        ("another customer's", CodeFault.OTHER_CUSTOMER),
    ],
)
async def test_an_override_that_proves_nothing_is_a_case_and_the_money_stands(
    branch: Branch, fault: str, told: CodeFault
) -> None:
    reading = branch.read(branch.an, HOUSE, HELD_M3)
    code, about = supervisors_code(HUB_SEED, 1, 0), None
    if fault != "guessed":
        code = await shown(branch, OTHER_HOUSE.customer if fault == "another customer's" else None)
    if fault == "another handheld's":
        code = supervisors_code(HUB_SEED, 2, 0)
    elif fault == "another reading's":
        about = bytes(32)
    override(branch, reading, code, about=about)
    cash = branch.collect(branch.an, reading)
    await branch.send(branch.an)
    found = await branch.account()
    assert isinstance(cash.record, CashCollected)
    assert (found["hold"], found["bill_open_vnd"], found["cash_vnd"]) == ("CONSUMPTION_DROP", 0, cash.record.amount_vnd)
    assert await branch.cases() == [UNPROVEN]
    assert await detail(branch, ConflictClass.OVERRIDE_UNPROVEN) == told.about(0)
    assert await branch.findings() == []
    await branch.settle(ConflictClass.OVERRIDE_UNPROVEN, Decision.NOTED)
    assert await branch.cases() == [(*UNPROVEN[:2], True)]


async def test_a_code_used_at_two_doors_lifts_the_first_hold_alone(branch: Branch) -> None:
    code = await shown(branch)
    for house in HOUSES:
        override(branch, branch.read(branch.an, house, HELD_M3), code)
    await branch.send(branch.an)
    assert [(await branch.account(house))["hold"] for house in HOUSES] == ["", "CONSUMPTION_DROP"]
    assert await branch.cases() == [(UNPROVEN[0], OTHER_HOUSE.customer, False)]


async def test_a_code_that_becomes_known_after_its_use_settles_the_case_by_itself(
    branch: Branch, small_setting: Path, tmp_path: Path
) -> None:
    """As when a hub takes its own log back: the record was here first, and what was given is given."""
    code = supervisors_code(HUB_SEED, 1, 0)
    override(branch, branch.read(branch.an, HOUSE, HELD_M3), code)
    log_in_opened(branch, supervisors_code(HUB_SEED, 1, 1))
    await branch.send(branch.an)
    assert await branch.cases() == sorted([UNPROVEN, (UNPROVEN[0], "1", False)])
    assert [await shown(branch) for _ in range(2)] == [code, supervisors_code(HUB_SEED, 1, 1)]
    assert await branch.cases() == []
    assert (await branch.account())["hold"] == ""
    async with open_branch(small_setting, tmp_path / "other") as other:
        for _ in range(2):
            await shown(other)
        other.an.messages, other.an.sent = branch.an.messages, 0
        await other.send(other.an)
        assert (await state_of(other.hub)).accounts == (await state_of(branch.hub)).accounts
        assert await other.findings() == []


async def test_an_override_on_a_branch_that_does_not_count_lifts_nothing_and_uses_nothing_up(branch: Branch) -> None:
    code = await shown(branch)
    reading = branch.read(branch.an, HOUSE, HELD_M3)
    twin = branch.an.clone()
    override(branch, reading, code)
    branch.read(branch.an, OTHER_HOUSE, HELD_M3)
    branch.an, twin = twin, branch.an
    override(branch, reading, code)
    await branch.send(branch.an)
    await branch.send(twin)
    assert (await branch.account())["hold"] == "CONSUMPTION_DROP"
    await branch.settle(ConflictClass.FORK, Decision.ADOPT_BRANCH, twin.tip.digest)
    assert (await branch.account())["hold"] == ""
    assert [row for row in await branch.cases() if row[0] == UNPROVEN[0]] == []
    assert await branch.findings() == []


async def test_an_index_below_the_old_one_that_was_lifted_makes_no_bill_all_the_same(branch: Branch) -> None:
    reading = branch.read(branch.an, HOUSE, -3)
    override(branch, reading, await shown(branch))
    await branch.send(branch.an)
    found = await branch.account()
    assert (found["hold"], found["billed"]) == ("", 0)


async def test_no_code_lets_cash_be_taken_from_who_pays_by_bank(branch: Branch) -> None:
    books = branch.hub.books
    override(branch, branch.read(branch.an, HOUSE, HELD_M3), await shown(branch))
    await branch.send(branch.an)

    def folded(connection: Connection, payment_method: str) -> Reason | None:
        base = books.bases(connection, [HOUSE.customer])[HOUSE.customer].base
        facts = facts_of_customers(connection, books.unit, [HOUSE.customer], books.parsed)[HOUSE.customer]
        return fold(replace(base, stop=replace(base.stop, payment_method=payment_method)), facts, []).hold

    assert [await branch.hub.read(partial(folded, payment_method=method)) for method in ("TT", "CK", "NT")] == [
        None,
        Reason.PAYS_BY_TRANSFER,
        Reason.PAYS_BY_COLLECTION_ORDER,
    ]


# Collecting in spite of a hold.


async def test_money_for_a_held_reading_that_nobody_lifted_is_a_case(branch: Branch) -> None:
    reading = branch.read(branch.an, HOUSE, HELD_M3)
    branch.collect(branch.an, reading)
    await branch.send(branch.an)
    assert await branch.cases() == [AGAINST_HOLD]
    assert await detail(branch, ConflictClass.COLLECTED_AGAINST_HOLD) == "CONSUMPTION_DROP"
    assert (await branch.account())["bill_open_vnd"] == 0
    assert await branch.findings() == []


async def test_a_hold_that_the_handheld_wrote_down_binds_it_whatever_the_hub_finds(branch: Branch) -> None:
    """It may have followed an older policy; it knew of a hold, and took the money."""
    held = replace(reading_of(branch.tariff, HOUSE, 10), hold="CONSUMPTION_DROP")
    reading = branch.an.make(held, branch.watch.now_ms)
    branch.collect(branch.an, reading)
    await branch.send(branch.an)
    assert (await branch.account())["hold"] == ""
    assert await branch.cases() == [AGAINST_HOLD]


async def test_money_taken_back_was_not_collected_against_a_hold(branch: Branch) -> None:
    cash = branch.collect(branch.an, branch.read(branch.an, HOUSE, HELD_M3))
    branch.void(branch.an, cash)
    await branch.send(branch.an)
    assert AGAINST_HOLD not in await branch.cases()


async def test_arrears_and_readings_that_nothing_holds_are_nobodys_case(branch: Branch) -> None:
    branch.read(branch.an, HOUSE, HELD_M3)
    branch.collect(branch.an, None, vnd=50_000)
    branch.collect(branch.an, branch.read(branch.an, OTHER_HOUSE, 10), OTHER_HOUSE)
    await branch.send(branch.an)
    assert await branch.cases() == []


# Log-ins.


async def test_a_log_in_opened_by_a_code_that_was_given_is_no_case(branch: Branch) -> None:
    log_in_opened(branch, await shown(branch))
    await branch.send(branch.an)
    assert await branch.cases() == []
    assert await branch.findings() == []


async def test_a_log_in_opened_by_a_code_for_somebody_else_is_a_case_of_its_handheld(branch: Branch) -> None:
    log_in_opened(branch, await shown(branch), collector="binh.le")
    await branch.send(branch.an)
    assert await branch.cases() == [(UNPROVEN[0], "1", False)]
    assert await branch.findings() == []
    await branch.settle(ConflictClass.OVERRIDE_UNPROVEN, Decision.NOTED)
    assert await branch.cases() == [(UNPROVEN[0], "1", True)]
    assert await branch.findings() == []


async def test_a_code_that_opened_a_log_in_opens_nothing_more(branch: Branch) -> None:
    code = await shown(branch)
    log_in_opened(branch, code)
    await branch.send(branch.an)
    override(branch, branch.read(branch.an, HOUSE, HELD_M3), code)
    await branch.send(branch.an)
    assert await branch.cases() == [UNPROVEN]


# What a supervisor is shown.


@pytest.mark.usefixtures("quick")
async def test_a_supervisor_is_shown_one_code_after_the_other_until_a_hundred_are_used_up(branch: Branch) -> None:
    made = [
        await give_code(branch.hub, device=1, reason="empty house", by="supervisor", customer_id=HOUSE.customer)
        for _ in range(3)
    ]
    assert [(one.number, one.left) for one in made] == [(0, 99), (1, 98), (2, 97)]
    assert [one.code for one in made] == [supervisors_code(HUB_SEED, 1, number) for number in range(3)]
    await branch.hub.write(
        lambda connection: connection.execute(update(handheld).where(handheld.c.device == 1).values(next_code=99))
    )
    last = await give_code(branch.hub, device=1, reason="empty house", by="it")
    assert (last.number, last.left) == (99, 0)
    with pytest.raises(OfficeError, match="enrol it anew"):
        await give_code(branch.hub, device=1, reason="empty house", by="supervisor")
    assert (await give_code(branch.hub, device=2, reason="empty house", by="supervisor")).number == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"by": "cashier"}, "this needs supervisor or it"),
        ({"by": "nobody"}, "nobody with the code"),
        ({"device": 9}, "handheld 9 does not work"),
        ({"reason": "  "}, "say what the code is for"),
        ({"reason": "x" * 301}, "say what the code is for"),
        ({"customer_id": "02999999"}, "no customer"),
    ],
)
async def test_nobody_is_shown_a_code_without_right_reason_or_handheld(
    branch: Branch, wrong: dict[str, object], words: str
) -> None:
    wanted: dict[str, Any] = {"device": 1, "reason": "empty house", "by": "supervisor", **wrong}
    with pytest.raises(OfficeError, match=words):
        await branch.hub.write(partial(give, hub=branch.hub, **wanted))
    assert await shown(branch) == supervisors_code(HUB_SEED, 1, 0), "no number is lost"


async def test_a_revoked_handheld_is_given_no_code(branch: Branch) -> None:
    await branch.hub.write(
        lambda connection: connection.execute(update(handheld).where(handheld.c.device == 1).values(status="revoked"))
    )
    with pytest.raises(OfficeError, match="does not work"):
        await shown(branch)


# What a handheld has ready.


async def test_a_handheld_can_check_its_codes_and_no_other(branch: Branch) -> None:
    """With the real, slow hash."""
    await keep_ready(branch.hub, 1)
    ready = await sheet(branch)
    assert ready is not None
    assert (ready.unit, ready.device, ready.version) == ("CT", 1, 1)
    assert [one.number for one in ready.codes] == list(range(READY))
    for one in ready.codes[:2]:
        assert code_hash(supervisors_code(HUB_SEED, 1, one.number), one.salt) == one.hash
        assert code_hash(supervisors_code(HUB_SEED, 2, one.number), one.salt) != one.hash
    assert len({one.salt for one in ready.codes}) == READY


async def test_a_sheet_is_made_anew_when_few_are_left_and_keeps_what_is_in_somebodys_hand(
    branch: Branch, quick: list[str]
) -> None:
    await keep_ready(branch.hub, 1)
    first = await sheet(branch)
    assert first is not None
    for _ in range(READY - READY_MIN):
        await give_code(branch.hub, device=1, reason="empty house", by="supervisor")
    assert await sheet(branch) == first
    override(branch, branch.read(branch.an, HOUSE, HELD_M3), supervisors_code(HUB_SEED, 1, 2))
    await branch.send(branch.an)
    await give_code(branch.hub, device=1, reason="empty house", by="supervisor")
    second = await sheet(branch)
    assert second is not None
    assert second.version == 2
    assert [one.number for one in second.codes] == [0, 1, 3, 4, 5, *range(6, 16)], "2 has been used"
    assert [one for one in second.codes if one.number < READY] == [one for one in first.codes if one.number != 2]
    assert quick == [supervisors_code(HUB_SEED, 1, number) for number in range(16)], "each is hashed once"
    assert len(second.codes) <= READY + GIVEN_KEPT


async def test_a_code_given_before_the_first_download_is_on_the_first_sheet(branch: Branch, quick: list[str]) -> None:
    shown = await branch.hub.write(
        lambda connection: give(connection, branch.hub, device=1, reason="empty house", by="supervisor")
    )
    await keep_ready(branch.hub, 1)
    ready = await sheet(branch)
    assert ready is not None
    assert [one.number for one in ready.codes] == list(range(1 + READY))
    assert shown.code in quick


async def test_the_last_sheet_ends_at_the_last_number(branch: Branch, quick: list[str]) -> None:
    await branch.hub.write(lambda connection: connection.execute(update(handheld).values(next_code=96)))
    await keep_ready(branch.hub, 1)
    ready = await sheet(branch)
    assert ready is not None
    assert [one.number for one in ready.codes] == list(range(96 - GIVEN_KEPT, 100))
    await keep_ready(branch.hub, 1)
    assert len(quick) == GIVEN_KEPT + 4
    await branch.hub.write(lambda connection: connection.execute(update(handheld).values(next_code=100)))
    await keep_ready(branch.hub, 2)
    assert await sheet(branch, 2) is None


async def test_no_code_and_nothing_that_makes_one_is_kept_in_the_database(branch: Branch, quick: list[str]) -> None:
    await give_code(branch.hub, device=1, reason="empty house", by="supervisor")
    content = b"".join(path.read_bytes() for path in sorted(branch.hub.home.folder.glob("hub.db*")))
    assert quick
    for secret in (*(code[2:].encode() for code in quick), code_key(HUB_SEED), HUB_SEED):
        assert secret not in content


# On the wire.


@pytest.mark.usefixtures("quick")
async def test_a_handheld_is_sent_its_own_codes_beside_the_packages(served: Served) -> None:
    for one in (served.branch.an, served.branch.binh):
        status, answer = await served.ask(one, "GET", "/v1/packages")
        packages = codec.unpack(Packages, codec.decode(answer))
        assert status == 200
        assert packages.codes is not None
        assert open_codes(packages.codes, HUB).device == one.device
        assert len(packages.packages) == (len(ROUTES) if one is served.branch.an else 0)


@pytest.mark.usefixtures("quick")
async def test_a_log_in_against_the_hub_fetches_the_policy_and_the_codes_alone(served: Served) -> None:
    status, answer = await served.ask(served.branch.an, "GET", "/v1/policy")
    assert status == 200
    found = codec.unpack(Packages, codec.decode(answer))
    assert found.packages == ()
    assert found.codes is not None
    assert {card.code for card in open_policy(found.policy, HUB).collectors} == {one.collector for one in handsets()}


async def test_asking_again_hashes_nothing_again(served: Served, quick: list[str]) -> None:
    for path in ("/v1/policy", "/v1/packages", "/v1/policy"):
        assert (await served.ask(served.branch.an, "GET", path))[0] == 200
    assert len(quick) == READY
    versions = await served.branch.hub.read(lambda connection: connection.execute(select(code_sheet.c.version)).all())
    assert [row.version for row in versions] == [1]


@pytest.mark.parametrize(("status", "code"), [("pending", "not-confirmed"), ("revoked", "revoked")])
async def test_a_handheld_that_may_not_work_gets_neither_policy_nor_codes(
    served: Served, status: str, code: str
) -> None:
    await served.branch.hub.write(lambda connection: connection.execute(update(handheld).values(status=status)))
    answered, answer = await served.ask(served.branch.an, "GET", "/v1/policy")
    assert (answered, refusal_in(answer).code) == (403, code)
