"""The index of stops: search by letters, marks and keys, the order of the walk, distances."""

from dataclasses import replace
from math import asin, cos, radians, sin, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.core.commands import OpenShift, TakeReading
from device.core.memory import Memory
from device.core.session import CollectorSession
from device.core.work import Work
from device.stop_index import FOUND_MAX, StopIndex, distance_m
from protocol.package import Stop, seal_package, seal_policy
from protocol.records import PackageRef, PaperKind, PaperPrinted, PrintOutcome
from protocol.values import Fix
from protocol.words import fold
from tests.device import branch
from tests.device.branch import COLLECTOR, HUB, HUB_KEY, SECOND_COLLECTOR, stop

EARTH_M = 6_371_000
KEYPAD = ("abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz")
CAN_THO = Fix(latitude_e7=100_340_000, longitude_e7=1_057_880_000, accuracy_dm=50, age_s=0)


def index_of(*stops: Stop) -> StopIndex:
    return StopIndex(work_of(*stops))


def work_of(*stops: Stop, second: tuple[Stop, ...] = ()) -> Work:
    return Work(memory_of(*stops, second=second), HUB, branch.DEVICE_KEY.public)


def memory_of(*stops: Stop, second: tuple[Stop, ...] = ()) -> Memory:
    routes = [branch.package(stops)]
    if second:
        routes.append(replace(branch.package(second, route="R02"), collector=SECOND_COLLECTOR))
    return replace(
        branch.empty_memory(),
        policy=seal_policy(branch.policy(), HUB_KEY),
        packages=tuple(seal_package(route, HUB_KEY) for route in routes),
    )


def named(*names: str) -> StopIndex:
    return index_of(*(replace(stop(number), name=name) for number, name in enumerate(names, 1)))


def found(index: StopIndex, query: str) -> list[str]:
    return [work.stop.name for work in index.search(query)]


SEARCH_CASES = """
# query       -> the names that are found, best first
  an          -> Lê Hoàng Ân, Phạm Ngọc Ảnh, Trần Thị Ánh, Lê Hoàng Lan, Đặng Văn Bé
  ân          -> Lê Hoàng Ân, Phạm Ngọc Ảnh, Trần Thị Ánh, Lê Hoàng Lan, Đặng Văn Bé
  ánh         -> Trần Thị Ánh, Phạm Ngọc Ảnh
  Ảnh         -> Phạm Ngọc Ảnh, Trần Thị Ánh
  dang van be -> Đặng Văn Bé
  be dang     -> Đặng Văn Bé
  le lan      -> Lê Hoàng Lan
  xyz         ->
  26          -> Lê Hoàng Ân, Phạm Ngọc Ảnh, Trần Thị Ánh
  264         -> Phạm Ngọc Ảnh, Trần Thị Ánh
  53 526      -> Lê Hoàng Lan
  le 526      -> Lê Hoàng Lan
"""


@pytest.mark.parametrize(
    "case", [line for line in SEARCH_CASES.splitlines() if line.strip() and not line.startswith("#")]
)
def test_search_cases(case: str) -> None:
    query, _, names = case.partition("->")
    index = named("Lê Hoàng Ân", "Phạm Ngọc Ảnh", "Trần Thị Ánh", "Lê Hoàng Lan", "Đặng Văn Bé")
    assert found(index, query.strip()) == [name.strip() for name in names.split(",") if name.strip()]


def test_marks_that_were_typed_apart_are_the_same_marks() -> None:
    index = named("Phạm Ngọc Ảnh", "Trần Thị Ánh")
    assert found(index, "a\u0301nh") == ["Trần Thị Ánh", "Phạm Ngọc Ảnh"]


def test_name_with_the_marks_typed_comes_before_the_same_letters_without() -> None:
    assert found(named("Nguyen Van Duc", "Nguyễn Văn Đức"), "đức") == ["Nguyễn Văn Đức", "Nguyen Van Duc"]
    assert found(named("Nguyễn Văn Đức", "Nguyen Van Duc"), "duc") == ["Nguyễn Văn Đức", "Nguyen Van Duc"]


