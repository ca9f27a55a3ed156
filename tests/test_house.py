"""The house rules that no linter knows, and proof on made-up trees that each of them bites.

A rule yields one sentence for every breach, `path:line: what`; an empty answer is a clean house.
"""

import ast
import io
import json
import re
import sys
import tokenize
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PACKAGES = ("protocol", "printer_drivers", "device", "hub", "simulator")
FOLDERS = (*PACKAGES, "tests")

# The row with the longest name that holds the module decides. Tests may look into anything.
MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "protocol": ("protocol",),
    "printer_drivers": ("printer_drivers", "protocol.document"),
    "device": ("device", "protocol", "printer_drivers"),
    "device.core": ("device.core", "protocol"),
    "hub": ("hub", "protocol", "printer_drivers.raster"),
    "hub.core": ("hub.core", "protocol"),
    "simulator": PACKAGES,
    "tests": FOLDERS,
}

SYNCHRONOUS = ("protocol", "device.core", "hub.core")
PURE = (*SYNCHRONOUS, "printer_drivers")
NOT_PURE = ("printer_drivers.transports", "printer_drivers.__main__")
WORLD = (
    *("aiohttp", "aiosqlite", "alembic", "asyncio", "bleak", "concurrent", "multiprocessing", "os", "random"),
    *("secrets", "select", "selectors", "serial", "signal", "socket", "sqlalchemy", "sqlite3", "ssl"),
    *("subprocess", "tempfile", "threading", "time", "uuid"),
)
# (file, name): why a pure file may name it all the same.
INJECTED: Mapping[tuple[str, str], str] = {
    ("device/core/outbox.py", "random.Random"): "the type of the jitter that the shell hands in",
    ("device/core/session.py", "random.Random"): "hands the jitter on to the outbox",
}

# file: why it is the last line of defence, where even the unforeseen must end in a log line and an answer.
LAST_DEFENCES: Mapping[str, str] = {
    "device/app.py": "what raised leaves the session ahead of its store: the process ends in a log line",
    "device/linked_printer.py": "a driver's fault costs one paper's certainty: it ends in a log line and UNKNOWN",
    "device/web/server.py": "a kiosk has no address bar: what failed ends in a log line and a page with a way on",
    "device/uplink.py": "an uplink that stops is money unseen: the unforeseen ends in a log line and an UploadLost",
}

MAX_FILE_LINES = 700
MAX_FUNCTION_LINES = 60
# "file" or "file::function": why it is data only, so that its length costs the reader nothing.
DATA_ONLY: Mapping[str, str] = {
    "hub/store/migrations/versions/0001_first_tables.py::upgrade": "the first tables, one after the other",
}

