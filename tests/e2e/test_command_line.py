"""`python -m hub` as branch IT types it: alone, and beside a running server."""

import asyncio
import csv
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hub import __main__ as command_line
from hub.api.server import SERVING_FILE
from simulator.sample import SampleBranch, write_branch
from tests.e2e.conftest import START_SECONDS, Program

INIT = ["--unit", "CR", "--branch-name", "CN Cái Răng", "--utility-name", "Cấp nước", "--bank-bin", "970436"]
INIT += ["--bank-account", "0123456789"]
CODE = re.compile(r"^([A-Z2-7]{5}-){3}[A-Z2-7]{5}$")


@dataclass(slots=True)
class Shell:
    """A terminal in front of one hub's home."""

    home: Path
    patch: pytest.MonkeyPatch
    screen: pytest.CaptureFixture[str]

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit code, what was printed, and what was complained of."""
        self.patch.setattr(sys, "argv", ["hub", *words, "--home", str(self.home)])
        self.screen.readouterr()
        code = 0
        try:
            command_line.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return code, *self.screen.readouterr()

    def done(self, *words: str) -> str:
        code, printed, complaint = self.run(*words)
        assert code == 0, complaint or printed
        return printed

    def refused(self, *words: str) -> str:
        """A sentence, and not a trace of where in the program."""
        code, _, complaint = self.run(*words)
        assert code == 1
        assert "Traceback" not in complaint
        assert complaint.strip()
        return complaint


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleBranch:
    """A made-up branch of two routes."""
    return write_branch(tmp_path_factory.mktemp("sample") / "data", routes=2, customers_per_route=30)


@pytest.fixture(params=["alone", "beside a server"])
def shell(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    """A new hub; in half of the tests it is being served while commands are typed."""
    opened = Shell(tmp_path / "hub", monkeypatch, capsys)
    opened.done("init", *INIT)
    program = Program("hub", opened.home, ["serve", "--home", str(opened.home), "--port", "0"], SERVING_FILE, {})
    if request.param != "alone":
        assert asyncio.run(program.start()) is not None, program.last_words()
    yield opened
    program.kill()


def damaged(sample: SampleBranch, folder: Path, file: str, line: int, column: str, content: str) -> Path:
    """A copy of the extract with one other field."""
    shutil.copytree(sample.folder, folder)
    with (folder / file).open(encoding="utf-8", newline="") as source:
        lines = list(csv.DictReader(source))
    lines[line - 2][column] = content
    with (folder / file).open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, lines[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return folder


def test_a_branch_is_made_ready_and_checked_from_the_command_line(shell: Shell, sample: SampleBranch) -> None:
    shell.done("user", "add", "an", "Lê Hoàng An", "--role", "collector", "--phone", "0950000001")
    people = json.loads(shell.done("user", "list"))["people"]
    assert {one["code"]: one["role"] for one in people} == {"an": "collector", "it": "it"}

    before = json.loads(shell.done("import", str(sample.folder), "--dry-run"))
    assert (before["done"], before["new"], before["problems"]) == (False, 60, [])
    assert json.loads(shell.done("package", "routes"))["routes"] == []
    after = json.loads(shell.done("import", str(sample.folder)))
    assert (after["done"], after["new"], after["period"]) == (True, 60, sample.period)
    assert after["summary"] == before["summary"]

    assert CODE.match(shell.done("device", "slot", "an").strip())
    assert json.loads(shell.done("device", "list"))["devices"] == []
    for version in (1, 2):
        printed = shell.done("package", "publish", sample.routes[0], "an")
        assert json.loads(printed) == {"version": version}
    routes = json.loads(shell.done("package", "routes"))["routes"]
    assert [(one["route"], one["collector"], one["version"]) for one in routes] == [
        (sample.routes[0], "an", 2),
        (sample.routes[1], "", 0),
    ]

    assert json.loads(shell.done("day", "report"))["days"] == []
    (day,) = json.loads(shell.done("day", "report", "an", "2026-11-03"))["days"]
    assert (day["hub_vnd"], day["received_vnd"], day["behind"]) == (0, 0, [])
    intent = "00" * 16
    for _ in range(2):
        received = shell.done("day", "receive", "an", "2026-11-03", "500000x1", "1000x3", "--intent", intent)
        assert json.loads(received) == {"amount_vnd": 503_000}
    (day,) = json.loads(shell.done("day", "report", "an", "2026-11-03"))["days"]
    assert (day["received_vnd"], day["difference_vnd"]) == (503_000, 503_000)
    shell.refused("day", "close", "an", "2026-11-03")
    closed = json.loads(shell.done("day", "close", "an", "2026-11-03", "--reason", "a gift"))
    assert closed["closed"] is True
    assert [one["class"] for one in json.loads(shell.done("case", "list"))["cases"]] == ["cash-short-or-over"]

    bank = json.loads(shell.done("bank", str(sample.folder / "bank.csv")))
    again = json.loads(shell.done("bank", str(sample.folder / "bank.csv")))
    assert bank["new"] == bank["matched"] + bank["unmatched"] > 0
    assert (again["new"], again["known"]) == (0, bank["new"] + bank["known"])

    target = shell.home / "totals.json"
    shell.done("export", "--out", str(target))
    totals = json.loads(target.read_text(encoding="utf-8"))
    assert totals == json.loads(shell.done("export"))
    assert totals["customers"] == 60
    assert sum(totals["ledger"].values()) == 0
    assert "all is well" in shell.done("check")


@pytest.mark.parametrize(
    ("file", "line", "column", "content"),
    [
        ("customers.csv", 5, "route_day", "99"),
        ("history.csv", 7, "index", "-1"),
        ("arrears.csv", 2, "amount_vnd", "ten"),
        ("customers.csv", 9, "customer_id", ""),
    ],
)
@pytest.mark.parametrize("shell", ["alone"], indirect=True)
def test_a_damaged_extract_is_refused_by_row_and_column_and_nothing_is_imported(
    shell: Shell, sample: SampleBranch, tmp_path: Path, file: str, line: int, column: str, content: str
) -> None:
    folder = damaged(sample, tmp_path / "damaged", file, line, column, content)
    for words in (["--dry-run"], []):
        code, printed, _ = shell.run("import", str(folder), *words)
        assert code == 1
        result = json.loads(printed)
        assert not result["done"]
        wanted = [one for one in result["problems"] if file in one and column in one and str(line) in one]
        assert wanted, result["problems"]
    assert json.loads(shell.done("package", "routes"))["routes"] == []
    assert "all is well" in shell.done("check")


@pytest.mark.parametrize(
    "words",
    [
        ["user", "add", "an", "An", "--role", "king"],
        ["user", "add", "it", "Somebody", "--role", "it"],
        ["user", "add", "Hai Lúa", "An", "--role", "collector"],
        ["user", "add", "an", "", "--role", "collector"],
        ["device", "slot", "nobody"],
        ["device", "confirm", "7", "490154203237518"],
        ["package", "publish", "S9-99", "it"],
        ["day", "receive", "it", "2026-11-03", "lots"],
        ["day", "receive", "it", "2026-11-03", "1000x1"],
        ["day", "paper", "1", "1"],
        ["day", "report", "an"],
        ["bank", "/nowhere/at/all.csv"],
        ["bank", "/dev/null", "--format", "mt940"],
        ["case", "decide", "00" * 32, "NOTED", "because"],
        ["case", "decide", "zz", "NOTED", "because", "--by", "it"],
        ["case", "decide", "00", "MAYBE", "because"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_refused_in_a_sentence(shell: Shell, words: list[str]) -> None:
    shell.refused(*words)


@pytest.mark.parametrize("shell", ["beside a server"], indirect=True)
def test_a_second_server_on_the_same_home_is_refused_in_a_sentence(shell: Shell) -> None:
    arguments = [sys.executable, "-m", "hub", "serve", "--home", str(shell.home), "--port", "0"]
    address = (shell.home / SERVING_FILE).read_text(encoding="utf-8")
    second = subprocess.run(arguments, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    assert second.returncode == 1
    assert f"the hub in {shell.home} is open in another process" in second.stderr
    assert "Traceback" not in second.stderr
    assert (shell.home / SERVING_FILE).read_text(encoding="utf-8") == address
    assert "all is well" in shell.done("check"), "the first one goes on"


@pytest.mark.parametrize("shell", ["alone"], indirect=True)
def test_a_home_is_made_once_and_an_empty_folder_is_no_home(shell: Shell, tmp_path: Path) -> None:
    assert "already" in shell.refused("init", *INIT)
    for words in (["check"], ["serve", "--port", "0"]):
        assert "init" in Shell(tmp_path / "empty", shell.patch, shell.screen).refused(*words)
    (shell.home / "hub.key").chmod(0o644)
    assert "chmod 600" in shell.refused("check")


@pytest.mark.parametrize(("option", "content"), [("--unit", "two words"), ("--bank-bin", "bank"), ("--unit", "")])
@pytest.mark.parametrize("shell", ["alone"], indirect=True)
def test_a_hub_that_cannot_be_is_not_half_made(shell: Shell, tmp_path: Path, option: str, content: str) -> None:
    words = list(INIT)
    words[words.index(option) + 1] = content
    elsewhere = Shell(tmp_path / "other", shell.patch, shell.screen)
    elsewhere.refused("init", *words)
    elsewhere.done("init", *INIT)


@pytest.mark.parametrize("shell", ["alone"], indirect=True)
def test_a_server_that_was_killed_leaves_an_address_that_misleads_nobody(shell: Shell) -> None:
    program = Program("hub", shell.home, ["serve", "--home", str(shell.home), "--port", "0"], SERVING_FILE, {})
    assert asyncio.run(program.start()) is not None
    program.kill()
    assert program.process is not None
    assert program.process.exitcode == -signal.SIGKILL
    assert (shell.home / SERVING_FILE).is_file()
    assert "all is well" in shell.done("check")