def test_last_digits_of_a_meter_find_it_before_numbers_that_only_contain_them() -> None:
    meter = stop(1).meter
    within = replace(stop(1), meter=replace(meter, serial="A4821007"))
    ending = replace(stop(2), meter=replace(meter, serial="A7004821"))
    assert [work.stop.customer for work in index_of(within, ending).search("4821")] == ["C00002", "C00001"]


def test_two_digits_find_names_by_keys_though_hundreds_of_numbers_contain_them() -> None:
    stops = [replace(stop(number), address=f"26{number} Đường Số 1") for number in range(1, 300)]
    stops.append(replace(stop(300), name="Lê Hoàng Ân"))
    results = index_of(*stops).search("26")
    assert len(results) == FOUND_MAX
    assert "Lê Hoàng Ân" in [work.stop.name for work in results]


def test_each_kind_has_half_of_what_is_shown_where_both_are_many() -> None:
    stops = [replace(stop(number), name="Bùi Thị Tư", address=f"26{number} Đường 1") for number in range(1, 101)]
    stops += [replace(stop(number), name="Lê Hoàng Ân") for number in range(101, 201)]
    results = index_of(*stops).search("26")
    assert [work.stop.name for work in results].count("Lê Hoàng Ân") == FOUND_MAX // 2 == len(results) // 2


def test_query_of_blanks_finds_nobody() -> None:
    index = named("Lê Hoàng Ân", "Phạm Ngọc Ảnh")
    assert found(index, "  ") == found(index, "") == []


def test_another_collectors_customers_are_not_found_and_take_no_place() -> None:
    second = tuple(stop(number) for number in range(1, 101))
    index = StopIndex(work_of(*(stop(number) for number in range(101, 111)), second=second))
    assert len(index.search("nguyen", COLLECTOR)) == 10
    assert len(index.search("nguyen", SECOND_COLLECTOR)) == FOUND_MAX


letters = st.sampled_from("aăâbcdđeêghiklmnoôơpqrstuưvxyáàảãạấầẩẫậéèẻẽẹíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ")
words = st.text(letters, min_size=1, max_size=7)
people = st.lists(words, min_size=1, max_size=4).map(lambda parts: " ".join(part.capitalize() for part in parts))
KEYS = {letter: str(key) for key, row in enumerate(KEYPAD, 2) for letter in row}


@given(people, people, st.data())
def test_everybody_is_found_by_what_their_name_begins_with_in_letters_and_in_keys(
    name: str, other: str, data: st.DataObject
) -> None:
    index = named(name, other)
    word = data.draw(st.sampled_from(fold(name).split()))
    start = word[: data.draw(st.integers(1, len(word)))]
    for query in (name, fold(name), start, "".join(KEYS[letter] for letter in start)):
        assert name in found(index, query), query


@given(st.lists(st.tuples(st.integers(1, 31), st.integers(1, 50)), min_size=1, max_size=12))
def test_neighbours_are_those_of_the_walk(places: list[tuple[int, int]]) -> None:
    stops = [replace(stop(number), route_day=day, walk_seq=place) for number, (day, place) in enumerate(places, 1)]
    index = index_of(*stops)
    walk = [work.stop for work in index.in_walking_order(COLLECTOR)]
    assert [(one.route_day, one.walk_seq) for one in walk] == sorted(places)
    for place, one in enumerate(walk):
        previous, following = index.neighbours(one.customer, COLLECTOR)
        assert (previous and previous.stop) == (walk[place - 1] if place else None)
        assert (following and following.stop) == (walk[place + 1] if place + 1 < len(walk) else None)


