"""`hub check` on a hub that somebody has been at with a database tool: each kind of damage is named."""

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection

from hub.app import Hub, post
from hub.checking import FINDINGS_MAX, findings
from hub.codes import keep_ready
from hub.statements import claim_line
from protocol.records import BankCredited
from protocol.values import DAY_MS
from tests.hub.rounds import live
from tests.hub.worlds import BANK_BIN, PERIOD, Watch

SEED = 2
IMPORTED = "SELECT MIN(seq) FROM fact WHERE device = 0 AND kind = 64"
CALM = "SELECT device FROM handheld WHERE fork_from = 0 AND seq > 9 ORDER BY device LIMIT 1"  # One chain, no fork.
FORKED = "SELECT device FROM handheld WHERE fork_from > 0 ORDER BY device LIMIT 1"


async def work(folder: Path) -> Path:
    """A hub after a made-up round of forks, voids, closed dates and money of nobody; its home."""
    await live(SEED, folder)
    hub = await Hub.open(folder / "live", Watch(Watch().now_ms + 30 * DAY_MS))
    nobodys = BankCredited(
        period=PERIOD,
        bank_bin=BANK_BIN,
        transaction="FT-NOBODY",
        value_ms=hub.clock(),
        account="0123456789",
        amount_vnd=77_000,
        content="tien nuoc",
        match="none",
    )

    def credit(connection: Connection) -> None:
        claim_line(connection, hub.books.unit, nobodys)
        post(connection, hub.books, nobodys, hub.clock())

    await hub.write(credit)
    await keep_ready(hub, 1)
    await hub.close()
    return folder / "live"


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(work(tmp_path_factory.mktemp("checking") / "world"))


def found_in(home: Path) -> list[str]:
    async def look() -> list[str]:
        hub = await Hub.open(home, Watch())
        try:
            return await hub.read(lambda connection: findings(connection, hub.books))
        finally:
            await hub.close()

    return asyncio.run(look())


def test_nothing_is_found_where_nothing_was_touched(worked: Path) -> None:
    assert found_in(worked) == []
    with sqlite3.connect(worked / "hub.db") as database:
        assert database.execute(CALM).fetchone()
        assert database.execute(FORKED).fetchone()
        assert database.execute("SELECT 1 FROM case_file").fetchone()
    database.close()


Damage = tuple[str, str]  # Statements with {calm} and {forked}, and what a finding must say.
ONE_OF_CALM = "device = {calm} AND seq = 4"
OTHER_LAST_BYTE = (
    "UPDATE fact SET message = CAST(substr(message, 1, length(message) - 1) || "
    "CASE substr(message, -1) WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB)"
)

