"""What a release, the store and the running handheld say of themselves, asked from outside.

Together with `release_slots` and `releases` this is the keeper: the standard library alone, so that a copy outside of
all releases can judge one that is broken.
"""

import hashlib
import http.client
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

STORE_NAME, LISTENING_NAME = "store.db", "listening.json"  # As the handheld's program names them in its home.
HEALTH_PATH = "/healthz"
ASK_TIMEOUT_S = 2.0
PROBE_TIMEOUT_S = 60.0  # First start of a fresh environment from slow eMMC, nothing compiled yet.
BUILD_TIMEOUT_S = 1_800.0  # Thirty wheels on four slow cores take some minutes.
STORE_BUSY_S = 5.0
WHEELS_GLOB, LOCK_NAME = "ghithu-*.whl", "requirements.lock"
VERSION = re.compile(r"[0-9][0-9A-Za-z.+_]{0,63}")  # Becomes the name of a folder.
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
TOLD_LINES = 8  # Of what another program says, the last lines name the fault.


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One sentence or more for branch IT, in both languages."""

    vi: str
    en: str

    def __str__(self) -> str:
        return f"{self.vi}\n{self.en}"


class ReleaseError(Exception):
    """Something about releases cannot be done; words say what to do instead."""

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(en)
        self.words = Words(vi=vi, en=en)


class NoWayBackError(ReleaseError):
    """The release before cannot take over: there is none, or it could not read what is in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is installed in one folder. schema: up to which version of the store's tables it knows."""

    version: str
    schema: int
    folder: Path


class Health(Enum):
    """What the running handheld says."""

    WELL = "well"
    NOT_YET = "not yet"
    GONE = "gone"


# What a release and a store say of themselves.


def known_schema() -> int:
    """Up to which version of the store's tables the program beside this file knows."""
    return len(list((Path(__file__).parent / "schema").glob("[0-9][0-9][0-9][0-9]_*.sql")))


def store_schema(home: Path) -> int:
    """The version of the tables in the store, with what still lies in its log; 0 without store. Raises ReleaseError."""
    rows = _ask_store(home, "PRAGMA user_version")
    return int(rows[0][0]) if rows else 0


def require_schema(release: Release, home: Path) -> None:
    """No release below the store: it would refuse to open it, and the collector would stand there. NoWayBackError."""
    schema = store_schema(home)
    if schema > release.schema:
        raise NoWayBackError(
            f"Không chuyển sang bản {release.version}: dữ liệu trên máy đã ở mức {schema}, bản đó chỉ đọc được đến"
            f" mức {release.schema}. Không mất dữ liệu nào. Hãy cài một bản mới hơn đã sửa lỗi rồi chạy activate;"
            f" đừng xóa {home / STORE_NAME}, trong đó có thể còn phiếu chưa gửi.",
            f"Release {release.version} cannot take over: the store is at schema {schema} and it reads up to"
            f" {release.schema}. Nothing is lost. Install a newer, corrected release and activate it; do not delete"
            f" {home / STORE_NAME}, which may hold what was not sent yet.",
        )


def require_quiet(home: Path) -> None:
    """Not while a paper comes out: cut, nobody could say whether the customer holds it. Raises ReleaseError."""
    if store_schema(home) and _ask_store(home, "SELECT 1 FROM paper WHERE state = 'started'"):
        raise ReleaseError(
            "Máy đang in một phiếu. Hãy đợi in xong rồi chạy lại lệnh này.",
            "A paper is being printed. Wait until it is out and give the command again.",
        )


def _ask_store(home: Path, question: str) -> list[tuple[Any, ...]]:
    path = home / STORE_NAME
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=STORE_BUSY_S)) as db:
            return db.execute(question).fetchall()
    except sqlite3.Error as error:
        raise NoWayBackError(
            f"Không đọc được {path} ({error}). Giữ nguyên tập tin này và gửi máy về phòng kỹ thuật.",
            f"{path} cannot be read ({error}). Keep the file as it is and bring the handheld to the branch.",
        ) from error