# Folders whose Python is run by another program, by file and not by import: why.
RUN_BY_FILE: Mapping[str, str] = {
    "device/sled": "MicroPython runs it by file",
    "hub/store/migrations": "Alembic loads it by path",
    "hub/store/migrations/versions": "Alembic loads them by path",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: its path from the root, its dotted name, and what is in it."""

    path: str
    module: str
    text: str
    tree: ast.Module


def read(root: Path, file: Path) -> Source:
    path = file.relative_to(root)
    names = path.with_suffix("").parts
    text = file.read_text(encoding="utf-8")
    return Source(path.as_posix(), ".".join(names).removesuffix(".__init__"), text, ast.parse(text))


def sources(root: Path) -> tuple[Source, ...]:
    """Every Python file of ours under `root`, in the order of their paths."""
    files = (file for folder in FOLDERS for file in sorted((root / folder).rglob("*.py")))
    return tuple(read(root, file) for file in files)


def within(name: str, holders: tuple[str, ...]) -> bool:
    return any(name == holder or name.startswith(f"{holder}.") for holder in holders)


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """Line and full name of all that is imported: at the top, in a function, relative, or at run time."""
    package = source.path.split("/")[:-1]
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = [] if level == 0 else package[: len(package) - level + 1]
                parts = (*base, module) if module else tuple(base)
                yield from ((node.lineno, ".".join((*parts, alias.name))) for alias in names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name
            case _:
                pass


def foreign_imports(source: Source) -> Iterator[str]:
    """Who may import whom: `MAY_IMPORT`."""
    owner = max((row for row in MAY_IMPORT if within(source.module, (row,))), key=len)
    for line, name in imports(source):
        if within(name, FOLDERS) and not within(name, MAY_IMPORT[owner]):
            yield f"{source.path}:{line}: {owner} may not import {name}"


def impurities(source: Source) -> Iterator[str]:
    """Pure parts reach for no world, clock or chance; the cores and the protocol do not wait either."""
    if not within(source.module, PURE) or within(source.module, NOT_PURE):
        return
    for line, name in imports(source):
        if within(name, WORLD) and (source.path, name) not in INJECTED:
            yield f"{source.path}:{line}: pure, yet imports {name}"
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Name(id="open" | "input" | "Random" as name)):
                yield f"{source.path}:{node.lineno}: pure, yet calls {name}()"
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id="datetime" | "date") | ast.Attribute(attr="datetime" | "date"),
                    attr="now" | "utcnow" | "today" as name,
                )
            ):
                yield f"{source.path}:{node.lineno}: pure, yet reads the clock by {name}()"
            case ast.AsyncFunctionDef(name=name) if within(source.module, SYNCHRONOUS):
                yield f"{source.path}:{node.lineno}: {name} waits where nothing may be interleaved"


def catches_all(expression: ast.expr) -> bool:
    """Whether `Exception` or a wider class stands in an expression, alone, qualified or in a tuple."""
    names = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(expression)}
    return not names.isdisjoint({"Exception", "BaseException"})


def blind_handlers(source: Source, allowed: Mapping[str, str] = LAST_DEFENCES) -> Iterator[str]:
    """Errors are caught by name, outside the last lines of defence."""
    if source.path in allowed:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            blind = node.type is None or catches_all(node.type)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            blind = any(catches_all(caught) for caught in node.args)
        else:
            continue
        if blind:
            yield f"{source.path}:{node.lineno}: catches everything"


def prints(source: Source) -> Iterator[str]:
    """Only programs talk to the terminal."""
    if source.path.endswith("/__main__.py") or source.path.startswith(("simulator/", "tests/bench")):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            yield f"{source.path}:{node.lineno}: prints"


BLANKET = re.compile(r"#\s*(type:\s*ignore(?!\[)|noqa(?!:)|ruff:\s*noqa(?!:)|mypy:)", re.IGNORECASE)


def blanket_ignores(source: Source) -> Iterator[str]:
    """A checker is silenced for one named complaint on one line, or not at all."""
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT and BLANKET.search(token.string):
            yield f"{source.path}:{token.start[0]}: silences a checker without naming the complaint"


def overlong(source: Source, allowed: Mapping[str, str] = DATA_ONLY) -> Iterator[str]:
    """Files and functions that no longer fit in a head."""
    lines = len(source.text.splitlines())
    if lines > MAX_FILE_LINES and source.path not in allowed:
        yield f"{source.path}:1: {lines} lines in a file"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES and f"{source.path}::{node.name}" not in allowed:
                yield f"{source.path}:{node.lineno}: {length} lines in {node.name}"


def undescribed(source: Source) -> Iterator[str]:
    """Each module of the product opens by saying what lives in it."""
    if within(source.module, PACKAGES) and not ast.get_docstring(source.tree):
        yield f"{source.path}:1: says not what lives in it"


def missing_readmes(root: Path) -> Iterator[str]:
    """Each top folder says to a newcomer what it is for."""
    for folder in FOLDERS:
        if not (root / folder / "README.md").is_file():
            yield f"{folder}/README.md: is not there"


def missing_packages(root: Path) -> Iterator[str]:
    """Without an `__init__.py` a folder runs from the checkout but is left out of the wheel."""
    for folder in sorted({file.parent for top in FOLDERS for file in (root / top).rglob("*.py")}):
        path = folder.relative_to(root).as_posix()
        if not (folder / "__init__.py").is_file() and path not in RUN_BY_FILE:
            yield f"{path}/__init__.py: is not there"


def shadowed_names(root: Path) -> Iterator[str]:
    """A module called like one of the standard library is imported in its place sooner or later."""
    files = [file for top in FOLDERS for file in (root / top).rglob("*.py")]
    for path in sorted({*files, *(file.parent for file in files)}):
        if path.stem in sys.stdlib_module_names:
            yield f"{path.relative_to(root).as_posix()}: bears the name of a standard module"


def unshipped_files(root: Path) -> Iterator[str]:
    """Each file that is not Python is named in pyproject.toml, or the installed wheel lacks it."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = settings["tool"]["setuptools"]["package-data"]
    for package in PACKAGES:
        folder = root / package
        named = {file for pattern in shipped.get(package, ()) for file in folder.glob(pattern)}
        for file in sorted(file for file in folder.rglob("*") if file.is_file() and file not in named):
            if file.suffix not in {".py", ".pyc", ".md"} and not file.name.startswith("."):
                yield f"{file.relative_to(root).as_posix()}: is not in the wheel"


ADDRESS = re.compile(r'https?://|git\+|ssh://|\bfile:|"resolved"|index-url|find-links|\bregistry *=')


def without_funding(value: object) -> object:
    """The same JSON without where a package asks for money: nothing is fetched from there."""
    match value:
        case dict():
            return {key: without_funding(inner) for key, inner in value.items() if key != "funding"}
        case list():
            return [without_funding(inner) for inner in value]
        case _:
            return value


def addresses(root: Path) -> Iterator[str]:
    """Lock files name what is used and its hash, never where it came from: each site has its own mirror."""
    for file in sorted((*root.glob("*.lock"), *root.glob("package*.json"), *root.glob(".npmrc"))):
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            text = json.dumps(without_funding(json.loads(text)), indent=1)
        yield from (f"{file.name}: {line.strip()}" for line in text.splitlines() if ADDRESS.search(line))


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def unlocked(root: Path) -> Iterator[str]:
    """Each dependency asked for is locked, and tests run with the very versions that are shipped."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    runtime, dev = pins(root / "requirements.lock"), pins(root / "requirements-dev.lock")
    for asked, lock, name in (
        (settings["project"]["dependencies"], runtime, "requirements.lock"),
        (settings["dependency-groups"]["dev"], dev, "requirements-dev.lock"),
    ):
        heads = (re.split(r"[^A-Za-z0-9._-]", requirement)[0] for requirement in asked)
        names = {re.sub(r"[-_.]+", "-", head).lower() for head in heads}
        yield from (f"{name}: {missing} is not locked" for missing in sorted(names - lock.keys()))
    for package in sorted(runtime):
        if dev.get(package) != runtime[package]:
            yield f"requirements-dev.lock: {package} is not {runtime[package]}"


SourceRule = Callable[[Source], Iterator[str]]
SOURCE_RULES: tuple[SourceRule, ...] = (
    foreign_imports,
    impurities,
    blind_handlers,
    prints,
    blanket_ignores,
    overlong,
    undescribed,
)
TreeRule = Callable[[Path], Iterator[str]]
TREE_RULES: tuple[TreeRule, ...] = (
    missing_readmes,
    missing_packages,
    shadowed_names,
    unshipped_files,
    addresses,
    unlocked,
)


@cache
def our_sources() -> tuple[Source, ...]:
    return sources(ROOT)


@pytest.mark.parametrize("rule", SOURCE_RULES)
def test_every_source_keeps_the_rule(rule: SourceRule) -> None:
    assert [breach for source in our_sources() for breach in rule(source)] == []


@pytest.mark.parametrize("rule", TREE_RULES)
def test_the_tree_keeps_the_rule(rule: TreeRule) -> None:
    assert list(rule(ROOT)) == []


def test_exceptions_that_nothing_needs_any_more_are_struck_off() -> None:
    blind = {breach.split(":")[0] for source in our_sources() for breach in blind_handlers(source, {})}
    assert LAST_DEFENCES.keys() <= blind
    long = {breach.split(":")[0] for source in our_sources() for breach in overlong(source, {})}
    assert {entry.split("::")[0] for entry in DATA_ONLY} <= long


def lay(root: Path, files: Mapping[str, str]) -> None:
    """Write a made-up tree."""
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


# file, the lines that break the rule, and the made-up source with its lines parted by " | "
BITES: Mapping[SourceRule, str] = {
    foreign_imports: """
        protocol/a.py                    1    import device | from protocol import b | import json
        protocol/a.py                    2    def f(): |  from printer_drivers.raster import draw
        printer_drivers/a.py             2    from protocol import document | from protocol import rules
        printer_drivers/a.py             2    import protocol.document | import protocol
        printer_drivers/a.py             2    from protocol.document import Rule | from protocol import *
        printer_drivers/transports/a.py  2    from .. import escpos | import device.store
        device/a.py                      1,2  import hub | from hub.core import fold | import printer_drivers
        device/a.py                      1,2  import simulator.world | import tests.conftest | import hubris
        device/core/a.py                 2,3  from . import b | from .. import store | import device.app
        device/core/a.py                 1    import printer_drivers | from protocol.rules import hold
        device/core/__init__.py          2    from .b import c | from ..store import Store
        hub/a.py                         1,2  import device.core | from printer_drivers import raster, job
        hub/a.py                         2    import importlib | importlib.import_module("device.app")
        hub/core/a.py                    1,2  from hub import store | import printer_drivers.raster
        simulator/a.py                   2    import device.app, hub.app, protocol | import tests
        tests/a.py                       -    import simulator, device, hub""",
    impurities: """
        protocol/a.py                    1,2,3  import time | import os.path | from asyncio import run
        protocol/a.py                    1,2  datetime.now() | datetime.date.today() | box.now()
        hub/core/a.py                    2,3  def f(): |  import sqlite3 | import concurrent.futures
        printer_drivers/a.py             1    import serial | import PIL | async def f(): pass
        printer_drivers/transports/a.py  -    import serial, asyncio
        device/a.py                      -    import time, asyncio, random
        device/core/a.py                 1,2  async def f(): pass | open("x") | x.open("y")
        device/core/outbox.py            -    from random import Random
        device/core/outbox.py            2,3  from random import Random | Random(1) | import random
        device/core/outbox.py            1    from random import choice
        device/core/stops.py             1    from random import Random""",
    blind_handlers: """
        hub/a.py  2  try: f() | except Exception: g()
        hub/a.py  2  try: f() | except (KeyError, builtins.BaseException) as error: raise
        hub/a.py  2  try: f() | except: g()
        hub/a.py  2  try: f() | except* Exception: g()
        hub/a.py  1  with contextlib.suppress(Exception): f() | with suppress(KeyError): g()
        hub/a.py  -  try: f() | except (KeyError, OSError): raise Exception""",
    prints: """
        hub/a.py          1  print(1) | printer.print(1)
        hub/__main__.py   -  print(1)
        simulator/a.py    -  print(1)
        tests/bench/a.py  -  print(1)
        tests/a.py        1  print(1)""",
    blanket_ignores: """
        hub/a.py  1      x = 1  # type: ignore | y = 1  # type: ignore[misc] | z = "# noqa"
        hub/a.py  1,2,3  # mypy: ignore-errors | # ruff: noqa | x = 1  # noqa | # noqa: E501""",
    undescribed: """
        hub/a.py    1  x = 1
        hub/a.py    -  "Pages."
        tests/a.py  -  x = 1""",
}


