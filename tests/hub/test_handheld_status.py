"""What a handheld says of itself stands in its row, follows from its chain, and survives an older hub's database."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from hub.admin import ACTIONS
from hub.app import Hub
from hub.core.conflicts import ConflictClass
from hub.home import DATABASE_FILE
from hub.store.database import MIGRATIONS
from protocol.records import ContactNoted, ContactOutcome, Decision, DeviceStatus, StatusMoment
from tests.hub.branch import AN, HOUSES, Branch, open_branch
from tests.hub.worlds import PERIOD, state_of

FULL = DeviceStatus(
    period=PERIOD,
    moment=StatusMoment.HOURLY,
    software="ghithu 0.1.0",
    unsent=7,
    battery_percent=64,
    charging=1,
    storage_free_mib=2_900,
    clock="CLOCK_WRONG",
    printer="PAPER_OUT",
)
SPARE = DeviceStatus(period=PERIOD, moment=StatusMoment.BATTERY_LOW, software="ghithu 0.1.1", unsent=0)
TOLD = ("software", "unsent", "battery_percent", "charging", "storage_free_mib", "clock_fault", "printer_fault")


async def listed(branch: Branch) -> dict[str, Any]:
    devices = (await ACTIONS["device.list"](branch.hub, {}))["devices"]
    return next(dict(one) for one in devices if one["device"] == 1)


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in TOLD)


async def test_the_list_of_handhelds_shows_what_each_last_said_of_itself(branch: Branch) -> None:
    row = await listed(branch)
    assert (row["told_ms"], *told(row)) == (None,) * 8
    branch.an.make(FULL, branch.watch.now_ms)
    await branch.send(branch.an)
    row = await listed(branch)
    assert told(row) == ("ghithu 0.1.0", 7, 64, 1, 2_900, "CLOCK_WRONG", "PAPER_OUT")
    assert (row["told_ms"], row["seq"], row["made"], row["next_code"]) == (branch.watch.now_ms, 2, 2, 0)
    assert (row["clock_offset_ms"], row["clock_source"]) == (0, "NONE")
    assert await branch.findings() == []


async def test_a_newer_word_replaces_the_older_one_in_all_it_says(branch: Branch) -> None:
    """What it does not know any more is not left standing."""
    branch.an.make(FULL, branch.watch.now_ms)
    branch.an.make(SPARE, branch.watch.now_ms)
    await branch.send(branch.an)
    assert told(await listed(branch)) == ("ghithu 0.1.1", 0, None, None, None, None, None)
    branch.read(branch.an, HOUSES[0], 10)
    await branch.send(branch.an)
    assert told(await listed(branch))[0] == "ghithu 0.1.1"
    assert await branch.findings() == []


async def test_what_was_sent_twice_or_a_record_at_a_time_says_the_same(
    branch: Branch, small_setting: Path, tmp_path: Path
) -> None:
    for status in (FULL, SPARE, replace(FULL, battery_percent=12)):
        branch.an.make(status, branch.watch.now_ms)
    await branch.send(branch.an)
    async with open_branch(small_setting, tmp_path / "other") as other:
        for message in (*branch.an.messages, *branch.an.messages[:3]):
            await other.hub.intake.take(message)
        assert told(await listed(other)) == told(await listed(branch))
        assert await other.findings() == []


async def test_a_clone_says_nothing_of_the_handheld_until_a_supervisor_has_decided(branch: Branch) -> None:
    branch.an.make(SPARE, branch.watch.now_ms)
    twin = branch.an.clone()
    branch.read(branch.an, HOUSES[0], 10)
    twin.make(FULL, branch.watch.now_ms)
    await branch.send(branch.an)
    await branch.send(twin)
    assert told(await listed(branch))[0] == "ghithu 0.1.1"
    assert await branch.findings() == []
    await branch.settle(ConflictClass.FORK, Decision.ADOPT_BRANCH, twin.tip.digest)
    assert told(await listed(branch))[0] == "ghithu 0.1.0"
    assert await branch.findings() == []


async def test_a_visit_at_which_nothing_was_collected_is_a_visit(branch: Branch) -> None:
    noted = ContactNoted(
        customer=HOUSES[0].customer, period=PERIOD, outcome=ContactOutcome.PAYS_LATER, come_back="2026-11-09"
    )
    branch.an.make(noted, branch.watch.now_ms)
    await branch.send(branch.an)
    found = await branch.account()
    assert (found["visited_ms"], found["collector"], found["bill_vnd"]) == (branch.watch.now_ms, AN, 0)
    assert await branch.cases() == []
    assert await branch.findings() == []


# An older hub's database.


def alembic(home: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{home / DATABASE_FILE}")
    return config


async def test_a_database_of_an_older_hub_is_folded_again_by_the_rules_of_this_one(
    small_setting: Path, tmp_path: Path
) -> None:
    """As the hub of before left it: what it could not read is a case, what it did not look for is none."""
    home = tmp_path / "hub"
    async with open_branch(small_setting, home) as branch:
        branch.collect(branch.an, branch.read(branch.an, HOUSES[0], 5))
        branch.an.make(FULL, branch.watch.now_ms)
        await branch.send(branch.an)
        wanted, row = await state_of(branch.hub), await listed(branch)
        cases = "UPDATE case_file SET klass = 'unreadable', key = zeroblob(32) WHERE klass = 'collected-against-hold'"
        await branch.hub.write(lambda connection: connection.execute(text(cases)))
    command.downgrade(alembic(home), "0001")
    hub = await Hub.open(home)
    try:
        assert (await state_of(hub)).cases == wanted.cases
        assert (await state_of(hub)).accounts == wanted.accounts
        again = next(one for one in (await ACTIONS["device.list"](hub, {}))["devices"] if one["device"] == 1)
        assert again == row
        assert (await ACTIONS["check"](hub, {}))["findings"] == []
    finally:
        await hub.close()


async def test_a_database_of_this_hub_is_not_folded_again_each_time(small_setting: Path, tmp_path: Path) -> None:
    async with open_branch(small_setting, tmp_path / "hub") as branch:
        assert not branch.hub.database.upgraded
