"""A hub's home folder: its key, its database, and what it is called."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from protocol.envelope import SigningKey

KEY_FILE = "hub.key"
DATABASE_FILE = "hub.db"
UNIT_FILE = "unit.json"


class HomeError(Exception):
    """The folder is not a hub's home, or is one already. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Home:
    """An opened home."""

    folder: Path
    unit: str
    key: SigningKey

    @property
    def database(self) -> Path:
        return self.folder / DATABASE_FILE


def create_home(folder: Path, unit: str) -> Home:
    """Make a key and a name. Raises HomeError where a hub lives already."""
    if (folder / KEY_FILE).exists():
        raise HomeError(f"{folder} is a hub's home already: choose another folder")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_private(folder / KEY_FILE, secrets.token_bytes(32))
    _write_private(folder / UNIT_FILE, json.dumps({"unit": unit}).encode())
    return open_home(folder)


def open_home(folder: Path) -> Home:
    """Read the key and the name. Raises HomeError when they are missing or open to others."""
    path = folder / KEY_FILE
    if not path.is_file():
        raise HomeError(f"{folder} is no hub's home: run `python -m hub init` first")
    if path.stat().st_mode & 0o077:
        raise HomeError(f"{path} may be read by others: run `chmod 600 {path}`")
    unit = json.loads((folder / UNIT_FILE).read_text(encoding="utf-8"))["unit"]
    return Home(folder, unit, SigningKey.of(path.read_bytes()))


def _write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read, and see it onto the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