def test_index_follows_a_new_package() -> None:
    work = work_of(stop(1), stop(2))
    index = StopIndex(work)
    assert len(index.in_walking_order()) == 2
    work.packages[branch.ROUTE] = branch.package((stop(2), replace(stop(3), name="Lê Hoàng Ân")), version=2)
    work.rebuild()
    assert [one.stop.customer for one in index.in_walking_order()] == ["C00002", "C00003"]
    assert found(index, "an 02100000003") == ["Lê Hoàng Ân"]


# Distances.


def haversine_m(fix: Fix, other: Stop) -> float:
    here, there = radians(fix.latitude_e7 / 1e7), radians(other.latitude_e7 / 1e7)
    east = radians((other.longitude_e7 - fix.longitude_e7) / 1e7)
    half = sin((there - here) / 2) ** 2 + cos(here) * cos(there) * sin(east / 2) ** 2
    return 2 * EARTH_M * asin(sqrt(half))


latitudes = st.integers(80_000_000, 240_000_000)  # Of Vietnam.
steps = st.integers(-500_000, 500_000)  # Some five kilometres.


@given(latitudes, st.integers(1_020_000_000, 1_100_000_000), steps, steps)
def test_distance_is_that_of_the_sphere_within_one_percent(
    latitude: int, longitude: int, north: int, east: int
) -> None:
    fix = Fix(latitude, longitude, 50, 0)
    other = replace(stop(1), latitude_e7=latitude + north, longitude_e7=longitude + east)
    exact = haversine_m(fix, other)
    measured = distance_m(fix, other)
    assert measured is not None
    assert abs(measured - exact) <= max(1, exact / 100)


def test_distance_is_short_across_the_date_line_and_nothing_is_known_of_an_empty_place() -> None:
    fix = Fix(0, 1_799_999_000, 50, 0)
    assert distance_m(fix, replace(stop(1), latitude_e7=0, longitude_e7=-1_799_999_000)) == 22
    assert distance_m(CAN_THO, replace(stop(1), latitude_e7=0, longitude_e7=0)) is None
    assert distance_m(Fix(900_000_000, 0, 0, 0), replace(stop(1), latitude_e7=900_000_000, longitude_e7=5)) == 0


# Notices.


def test_a_notice_counts_only_once_it_has_come_out() -> None:
    session = CollectorSession(branch.identity(), memory_of(stop(1), stop(2)), Random(1))
    index, clock = StopIndex(session.work), branch.StillClock()
    session.handle(OpenShift(intent=b"1" * 16, collector=COLLECTOR), clock.now())
    session.handle(TakeReading(intent=b"2" * 16, customer="C00001", code="normal", index=120), clock.now())
    work, other = session.work.stops["C00001"], session.work.stops["C00002"]
    assert work.taken is not None

    def end(outcome: PrintOutcome, paper: PaperKind, period: str = branch.PERIOD) -> None:
        assert work.taken is not None
        record = PaperPrinted(
            period=period, paper=paper, about=work.taken.digest, print_no=1, outcome=outcome, customer="C00001"
        )
        session.pen.make(record, PackageRef(branch.ROUTE, 1), None, clock.now())

    for outcome, paper, period in (
        (PrintOutcome.UNKNOWN, PaperKind.NOTICE, branch.PERIOD),
        (PrintOutcome.NOT_PRINTED, PaperKind.NOTICE, branch.PERIOD),
        (PrintOutcome.PRINTED, PaperKind.RECEIPT, branch.PERIOD),
        (PrintOutcome.PRINTED, PaperKind.NOTICE, "2026-10"),
    ):
        end(outcome, paper, period)
        assert index.notice_left_ms(work) is None
    end(PrintOutcome.PRINTED, PaperKind.BILL_NOTICE)
    assert index.notice_left_ms(work) == clock.wall_ms
    clock.wall_ms += 86_400_000
    end(PrintOutcome.PRINTED, PaperKind.NOTICE)
    assert index.notice_left_ms(work) == clock.wall_ms
    assert index.notice_left_ms(other) is None
