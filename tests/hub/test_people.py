"""Who may log in on a handheld: each change is one record, and the next policy tells handhelds of it."""

from typing import Any

import pytest
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from sqlalchemy import select

from hub.admin import ACTIONS
from hub.office import OfficeError, publish
from hub.passwords import LENGTH_MAX, LENGTH_MIN, PasswordError, verifier_of
from hub.people import add_person, close_person, set_password, set_policy, unlock
from hub.store.schema import fact, person
from protocol.codec import decode
from protocol.envelope import frame
from protocol.package import COLLECTORS_MAX, CollectorCard, Policy
from protocol.records import PersonChange, PersonChanged, PolicyIssued, Record
from protocol.sealed import parse
from protocol.verifier import parse_phc
from tests.hub.branch import AN, BINH, Branch
from tests.hub.worlds import ROUTES, state_of

# 8 MiB, one pass: the least that a handheld computes with; the salt and the hash are made up.
VERIFIER = "$argon2id$v=19$m=8192,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
GREEDY = VERIFIER.replace("m=8192", "m=4194304")


async def policy(branch: Branch) -> Policy:
    return await branch.hub.read(branch.hub.books.policy)


async def card(branch: Branch, code: str = AN) -> CollectorCard:
    (found,) = [one for one in (await policy(branch)).collectors if one.code == code]
    return found


async def last_records(branch: Branch, count: int) -> list[Record]:
    """The newest of the hub's own, oldest first."""
    query = select(fact.c.message).where(fact.c.device == 0).order_by(fact.c.seq.desc()).limit(count)
    messages = await branch.hub.read(lambda connection: list(connection.execute(query).scalars()))
    return [parse(decode(frame(message).payload))[1] for message in reversed(messages)]


async def changes(branch: Branch) -> list[tuple[str, PersonChange, str]]:
    query = select(fact.c.message).where(fact.c.device == 0, fact.c.kind == PersonChanged.KIND).order_by(fact.c.seq)
    messages = await branch.hub.read(lambda connection: list(connection.execute(query).scalars()))
    records = [parse(decode(frame(message).payload))[1] for message in messages]
    return [(one.person, one.change, one.by) for one in records if isinstance(one, PersonChanged)]


async def test_a_new_collector_can_log_in_with_the_next_policy_and_it_is_on_record(branch: Branch) -> None:
    before = await policy(branch)
    await add_person(
        branch.hub, code="moi", name="Người Mới", role="collector", phone="0950", verifier=VERIFIER, by="it"
    )
    assert await card(branch, "moi") == CollectorCard(code="moi", name="Người Mới", phone="0950", verifier=VERIFIER)
    assert (await policy(branch)).version == before.version + 1
    made, issued = await last_records(branch, 2)
    assert made == PersonChanged(person="moi", change=PersonChange.ADDED, by="it")
    assert isinstance(issued, PolicyIssued)
    assert await branch.findings() == []


async def test_somebody_who_uses_no_handheld_is_on_record_and_in_no_policy(branch: Branch) -> None:
    before = await policy(branch)
    await add_person(branch.hub, code="quy2", name="Thủ Quỹ", role="cashier", verifier=VERIFIER, by="it")
    assert await policy(branch) == before
    assert (await changes(branch))[-1] == ("quy2", PersonChange.ADDED, "it")


async def test_another_password_reaches_handhelds_at_once_and_no_route_must_be_published_for_it(branch: Branch) -> None:
    await set_password(branch.hub, code=AN, verifier=VERIFIER, by="it")
    assert (await card(branch)).verifier == VERIFIER
    assert (await changes(branch))[-1] == (AN, PersonChange.PASSWORD, "it")
    version = (await policy(branch)).version
    await publish(branch.hub, route_code=ROUTES[0], collector=AN, by="it")
    assert (await policy(branch)).version == version


async def test_a_collector_who_locked_themselves_out_is_let_in_again_by_a_number_that_grew(branch: Branch) -> None:
    await set_password(branch.hub, code=AN, verifier=VERIFIER, by="it")
    assert (await card(branch)).opened is None
    for times, by in enumerate(("supervisor", "it"), start=1):
        await unlock(branch.hub, code=AN, by=by)
        assert (await card(branch)).opened == times
    assert (await card(branch)).verifier == VERIFIER
    assert (await card(branch, BINH)).opened is None
    assert (await changes(branch))[-2:] == [(AN, PersonChange.OPENED, "supervisor"), (AN, PersonChange.OPENED, "it")]


async def test_who_left_logs_in_no_more_and_stays_named_on_papers(branch: Branch) -> None:
    await set_password(branch.hub, code=AN, verifier=VERIFIER, by="it")
    await close_person(branch.hub, code=AN, by="it")
    assert await card(branch) == CollectorCard(code=AN, name=AN, phone="")
    assert (await changes(branch))[-1] == (AN, PersonChange.CLOSED, "it")
    branch.collect(branch.an, None, vnd=50_000)
    await branch.send(branch.an)
    assert await branch.findings() == []


