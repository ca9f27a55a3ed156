"""Releases side by side: real environments, the real store, real power cuts."""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from device import __main__ as program
from device import release_checks, release_slots, releases
from device.checkpoints import KILL_VARIABLE
from device.core.effects import PaperState
from device.release_checks import NoWayBackError, ReleaseError
from device.release_slots import STARTS_MAX, Slots, Trial, version_of
from device.releases import confirm, main
from device.store import SCHEMA_FOLDER, DeviceStore, NewerStoreError

PACKAGE = Path(releases.__file__).parent
KEEPER = ("__init__.py", "checkpoints.py", "release_checks.py", "release_slots.py", "releases.py")
HELPFUL = "import sys\nsys.exit(0 if sys.argv[1:] == ['--help'] else 2)\n"  # A program with nothing but its help.


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment without anything in it, to be copied: making one takes longer than all else here."""
    folder = tmp_path_factory.mktemp("bare") / "environment"
    venv.EnvBuilder(symlinks=True).create(folder)
    return folder


class Bench:
    """A handheld's releases and home in a temporary folder."""

    def __init__(self, folder: Path, bare: Path) -> None:
        self.bare = bare
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.root = folder / "opt"
        self.root.mkdir(exist_ok=True)
        self.slots = Slots(self.root)
        self.houses = folder / "houses"

    def house(self, version: str, schema: int = 1) -> Path:
        """A folder that `build` makes a release of: a package as it is, and the names that a wheelhouse has."""
        house = self.houses / version
        package = house / "device"
        (package / "schema").mkdir(parents=True)
        (house / f"ghithu-{version}-py3-none-any.whl").touch()
        (house / "requirements.lock").touch()
        for name in KEEPER:
            shutil.copy(PACKAGE / name, package)
        (package / "__main__.py").write_text(HELPFUL)
        for number in range(1, schema + 1):
            (package / "schema" / f"{number:04}_made_up.sql").touch()
        return house

    def build(self, wheelhouse: Path, folder: Path) -> None:
        shutil.copytree(self.bare, folder, symlinks=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        shutil.copytree(wheelhouse / "device", packages / "device")

    def install(self, version: str, schema: int = 1) -> None:
        """Lay a release there as an installation leaves it, without asking it anything: that takes its time."""
        self.build(self.house(version, schema), self.slots.releases / version)
        (self.slots.releases / version / "release.json").write_text(json.dumps({"version": version, "schema": schema}))
        self.link("next", version)

    def run(self, version: str, schema: int = 1) -> None:
        """Lay a release there that has passed its trial."""
        (current, *_) = self.names
        self.install(version, schema)
        (self.root / "next").unlink()
        self.link("current", version)
        if current is not None:
            self.link("previous", current)

    def link(self, name: str, version: str) -> None:
        (self.root / name).unlink(missing_ok=True)
        (self.root / name).symlink_to(Path("releases") / version)

    def migrate(self, schema: int) -> None:
        """A store as a release with that schema leaves it, not closed properly: the change lies in the log alone."""
        script = f"""
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.executescript("PRAGMA journal_mode = WAL; PRAGMA user_version = {schema}; "
                 "CREATE TABLE IF NOT EXISTS paper (state TEXT)")
os._exit(0)
"""
        subprocess.run([sys.executable, "-c", script, str(self.home / "store.db")], check=True)

    @property
    def names(self) -> tuple[str | None, ...]:
        """Versions of current, previous and next."""
        return tuple(version_of(self.slots.named(name)) for name in ("current", "previous", "next"))

    def starts(self) -> bool:
        """Whether what `current` names answers and can read the store."""
        python = self.root / "current" / "bin" / "python"
        done = subprocess.run([python, "-I", "-m", "device.releases", "schema"], capture_output=True, check=True)
        return int(done.stdout) >= release_checks.store_schema(self.home)


@pytest.fixture
def bench(tmp_path: Path, bare: Path) -> Bench:
    return Bench(tmp_path, bare)


@contextmanager
def handheld(home: Path, status: int = 200, pid: int | None = None) -> Iterator[None]:
    """Something that answers at the address in listening.json."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        listening = {"port": server.server_port, "pid": pid or os.getpid()}
        (home / "listening.json").write_text(json.dumps(listening))
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


# From wheels.


def wheel(house: Path, version: str, spoilt: bool = False) -> None:
    """A real wheel of the made-up program, and the lock with its hash."""
    house.mkdir()
    path, info = house / f"ghithu-{version}-py3-none-any.whl", f"ghithu-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        for name in KEEPER:
            file.write(PACKAGE / name, f"device/{name}")
        file.writestr("device/__main__.py", HELPFUL)
        file.writestr("device/schema/0001_made_up.sql", "")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: ghithu\nVersion: {version}\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(path.read_bytes() + (b"x" if spoilt else b"")).hexdigest()
    (house / "requirements.lock").write_text(f"ghithu=={version} --hash=sha256:{digest}\n")


def test_wheels_are_installed_without_an_index_and_run(bench: Bench, tmp_path: Path) -> None:
    wheel(tmp_path / "house", "2.0")
    given = ["--root", str(bench.root), "--home", str(bench.home)]
    assert main([*given, "install", str(tmp_path / "house")]) == 0
    assert main([*given, "activate"]) == 0
    assert bench.names == ("2.0", None, None)
    assert bench.starts()


def test_a_release_that_cannot_be_imported_becomes_none(bench: Bench) -> None:
    house = bench.house("2.0")
    (house / "device" / "__main__.py").write_text("import a_wheel_for_another_processor\n")
    with pytest.raises(ReleaseError, match="a_wheel_for_another_processor"):
        bench.slots.install(house, bench.build)
    assert bench.slots.installed() == ()


@pytest.mark.parametrize(
    "wheels", [(), ("ghithu-1-py3-none-any.whl", "ghithu-2-py3-none-any.whl"), ("ghithu-..-a.whl",)]
)
def test_a_folder_without_exactly_one_wheel_of_ours_is_refused(tmp_path: Path, wheels: tuple[str, ...]) -> None:
    for name in (*wheels, "requirements.lock"):
        (tmp_path / name).touch()
    with pytest.raises(ReleaseError, match="exactly one"):
        release_checks.wheelhouse_version(tmp_path)


def test_installing_keeps_what_runs_and_the_way_back_and_takes_the_rest_away(bench: Bench) -> None:
    for version in ("1.0", "2.0", "3.0"):
        bench.run(version)
    bench.install("4.0")
    bench.slots.install(bench.house("5.0"), bench.build)
    assert bench.names == ("3.0", "2.0", "5.0")
    assert [folder.name for folder in sorted(bench.slots.releases.iterdir())] == ["2.0", "3.0", "5.0"]


def test_the_release_in_use_is_not_installed_over(bench: Bench) -> None:
    bench.run("1.0")
    with pytest.raises(ReleaseError, match="new version number"):
        bench.slots.install(bench.houses / "1.0", bench.build)
    assert bench.starts()


# Trials.


def test_a_release_that_answers_stays(bench: Bench) -> None:
    bench.run("1.0")
    bench.install("2.0")
    bench.slots.activate(None, bench.home)
    assert bench.slots.begin(bench.home) is None
    with handheld(bench.home):
        confirm(bench.slots, bench.home, 5, os.getpid())
    assert bench.slots.trial is None
    assert bench.names == ("2.0", "1.0", None)
    for _ in range(STARTS_MAX + 1):  # Later starts are not counted.
        assert bench.slots.begin(bench.home) is None
    assert bench.names == ("2.0", "1.0", None)


def test_a_release_that_does_not_answer_in_time_is_left_and_it_is_told_why(bench: Bench) -> None:
    bench.run("0.9")
    bench.run("1.0")
    bench.install("2.0")
    bench.slots.activate("2.0", bench.home)
    bench.slots.begin(bench.home)
    with handheld(bench.home, status=500), pytest.raises(ReleaseError):
        confirm(bench.slots, bench.home, 0, os.getpid())
    assert bench.names == ("1.0", "0.9", None)
    notice = bench.slots.notice
    assert notice is not None
    assert "bỏ bản 2.0 và quay về bản 1.0" in notice.vi
    assert "left release 2.0 and went back to 1.0" in notice.en
    with pytest.raises(ReleaseError, match="--again"):
        bench.slots.activate("2.0", bench.home)
    bench.slots.activate("2.0", bench.home, again=True)
    assert version_of(bench.slots.named("current")) == "2.0"


def test_a_release_that_dies_three_times_is_left_before_the_fourth(bench: Bench) -> None:
    bench.run("1.0")
    bench.install("2.0")
    bench.slots.activate("2.0", bench.home)
    with subprocess.Popen(["true"]) as gone:
        pass
    for _ in range(STARTS_MAX):
        assert bench.slots.begin(bench.home) is None
        assert version_of(bench.slots.named("current")) == "2.0"
        with pytest.raises(ReleaseError, match="ended while it started"):
            confirm(bench.slots, bench.home, 60, gone.pid)
    words = bench.slots.begin(bench.home)
    assert words is not None
    assert "3" in words.en
    assert bench.names == ("1.0", None, None)


def test_the_port_of_a_process_that_a_power_cut_ended_is_not_believed(bench: Bench) -> None:
    bench.run("1.0")
    bench.install("2.0")
    bench.slots.activate("2.0", bench.home)
    with handheld(bench.home, pid=1), pytest.raises(ReleaseError, match="did not answer"):
        confirm(bench.slots, bench.home, 0, os.getpid())


def test_the_first_release_is_left_running_however_slow_it_is(bench: Bench) -> None:
    bench.install("1.0")
    bench.slots.activate(None, bench.home)
    for _ in range(STARTS_MAX + 2):
        bench.slots.begin(bench.home)
        confirm(bench.slots, bench.home, 0, os.getpid())
        assert bench.names[0] == "1.0"
    assert bench.slots.notice is not None
    assert "Không có bản trước" in bench.slots.notice.vi


def test_a_release_damaged_on_the_disk_during_its_trial_is_left(bench: Bench) -> None:
    bench.run("1.0")
    bench.install("2.0")
    bench.slots.activate("2.0", bench.home)
    shutil.rmtree(bench.slots.releases / "2.0")
    assert bench.slots.begin(bench.home) is not None
    assert bench.names[0] == "1.0"
    assert bench.starts()


# The way back, and the store.


def test_going_back_is_on_trial_too_and_comes_forward_again_if_the_older_one_fails(bench: Bench) -> None:
    bench.run("1.0")
    bench.run("2.0")
    bench.slots.rollback(bench.home)
    assert bench.names == ("1.0", "2.0", None)
    with pytest.raises(ReleaseError):
        confirm(bench.slots, bench.home, 0, None)
    assert bench.names == ("2.0", "1.0", None)


def test_no_way_back_over_a_store_that_a_newer_release_migrated(bench: Bench) -> None:
    bench.run("1.0", schema=1)
    bench.migrate(1)
    bench.install("2.0", schema=2)
    bench.slots.activate(None, bench.home)
    bench.migrate(2)
    before = (bench.home / "store.db").read_bytes()
    with pytest.raises(NoWayBackError) as caught:
        bench.slots.rollback(bench.home)
    assert "đừng xóa" in caught.value.words.vi
    for _ in range(
        STARTS_MAX + 1
    ):  # It is all that the collector has: it is started again and again, and left running.
        bench.slots.begin(bench.home)
        confirm(bench.slots, bench.home, 0, None)
    assert bench.names == ("2.0", "1.0", None)
    assert bench.starts()
    assert bench.slots.notice == caught.value.words
    assert (bench.home / "store.db").read_bytes() == before
    bench.install("2.1", schema=2)  # What the sentence says to do.
    bench.slots.activate(None, bench.home)
    with handheld(bench.home):
        confirm(bench.slots, bench.home, 5, None)
    assert bench.names == ("2.1", "1.0", None)


def test_a_newer_release_that_never_opened_the_store_is_left(bench: Bench) -> None:
    bench.run("1.0", schema=1)
    bench.migrate(1)
    bench.install("2.0", schema=2)
    bench.slots.activate(None, bench.home)
    bench.slots.rollback(bench.home)
    assert bench.names == ("1.0", None, None)


def test_a_release_below_the_store_is_not_activated(bench: Bench) -> None:
    bench.run("2.0", schema=2)
    bench.migrate(2)
    bench.install("1.0", schema=1)
    with pytest.raises(NoWayBackError):
        bench.slots.activate("1.0", bench.home)
    assert bench.names == ("2.0", None, "1.0")


async def test_what_is_compared_is_what_the_store_itself_refuses(bench: Bench) -> None:
    store = await DeviceStore.open(bench.home / "store.db")
    await store.close()
    assert release_checks.store_schema(bench.home) == release_checks.known_schema()
    with sqlite3.connect(bench.home / "store.db") as db:
        db.execute(f"PRAGMA user_version = {release_checks.known_schema() + 1}")
    db.close()
    with pytest.raises(NewerStoreError):
        await DeviceStore.open(bench.home / "store.db", SCHEMA_FOLDER)
    assert release_checks.store_schema(bench.home) == release_checks.known_schema() + 1


def test_a_look_at_the_store_leaves_no_file_that_its_owner_cannot_write(bench: Bench) -> None:
    bench.migrate(1)
    if os.getuid() != 0:
        pytest.skip("only root looks at files of other users")
    for file in (bench.home, *bench.home.iterdir()):
        os.chown(file, 12_345, 12_345)
    (bench.home / "store.db-shm").unlink()
    assert release_checks.store_schema(bench.home) == 1
    assert {file.stat().st_uid for file in bench.home.iterdir()} == {12_345}


def test_a_damaged_store_keeps_the_release_and_says_to_keep_the_file(bench: Bench) -> None:
    bench.run("1.0")
    bench.install("2.0")
    (bench.home / "store.db").write_bytes(b"no database" * 100)
    with pytest.raises(ReleaseError, match="cannot be read"):
        bench.slots.activate(None, bench.home)
    assert bench.names == ("1.0", None, "2.0")


def test_nothing_is_changed_over_while_a_paper_comes_out(bench: Bench) -> None:
    bench.run("1.0")
    bench.migrate(1)
    bench.install("2.0")
    with sqlite3.connect(bench.home / "store.db") as db:
        db.execute("INSERT INTO paper VALUES (?)", (PaperState.STARTED.value,))
    db.close()
    with pytest.raises(ReleaseError, match="being printed"):
        bench.slots.activate(None, bench.home)
    with sqlite3.connect(bench.home / "store.db") as db:
        db.execute("UPDATE paper SET state = ?", (PaperState.WAITING.value,))
    db.close()
    bench.slots.activate(None, bench.home)
    assert version_of(bench.slots.named("current")) == "2.0"


# Power cuts. Each step is cut at its n-th checkpoint, n upward until it ends by itself.

STEP = """
import shutil, sys
from pathlib import Path
from device.release_slots import Slots
from device.release_checks import Words

root, home, house, bare = (Path(text) for text in sys.argv[2:])

def build(wheelhouse, folder):
    shutil.copytree(bare, folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    shutil.copytree(wheelhouse / "device", packages / "device")

slots = Slots(root)
match sys.argv[1]:
    case "install": slots.install(house, build)
    case "activate": slots.activate(None, home)
    case "rollback": slots.rollback(home)
    case "leave": slots.leave(home, Words(vi="Thử.", en="Trial."))
"""


def cut(bench: Bench, step: str, at: int) -> bool:
    """Whether the power failed; at: the checkpoint."""
    given = [str(path) for path in (bench.root, bench.home, bench.houses / "3.0", bench.bare)]
    environment = {**os.environ, KILL_VARIABLE: str(at), "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", STEP, step, *given], env=environment, check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


@pytest.mark.parametrize("step", ["install", "activate", "leave", "rollback"])
def test_power_that_fails_at_any_point_leaves_a_release_that_starts(tmp_path: Path, bare: Path, step: str) -> None:
    ready = Bench(tmp_path / "ready", bare)
    ready.run("1.0")
    ready.run("2.0")
    ready.migrate(1)
    if step == "install":
        ready.install("2.5")  # Something that must make room.
        ready.house("3.0")
    elif step != "rollback":
        ready.install("3.0")
    if step == "leave":
        ready.slots.activate(None, ready.home)
        ready.slots.begin(ready.home)
    for at in range(1, 20):
        shutil.copytree(tmp_path / "ready", tmp_path / str(at), symlinks=True)
        bench = Bench(tmp_path / str(at), bare)
        failed = cut(bench, step, at)
        bench.slots.begin(bench.home)  # The next start of the handheld.
        assert bench.starts()
        settled(bench, step, failed)
        if not failed:
            assert at > 2
            return
    pytest.fail("it never ended")


def settled(bench: Bench, step: str, failed: bool) -> None:
    """Old or new, and nothing between; what was cut can be done once more."""
    match step:
        case "install":
            assert bench.names in (("2.0", "1.0", None), ("2.0", "1.0", "2.5"), ("2.0", "1.0", "3.0"))
            if failed:
                bench.slots.install(bench.houses / "3.0", bench.build)
            assert bench.names == ("2.0", "1.0", "3.0")
        case "activate":
            assert bench.names in (("2.0", "1.0", "3.0"), ("3.0", "2.0", None))
            assert (bench.slots.trial is not None) == (bench.names[0] == "3.0")
            if bench.names[0] == "2.0":
                bench.slots.activate(None, bench.home)
            trial = bench.slots.trial
            assert trial is not None
            assert (trial.version, trial.came_from, trial.before) == ("3.0", "2.0", "1.0")
        case "leave":
            assert bench.names == ("2.0", "1.0", None)
            assert bench.slots.trial is None
            assert bench.slots.notice is not None
            assert "3.0" in bench.slots.notice.en
        case _:
            assert bench.names in (("2.0", "1.0", None), ("1.0", "2.0", None))
            assert (bench.slots.trial is not None) == (bench.names == ("1.0", "2.0", None))


def test_a_change_from_one_trial_to_another_that_was_cut_is_still_the_first_trial(bench: Bench) -> None:
    bench.run("1.0")
    bench.run("2.0")
    bench.install("2.9")
    bench.slots.activate(None, bench.home)
    bench.install("3.0")
    assert cut(bench, "activate", 1)
    bench.slots.begin(bench.home)
    assert bench.slots.trial == Trial(version="2.9", came_from="2.0", before="1.0", starts=1)
    bench.slots.activate("3.0", bench.home)
    assert bench.slots.trial == Trial(version="3.0", came_from="2.0", before="1.0")
    bench.slots.rollback(bench.home)
    assert bench.names == ("2.0", "1.0", None)


# The program.


def test_whatever_is_wrong_with_releases_the_service_starts(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(bench.root), "--home", str(bench.home), "begin"]) == 0
    assert main(["--root", str(bench.root), "--home", str(bench.home), "confirm"]) == 0
    (bench.root / "switch.lock").unlink()
    (bench.root / "switch.lock").mkdir()
    assert main(["--root", str(bench.root), "--home", str(bench.home), "begin"]) == 0
    assert main(["--root", str(bench.root), "--home", str(bench.home), "confirm"]) == 0
    assert "Lỗi đĩa" in capsys.readouterr().err


def test_at_night_what_lies_in_the_inbox_is_run_once(bench: Bench) -> None:
    bench.run("1.0")
    inbox = bench.houses / "inbox"
    assert releases.nightly(bench.slots, bench.home, inbox) is None
    bench.install("2.0")
    made = releases.nightly(bench.slots, bench.home, bench.houses / "2.0")
    assert made is not None
    assert made.version == "2.0"
    with pytest.raises(ReleaseError):
        confirm(bench.slots, bench.home, 0, None)
    assert releases.nightly(bench.slots, bench.home, bench.houses / "2.0") is None
    assert bench.names == ("1.0", None, None)


def test_a_wheel_that_is_not_what_the_lock_says_becomes_no_release_and_it_is_told(bench: Bench, tmp_path: Path) -> None:
    bench.run("1.0")
    wheel(tmp_path / "inbox", "2.0", spoilt=True)
    with pytest.raises(ReleaseError, match="Copy it all again"):
        releases.nightly(bench.slots, bench.home, tmp_path / "inbox")
    assert bench.names == ("1.0", None, None)
    assert [release.version for release in bench.slots.installed()] == ["1.0"]
    assert bench.slots.notice is not None
    assert "chép lại" in bench.slots.notice.vi


def test_status_says_what_runs_and_what_was_left(bench: Bench) -> None:
    bench.run("1.0")
    bench.install("2.0", schema=2)
    bench.slots.activate(None, bench.home)
    with pytest.raises(ReleaseError):
        confirm(bench.slots, bench.home, 0, None)
    bench.install("3.0")
    lines = releases.status(bench.slots, bench.home).splitlines()
    assert "1.0: schema 1, current (đang chạy)" in lines
    assert "3.0: schema 1, next (chờ chạy)" in lines


def test_names_that_both_sides_use_are_the_same() -> None:
    assert release_checks.STORE_NAME == program.STORE_NAME
    assert release_checks.LISTENING_NAME == program.LISTENING_NAME
    assert releases.HOME_VARIABLE == program.HOME_VARIABLE


def test_the_keeper_imports_nothing_but_the_standard_library_and_itself() -> None:
    script = "import sys, device.releases; print('\\n'.join(sorted(sys.modules)))"
    environment = {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    foreign = {name.partition(".")[0] for name in done.stdout.split()} - sys.stdlib_module_names
    assert foreign - {"__main__"} == {"device"}
    ours = {name for name in done.stdout.split() if name.startswith("device.")}
    assert ours == {f"device.{Path(name).stem}" for name in KEEPER if name != "__init__.py"}


def test_little_room_refuses_before_anything_is_built(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run("1.0")
    monkeypatch.setattr(release_slots, "FREE_BYTES_MIN", shutil.disk_usage(bench.root).total + 1)
    with pytest.raises(ReleaseError, match="are free"):
        bench.slots.install(bench.house("2.0"), bench.build)
    assert not (bench.slots.releases / "2.0").exists()
