"""What branch IT does before a round, and again in the middle of one: an extract, people, packages."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection, select

from hub.app import post
from hub.office import OfficeError, import_extract, publish
from hub.people import add_person
from hub.statements import LineStanding, claim_line
from hub.store.schema import package
from protocol.envelope import VerifyKey
from protocol.package import RoutePackage, open_package
from protocol.records import BankCredited
from tests.hub.test_cashier import HOUSES, Desk, fresh_handset
from tests.hub.worlds import BANK_BIN, HUB_KEY, PERIOD, ROUTES, House, open_cases, set_up, state_of, write_extract

PAYER = HOUSES[0]  # The one with arrears.


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(set_up(tmp_path_factory.mktemp("office"), HOUSES, [fresh_handset()]))


@pytest_asyncio.fixture
async def desk(setting: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    """A morning on which two customers have paid: one with arrears, one without."""
    laid = await Desk.lay(setting, tmp_path / "hub")
    await laid.open_shift()
    await laid.collect(PAYER, arrears=True)
    await laid.collect(HOUSES[1])
    yield laid
    assert await laid.findings() == []
    await laid.hub.close()


def extract(folder: Path, houses: tuple[House, ...], changes: dict[str, tuple[str, str]] | None = None) -> Path:
    """An extract of the houses. changes: by file, a text and what stands there instead."""
    write_extract(folder, houses)
    for name, (old, new) in (changes or {}).items():
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count(old) == 1
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    return folder


async def published(desk: Desk, route: str = PAYER.route) -> RoutePackage:
    """Publish a route and open what was signed."""
    version = await publish(desk.hub, route_code=route, collector=desk.handset.collector, by="it")
    query = select(package.c.message).where(package.c.route == route, package.c.version == version)
    message = await desk.hub.read(lambda connection: connection.execute(query).scalar_one())
    return open_package(message, VerifyKey.of(HUB_KEY.public))


# The extract again.


async def test_the_same_extract_again_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    before = await state_of(desk.hub)
    done = await import_extract(desk.hub, extract(tmp_path / "again", HOUSES), by="it")
    assert (done.new, done.changed, done.left_out, done.done) == (0, 0, 0, True)
    after = await state_of(desk.hub)
    assert after.accounts == before.accounts
    assert after.cases == before.cases
    assert [one for one in after.facts if one["device"]] == [one for one in before.facts if one["device"]]


async def test_arrears_paid_at_the_door_stay_paid_when_the_office_lists_them_no_longer(
    desk: Desk, tmp_path: Path
) -> None:
    messages, before = await desk.messages(), await desk.account(PAYER)
    houses = (replace(PAYER, arrears=()), *HOUSES[1:])
    await import_extract(desk.hub, extract(tmp_path / "later", houses), by="it")
    after = await desk.account(PAYER)
    assert before["arrears_cash_vnd"] == 50_000
    for name in ("cash_vnd", "arrears_cash_vnd", "credit_vnd", "bill_open_vnd", "arrears_open_vnd"):
        assert after[name] == before[name], name
    assert messages < await desk.messages()
    assert (await desk.report()).hub_vnd == desk.collected_vnd


async def test_arrears_nobody_paid_go_when_the_office_lists_them_no_longer(desk: Desk, tmp_path: Path) -> None:
    owing = replace(HOUSES[2], arrears=(("x9", "2026-08", 70_000),))
    houses = (*HOUSES[:2], owing, *HOUSES[3:])
    first = extract(tmp_path / "first", houses)
    done = await import_extract(desk.hub, first, by="it")
    assert done.changed == 1
    assert (await desk.account(owing))["arrears_open_vnd"] == 70_000
    await import_extract(desk.hub, extract(tmp_path / "second", HOUSES), by="it")
    assert (await desk.account(owing))["arrears_open_vnd"] == 0


async def test_a_changed_address_reaches_the_next_package_and_no_amount(desk: Desk, tmp_path: Path) -> None:
    before = await state_of(desk.hub)
    changed = extract(tmp_path / "moved", HOUSES, {"customers.csv": (",3 Lê Lợi,", ",12 Trần Phú,")})
    done = await import_extract(desk.hub, changed, by="it")
    assert (done.changed, done.unchanged) == (1, len(HOUSES) - 1)
    assert (await state_of(desk.hub)).accounts == before.accounts
    stops = {stop.customer: stop for stop in (await published(desk, HOUSES[2].route)).stops}
    assert stops[HOUSES[2].customer].address == "12 Trần Phú"


async def test_a_customer_that_vanished_keeps_its_money_and_leaves_its_route(desk: Desk, tmp_path: Path) -> None:
    before = await desk.account(PAYER)
    done = await import_extract(desk.hub, extract(tmp_path / "gone", HOUSES[1:]), by="it")
    assert (done.left_out, done.new) == (1, 0)
    after = await desk.account(PAYER)
    assert after["route"] == ""
    assert (after["cash_vnd"], after["credit_vnd"]) == (before["cash_vnd"], before["credit_vnd"])
    assert PAYER.customer not in {stop.customer for stop in (await published(desk)).stops}
    assert (await desk.report()).hub_vnd == desk.collected_vnd
    back = await import_extract(desk.hub, extract(tmp_path / "back", HOUSES), by="it")
    assert back.left_out == 0
    again = await desk.account(PAYER)
    for name in before.keys() - {"version", "change"}:
        assert again[name] == before[name], name


async def test_a_new_customer_and_a_new_route_are_there_at_once(desk: Desk, tmp_path: Path) -> None:
    newcomer = House("02000099", "S1-09", "business", 5, ())
    done = await import_extract(desk.hub, extract(tmp_path / "new", (*HOUSES, newcomer)), by="it")
    assert (done.new, done.unchanged) == (1, len(HOUSES))
    assert [stop.customer for stop in (await published(desk, "S1-09")).stops] == [newcomer.customer]


DAMAGES = {
    "an amount": ("arrears.csv", ",50000", ",-50000", "arrears.csv", "amount_vnd"),
    "a category": (
        "customers.csv",
        ",3 Lê Lợi,,,CN số 1,S1-02,5,3,",
        ",3 Lê Lợi,,,CN số 1,S1-02,55,3,",
        "customers.csv",
        "",
    ),
    "a date": (
        "history.csv",
        "02000008,2026-10,2026-10-05",
        "02000008,2026-10,2026-13-05",
        "history.csv",
        "reading_date",
    ),
    "the tariff": ("tariff.json", '"vat_percent": 5', '"vat_percent": "five"', "tariff.json", ""),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_an_extract_with_one_bad_place_imports_nothing_and_names_it(
    desk: Desk, tmp_path: Path, name: str
) -> None:
    file, old, new, where, column = DAMAGES[name]
    before = await state_of(desk.hub)
    folder = extract(tmp_path / "bad", (*HOUSES, House("02000099", ROUTES[0], "household", 5, ())), {file: (old, new)})
    done = await import_extract(desk.hub, folder, by="it")
    assert not done.done
    assert done.reading.problems
    texts = [problem.text("vi") for problem in done.reading.problems]
    assert any(where in text and column in text for text in texts), texts
    assert await state_of(desk.hub) == before


async def test_a_dry_run_says_what_it_would_do_and_does_nothing(desk: Desk, tmp_path: Path) -> None:
    before = await state_of(desk.hub)
    folder = extract(tmp_path / "dry", (*HOUSES[2:], House("02000099", ROUTES[0], "household", 5, ())))
    done = await import_extract(desk.hub, folder, by="it", dry_run=True)
    assert (done.new, done.left_out, done.done) == (1, 2, False)
    assert await state_of(desk.hub) == before


# Packages.


async def test_a_route_published_again_has_the_next_version_and_carries_what_is_known(desk: Desk) -> None:
    reading = await desk.read(HOUSES[3])
    versions = [(await published(desk)).version for _ in range(2)]
    assert versions == [3, 4]
    stops = {stop.customer: stop for stop in (await published(desk)).stops}
    assert stops.keys() == {house.customer for house in HOUSES if house.route == PAYER.route}
    paid = stops[PAYER.customer]
    assert (paid.arrears, paid.known is not None and paid.known.open_vnd) == ((), 0)
    other = {stop.customer: stop for stop in (await published(desk, HOUSES[3].route)).stops}[HOUSES[3].customer]
    assert other.known is not None
    assert (other.known.digest, other.known.index) == (reading.digest, HOUSES[3].previous_index + 12)
    assert other.known.open_vnd
    assert stops[HOUSES[4].customer].known is None


async def test_money_that_a_customer_has_to_its_credit_is_in_the_package(desk: Desk) -> None:
    record = BankCredited(
        period=PERIOD,
        bank_bin=BANK_BIN,
        transaction="FT1",
        value_ms=desk.watch.now_ms,
        account="0123456789",
        amount_vnd=90_000,
        content="tien nuoc",
        match="one",
        customer=PAYER.customer,
    )

    def credit(connection: Connection) -> None:
        found = [claim_line(connection, "CT", one) for one in (record, record, replace(record, amount_vnd=95_000))]
        assert found == [LineStanding.NEW, LineStanding.KNOWN, LineStanding.CHANGED]
        post(connection, desk.hub.books, record, desk.watch.now_ms)

    await desk.hub.write(credit)
    stops = {stop.customer: stop for stop in (await published(desk)).stops}
    assert stops[PAYER.customer].credit_vnd == 90_000
    assert {row["klass"] for row in await desk.hub.read(open_cases)} == set()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"route_code": "S9-99"}, "no route"),
        ({"collector": "nobody"}, "nobody with the code"),
        ({"collector": "cashier"}, "this needs collector"),
    ],
)
async def test_a_package_that_cannot_be_is_refused(desk: Desk, given: dict[str, str], words: str) -> None:
    wanted = {"route_code": ROUTES[0], "collector": desk.handset.collector, "by": "it", **given}
    with pytest.raises(OfficeError, match=words):
        await publish(desk.hub, **wanted)


async def test_a_policy_names_collectors_and_grows_when_somebody_joins(desk: Desk) -> None:
    await published(desk)
    before = await desk.hub.read(desk.hub.books.policy)
    await published(desk)
    assert (await desk.hub.read(desk.hub.books.policy)).version == before.version
    await add_person(desk.hub, code="zen", name="Trần Thị Dân", role="collector", phone="0900", by="it")
    await published(desk)
    after = await desk.hub.read(desk.hub.books.policy)
    assert after.version == before.version + 1
    assert [card.name for card in after.collectors if card.code == "zen"] == ["Trần Thị Dân"]


@pytest.mark.parametrize(("code", "role"), [("zen", "king"), ("it", "it")])
async def test_a_person_that_cannot_be_is_refused(desk: Desk, code: str, role: str) -> None:
    with pytest.raises(OfficeError):
        await add_person(desk.hub, code=code, name="X", role=role, by="it")
