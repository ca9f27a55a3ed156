"""One obvious place: whoever adds a row to a table is told what else a row needs, and that the telling works.

A check yields one sentence for each thing missing. The checks below run on the real tables, and each once more on a
made-up table that lacks something.
"""

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hub.banks import BANKS
from hub.core.conflicts import CONFLICTS, ConflictClass
from hub.core.ledger import POSTINGS
from protocol import records
from protocol.reasons import REASONS, Reason, Scope
from protocol.records import HANDHELD_KINDS, HUB_KINDS, RECORD_KINDS, HandheldRecord, HubRecord, Record
from protocol.rules import HOLDS, WARNINGS
from protocol.tariff import ROUNDING
from tests.protocol.test_cddl import RULES, rule_name
from tests.protocol.test_records import SAMPLES, vectors
from tests.protocol.test_rules import reasons_in_tables
from tests.protocol.test_tariff import WORKED, rows

TESTS = Path(__file__).parent
FIRST_OF_HUB = 64  # Tags of record kinds: below it the handhelds'.


# The checks.


def said_in_both(what: str, texts: tuple[str, str]) -> Iterator[str]:
    """A text for people, Vietnamese first: neither empty, the second without letters of the first."""
    vietnamese, english = texts
    if not vietnamese.strip():
        yield f"{what}: has no Vietnamese text"
    if not english.strip():
        yield f"{what}: has no English text"
    elif english == vietnamese or not english.isascii():
        yield f"{what}: says the same in both languages"


def missing(what: str, wanted: Collection[Any], there: Collection[Any]) -> Iterator[str]:
    """Both ways: what lacks, and what is left over."""
    yield from sorted(f"{what}: {name(item)} is not there" for item in wanted if item not in there)
    yield from sorted(f"{what}: {name(item)} belongs to nothing" for item in there if item not in wanted)


def name(item: Any) -> str:
    return item.__name__ if isinstance(item, type) else str(getattr(item, "value", item))


def twice(items: list[Any]) -> list[Any]:
    return sorted({item for item in items if items.count(item) > 1})


def unkept_kinds(
    kinds: Mapping[int, type[Record]],
    *,
    declared: Collection[type[Record]],
    contract: Collection[str],
    samples: Collection[type[Record]],
    signed: Collection[str],
    postings: Mapping[type[Record], object],
) -> Iterator[str]:
    """A record kind: a row, a number of its own, a CDDL rule, a sample, a vector, a posting (or None) and a title."""
    classes = list(kinds.values())
    yield from missing("RECORD_KINDS", declared, classes)
    for kind, cls in kinds.items():
        if kind != cls.KIND:
            yield f"{cls.__name__}: stands at {kind} and says {cls.KIND}"
        if issubclass(cls, HandheldRecord) != (kind < FIRST_OF_HUB):
            yield f"{cls.__name__}: {kind} is a number of the other side"
    numbers = [cls.KIND for cls in declared]
    yield from (f"{number}: two kinds have this number" for number in twice(numbers))
    rules = {rule_name(cls) for cls in classes}
    yield from (f"records.cddl: {rule} is not there" for rule in sorted(rules - set(contract)))
    yield from missing("SAMPLES", classes, samples)
    yield from missing("vectors", [cls.__name__ for cls in classes], signed)
    yield from missing("POSTINGS", classes, postings)
    for cls in classes:
        yield from said_in_both(cls.__name__, cls.TITLE)
    titles = [title for cls in classes for title in cls.TITLE]
    yield from (f"{title}: two kinds have this title" for title in twice(titles))


def unkept_reasons(reasons: Collection[Reason], texts: Mapping[Reason, tuple[str, str, Any, bool]]) -> Iterator[str]:
    """A reason: a row in REASONS with texts in both languages."""
    yield from missing("REASONS", reasons, texts)
    for reason, (vietnamese, english, _, _) in texts.items():
        yield from said_in_both(reason.value, (vietnamese, english))


def reasons_of(rule: Callable[..., Any]) -> set[str]:
    """Every `Reason.X` that the rule's source names."""
    source = Path(rule.__code__.co_filename).read_text(encoding="utf-8")
    (made,) = (
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef) and node.name == rule.__name__
    )
    return {
        node.attr
        for statement in made.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason"
    }


def untested_rules(rules: Collection[Callable[..., Any]], tested: Collection[str]) -> Iterator[str]:
    """A rule: each reason it gives stands in the rule table test."""
    for rule in rules:
        given = reasons_of(rule)
        if not given:
            yield f"{rule.__name__}: gives no reason"
        yield from (f"{rule.__name__}: {reason} is in no row" for reason in sorted(given - set(tested)))


def unprovoked(classes: Collection[ConflictClass], table: Mapping[ConflictClass, Any], sources: str) -> Iterator[str]:
    """A conflict class: a row in both languages, and a test of the hub that names it or meets it by its text."""
    yield from missing("CONFLICTS", classes, table)
    for klass, row in table.items():
        yield from said_in_both(klass.value, row.title)
        yield from said_in_both(klass.value, row.done)
        if f"ConflictClass.{klass.name}" not in sources and f'"{klass.value}"' not in sources:
            yield f"{klass.value}: is provoked by no test"


def kinds_declared() -> list[type[Record]]:
    """Every kind that protocol.records declares, in a table or not."""
    return [
        cls
        for cls in vars(records).values()
        if isinstance(cls, type) and issubclass(cls, HandheldRecord | HubRecord) and "KIND" in vars(cls)
    ]


