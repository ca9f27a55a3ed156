"""A small made-up extract, whole at first, then with one thing wrong at a time."""

import gzip
import hashlib
import json
import string
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.csv_rows import PROBLEMS_MAX, VALUE_SHOWN_MAX, Findings, rows
from hub.extract import EXTRACT_SENTENCES, FILE_NAMES, ExtractReading, read_extract, summary

CUSTOMERS = """\
customer_id,register_no,name,address,phone,collect_address,branch,route,route_day,walk_seq,lat,lon,area,category,\
business_type,persons,payment_method,bank_bin,meter_serial,meter_make,meter_size_mm,meter_digits
02000001,02050000018,Trần Thị Bé,"12/3 Lê Lợi, Phường Cái Khế",,,CN số 1,S1-01,1,1,10.034567,105.787,\
urban,household,Hộ gia đình,4,TT,,Z1,Zenner,15,4
02000002,02050000029,Lý Văn Đỏ,14 Lê Lợi,0950000001,"99 Hòa Bình, TP. Cần Thơ",CN số 1,S1-01,1,2,\
10.0345671,105.7870001,urban,household,Hộ gia đình,,CK,970436,Z2,Zenner,15,5
02000003,02050000030,Trại giống,Ấp Mỹ Phước,,,CN An Bình,AB-01,2,1,9.99,105.72,rural,business,Trại giống,,NT,\
970405,E3,Elster,25,5
"""
HISTORY = """\
customer_id,period,reading_date,index,consumption_m3,read_code,bill_vnd
02000001,2026-09,2026-09-01,9990,10,normal,90248
02000001,2026-10,2026-10-01,4,14,rollover_4d,126347
02000002,2026-09,2026-09-02,999999,12,house_closed,108297
02000002,2026-10,2026-10-01,3,7,replaced_periodic,63173
02000003,2026-09,2026-09-02,0,0,normal,0
02000003,2026-10,2026-10-02,40,40,normal,504777
"""
ARREARS = """\
customer_id,bill_no,period,amount_vnd
02000001,HD1,2026-09,90248
02000001,HD2,2026-10,126347
02000003,HD3,2025-12,50000
"""
TARIFF = json.dumps(
    {
        "currency": "VND",
        "unit": "VND per m3",
        "vat_percent": 5,
        "env_fee_percent_of_net": 10,
        "rounding_rule": "net_half_up_then_fee_half_up",
        "versions": [
            {
                "id": "T-1",
                "decision": "1/QĐ",
                "effective_from": "2024-02-01",
                "vat_included": True,
                "areas": {
                    "urban": {"household": {"flat": 9020}, "business": {"flat": 15580}},
                    "rural": {"household": {"flat": 8240}, "business": {"flat": 11520}},
                },
            }
        ],
    }
)
WHOLE = dict(zip(FILE_NAMES, (CUSTOMERS, HISTORY, ARREARS, TARIFF), strict=True))