@pytest.mark.parametrize(
    "verifier",
    ["", "secret", "$argon2i$v=19$m=8192,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", GREEDY, VERIFIER + "=" * 200],
)
async def test_a_verifier_that_no_handheld_computes_with_is_not_stored(branch: Branch, verifier: str) -> None:
    with pytest.raises(OfficeError, match="no verifier"):
        await set_password(branch.hub, code=AN, verifier=verifier, by="it")
    if verifier:
        with pytest.raises(OfficeError, match="no verifier"):
            await add_person(branch.hub, code="moi", name="Mới", role="collector", verifier=verifier, by="it")
    assert (await card(branch)).verifier is None


@pytest.mark.parametrize(
    ("action", "arguments", "words"),
    [
        ("user.password", {"code": AN, "verifier": VERIFIER, "by": "supervisor"}, "this needs it"),
        ("user.password", {"code": "nobody", "verifier": VERIFIER, "by": "it"}, "nobody with the code 'nobody'"),
        ("user.unlock", {"code": AN, "by": "cashier"}, "this needs it or supervisor"),
        ("user.unlock", {"code": "cashier", "by": "it"}, "only collectors log in"),
        ("user.close", {"code": AN, "by": AN}, "this needs it"),
        ("user.add", {"code": "moi", "name": "Mới", "role": "it", "by": "moi"}, "nobody with the code 'moi'"),
        ("user.add", {"code": "moi", "name": "Mới", "role": "it", "by": AN}, "this needs it"),
        ("policy.set", {"by": "supervisor", "login_days": 10}, "this needs it"),
        ("policy.set", {"by": "it"}, "say which number"),
        ("policy.set", {"by": "it", "login_days": 6}, "handhelds could not follow"),
        ("policy.set", {"by": "it", "login_days": 63}, "handhelds could not follow"),
        ("policy.set", {"by": "it", "retype_from_vnd": 0}, "handhelds could not follow"),
    ],
)
async def test_what_somebody_may_not_or_cannot_do_changes_nothing(
    branch: Branch, action: str, arguments: dict[str, Any], words: str
) -> None:
    before = await state_of(branch.hub), await policy(branch)
    with pytest.raises(OfficeError, match=words):
        await ACTIONS[action](branch.hub, arguments)
    assert (await state_of(branch.hub), await policy(branch)) == before


async def test_the_numbers_of_the_policy_change_one_by_one(branch: Branch) -> None:
    before = await policy(branch)
    assert (before.login_days, before.retype_from_vnd) == (None, None)
    await set_policy(branch.hub, by="it", login_days=14)
    await set_policy(branch.hub, by="it", retype_from_vnd=1_000_000)
    after = await policy(branch)
    assert (after.login_days, after.retype_from_vnd, after.version) == (14, 1_000_000, before.version + 2)
    assert (after.collectors, after.drop_per_mille) == (before.collectors, before.drop_per_mille)
    assert await branch.findings() == []


async def test_a_policy_of_a_full_unit_with_passwords_still_fits(branch: Branch) -> None:
    for number in range(COLLECTORS_MAX - 2):
        await add_person(
            branch.hub,
            code=f"c{number:030d}",
            name="N" * 200,
            role="collector",
            phone="0" * 20,
            verifier=VERIFIER,
            by="it",
        )
    assert len((await policy(branch)).collectors) == COLLECTORS_MAX
    with pytest.raises(OfficeError, match="at most"):
        await add_person(branch.hub, code="one.more", name="X", role="collector", by="it")


async def test_lists_of_people_say_who_can_log_in_and_show_no_verifier(branch: Branch) -> None:
    await set_password(branch.hub, code=AN, verifier=VERIFIER, by="it")
    people = (await ACTIONS["user.list"](branch.hub, {}))["people"]
    assert {one["code"]: one["log_in"] for one in people if one["role"] == "collector"} == {AN: True, BINH: False}
    assert VERIFIER not in repr(people)


# Passwords.


@pytest.mark.parametrize("password", ["12345678", "Nước sạch!", "x" * LENGTH_MAX])
def test_what_the_hub_keeps_of_a_password_opens_for_it_and_for_no_other(password: str) -> None:
    verifier = verifier_of(password)
    parse_phc(verifier)
    Argon2id.verify_phc_encoded(password.encode(), verifier)
    with pytest.raises(InvalidKey):
        Argon2id.verify_phc_encoded(password.encode() + b"x", verifier)
    assert verifier_of(password) != verifier


def test_a_letter_typed_as_one_or_as_two_is_one_password() -> None:
    Argon2id.verify_phc_encoded("Nước sạch".encode(), verifier_of("Nu\u031bo\u031b\u0301c sa\u0323ch"))


@pytest.mark.parametrize("password", ["", "1234567", "x" * (LENGTH_MAX + 1), "e\u0301" * 7])
def test_a_password_that_is_too_short_or_endless_is_refused_in_a_sentence(password: str) -> None:
    with pytest.raises(PasswordError, match=f"{LENGTH_MIN}.*{LENGTH_MAX}"):
        verifier_of(password)


async def test_the_first_person_of_a_hub_names_itself(branch: Branch) -> None:
    await branch.hub.write(lambda connection: connection.execute(person.delete()))
    with pytest.raises(OfficeError, match="nobody with the code"):
        await add_person(branch.hub, code="it", name="IT", role="it", by="other")
    await add_person(branch.hub, code="it", name="IT", role="it", by="it")
    with pytest.raises(OfficeError, match="exists already"):
        await add_person(branch.hub, code="it", name="IT", role="it", by="it")