def read_tests(folder: str) -> str:
    """Source of all that a folder of tests holds, worlds and oracles included."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted((TESTS / folder).glob("*.py")))


# On the real tables.


def test_every_record_kind_is_complete() -> None:
    found = unkept_kinds(
        RECORD_KINDS,
        declared=kinds_declared(),
        contract=RULES,
        samples=SAMPLES,
        signed=vectors(),
        postings=POSTINGS,
    )
    assert list(found) == []


def test_the_two_sides_share_no_number() -> None:
    assert RECORD_KINDS.keys() == HANDHELD_KINDS.keys() | HUB_KINDS.keys()
    assert not HANDHELD_KINDS.keys() & HUB_KINDS.keys()


def test_every_reason_has_its_words() -> None:
    assert list(unkept_reasons(list(Reason), REASONS)) == []


def test_every_rule_is_in_the_table_of_cases() -> None:
    assert list(untested_rules((*HOLDS, *WARNINGS), reasons_in_tables())) == []


def test_every_rounding_has_a_worked_bill() -> None:
    assert list(missing("worked bills", ROUNDING, {row[0] for row in rows(WORKED)})) == []


def test_every_conflict_class_is_described_and_provoked() -> None:
    """How often each really occurs is counted in tests/hub/test_merge.py, over the worlds played there."""
    assert list(unprovoked(list(ConflictClass), CONFLICTS, read_tests("hub"))) == []


def bank_formats_in(sources: str) -> set[str]:
    """Formats that a test reads a sample with."""
    return set(re.findall(r'BANKS\["(\w+)"\]', sources))


def test_every_bank_format_reads_a_sample() -> None:
    assert list(missing("samples of statements", BANKS, bank_formats_in(read_tests("hub")))) == []


# On made-up tables: each thing that can be forgotten is named.


class Flushed(HandheldRecord):
    """A kind that somebody began to add."""

    KIND: ClassVar[int] = 11
    TITLE: ClassVar[tuple[str, str]] = ("Xả nước", "Flushed")


class Untitled(HubRecord):
    KIND: ClassVar[int] = 64
    TITLE: ClassVar[tuple[str, str]] = ("", "Xả nước")


def kinds_lacking(**changes: Any) -> list[str]:
    """What is said of a world of one complete kind, changed."""
    complete: dict[str, Any] = {
        "kinds": {11: Flushed},
        "declared": [Flushed],
        "contract": {"flushed"},
        "samples": {Flushed},
        "signed": {"Flushed"},
        "postings": {Flushed: None},
    }
    return list(unkept_kinds(**{**complete, **changes}))


def test_a_complete_kind_lacks_nothing() -> None:
    assert kinds_lacking() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kinds": {}}, "RECORD_KINDS: Flushed is not there"),
        ({"kinds": {12: Flushed}}, "Flushed: stands at 12 and says 11"),
        ({"contract": {"shift-opened"}}, "records.cddl: flushed is not there"),
        ({"samples": {}}, "SAMPLES: Flushed is not there"),
        ({"signed": {}}, "vectors: Flushed is not there"),
        ({"signed": {"Flushed", "Gone"}}, "vectors: Gone belongs to nothing"),
        ({"postings": {}}, "POSTINGS: Flushed is not there"),
        ({"declared": [Flushed, Flushed]}, "11: two kinds have this number"),
        ({"kinds": {64: Untitled}}, "Untitled: has no Vietnamese text"),
        ({"kinds": {64: Untitled}}, "Untitled: says the same in both languages"),
        ({"kinds": {65: Flushed}}, "Flushed: 65 is a number of the other side"),
        ({"kinds": {11: Flushed, 12: Flushed}}, "Flushed: two kinds have this title"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_kind_lacks_is_named(changes: dict[str, Any], said: str) -> None:
    assert said in kinds_lacking(**changes)


def test_a_reason_without_words_is_named() -> None:
    texts = {
        Reason.NO_PACKAGE: ("Chưa có", "", Scope.THIS_ACTION, False),
        Reason.CASH_INPUT: ("Tổng tiền", "Tổng tiền", Scope.THIS_ACTION, False),
    }
    assert list(unkept_reasons([*texts, Reason.DATE_INPUT], texts)) == [
        "REASONS: DATE_INPUT is not there",
        "NO_PACKAGE: has no English text",
        "CASH_INPUT: says the same in both languages",
    ]


def leaking(reading: object, facts: object) -> Reason | None:
    """A rule that somebody began to add."""
    return Reason.NOTHING_TO_PRINT if reading else None


def idle(reading: object, facts: object) -> Reason | None:
    return None


def test_a_rule_without_a_case_is_named() -> None:
    assert list(untested_rules((leaking, idle), {"CONSUMPTION_DROP"})) == [
        "leaking: NOTHING_TO_PRINT is in no row",
        "idle: gives no reason",
    ]
    assert list(untested_rules((leaking,), {"NOTHING_TO_PRINT"})) == []
    assert reasons_of(HOLDS[0]) == {"PAYS_BY_TRANSFER", "PAYS_BY_COLLECTION_ORDER"}


def test_a_class_without_row_or_scenario_is_named() -> None:
    table = {ConflictClass.GAP: CONFLICTS[ConflictClass.GAP], ConflictClass.FORK: CONFLICTS[ConflictClass.FORK]}
    source = "assert ConflictClass.GAP in found"
    assert list(unprovoked([*table, ConflictClass.DUPLICATE], table, source)) == [
        "CONFLICTS: duplicate is not there",
        "fork: is provoked by no test",
    ]
    assert list(unprovoked(table, table, source + ' or "fork" in found')) == []


def test_a_row_without_its_sample_is_named() -> None:
    assert list(missing("samples", {"csv": None, "mt940": None}, bank_formats_in('BANKS["csv"]'))) == [
        "samples: mt940 is not there"
    ]
