"""The key and the admission on disk."""

import json
import stat
from pathlib import Path

import pytest

from device.keystore import (
    Admission,
    KeystoreError,
    NotEnrolledError,
    hub_origin,
    keep_admission,
    key_of,
    make_key,
    read_admission,
    read_key,
)
from tests.device.branch import HUB_KEY, IMEI

ADMISSION = Admission(
    device=7, unit="CT", hub_url="https://hub.example.vn", hub_key=HUB_KEY.public, imei=IMEI, collector="thu.nguyen"
)


def test_a_key_is_made_once_and_stays(tmp_path: Path) -> None:
    made = key_of(tmp_path)
    assert key_of(tmp_path).public == made.public
    assert stat.S_IMODE((tmp_path / "device.key").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        make_key(tmp_path)
    assert read_key(tmp_path).public == made.public


def test_a_cut_while_the_key_was_made_leaves_no_half_key(tmp_path: Path) -> None:
    (tmp_path / "device.key.new").write_bytes(b"half")
    assert key_of(tmp_path).public == read_key(tmp_path).public
    assert [path.name for path in tmp_path.iterdir()] == ["device.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_not_used(tmp_path: Path, mode: int) -> None:
    make_key(tmp_path)
    (tmp_path / "device.key").chmod(mode)
    with pytest.raises(KeystoreError, match="0600"):
        read_key(tmp_path)


def test_a_key_of_another_length_is_not_used(tmp_path: Path) -> None:
    make_key(tmp_path)
    (tmp_path / "device.key").write_bytes(bytes(31))
    with pytest.raises(KeystoreError, match="32 bytes"):
        read_key(tmp_path)


def test_what_enrolment_said_is_there_after_a_restart(tmp_path: Path) -> None:
    with pytest.raises(NotEnrolledError):
        read_admission(tmp_path)
    keep_admission(tmp_path, ADMISSION)
    assert read_admission(tmp_path) == ADMISSION


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hub_key", "00" * 32),  # Of small order: anyone could sign for it.
        ("hub_key", "00"),
        ("imei", "490154203237517"),
        ("device", "7"),
        ("hub_url", "https://hub.example.vn/ghithu"),
        ("collector", None),
    ],
)
def test_a_damaged_admission_is_not_believed(tmp_path: Path, name: str, value: object) -> None:
    keep_admission(tmp_path, ADMISSION)
    path = tmp_path / "identity.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(KeystoreError, match="damaged"):
        read_admission(tmp_path)


@pytest.mark.parametrize("url", ["", "hub.example.vn", "ftp://hub", "https://a/b", "https://a?b", "https://a:b@c"])
def test_what_is_no_address_of_a_hub_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="hub"):
        hub_origin(url)
