"""Releases of the handheld's program side by side, and which of them runs.

Under the root (/opt/ghithu):

    releases/VERSION/   a virtual environment; it is a release once `release.json`, written last, lies in it
    current, previous   links; putting another `current` in place is the one moment of an activation or a way back
    next                link to what is installed and was not tried yet
    trial.json          `current` has not shown yet that it works
    notice.json         the last thing that branch IT should know, in Vietnamese and English

What is written around the moment only describes it, so a power cut anywhere leaves a `current` that starts; `settle`
then finishes or takes back the rest.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from device.checkpoints import checkpoint
from device.release_checks import (
    VERSION,
    NoWayBackError,
    Release,
    ReleaseError,
    Words,
    ask_schema,
    prove,
    read_json,
    require_quiet,
    require_schema,
    wheelhouse_version,
)

STARTS_MAX = 3  # One bad start may be a flat battery, two bad luck; a third is the release.
FREE_BYTES_MIN = 512 * 2**20  # An environment is about 150 MB; a day's records and photos must still find room.

Build = Callable[[Path, Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """`current` is being tried.

    came_from: the release that ran before and takes over again; None for the first on this handheld.
    before: what `previous` named until now.
    starts: how often the service began a start with it.
    """

    version: str
    came_from: str | None
    before: str | None
    starts: int = 0


class Slots:
    """The releases under one root. Every change is made under a lock and survives a power cut at any point."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.releases = root / "releases"

    # What is there.

    def installed(self) -> tuple[Release, ...]:
        """Whole releases; a folder in which an installation broke off is none."""
        folders = sorted(self.releases.iterdir()) if self.releases.is_dir() else []
        found = (self.release(folder.name) for folder in folders)
        return tuple(release for release in found if release is not None)

    def release(self, version: str | None) -> Release | None:
        """The whole release of that version, if it is installed."""
        if version is None or not VERSION.fullmatch(version):
            return None
        content = read_json(self.releases / version / "release.json")
        schema = content.get("schema") if content is not None else None
        if not isinstance(schema, int):
            return None
        return Release(version=version, schema=schema, folder=self.releases / version)

    def named(self, name: str) -> Release | None:
        """The release that a link (`current`, `previous`, `next`) points to."""
        link = self.root / name
        return self.release(link.readlink().name) if link.is_symlink() else None

    @property
    def trial(self) -> Trial | None:
        """The trial under way. A damaged file is no trial: `current` is then kept."""
        content = read_json(self.root / "trial.json") or {}
        try:
            return Trial(**content)
        except TypeError:
            return None

    @property
    def notice(self) -> Words | None:
        """The last thing that branch IT should know."""
        return _words(read_json(self.root / "notice.json"))

    def why_failed(self, release: Release) -> Words | None:
        """Why this release was left, or None."""
        return _words(read_json(release.folder / "failed.json"))

    @contextmanager
    def switching(self) -> Iterator[None]:
        """One change of links at a time. Held for moments only: the start of the service waits for it."""
        with _locked(self.root / "switch.lock"):
            yield

    # Installing.

    def install(self, wheelhouse: Path, build: Build) -> Release:
        """Make a release of the wheels in a folder and name it `next`; nothing that runs is touched."""
        version = wheelhouse_version(wheelhouse)
        with self._alone():
            with self.switching():
                self.settle()
                self._make_room_for(version)
            folder = self.releases / version
            checkpoint("before the environment is made")
            build(wheelhouse, folder)
            schema = ask_schema(folder)
            prove(folder)
            os.sync()  # Thousands of files: one sweep costs less than each by itself, and the mark comes after it.
            checkpoint("before a folder becomes a release")
            _write(folder / "release.json", {"version": version, "schema": schema})
            checkpoint("before the release is named next")
            with self.switching():
                self._link("next", version)
            return Release(version=version, schema=schema, folder=folder)

    def _make_room_for(self, version: str) -> None:
        """Take away what nothing names any more, and the remains of an earlier try of this version."""
        trial = self.trial
        links = [self.named("current"), self.named("previous")]
        needed = {release.version for release in links if release is not None}
        needed |= {name for name in (trial and (trial.version, trial.came_from, trial.before)) or () if name}
        if version in needed:
            raise ReleaseError(
                f"Bản {version} đang được dùng hoặc giữ để quay về. Bản sửa phải mang số hiệu mới.",
                f"Release {version} is in use or kept as the way back. A corrected one needs a new version number.",
            )
        self.releases.mkdir(parents=True, exist_ok=True)
        self._unlink("next")
        for folder in sorted(self.releases.iterdir()):
            if folder.name not in needed:
                (folder / "release.json").unlink(missing_ok=True)  # From here on it is no release, whatever is left.
                _sync(folder)
                checkpoint("before an old folder goes")
                shutil.rmtree(folder)
        free = shutil.disk_usage(self.releases).free
        if free < FREE_BYTES_MIN:
            raise ReleaseError(
                f"Chỉ còn {free // 2**20} MB trống, cần {FREE_BYTES_MIN // 2**20} MB. Bản đang dùng không bị đụng đến.",
                f"Only {free // 2**20} MB are free and {FREE_BYTES_MIN // 2**20} MB are needed. "
                "The release in use is untouched.",
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with _locked(self.root / "install.lock", wait=False):
                yield
        except BlockingIOError as error:
            raise ReleaseError(
                "Đang có một lần cài đặt khác chạy. Hãy đợi nó xong.",
                "Another installation is under way. Wait until it ends.",
            ) from error

    # Changing over.

    def activate(self, version: str | None, home: Path, *, again: bool = False) -> Release:
        """Put a release in place of the one that runs and begin its trial; the service must then be restarted.

        version: None takes what was installed last. again: also one that was left as failed.
        """
        self.settle()
        trial, current = self.trial, self.named("current")
        release = self.release(version) if version is not None else self.named("next")
        if release is None:
            raise ReleaseError(
                f"Không có bản {version} trên máy." if version else "Không có bản mới nào chờ chạy.",
                f"Release {version} is not installed." if version else "No new release waits.",
            )
        if current is not None and release.version == current.version:
            raise ReleaseError(f"Bản {release.version} đang chạy rồi.", f"Release {release.version} runs already.")
        if trial is not None and release.version == trial.came_from:
            raise ReleaseError("Hãy dùng lệnh rollback.", "Use rollback for that.")
        if (why := self.why_failed(release)) is not None and not again:
            raise ReleaseError(
                f"Bản {release.version} đã bị bỏ trên máy này: {why.vi} Nếu vẫn muốn thử lại: thêm --again.",
                f"Release {release.version} was left on this handheld: {why.en} To try it once more add --again.",
            )
        require_schema(release, home)
        require_quiet(home)
        if ask_schema(release.folder) != release.schema:
            raise ReleaseError(
                f"Bản {release.version} đã hỏng trên đĩa. Hãy cài lại.",
                f"Release {release.version} is damaged on the disk. Install it again.",
            )
        came_from = trial.came_from if trial is not None else version_of(current)
        before = trial.before if trial is not None else version_of(self.named("previous"))
        self._switch(release, Trial(version=release.version, came_from=came_from, before=before))
        return release

    def _switch(self, release: Release, trial: Trial) -> None:
        (release.folder / "failed.json").unlink(missing_ok=True)
        _write(self.root / "trial.json", asdict(trial))
        checkpoint("before current changes")
        self._link("current", release.version)
        checkpoint("before previous changes")
        self._link("previous", trial.came_from)
        checkpoint("before next goes")
        self._unlink("next")

    def rollback(self, home: Path) -> Release:
        """Go back to the release before, because a person asks; it is on trial like any other."""
        self.settle()
        require_quiet(home)
        if self.trial is not None:
            return self.leave(home, Words(vi="Được yêu cầu quay về.", en="Going back was asked for."))
        previous = self.named("previous")
        if previous is None:
            raise _no_release_before()
        return self.activate(previous.version, home)

    def leave(self, home: Path, why: Words) -> Release:
        """End the trial by going back. Raises NoWayBackError, and then nothing has changed."""
        trial, failed = self.trial, self.named("current")
        assert trial is not None, "only a release on trial is left"
        target = self.release(trial.came_from)
        if target is None:
            raise _no_release_before()
        require_schema(target, home)
        if failed is not None:
            _write(failed.folder / "failed.json", asdict(why))
        checkpoint("before IT is told")
        self.tell(
            Words(
                vi=f"Máy đã bỏ bản {trial.version} và quay về bản {target.version}. Lý do: {why.vi}",
                en=f"The handheld left release {trial.version} and went back to {target.version}. Why: {why.en}",
            )
        )
        checkpoint("before current goes back")
        self._link("current", target.version)
        checkpoint("before the trial ends")
        self.settle()
        return target

    def begin(self, home: Path) -> Words | None:
        """Before each start of the service: count it, and go back where the starts of a trial are used up.

        Answers what IT should know. Nothing said here keeps the service from starting.
        """
        self.settle()
        trial, current = self.trial, self.named("current")
        if trial is None:
            return None
        try:
            if current is None:
                self.leave(home, Words(vi="Bản đó hỏng trên đĩa.", en="It is damaged on the disk."))
                return self.notice
            if (why := self.why_failed(current)) is not None:  # The power failed in the middle of going back.
                self.leave(home, why)
                return self.notice
            if trial.starts >= STARTS_MAX:
                vi = f"Đã khởi động {STARTS_MAX} lần mà không chạy ổn định."
                self.leave(home, Words(vi=vi, en=f"It was started {STARTS_MAX} times and did not come up."))
                return self.notice
        except NoWayBackError as error:
            self.tell(error.words)
            return error.words
        _write(self.root / "trial.json", asdict(replace(trial, starts=trial.starts + 1)))
        return None

    def keep(self) -> None:
        """The trial was passed: `current` stays."""
        trial = self.trial
        if trial is not None:
            (self.root / "trial.json").unlink()
            _sync(self.root)
            self.tell(
                Words(vi=f"Bản {trial.version} chạy tốt và được giữ.", en=f"Release {trial.version} works and stays.")
            )

    def settle(self) -> None:
        """Finish, or take back, what a power cut left between two steps."""
        trial, current = self.trial, self.named("current")
        if trial is not None and current is not None:
            if current.version == trial.version:
                self._link("previous", trial.came_from)
            elif current.version == trial.came_from:  # The switch was never made, or it was taken back.
                self._link("previous", trial.before)
                (self.root / "trial.json").unlink()
                _sync(self.root)
            else:  # The switch from one release on trial to another was never made: the first is still on trial.
                _write(self.root / "trial.json", asdict(replace(trial, version=current.version)))
        if current is not None and version_of(self.named("next")) == current.version:
            self._unlink("next")

    def tell(self, words: Words) -> None:
        """Keep the last thing that IT should know."""
        _write(self.root / "notice.json", asdict(words))

    def _link(self, name: str, version: str | None) -> None:
        link, target = self.root / name, Path("releases") / (version or "")
        if version is None:
            self._unlink(name)
        elif not link.is_symlink() or link.readlink() != target:
            new = self.root / f"{name}.new"
            new.unlink(missing_ok=True)
            new.symlink_to(target)
            new.replace(link)
            _sync(self.root)

    def _unlink(self, name: str) -> None:
        if (self.root / name).is_symlink():
            (self.root / name).unlink()
            _sync(self.root)


def _words(content: dict[str, Any] | None) -> Words | None:
    return Words(vi=str(content.get("vi", "")), en=str(content.get("en", ""))) if content is not None else None


def version_of(release: Release | None) -> str | None:
    """Its version, where there is one."""
    return release.version if release is not None else None


def _no_release_before() -> NoWayBackError:
    return NoWayBackError(
        "Không có bản trước để quay về. Hãy cài một bản khác rồi chạy activate.",
        "There is no release before this one. Install another one and activate it.",
    )


def _write(path: Path, content: dict[str, Any]) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