DAMAGES: dict[str, Damage] = {
    "a record in the middle is gone": (f"DELETE FROM fact WHERE {ONE_OF_CALM}", "record 4 is missing"),
    "some records in the middle are gone": (
        "DELETE FROM fact WHERE device = {calm} AND seq BETWEEN 4 AND 6",
        "records 4 to 6 are missing",
    ),
    "the first record is gone": ("DELETE FROM fact WHERE device = {calm} AND seq = 1", "record 1 is missing"),
    "the last record is gone": (
        "DELETE FROM fact WHERE device = {calm} AND seq = (SELECT seq FROM handheld WHERE device = {calm})",
        "is missing",
    ),
    "all records of a handheld are gone": ("DELETE FROM fact WHERE device = {calm}", "records 1 to"),
    "the head row points before the last record": (
        "UPDATE handheld SET digest = zeroblob(32) WHERE device = {calm}",
        "that was acknowledged last is not here",
    ),
    "a byte of a signature changed": (
        f"{OTHER_LAST_BYTE} WHERE {ONE_OF_CALM}",
        "record 4: the signature does not fit",
    ),
    "a byte of a payload changed": (
        f"UPDATE fact SET message = CAST(substr(message, 1, 80) || x'00' || substr(message, 82) AS BLOB) "
        f"WHERE {ONE_OF_CALM}",
        "record 4: the signature does not fit",
    ),
    "a message is no message any more": (
        f"UPDATE fact SET message = x'00' WHERE {ONE_OF_CALM}",
        "record 4: not a message",
    ),
    "a digest changed": (f"UPDATE fact SET digest = zeroblob(32) WHERE {ONE_OF_CALM}", "filed under another name"),
    "a prev changed": (f"UPDATE fact SET prev = zeroblob(32) WHERE {ONE_OF_CALM}", "filed under another name"),
    "a customer column changed": (f"UPDATE fact SET customer = 'x' WHERE {ONE_OF_CALM}", "columns do not say"),
    "a date column changed": (f"UPDATE fact SET day = '2026-11-30' WHERE {ONE_OF_CALM}", "columns do not say"),
    "an order column changed": (f"UPDATE fact SET ord = ord + 1 WHERE {ONE_OF_CALM}", "columns do not say"),
    "a kind column changed": (f"UPDATE fact SET kind = 99 WHERE {ONE_OF_CALM}", "columns do not say"),
    "records of a stranger": (
        f"UPDATE fact SET device = 99 WHERE {ONE_OF_CALM}",
        "records of handheld 99, which is not enrolled",
    ),
    "quarantine lifted": (
        "UPDATE fact SET quarantined = 0 WHERE (device, seq) IN "
        "(SELECT device, MAX(seq) FROM fact WHERE quarantined = 1)",
        "wrong records are in quarantine",
    ),
    "quarantine laid": (f"UPDATE fact SET quarantined = 1 WHERE {ONE_OF_CALM}", "wrong records are in quarantine"),
    "a fork forgotten": ("UPDATE handheld SET fork_from = 0 WHERE device = {forked}", "head row does not say"),
    "a receipt counter changed": ("UPDATE handheld SET receipt_no = 99 WHERE device = {calm}", "head row does not say"),
    "a battery changed": ("UPDATE handheld SET battery_percent = 50 WHERE device = {calm}", "head row does not say"),
    "a status forgotten": ("UPDATE handheld SET told_ms = NULL WHERE device = {calm}", "head row does not say"),
    "a code would be given again": ("UPDATE handheld SET next_code = next_code - 1", "would be given next"),
    "the codes made ready are another version": (
        "UPDATE code_sheet SET version = version + 1",
        "the codes made ready for handheld 1 are not what their row says",
    ),
    "the codes made ready are another handheld's": (
        "UPDATE code_sheet SET device = 2",
        "the codes made ready for handheld 2 are not what their row says",
    ),
    "a byte of the codes made ready changed": (
        "UPDATE code_sheet SET message = CAST(substr(message, 1, 80) || x'00' || substr(message, 82) AS BLOB)",
        "the codes made ready for handheld 1: ",
    ),
    "an override is not doubted any more": (
        "DELETE FROM case_file WHERE klass = 'override-unproven'",
        "case_file of ",
    ),
    "an amount in the ledger changed": (
        "UPDATE ledger SET amount_vnd = amount_vnd + 1 WHERE (subject, n) IN (SELECT subject, n FROM ledger LIMIT 1)",
        "debits and credits differ by 1 ",
    ),
    "two amounts in the ledger changed": (
        "UPDATE ledger SET amount_vnd = amount_vnd * 2 WHERE (subject, entry) IN "
        "(SELECT subject, entry FROM ledger WHERE amount_vnd <> 0 LIMIT 1)",
        "ledger of ",
    ),
    "an entry of the ledger is gone": (
        "DELETE FROM ledger WHERE (subject, entry) IN (SELECT subject, entry FROM ledger LIMIT 1)",
        "ledger of ",
    ),
    "an entry of an account is laid to another": (
        "UPDATE ledger SET party = 'elsewhere' WHERE (subject, n) IN "
        "(SELECT subject, n FROM ledger WHERE account LIKE '111%' LIMIT 1)",
        "ledger of ",
    ),
    "an entry of nothing": (
        "INSERT INTO ledger SELECT unit, 'day:nobody:2026-11-05', n, entry, device, seq, digest, day, account, party, "
        "amount_vnd FROM ledger WHERE subject = (SELECT subject FROM ledger LIMIT 1)",
        "ledger lines of day:nobody:2026-11-05, and no facts",
    ),
    "an account changed": ("UPDATE account SET bill_open_vnd = bill_open_vnd + 1", "bill_open_vnd is"),
    "an account is gone": ("DELETE FROM account WHERE customer = '02000003'", "account 02000003 has no row"),
    "an account of nobody": (
        "UPDATE customer SET customer = '09999999' WHERE customer = '02000003'",
        "account 02000003 belongs to nobody",
    ),
    "a customer is gone": ("DELETE FROM customer WHERE customer = '02000003'", "customers on routes"),
    "a case of an account is gone": (
        "DELETE FROM case_file WHERE key IN (SELECT key FROM case_file WHERE subject LIKE 'account:%' LIMIT 1)",
        "case_file of account:",
    ),
    "a case of a date is gone": ("DELETE FROM case_file WHERE subject LIKE 'day:%'", "case_file of day:"),
    "a case of a handheld is gone": ("DELETE FROM case_file WHERE klass = 'fork'", "case_file of handheld:"),
    "a case is called settled": (
        "UPDATE case_file SET settled = 1 - settled WHERE key IN (SELECT key FROM case_file LIMIT 1)",
        "case_file of ",
    ),
    "the case of nobody's money is gone": (
        "DELETE FROM case_file WHERE klass = 'bank-unmatched'",
        "case_file of bank:",
    ),
    "a file of the extract is gone": (
        "DELETE FROM extract_file WHERE name = 'arrears.csv'",
        "the extract's file arrears.csv",
    ),
    "a file of the extract is damaged": (
        "UPDATE extract_file SET content = x'00' WHERE name = 'history.csv'",
        "the extract's file history.csv",
    ),
    "a file of the extract is another": (
        "UPDATE extract_file SET content = (SELECT content FROM extract_file WHERE name = 'arrears.csv') "
        "WHERE name = 'customers.csv'",
        "the extract's file customers.csv",
    ),
    "a record of the hub is gone": ("DELETE FROM fact WHERE device = 0 AND seq = 3", "hub record 3 is missing"),
    "the first record of the hub is gone": ("DELETE FROM fact WHERE device = 0 AND seq = 1", "hub record 1 is missing"),
    "the import of the extract is gone": (
        "DELETE FROM fact WHERE device = 0 AND kind = 64",
        "hub record {imported} is missing",
    ),
    "the last record of the hub is gone": (
        "DELETE FROM fact WHERE device = 0 AND seq = (SELECT head_seq FROM unit)",
        "is missing",
    ),
    "the hub's head is another": ("UPDATE unit SET head_digest = zeroblob(32)", "not the one the head row names"),
    "a byte of a hub record changed": (
        f"{OTHER_LAST_BYTE} WHERE device = 0 AND seq = 3",
        "hub record 3: the signature does not fit",
    ),
    "a date of a hub record changed": (
        "UPDATE fact SET day = '2000-01-01' WHERE device = 0 AND seq = 3",
        "hub record 3: its columns",
    ),
    "a bank line is forgotten": ("DELETE FROM bank_line WHERE txn = 'FT000001'", "list of bank lines"),
    "a bank line is claimed by nobody": (
        "INSERT INTO bank_line VALUES ('CT', '970436', 'FT-X', x'00')",
        "list of bank lines",
    ),
    "the tariff is gone": ("DELETE FROM tariff", "the check of accounts cannot go on"),
    "a tariff that is no tariff": ("UPDATE tariff SET body = x'ff'", "the check of accounts cannot go on"),
    "the policy is gone": ("DELETE FROM policy", "the check of accounts cannot go on"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_by_hand_is_named(worked: Path, tmp_path: Path, name: str) -> None:
    script, sentence = DAMAGES[name]
    home = tmp_path / "hub"
    shutil.copytree(worked, home)
    database = sqlite3.connect(home / "hub.db")
    calm, forked, imported = (database.execute(query).fetchone()[0] for query in (CALM, FORKED, IMPORTED))
    for statement in script.format(calm=calm, forked=forked).split(";"):
        assert database.execute(statement).rowcount > 0, "the damage was done"
    database.commit()
    database.close()
    found = found_in(home)
    assert any(sentence.format(imported=imported) in one for one in found), found


def test_a_ruin_is_described_no_longer_than_anyone_reads(worked: Path, tmp_path: Path) -> None:
    home = tmp_path / "hub"
    shutil.copytree(worked, home)
    with sqlite3.connect(home / "hub.db") as database:
        database.execute("UPDATE fact SET message = x'00'")
        database.execute("DELETE FROM ledger WHERE n = 1")
    database.close()
    found = found_in(home)
    assert len(found) == FINDINGS_MAX + 1
    assert found[-1] == "… and more"