@pytest.mark.parametrize(
    ("rule", "case"),
    [(rule, case.strip()) for rule, cases in BITES.items() for case in cases.strip().splitlines()],
)
def test_a_source_that_breaks_the_rule_is_named_with_its_line(
    tmp_path: Path, rule: SourceRule, case: str
) -> None:
    path, numbers, code = case.split(maxsplit=2)
    lay(tmp_path, {path: "\n".join(code.split(" | "))})
    found = [breach.partition(": ")[0] for source in sources(tmp_path) for breach in rule(source)]
    assert set(found) == {f"{path}:{number}" for number in numbers.split(",") if number != "-"}


@pytest.mark.parametrize(
    ("lines", "breaches"),
    [
        (["def f():", *[" x"] * 59], []),
        (["x", "class C:", " async def f():", *["  x"] * 60], ["hub/a.py:3: 61 lines in f"]),
        (["x"] * 700, []),
        (["x"] * 701, ["hub/a.py:1: 701 lines in a file"]),
    ],
)
def test_a_file_or_function_is_too_long_from_the_first_line_over(
    tmp_path: Path, lines: list[str], breaches: list[str]
) -> None:
    lay(tmp_path, {"hub/a.py": "\n".join(lines)})
    assert [breach for source in sources(tmp_path) for breach in overlong(source)] == breaches


