"""A whole round on a made-up branch, through real processes; and the same with one record gone from the hub."""

import json
from collections import Counter
from pathlib import Path

import pytest

from simulator.round import run
from simulator.sample import write_branch
from simulator.truth import table

CUSTOMERS = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_branch(tmp_path_factory.mktemp("extract"), seed=5, routes=1, customers_per_route=CUSTOMERS).folder


async def test_a_round_agrees_with_its_files_after_everything_was_restarted(data: Path, tmp_path: Path) -> None:
    """Totals that the files say by themselves: who was read, with which code, and who owed from before."""
    said: list[str] = []
    out = tmp_path / "totals.json"
    code = await run(data, out=out, expected=None, online=False, delete_fact=None, say=said.append)
    assert code == 0, said
    totals = json.loads(out.read_text(encoding="utf-8"))
    truth = table(data, "round.csv")
    assert totals["customers"] == len(truth) == CUSTOMERS
    assert totals["read"]["codes"] == dict(sorted(Counter(row["read_code"] for row in truth).items()))
    assert totals["read"]["unread"] == sum(1 for row in truth if row["index_on_dial"] == "")
    assert totals["arrears"]["total_vnd"] == sum(int(row["amount_vnd"]) for row in table(data, "arrears.csv"))
    ledger = totals["ledger"]
    assert ledger["1111"] == 0, "all cash was handed in"
    assert ledger["1112"] == totals["cash_expected"]["with_all_arrears_of_the_same_customers_vnd"]
    assert sum(ledger.values()) == 0


async def test_a_round_fails_and_names_the_record_that_is_gone(data: Path) -> None:
    said: list[str] = []
    code = await run(data, out=None, expected=None, online=False, delete_fact="1:7", say=said.append)
    assert code == 1
    assert any("handheld 1: record 7 is missing" in line for line in said), said
