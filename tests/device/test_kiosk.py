"""What a handheld is started with: the files are read by the programs that will read them."""

import asyncio
import json
import mmap
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from configparser import ConfigParser
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web

from device import releases
from device.hardware.sled import USB_IDS
from device.release_slots import Slots

KIOSK = Path(releases.__file__).parent / "kiosk"
CHROMIUM = Path("/usr/lib/chromium/chromium")  # The program behind Debian's wrapper.
UNITS = ("ghithu-device.service", "ghithu-kiosk.service", "ghithu-update.service", "ghithu-update.timer")
HEADLESS = "--headless=new --no-sandbox --ozone-platform=headless --window-size=480,800"
SHOWN_WITHIN_S = 60
ENDED_WITHIN_S = 10

# Reports what the page finds once it is drawn; no tool for developers looks in, as on the handheld.
PAGE = """<!doctype html><meta charset="utf-8"><title>Ghi Thu</title><h1>Đăng nhập</h1>
<script>
const camera = navigator.permissions.query({name: "camera"}).then(p => p.state);
const microphone = navigator.permissions.query({name: "microphone"}).then(p => p.state);
const outside = fetch("http://localhost:" + location.port + "/outside", {mode: "no-cors"})
  .then(() => true, () => false);
requestAnimationFrame(async () => fetch("/shown", {method: "POST", body: JSON.stringify({
  words: document.querySelector("h1").innerText, height: document.querySelector("h1").offsetHeight,
  scale: devicePixelRatio, camera: await camera, microphone: await microphone, outside: await outside})}));
</script>"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files as install.sh lays them, around a release that is there already."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "house").mkdir()
    (folder / "house" / "requirements.lock").touch()
    root = folder / "root"
    python = root / "opt/ghithu/releases/1.0/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (root / "opt/ghithu/releases/1.0/release.json").write_text('{"version": "1.0", "schema": 1}')
    (root / "opt/ghithu/current").symlink_to("releases/1.0")
    install(folder)
    return root


def install(folder: Path) -> None:
    environment = {**os.environ, "GHITHU_DESTDIR": str(folder / "root")}
    subprocess.run(["sh", KIOSK / "install.sh", folder / "house"], env=environment, check=True, capture_output=True)


class Unit(ConfigParser):
    """A file of systemd, which minds capitals and lets keys come twice."""

    def __init__(self, name: str) -> None:
        super().__init__(interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",))
        self.read(KIOSK / name, encoding="utf-8")

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def settings() -> dict[str, str]:
    lines = (KIOSK / "device.env").read_text(encoding="utf-8").splitlines()
    return dict(line.lstrip("#").split("=", 1) for line in lines if re.match(r"#?GHITHU_\w+=", line))


def flags() -> list[str]:
    return (KIOSK / "chromium-flags").read_text(encoding="utf-8").splitlines()


# Units.


def test_systemd_finds_nothing_wrong_with_the_units(image: Path, tmp_path: Path) -> None:
    if (program := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not on this machine")
    root = tmp_path / "root"
    shutil.copytree(image, root, symlinks=True)
    shutil.copytree("/usr/lib/systemd/system", root / "usr/lib/systemd/system", symlinks=True)
    python = root / "opt/ghithu/releases/1.0/bin/python"
    python.unlink()
    for file in (python, root / "usr/bin/cage", root / "usr/bin/python3"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    done = subprocess.run([program, "verify", f"--root={root}", *UNITS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_each_path_that_a_unit_names_is_laid_there_or_is_debians(image: Path) -> None:
    debians = {"/usr/bin/cage", "/usr/bin/python3", "/dev/tty0", "/dev/tty1"}
    made = {"/run/ghithu-kiosk", "/var/lib/ghithu", "/var/lib/ghithu-updates/requirements.lock"}
    for name in UNITS:
        text = (KIOSK / name).read_text(encoding="utf-8")
        code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        for path in re.findall(r"(?<![\w.])/[a-z][\w./-]+", code):
            assert path in debians | made or (image / path.lstrip("/")).exists(), (name, path)


def test_the_service_calls_programs_with_words_that_they_know(image: Path) -> None:
    service = Unit("ghithu-device.service")["Service"]
    run = shlex.split(service["ExecStart"].replace("${GHITHU_PORT}", settings()["GHITHU_PORT"]))
    assert run[:4] == ["/opt/ghithu/current/bin/python", "-I", "-m", "device"]
    said = subprocess.run(
        [sys.executable, "-m", "device", run[4], "--help"], capture_output=True, text=True, check=True
    )
    assert all(word in said.stdout for word in run[5:] if word.startswith("--"))
    keeper = [service["ExecStartPre"], service["ExecStartPost"], Unit("ghithu-update.service")["Service"]["ExecStart"]]
    for command in keeper:
        words = shlex.split(command)
        assert words[1:3] == ["-I", "/opt/ghithu/keeper.pyz"]
        releases._parser().parse_args(words[3:])
    assert int(service["TimeoutStartSec"]) > releases.HEALTHY_WITHIN_S
    assert service["StateDirectoryMode"] == "0700"
    assert f"/var/lib/{service['StateDirectory']}" == settings()["GHITHU_HOME"] == str(releases.HOME)


def test_programs_are_started_again_for_ever_and_the_browser_is_the_first_to_go() -> None:
    device, kiosk = Unit("ghithu-device.service"), Unit("ghithu-kiosk.service")
    for parser in (device, kiosk):
        assert parser["Service"]["Restart"] == "always"
        assert parser["Unit"]["StartLimitIntervalSec"] == "0"
    assert int(device["Service"]["OOMScoreAdjust"]) < 0 < int(kiosk["Service"]["OOMScoreAdjust"])
    assert device["Service"]["User"] != kiosk["Service"]["User"]


def test_each_setting_is_read_by_something() -> None:
    sources = [*KIOSK.parent.glob("*.py"), *(KIOSK / name for name in (*UNITS, "ghithu-kiosk", "install.sh"))]
    text = "\n".join(file.read_text(encoding="utf-8") for file in sources)
    assert settings()
    assert [name for name in settings() if name not in text] == []


# Installing.


def test_installing_again_keeps_the_settings_and_follows_the_port(image: Path) -> None:
    written = image / "etc/ghithu/device.env"
    before = written.read_text(encoding="utf-8")
    try:
        written.write_text(before.replace("GHITHU_PORT=8640", "GHITHU_PORT=9000"), encoding="utf-8")
        install(image.parent)
        assert "GHITHU_PORT=9000" in written.read_text(encoding="utf-8")
        policy = json.loads((image / "etc/chromium/policies/managed/ghithu.json").read_text(encoding="utf-8"))
        assert policy["VideoCaptureAllowedUrls"] == policy["URLAllowlist"] == ["http://127.0.0.1:9000"]
    finally:
        written.write_text(before, encoding="utf-8")
        install(image.parent)
    assert not list(image.rglob("*.new"))


def test_installing_without_wheels_says_how_and_changes_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "GHITHU_DESTDIR": str(tmp_path / "root")}
    done = subprocess.run(
        ["sh", KIOSK / "install.sh", tmp_path], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "requirements.lock" in done.stderr
    assert not (tmp_path / "root").exists()


def test_the_keeper_that_is_laid_there_works_alone(image: Path) -> None:
    root, home = str(image / "opt/ghithu"), str(image)
    keeper = ["/usr/bin/env", "-i", "python3", "-I", f"{root}/keeper.pyz", "--root", root, "--home", home]
    done = subprocess.run([*keeper, "status"], capture_output=True, text=True, check=True)
    assert "1.0: schema 1, current" in done.stdout
    assert subprocess.run([*keeper, "begin"], check=False).returncode == 0
    assert Slots(image / "opt/ghithu").trial is None
    lost = subprocess.run([*keeper, "rollback"], capture_output=True, text=True, check=False)
    assert lost.returncode == 1
    assert "Không có bản trước" in lost.stderr


def test_each_board_that_may_be_an_accessory_is_kept_from_the_modem_manager() -> None:
    rules = (KIOSK / "60-ghithu.rules").read_text(encoding="utf-8")
    vendors: set[str] = set()
    for line in rules.splitlines():
        if (found := re.match(r'ATTRS\{idVendor\}=="([0-9a-f|]+)"', line)) is not None:
            vendors |= set(found[1].split("|"))
            assert 'ENV{ID_MM_PORT_IGNORE}="1"' in line
            assert 'GROUP="dialout"' in line
    assert {f"{vendor:04x}" for vendor, _ in USB_IDS} <= vendors
    groups = Unit("ghithu-device.service")["Service"]["SupplementaryGroups"].split()
    assert set(re.findall(r'GROUP="(\w+)"', rules)) <= set(groups)


# The browser.


def test_each_flag_has_its_reason_in_the_readme_and_no_other_is_named_there() -> None:
    readme = (KIOSK / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Flags of Chromium")[2].partition("Measured")[0]
    explained = re.findall(r"^\| `(--[a-z-]+)` \| .+ \|$", table, re.MULTILINE)
    script = (KIOSK / "ghithu-kiosk").read_text(encoding="utf-8")
    used = [flag.split("=")[0] for flag in flags()] + re.findall(r"(--[a-z-]+)=\"\$", script)
    assert sorted(explained) == sorted(used)
    assert len(set(used)) == len(used)


def test_each_flag_is_known_to_debians_chromium() -> None:
    with CHROMIUM.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        names = [flag.split("=")[0].removeprefix("--") for flag in [*flags(), "--user-data-dir"]]
        unknown = [name for name in names if content.find(b"\0" + name.encode() + b"\0") < 0]
    assert unknown == []


def test_nothing_on_the_handheld_opens_the_sandbox_or_the_camera_by_flag() -> None:
    everything = "\n".join([*flags(), *settings().values(), (KIOSK / "ghithu-kiosk").read_text(encoding="utf-8")])
    for word in ("--no-sandbox", "--use-fake-ui", "--no-zygote", "--remote-debugging", "--disable-web-security"):
        assert word not in everything


async def end(process: asyncio.subprocess.Process) -> None:
    """Stop the browser with all that it started."""
    for name in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, name)
        except ProcessLookupError:
            break
        try:
            async with asyncio.timeout(ENDED_WITHIN_S):
                await process.wait()
        except TimeoutError:
            continue


@asynccontextmanager
async def pages(found: asyncio.Future[dict[str, object]], outside: list[str]) -> AsyncIterator[int]:
    """A small handheld on a port of its own."""

    async def shown(request: web.Request) -> web.Response:
        if not found.done():
            found.set_result(await request.json())
        return web.Response()

    async def left(request: web.Request) -> web.Response:
        outside.append(request.path)
        return web.Response()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", page), web.post("/shown", shown), web.get("/outside", left)])
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def may_unshare() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def profile() -> Iterator[Path]:
    """A short path, as on the handheld: Chromium makes sockets there, whose names have 107 bytes."""
    with TemporaryDirectory(prefix="ghithu-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


async def test_the_script_shows_the_page_in_chromium_and_nothing_else_can_be_reached(
    tmp_path: Path, profile: Path
) -> None:
    found: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
    outside: list[str] = []
    async with pages(found, outside) as port:
        policy = tmp_path / "ghithu.json"
        policy.write_text((KIOSK / "chromium-policy.json").read_text(encoding="utf-8").replace("@PORT@", str(port)))
        command = ["sh", str(KIOSK / "ghithu-kiosk")]
        private = may_unshare()
        if private:  # In a view of the disk of its own, where the managed policy lies in its real place.
            lay = "mount -t tmpfs none /etc/chromium && mkdir -p /etc/chromium/policies/managed"
            copy = f"cp {shlex.quote(str(policy))} /etc/chromium/policies/managed/"
            command = ["unshare", "--mount", "sh", "-c", f'{lay} && {copy} && exec "$@"', "sh", *command]
        environment = {
            **os.environ,
            "GHITHU_PORT": str(port),
            "GHITHU_SCALE": "1.5",
            "GHITHU_KIOSK_EXTRA": HEADLESS,
            "GHITHU_KIOSK_PROFILE": str(profile),
            "GHITHU_KIOSK_FLAGS": str(KIOSK / "chromium-flags"),
        }
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
        )
        try:
            async with asyncio.timeout(SHOWN_WITHIN_S):
                seen = await found
        finally:
            await end(process)
    assert seen["words"] == "Đăng nhập"
    assert isinstance(seen["height"], int)
    assert seen["height"] > 0
    assert seen["scale"] == 1.5
    assert (seen["outside"], outside) == (False, [])
    if private:
        assert (seen["camera"], seen["microphone"]) == ("granted", "denied")


def test_the_policy_lets_the_pages_of_the_handheld_in_and_nothing_else() -> None:
    policy = json.loads((KIOSK / "chromium-policy.json").read_text(encoding="utf-8"))
    ours = ["http://127.0.0.1:@PORT@"]
    assert (policy["URLBlocklist"], policy["URLAllowlist"]) == (["*"], ours)
    assert (policy["VideoCaptureAllowed"], policy["VideoCaptureAllowedUrls"]) == (False, ours)
    assert (policy["DeveloperToolsAvailability"], policy["RemoteDebuggingAllowed"]) == (2, False)
    assert policy["PrintingEnabled"] is False


def test_each_policy_is_known_to_debians_chromium() -> None:
    policy = json.loads((KIOSK / "chromium-policy.json").read_text(encoding="utf-8"))
    with CHROMIUM.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        assert [name for name in policy if content.find(b"\0" + name.encode() + b"\0") < 0] == []
