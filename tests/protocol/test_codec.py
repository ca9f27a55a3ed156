"""The codec: what the profile has, what it refuses, and that no two byte strings mean the same."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Annotated, Any, NamedTuple

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import codec
from protocol.codec import DEPTH_MAX, CodecError, FieldError, Wire, decode, encode
from protocol.fields import Bytes, Int, Items, Text


def rows(table: str) -> Iterator[list[str]]:
    lines = (line.split("#")[0].split(maxsplit=1) for line in table.splitlines())
    return (line for line in lines if line)


# Examples of RFC 8949, appendix A, that the profile has; the right column is Python.
IN_PROFILE = """
00                  0
01                  1
0a                  10
17                  23
1818                24
1819                25
1864                100
1903e8              1000
1a000f4240          1000000
1b000000e8d4a51000  1000000000000
1bffffffffffffffff  18446744073709551615
3bffffffffffffffff  -18446744073709551616
20                  -1
29                  -10
3863                -100
3903e7              -1000
40                  b""
4401020304          b"\\x01\\x02\\x03\\x04"
60                  ""
6161                "a"
6449455446          "IETF"
62225c              '"\\\\'
62c3bc              "ü"
63e6b0b4            "水"
64f0908591          "\\U00010151"
80                  []
83010203            [1, 2, 3]
8301820203820405    [1, [2, 3], [4, 5]]
98190102030405060708090a0b0c0d0e0f101112131415161718181819  list(range(1, 26))
a0                  {}
a201020304          {1: 2, 3: 4}
"""

# The rest of the appendix: well-formed CBOR that no record has.
OUT_OF_PROFILE = """
c249010000000000000000        # bignum
c349010000000000000000
f90000                        # floats
f98000
f93c00
fb3ff199999999999a
f97bff
fa47c35000
fb7e37e43c8800759c
f90001
f90400
f9c400
f97c00
f97e00
f9fc00
fa7f800000
fa7fc00000
faff800000
fb7ff0000000000000
fb7ff8000000000000
fbfff0000000000000
f4                            # false, true, null, undefined, simple values
f5
f6
f7
f0
f8ff
c074323031332d30332d32315432303a30343a30305a  # tags
c11a514b67b0
c1fb41d452d9e20000000000
d74401020304
d818456449455446
d82076687474703a2f2f7777772e6578616d706c652e636f6d
a26161016162820203            # keys that are text
826161a161626163
a56161614161626142616361436164614461656145
5f42010243030405ff            # lengths not told beforehand
7f657374726561646d696e67ff
9fff
9f018202039f0405ffff
9f01820203820405ff
83018202039f0405ff
83019f0203ff820405
9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff
bf61610161629f0203ffff
826161bf61626163ff
bf6346756ef563416d7421ff
"""

# What somebody might send who has a key, or a disk that lies.
HOSTILE = """
-                             # nothing
1800                          # numbers longer than need be
1817
190000
1900ff
1a00000000
1a0000ffff
1b0000000000000000
1b00000000ffffffff
3817
3900ff
3a0000ffff
3b00000000ffffffff
5803616263                    # lengths longer than need be
590003616263
5a00000003616263
5b0000000000000003616263
7803616263
980101
b8010102
a2010201
a201020103                    # a key twice
a202010100                    # keys not ascending
a10001                        # key 0
a1181800                      # key 24
a1180101                      # key 1, longer than need be
a12000                        # key -1
a1410100                      # key that is bytes
a1f500                        # key true, which Python takes for 1
a2010001f500
a1a00000                      # key that is a map
0000                          # something after the item
a0a0
83010203f6
1c                            # reserved lengths
1d
1e
3c
5d
7e
9c
bd
1f                            # open ends of nothing
3f
ff
5f
7f
9f
bf
df
18                            # cut short in the number
19
1900
1a000000
1bffffffffffffff
41                            # cut short in the content
58
5818
61
81
8201
820101ff
a1
a101
a2010102
5affffffff                    # lengths of what nobody has
5bffffffffffffffff
5b7fffffffffffffff61
7affffffff
7bffffffffffffffff
9affffffff
9bffffffffffffffff
9b7fffffffffffffff00
baffffffff
bbffffffffffffffff
61ff                          # text that is not UTF-8
62c328
62c080                        # NUL in two bytes
63eda080                      # half a surrogate pair
64f4908080                    # above Unicode
6180
c0                            # tags that build things elsewhere
c000
d81c00                        # shared values
d81d00
d9010080                      # a set
d8236161                      # a regular expression
d82461610a
d825500000000000000000000000000000000000
d9d9f700                      # "this is CBOR"
f818
f800
e0
f97e01                        # NaN with a load
"""


@pytest.mark.parametrize("row", list(rows(IN_PROFILE)), ids=lambda row: row[0][:24])
def test_an_example_of_the_standard_goes_both_ways(row: list[str]) -> None:
    data, value = bytes.fromhex(row[0]), eval(row[1])
    assert decode(data) == value
    assert encode(value) == data


def refused(data: bytes) -> None:
    """Refused by its own exception, and at once."""
    began = time.process_time()
    with pytest.raises(CodecError):
        decode(data)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("row", list(rows(OUT_OF_PROFILE)), ids=lambda row: row[0][:24])
def test_an_example_of_the_standard_that_no_record_has_is_refused(row: list[str]) -> None:
    data = bytes.fromhex(row[0])
    cbor2.loads(data)
    refused(data)


@pytest.mark.parametrize("row", list(rows(HOSTILE)), ids=lambda row: row[0][:24])
def test_hostile_bytes_are_refused(row: list[str]) -> None:
    refused(bytes.fromhex(row[0].replace("-", "")))


@pytest.mark.parametrize("opening", ["81", "a101", "8201", "a20100"])
def test_a_depth_bomb_is_refused_at_the_bound(opening: str) -> None:
    refused(bytes.fromhex(opening) * 100_000)
    refused(bytes.fromhex(opening) * 100_000 + b"\x00")


def test_nesting_is_allowed_to_the_bound_and_no_further() -> None:
    for opening, value in ((b"\x81", [0]), (b"\xa1\x01", {1: 0})):
        assert decode(opening + b"\x00") == value
        decode(opening * DEPTH_MAX + b"\x00")
        refused(opening * (DEPTH_MAX + 1) + b"\x00")
        refused(opening * DEPTH_MAX + b"\x80")


def test_many_colliding_keys_never_reach_the_library() -> None:
    """Bignums that hash alike cost the library seconds (its keys go into a dict)."""
    keys = b"".join(b"\xc2\x4a" + (1 + i * (2**61 - 1)).to_bytes(10) + b"\x00" for i in range(20_000))
    refused(b"\xb9" + (20_000).to_bytes(2) + keys)


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        None,
        True,
        False,
        2**64,
        -(2**64) - 1,
        {0: 1},
        {24: 1},
        {-1: 1},
        {"a": 1},
        {1: None},
        [[True]],
        {True: 0},
        "\ud800",
        [1, {2: "a\udfff"}],
    ],
    ids=repr,
)
def test_nobody_can_encode_what_nobody_may_decode(value: Any) -> None:
    with pytest.raises(CodecError):
        encode(value)


def nested(leaves: st.SearchStrategy[Wire], depth: int) -> st.SearchStrategy[Wire]:
    if depth == 0:
        return leaves
    inner = nested(leaves, depth - 1)
    maps: st.SearchStrategy[Wire] = st.dictionaries(st.integers(1, 23), inner, max_size=4)
    return leaves | st.lists(inner, max_size=4) | maps


INTEGERS = st.one_of(
    st.integers(-(2**64), 2**64 - 1),
    st.sampled_from([n + d for n in (0, 24, 2**8, 2**16, 2**32) for d in (-1, 0, 1)]),
)
WIRE = nested(INTEGERS | st.binary(max_size=300) | st.text(max_size=40), 4)
WITHOUT_CONTROLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
PLAIN_WIRE = nested(INTEGERS | st.binary(max_size=300) | WITHOUT_CONTROLS, 4)


@given(WIRE)
def test_every_value_of_the_profile_comes_back(value: Wire) -> None:
    data = encode(value)
    assert decode(data) == value
    assert cbor2.loads(data) == value


@given(WIRE)
def test_bytes_are_refused_when_cut_anywhere(value: Wire) -> None:
    data = encode(value)
    for end in range(min(len(data), 200)):
        refused(data[:end])
    refused(data + b"\x00")


@given(st.binary(max_size=64))
def test_any_bytes_are_refused_or_are_the_one_encoding(data: bytes) -> None:
    try:
        value = decode(data)
    except CodecError:
        return
    assert encode(value) == data


@given(WIRE, st.data())
def test_a_changed_byte_is_refused_or_changes_the_meaning(value: Wire, data: st.DataObject) -> None:
    good = encode(value)
    place = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[place] ^= data.draw(st.integers(1, 255))
    try:
        changed = decode(bytes(bad))
    except CodecError:
        return
    assert changed != value
    assert encode(changed) == bad


@settings(max_examples=30)
@given(st.dictionaries(st.integers(1, 23), st.integers(0, 9), min_size=2))
def test_the_order_in_which_a_map_was_filled_does_not_show(value: dict[int, Wire]) -> None:
    backwards = dict(reversed(value.items()))
    assert encode(backwards) == encode(value)


# Fields: the step between CBOR and dataclasses.


class Colour(IntEnum):
    RED = 1
    BLUE = 5


class Way(StrEnum):
    UP = "up"


class Spot(NamedTuple):
    x: Annotated[int, Int(-5, 5)]
    way: Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    number: Annotated[int, Int(0, 9)]

    def __post_init__(self) -> None:
        if self.number == 4:
            raise ValueError("four is not a number here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    name: Annotated[str, Text(1, 3, "[a-z]{1,3}")]
    raw: Annotated[bytes, Bytes(0, 2)]
    colour: Colour
    spot: Spot
    inners: Annotated[tuple[Inner, ...], Items(0, 2)]
    free: Annotated[str, Text(0, 2)] | None = None
    last: Inner | None = None


FULL = Outer(
    name="abc",
    raw=b"\x00",
    colour=Colour.BLUE,
    spot=Spot(-5, Way.UP),
    inners=(Inner(number=1), Inner(number=2)),
    free="đ\n",
    last=Inner(number=0),
)
FULL_WIRE: dict[int, Wire] = {1: "abc", 2: b"\x00", 3: 5, 4: [-5, "up"], 5: [{1: 1}, {1: 2}], 6: "đ\n", 7: {1: 0}}


def test_a_dataclass_is_a_map_by_position_and_a_named_tuple_an_array() -> None:
    assert codec.pack(FULL) == FULL_WIRE
    assert codec.unpack(Outer, decode(encode(codec.pack(FULL)))) == FULL


def test_what_is_not_known_is_left_out() -> None:
    bare = codec.unpack(Outer, {key: FULL_WIRE[key] for key in range(1, 6)})
    assert (bare.free, bare.last) == (None, None)
    assert codec.pack(bare).keys() == {1, 2, 3, 4, 5}


NO = "left out"
WRONG_FIELDS: list[tuple[int, object, str]] = [
    (1, NO, "Outer.name"),
    (1, "", "Outer.name"),
    (1, "abcd", "Outer.name"),
    (1, "aB", "Outer.name"),
    (1, "ab\n", "Outer.name"),
    (1, b"ab", "Outer.name"),
    (1, 1, "Outer.name"),
    (2, b"123", "Outer.raw"),
    (2, "12", "Outer.raw"),
    (3, 2, "Outer.colour"),
    (3, "5", "Outer.colour"),
    (3, [5], "Outer.colour"),
    (3, True, "Outer.colour"),
    (3, 5.0, "Outer.colour"),
    (4, [-6, "up"], "Outer.spot.x"),
    (4, [6, "up"], "Outer.spot.x"),
    (4, [0, "down"], "Outer.spot.way"),
    (4, [0], "Outer.spot"),
    (4, [0, "up", 0], "Outer.spot"),
    (4, {1: 0, 2: "up"}, "Outer.spot"),
    (5, [{1: 1}] * 3, "Outer.inners"),
    (5, {1: 1}, "Outer.inners"),
    (5, [1], "Outer.inners"),
    (5, [{}], "Outer.inners.number"),
    (5, [{1: True}], "Outer.inners.number"),
    (5, [{1: 4}], "Outer.inners"),
    (6, "abc", "Outer.free"),
    *((6, f"a{letter}", "Outer.free") for letter in "\x00\x08\x0b\x1b\x1f\x7f\x9f\ud800\udfff"),
    (7, {1: 10}, "Outer.last.number"),
    (7, {1: 1, 2: 1}, "Outer.last"),
    (8, 1, "Outer"),
    (23, 1, "Outer"),
]


@pytest.mark.parametrize(("key", "content", "path"), WRONG_FIELDS, ids=repr)
def test_a_wrong_field_is_named(key: int, content: object, path: str) -> None:
    wrong: dict[int, object] = {**FULL_WIRE, key: content}
    if content is NO:
        del wrong[key]
    with pytest.raises(FieldError) as raised:
        codec.unpack(Outer, wrong)
    assert raised.value.path == path


def test_a_free_text_has_tabs_and_line_ends() -> None:
    for free in ("\t\n", "\r\n", " ~", "\u2028đ"):
        assert codec.pack(codec.unpack(Outer, {**FULL_WIRE, 6: free})) == {**FULL_WIRE, 6: free}


@pytest.mark.parametrize("value", [[], "abc", 1, b"", [FULL_WIRE]], ids=repr)
def test_what_is_not_a_map_is_no_dataclass(value: object) -> None:
    with pytest.raises(FieldError):
        codec.unpack(Outer, value)


@given(WIRE)
def test_any_value_is_refused_by_name_or_is_a_record_of_its_fields(value: Wire) -> None:
    try:
        made = codec.unpack(Outer, value)
    except FieldError:
        return
    assert codec.pack(made) == value