Reader = Callable[[dict[str, str | bytes]], ExtractReading]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Read the whole extract with some files put in its place."""

    def reader(instead: dict[str, str | bytes]) -> ExtractReading:
        for name, text in (WHOLE | instead).items():
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_extract(tmp_path)

    return reader


def faults(reading: ExtractReading) -> list[str]:
    assert (reading.extract is None) == bool(reading.problems)
    return [f"{at.file}:{at.line}:{at.column} {at.sentence.key}" for at in reading.problems]


def notices(reading: ExtractReading) -> list[str]:
    assert reading.extract is not None, reading.problems
    return [notice.key for notice in reading.notices]


def test_a_whole_extract_is_read_into_whole_numbers_and_texts(read: Reader) -> None:
    reading = read({})
    assert notices(reading) == []
    extract = reading.extract
    assert extract is not None
    first, second, third = extract.customers
    assert (first.lat_e7, first.lon_e7) == (100_345_670, 1_057_870_000)
    assert (second.lat_e7, second.lon_e7) == (100_345_671, 1_057_870_001)
    assert (first.customer_id, first.register_no) == ("02000001", "02050000018")
    assert (first.phone, first.persons) == ("", 4)
    assert (second.collect_address, second.persons) == ("99 Hòa Bình, TP. Cần Thơ", None)
    assert (third.name, third.bank_bin) == ("Trại giống", "970405")
    assert (third.meter_size_mm, third.meter_digits) == (25, 5)
    assert [row.index for row in extract.history] == [9990, 4, 999999, 3, 0, 40]
    assert [(row.bill_no, row.amount_vnd) for row in extract.arrears][1:] == [("HD2", 126347), ("HD3", 50000)]
    assert extract.tariff.versions[0].version == "T-1"
    assert extract.last_period == "2026-10"


def test_the_dry_run_counts_by_route_branch_and_payment(read: Reader) -> None:
    extract = read({}).extract
    assert extract is not None
    counted = summary(extract)
    assert counted.customers == 3
    assert list(counted.customers_by_route.items()) == [("AB-01", 1), ("S1-01", 2)]
    assert counted.customers_by_branch == {"CN An Bình": 1, "CN số 1": 2}
    assert counted.customers_by_payment_method == {"TT": 1, "CK": 1, "NT": 1}
    assert (counted.arrears, counted.arrears_customers, counted.arrears_vnd) == (3, 2, 266595)
    assert counted.periods == ("2026-09", "2026-10")


def test_packed_files_are_the_same_files(read: Reader, tmp_path: Path) -> None:
    plain = read({}).extract
    for name in FILE_NAMES:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        (tmp_path / name).unlink()
    packed = read_extract(tmp_path).extract
    assert packed == plain
    assert packed is not None
    for file in packed.files:
        content = WHOLE[file.name].encode()
        assert (file.content, file.size) == (content, len(content))
        assert file.sha256 == hashlib.sha256(content).digest()
    assert tuple(file.name for file in packed.files) == FILE_NAMES


def test_files_saved_by_a_spreadsheet_are_read_and_hashed_as_they_are(read: Reader) -> None:
    plain = read({}).extract
    saved = {name: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() for name, text in WHOLE.items()}
    extract = read({**saved}).extract
    assert extract is not None
    assert plain is not None
    assert extract.customers == plain.customers
    assert extract.history == plain.history
    assert extract.arrears == plain.arrears
    assert [file.content for file in extract.files] == list(saved.values())


def test_letters_composed_of_parts_become_whole_and_are_counted(read: Reader) -> None:
    reading = read({"customers.csv": unicodedata.normalize("NFD", CUSTOMERS)})
    assert notices(reading) == ["normalised"]
    assert "3" in reading.notices[0].en
    assert reading.extract is not None
    assert reading.extract.customers[0].name == "Trần Thị Bé"


def test_columns_may_come_in_any_order_with_others_between(read: Reader) -> None:
    lines = [line.split(",") for line in ARREARS.splitlines()]
    moved = "\n".join(",".join([*reversed(line), "x"]) for line in lines)
    reading = read({"arrears.csv": moved})
    assert notices(reading) == ["unknown_columns"]
    assert reading.extract is not None
    assert reading.extract.arrears[0].bill_no == "HD1"


def test_nobody_need_owe_anything(read: Reader) -> None:
    assert notices(read({"arrears.csv": ARREARS.partition("\n")[0]})) == []


# file | text to replace | by this | problems
ONE_FAULT = """
customers.csv | 02000002,0205 | 2000002,0205    | customers.csv:3:customer_id digits
customers.csv | 02050000029   | 2.05E+09        | customers.csv:3:register_no digits
customers.csv | 02050000029   | 02050000018     | customers.csv:3:register_no repeated
customers.csv | 02000003,0205 | 02000002,0205   | customers.csv:4:customer_id repeated;\
history.csv:6:customer_id unknown_customer;history.csv:7:customer_id unknown_customer;\
arrears.csv:4:customer_id unknown_customer
customers.csv | Z2            | Z1              | customers.csv:3:meter_serial repeated
customers.csv | S1-01,1,2     | S1-01,1,1       | customers.csv:3:walk_seq walk_repeated
customers.csv | S1-01,1,2     | S1-01,0,2       | customers.csv:3:route_day range
customers.csv | S1-01,1,2     | S1-01,29,2      | customers.csv:3:route_day range
customers.csv | S1-01,1,2     | S1-01,1,        | customers.csv:3:walk_seq required
customers.csv | S1-01,1,2     | S1-01,1,2.0     | customers.csv:3:walk_seq integer
customers.csv | S1-01,1,2     | Sô-01,1,2       | customers.csv:3:route code
customers.csv | AB-01         | S1-01           | customers.csv:4:branch route_branches;\
customers.csv:4:walk_seq walk_repeated
customers.csv | Lý Văn Đỏ     |                 | customers.csv:3:name required
customers.csv | Lý Văn Đỏ     | Lý<tab>Văn      | customers.csv:3:name control_character
customers.csv | 0950000001    | 950000001       | customers.csv:3:phone digits
customers.csv | 10.0345671    | 10,0345671      | customers.csv:3: row_length
customers.csv | 10.0345671    | 10.03456712     | customers.csv:3:lat degrees
customers.csv | 10.0345671    | 105.78          | customers.csv:3:lat degrees_range
customers.csv | 105.7870001   | 0               | customers.csv:3:lon degrees_range
customers.csv | ,rural,       | ,village,       | customers.csv:4:area choice
customers.csv | rural,business | rural,hospital | customers.csv:4:category no_price
customers.csv | ,CK,          | ,ck,            | customers.csv:3:payment_method choice
customers.csv | 970436        | 9704            | customers.csv:3:bank_bin digits
customers.csv | 15,5          | 15,3            | customers.csv:3:meter_digits range
customers.csv | đình,4        | đình,four       | customers.csv:2:persons integer
customers.csv | Thơ",CN       | Thơ,CN          | customers.csv:3: broken_quotes
customers.csv | "99           | 99              | customers.csv:3: row_length
customers.csv | phone         | tel             | customers.csv:1:phone missing_column
customers.csv | phone         | name            | customers.csv:1:phone missing_column;\
customers.csv:1:name column_twice
history.csv   | 02000003,2026-10 | 02000009,2026-10 | history.csv:7:customer_id unknown_customer
history.csv   | 2026-10,2026-10-02 | 2026-09,2026-10-02 | history.csv:7:period period_repeated
history.csv   | 2026-10,2026-10-02 | 2026-08,2026-10-02 | history.csv:7:period period_order
history.csv   | 2026-10,2026-10-02 | 2026-13,2026-10-02 | history.csv:7:period period
history.csv   | 2026-10-02    | 2026-09-02      | history.csv:7:reading_date reading_date_order
history.csv   | 2026-10-02    | 2026-09-31      | history.csv:7:reading_date date
history.csv   | 2026-10-02    | 02/10/2026      | history.csv:7:reading_date date
history.csv   | 9990          | 10000           | history.csv:2:index index_over_dial
history.csv   | ,3,7          | ,100000,7       | history.csv:5:index index_over_dial
history.csv   | ,40,40        | ,40,-40         | history.csv:7:consumption_m3 integer
history.csv   | ,40,40        | ,40,1000001     | history.csv:7:consumption_m3 range
history.csv   | ,40,40,normal | ,40,40,unheard  | history.csv:7:read_code choice
history.csv   | 504777        | 504.777         | history.csv:7:bill_vnd integer
history.csv   | 504777        | 504777,0        | history.csv:7: row_length
arrears.csv   | 02000003      | 02000009        | arrears.csv:4:customer_id unknown_customer
arrears.csv   | HD3           | HD1             | arrears.csv:4:bill_no repeated
arrears.csv   | 2025-12       | 2026-11         | arrears.csv:4:period arrears_after
arrears.csv   | 2026-10,126   | 2026-09,126     | arrears.csv:3:period period_repeated
arrears.csv   | 50000         | 0               | arrears.csv:4:amount_vnd range
arrears.csv   | 50000         | 10000000001     | arrears.csv:4:amount_vnd range
tariff.json   | 9020          | 9020.5          | tariff.json:0: tariff
tariff.json   | {"flat": 9020} | {"flat": 1, "flat": 2} | tariff.json:0: not_json
tariff.json   | "versions"    | versions        | tariff.json:0: not_json
"""


@pytest.mark.parametrize("case", ONE_FAULT.strip().splitlines())
def test_one_fault_is_named_by_line_and_column_and_stops_the_extract(read: Reader, case: str) -> None:
    name, was, now, expected = (part.strip() for part in case.split("|"))
    assert was in WHOLE[name]
    changed = WHOLE[name].replace(was, now.replace("<tab>", "\t"), 1)
    assert sorted(faults(read({name: changed}))) == sorted(expected.split(";"))


@pytest.mark.parametrize(
    ("name", "was", "now", "notice"),
    [
        ("history.csv", "02000003,2026-10,2026-10-02,40,40,normal,504777\n", "", "not_in_last_period"),
        ("arrears.csv", "126347", "126348", "arrears_differ"),
        ("customers.csv", "970436", "", "bank_and_method"),
        ("customers.csv", "TT,", "TT,970436", "bank_and_method"),
    ],
)
def test_what_does_not_make_the_round_wrong_is_a_notice(
    read: Reader, name: str, was: str, now: str, notice: str
) -> None:
    reading = read({name: WHOLE[name].replace(was, now, 1)})
    assert notices(reading) == [notice]
    assert "1" in reading.notices[0].vi


def test_a_customer_without_any_period_has_no_previous_index(read: Reader) -> None:
    kept = [line for line in HISTORY.splitlines() if not line.startswith("02000003")]
    assert faults(read({"history.csv": "\n".join(kept)})) == ["customers.csv:4:customer_id no_history"]


def test_every_fault_of_a_line_is_named_at_once(read: Reader) -> None:
    changed = HISTORY.replace("2026-10-02,40,40", "hôm qua,-1,x")
    places = [fault.rpartition(" ")[0] for fault in faults(read({"history.csv": changed}))]
    assert places == ["history.csv:7:reading_date", "history.csv:7:index", "history.csv:7:consumption_m3"]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("name", ["customers.csv", "history.csv", "arrears.csv"])
def test_another_separator_is_called_by_its_name(read: Reader, name: str, separator: str) -> None:
    reading = read({name: WHOLE[name].replace(",", separator)})
    assert faults(reading) == [f"{name}:1: wrong_separator"]
    assert separator.replace("\t", "tab") in reading.problems[0].sentence.vi


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (HISTORY.encode("utf-16"), "history.csv:1: not_utf8"),
        (HISTORY.encode() + b"02000003,\xd0", "history.csv:8: not_utf8"),
        (b"", "history.csv:1: no_header"),
        (HISTORY.splitlines()[0].encode(), "history.csv:0: no_rows"),
        (HISTORY.encode() + b'02000003,"' + b"x" * 200_000, "history.csv:8: broken_quotes"),
    ],
)
def test_a_file_that_cannot_be_taken_apart_says_why(read: Reader, content: bytes, fault: str) -> None:
    assert faults(read({"history.csv": content})) == [fault]


def test_a_line_is_counted_as_an_editor_counts_it(read: Reader) -> None:
    changed = HISTORY.replace("2026-09,2026-09-01", '"2026\n-09",2026-09-01').replace("504777", "x")
    expected = ["history.csv:2:period period", "history.csv:8:bill_vnd integer"]
    assert faults(read({"history.csv": changed})) == expected
    findings = Findings()
    assert [row.line for row in rows("f", b'"a\nb",c\n1,2\n\n3,4\n', ("c",), findings)] == [3, 5]


def test_a_folder_that_lacks_files_or_has_them_twice_says_which(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(HISTORY)
    (tmp_path / "history.csv.gz").write_bytes(gzip.compress(HISTORY.encode()))
    (tmp_path / "arrears.csv.gz").write_bytes(gzip.compress(ARREARS.encode())[:-9])
    assert faults(read_extract(tmp_path)) == [
        "customers.csv:0: missing_file",
        "history.csv:0: file_twice",
        "arrears.csv.gz:0: unpacking",
        "tariff.json:0: missing_file",
    ]


def test_a_whole_column_gone_wrong_lists_the_first_problems_and_counts_the_rest(read: Reader) -> None:
    wrong = "".join(f"02000001,HD{number},2026-10,{'9' * 60}x\n" for number in range(PROBLEMS_MAX + 7))
    reading = read({"arrears.csv": ARREARS.splitlines()[0] + "\n" + wrong})
    assert (len(reading.problems), reading.problems_left_out) == (PROBLEMS_MAX, 7)
    assert {len(problem.value) for problem in reading.problems} == {VALUE_SHOWN_MAX}


def test_a_problem_can_be_read_out_in_both_languages(read: Reader) -> None:
    (problem,) = read({"arrears.csv": ARREARS.replace("50000", "0")}).problems
    assert problem.text("vi").startswith("arrears.csv, dòng 4, cột amount_vnd: «0» Phải từ 1 đến ")
    assert problem.text("en").startswith("arrears.csv, line 4, column amount_vnd: «0» It must be 1 to ")


@pytest.mark.parametrize("key", EXTRACT_SENTENCES)
def test_both_languages_of_a_sentence_tell_the_same_things(key: str) -> None:
    vi, en = EXTRACT_SENTENCES[key]
    fields = [{field for _, field, _, _ in string.Formatter().parse(text) if field} for text in (vi, en)]
    assert fields[0] == fields[1]
    assert unicodedata.is_normalized("NFC", vi)


@given(st.integers(8 * 10**7, 24 * 10**7), st.integers(0, 7))
def test_degrees_keep_every_digit(value_e7: int, dropped: int) -> None:
    rounded = value_e7 // 10**dropped * 10**dropped
    text = f"{rounded // 10**7}.{rounded % 10**7:07d}"
    text = text[: len(text) - dropped].rstrip(".") if dropped else text
    findings = Findings()
    lines = rows("f", f"lat\n{text}\n".encode(), ("lat",), findings)
    (found,) = (row.degrees_e7("lat", 8, 24) for row in lines)
    assert (found, findings.count) == (rounded, 0)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_break_the_reader(content: bytes) -> None:
    findings = Findings()
    for row in rows("f", b"a,b\n" + content, ("a", "b"), findings):
        row.integer("a", 0, 9)
        row.text("b", 5)
        row.instant_ms("b")
        row.degrees_e7("b", -90, 90)
        row.date("b")
    assert len(findings.problems) + findings.left_out == findings.count