def ask_schema(folder: Path) -> int:
    """What the release in a folder says it knows; that it can say it proves its interpreter. Raises ReleaseError."""
    answer = run([str(folder / "bin" / "python"), "-I", "-m", "device.releases", "schema"], PROBE_TIMEOUT_S)
    if not answer.strip().isdecimal():
        raise ReleaseError(f"Bản trong {folder} không trả lời.", f"The release in {folder} gives no answer.")
    return int(answer)


def prove(folder: Path) -> None:
    """All that the handheld's program imports is there and fits this processor. Raises ReleaseError."""
    run([str(folder / "bin" / "python"), "-I", "-m", "device", "--help"], PROBE_TIMEOUT_S)


def health(home: Path, pid: int | None) -> Health:
    """Ask the handheld's program how it is. pid: its process, where known; an old port of another one is not asked."""
    if pid is not None and not Path(f"/proc/{pid}").exists():
        return Health.GONE
    listening = read_json(home / LISTENING_NAME) or {}
    port = listening.get("port")
    if not isinstance(port, int) or (pid is not None and listening.get("pid") != pid):
        return Health.NOT_YET
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=ASK_TIMEOUT_S)) as connection:
        try:
            connection.request("GET", HEALTH_PATH)
            return Health.WELL if connection.getresponse().status == http.HTTPStatus.OK else Health.NOT_YET
        except (OSError, http.client.HTTPException):
            return Health.NOT_YET


# Wheels.


def wheelhouse_version(wheelhouse: Path) -> str:
    """The version of the one wheel of ours in a folder that also has the lock. Raises ReleaseError."""
    wheels = sorted(wheelhouse.glob(WHEELS_GLOB))
    version = wheels[0].name.split("-")[1] if len(wheels) == 1 else ""
    if not VERSION.fullmatch(version) or not (wheelhouse / LOCK_NAME).is_file():
        raise ReleaseError(
            f"{wheelhouse} phải có đúng một tập tin {WHEELS_GLOB} và tập tin {LOCK_NAME}.",
            f"{wheelhouse} must hold exactly one {WHEELS_GLOB} and {LOCK_NAME}.",
        )
    return version


def require_whole(wheelhouse: Path) -> None:
    """Every wheel is one that the lock names: copied to its end and not exchanged. Raises ReleaseError."""
    named = set(HASH.findall((wheelhouse / LOCK_NAME).read_text(encoding="utf-8")))
    for wheel in sorted(wheelhouse.glob("*.whl")):
        with wheel.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() not in named:
                raise ReleaseError(
                    f"{wheel.name} không đúng với {LOCK_NAME}: chép chưa xong hoặc đã bị đổi. Hãy chép lại cả thư mục.",
                    f"{wheel.name} is not what {LOCK_NAME} names: half copied, or changed. Copy it all again.",
                )


def build_environment(wheelhouse: Path, folder: Path) -> None:
    """A virtual environment from wheels alone: no index is asked and each file has the hash of the lock.

    pip checks the hashes once more; asking first spares minutes and gives a sentence.
    """
    require_whole(wheelhouse)
    run([sys.executable, "-I", "-m", "venv", str(folder)], BUILD_TIMEOUT_S)
    pip = [str(folder / "bin" / "python"), "-I", "-m", "pip", "--isolated", "--disable-pip-version-check", "install"]
    hashed = ["--no-index", "--no-cache-dir", "--only-binary", ":all:", "--require-hashes"]
    given = ["--find-links", str(wheelhouse), "--requirement", str(wheelhouse / LOCK_NAME)]
    run([*pip, *hashed, *given], BUILD_TIMEOUT_S)


def run(command: Sequence[str], timeout_s: float) -> str:
    """What another program says, both streams. Raises ReleaseError where it cannot be run or fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    try:
        done = subprocess.run(  # noqa: S603 -- No shell; what is run lies in folders that only root writes.
            command,
            env=environment | {"PIP_CONFIG_FILE": os.devnull},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            text=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReleaseError(f"Không chạy được {command[0]}: {error}", f"{command[0]} cannot be run: {error}") from error
    if done.returncode:
        told = "\n".join(done.stdout.strip().splitlines()[-TOLD_LINES:])
        raise ReleaseError(
            f"Lệnh {shlex.join(command[:4])} … không thành công:\n{told}",
            f"{shlex.join(command[:4])} … failed:\n{told}",
        )
    return done.stdout


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None where there is none, or no whole one."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