def test_an_exception_is_made_for_the_file_it_names_and_no_other(tmp_path: Path) -> None:
    blind = "try: f()\nexcept Exception: g()\n"
    lay(tmp_path, {"hub/a.py": blind, "hub/b.py": blind})
    (first, second) = sources(tmp_path)
    assert list(blind_handlers(first, {"hub/a.py": "last"})) == []
    assert list(blind_handlers(second, {"hub/a.py": "last"})) == ["hub/b.py:2: catches everything"]


def test_a_long_table_is_excused_by_name_and_its_neighbour_is_not(tmp_path: Path) -> None:
    long = " x\n" * 60
    lay(tmp_path, {"hub/a.py": f"def f():\n{long}def g():\n{long}", "hub/b.py": "x\n" * 701})
    (functions, file) = sources(tmp_path)
    allowed = {"hub/a.py::f": "table", "hub/b.py": "table"}
    assert list(overlong(functions, allowed)) == ["hub/a.py:62: 61 lines in g"]
    assert list(overlong(file, allowed)) == []


def test_a_folder_without_readme_or_init_is_named(tmp_path: Path) -> None:
    lay(tmp_path, {f"{folder}/README.md": "what" for folder in FOLDERS if folder != "hub"})
    assert list(missing_readmes(tmp_path)) == ["hub/README.md: is not there"]
    lay(tmp_path, {"hub/__init__.py": "", "hub/web/pages.py": "", "hub/store/migrations/env.py": ""})
    assert list(missing_packages(tmp_path)) == ["hub/web/__init__.py: is not there"]


