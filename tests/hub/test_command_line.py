"""The newer commands from a shell: what a person types, and what stands in the window afterwards."""

import json
import re
import shutil
from pathlib import Path

import pytest
import segno
from typer.testing import CliRunner, Result

from hub.__main__ import CallError, cli, enrolment_qr
from tests.hub.branch import AN, HOUSES
from tests.hub.oracle import supervisors_code
from tests.hub.worlds import HUB_SEED

URL = "https://hub.example.vn:8443/ct"
VERIFIER = "$argon2id$v=19$m=8192,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"


@pytest.fixture
def home(small_setting: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_setting, tmp_path / "hub")
    return tmp_path / "hub"


def typed(home: Path, *words: str, keys: str = "") -> Result:
    """A command and what is keyed when it asks."""
    return CliRunner().invoke(cli, [*words, "--home", str(home)], input=keys)


def done(home: Path, *words: str, keys: str = "") -> str:
    result = typed(home, *words, keys=keys)
    assert result.exit_code == 0, result.output
    return result.stdout


def collector(home: Path) -> dict[str, object]:
    people = json.loads(done(home, "user", "list"))["people"]
    return next(one for one in people if one["code"] == AN)


def test_a_password_is_asked_for_twice_and_can_be_set_taken_and_given_back(home: Path) -> None:
    assert collector(home)["log_in"] is False
    done(home, "user", "password", AN, keys="nước sạch 1\nnước sạch 1\n")
    assert collector(home)["log_in"] is True
    done(home, "user", "close", AN)
    assert collector(home)["log_in"] is False
    done(home, "user", "password", AN, "--verifier", VERIFIER)
    done(home, "user", "unlock", AN, "--by", "supervisor")
    assert (collector(home)["log_in"], collector(home)["opened"]) == (True, 1)


def test_somebody_is_named_with_a_password(home: Path) -> None:
    done(home, "user", "add", "moi", "Người Mới", "--role", "collector", "--password", keys="12345678\n12345678\n")
    people = json.loads(done(home, "user", "list"))["people"]
    assert [one["log_in"] for one in people if one["code"] == "moi"] == [True]


@pytest.mark.parametrize(
    ("words", "keys", "said"),
    [
        (("user", "password", AN), "1234567\n1234567\n", "8"),
        (("user", "add", "moi", "Mới", "--role", "collector", "--password"), "short\nshort\n", "8"),
        (("user", "password", AN, "--verifier", "x"), "", "no verifier"),
        (("device", "slot", AN, "--qr"), "", "--hub-url"),
        (("device", "slot", AN, "--qr", "--hub-url", "hub.example.vn"), "", "--hub-url"),
        (("device", "code", "1", "--reason", "x", "--by", "cashier"), "", "this needs supervisor or it"),
        (("policy", "set"), "", "say which number"),
    ],
)
def test_what_cannot_be_done_is_said_and_not_done(home: Path, words: tuple[str, ...], keys: str, said: str) -> None:
    result = typed(home, *words, keys=keys)
    assert isinstance(result.exception, CallError)
    assert said in str(result.exception)
    assert collector(home)["log_in"] is False


def test_a_supervisor_reads_the_code_from_the_first_line(home: Path) -> None:
    words = ("device", "code", "1", "--reason", "khóa cửa", "--customer", HOUSES[0].customer, "--by", "supervisor")
    assert done(home, *words) == supervisors_code(HUB_SEED, 1, 0) + "\n"
    assert done(home, *words) == supervisors_code(HUB_SEED, 1, 1) + "\n"
    assert json.loads(done(home, "device", "list"))["devices"][0]["next_code"] == 2


def test_the_numbers_of_the_policy_are_set_from_the_shell(home: Path) -> None:
    said = json.loads(done(home, "policy", "set", "--login-days", "14", "--retype-from-vnd", "1000000"))
    assert (said["login_days"], said["retype_from_vnd"]) == (14, 1_000_000)


MARGIN = 4  # Light modules around a code; ISO/IEC 18004 asks for as many.


def drawn(text: str) -> list[list[int]]:
    """Dark modules of a code drawn in half blocks, light letters on a dark window, without its margin."""
    halves = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}
    rows: list[list[int]] = []
    for line in text.rstrip("\n").split("\n"):
        rows += [[halves[letter][half] for letter in line] for half in (0, 1)]
    size = len(rows[0]) - 2 * MARGIN
    assert not any(any(row) for row in rows[:MARGIN])
    return [row[MARGIN:-MARGIN] for row in rows[MARGIN : MARGIN + size]]


def test_a_new_handheld_reads_hub_and_code_from_the_window(home: Path) -> None:
    assert re.fullmatch(r"[A-Z2-7-]{23}\n", done(home, "device", "slot", AN))
    first, picture = done(home, "device", "slot", AN, "--qr", "--hub-url", URL).split("\n", 1)
    assert re.fullmatch(r"[A-Z2-7-]{23}", first)
    wanted = segno.make(f"ghithu:enrol?hub={URL}&code={first}", micro=False, error="m")
    assert drawn(picture) == [[int(module) for module in row] for row in wanted.matrix]


def test_an_address_that_would_break_the_qr_apart_is_escaped() -> None:
    odd = "https://hub.example.vn/a?b=c&code=x"
    wanted = segno.make("ghithu:enrol?hub=https://hub.example.vn/a%3Fb%3Dc%26code%3Dx&code=A-B", micro=False, error="m")
    assert drawn(enrolment_qr(odd, "A-B")) == [[int(module) for module in row] for row in wanted.matrix]


def test_a_check_says_that_all_is_well(home: Path) -> None:
    assert "all is well" in done(home, "check")