def test_a_module_or_folder_named_like_a_standard_one_is_named(tmp_path: Path) -> None:
    files = ("hub/queue.py", "hub/json/a.py", "hub/__main__.py", "hub/queues.py", "tests/a.py")
    lay(tmp_path, dict.fromkeys(files, ""))
    assert [breach.partition(":")[0] for breach in shadowed_names(tmp_path)] == ["hub/json", "hub/queue.py"]


def test_a_file_that_the_wheel_would_lack_is_named(tmp_path: Path) -> None:
    declared = '[tool.setuptools.package-data]\nhub = ["web/static/**/*"]\n'
    shipped = ("hub/web/static/a/b.js", "hub/web/static/c.css", "hub/README.md")
    files = (*shipped, "hub/web/page.html", "device/a.sql")
    lay(tmp_path, {"pyproject.toml": declared, **dict.fromkeys(files, "")})
    assert list(unshipped_files(tmp_path)) == [
        "device/a.sql: is not in the wheel",
        "hub/web/page.html: is not in the wheel",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.lock", "--index-url=x\na==1"),
        ("requirements.lock", "a==1\n    # from https://x/simple"),
        ("requirements-dev.lock", "--find-links /wheels"),
        ("uv.lock", 'source = "git+ssh"'),
        ("package-lock.json", '{"packages": {"a": {"resolved": "x"}}}'),
        ("package-lock.json", '{"packages": {"a": {"version": "http://x/a.tgz"}}}'),
        ("package.json", '{"dependencies": {"a": "file:../a"}}'),
        (".npmrc", "registry=x"),
    ],
)
def test_an_address_in_a_lock_file_is_named(tmp_path: Path, name: str, text: str) -> None:
    lay(tmp_path, {name: text})
    (found,) = addresses(tmp_path)
    assert found.startswith(f"{name}: ")


def test_a_lock_file_may_say_who_asks_for_money(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "package-lock.json": '{"packages": {"a": {"version": "1", "funding": {"url": "https://x"}}}}',
            ".npmrc": "omit-lockfile-registry-resolved=true",
            "requirements.lock": "a==1 \\\n    --hash=sha256:00",
        },
    )
    assert list(addresses(tmp_path)) == []


def test_a_dependency_that_is_not_locked_or_locked_in_two_versions_is_named(tmp_path: Path) -> None:
    asked = '[project]\ndependencies = ["A_b[x]>=1", "c"]\n[dependency-groups]\ndev = ["d==2"]\n'
    locks = {"requirements.lock": "a-b==1 \\\n", "requirements-dev.lock": "a-b==2 ; x\n"}
    lay(tmp_path, {"pyproject.toml": asked, **locks})
    assert list(unlocked(tmp_path)) == [
        "requirements.lock: c is not locked",
        "requirements-dev.lock: d is not locked",
        "requirements-dev.lock: a-b is not 1",
    ]
