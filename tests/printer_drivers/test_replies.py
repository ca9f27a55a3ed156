"""Replies told apart whatever stands between them and however the link cuts them."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from printer_drivers.replies import (
    AutoStatus,
    Demultiplexer,
    FlowByte,
    Identity,
    JobDone,
    Ordered,
    PrinterState,
    RealTime,
    Reply,
    Stray,
    state_of_auto,
    state_of_round,
)

# Bytes as printers' manuals give them, and what they are.
SAID: Sequence[tuple[str, Reply]] = (
    ("12", RealTime(0x12)),
    ("1a", RealTime(0x1A)),
    ("16", RealTime(0x16)),
    ("72", RealTime(0x72)),
    ("7e", RealTime(0x7E)),
    ("10000000", AutoStatus(bytes.fromhex("10000000"))),
    ("18000f00", AutoStatus(bytes.fromhex("18000f00"))),
    ("38000300", AutoStatus(bytes.fromhex("38000300"))),
    ("1400000f", AutoStatus(bytes.fromhex("1400000f"))),
    ("00", Ordered(0)),
    ("03", Ordered(3)),
    ("0f", Ordered(15)),
    ("37224a30343200", JobDone(b"J042")),
    ("37221212127e00", JobDone(bytes.fromhex("1212127e"))),
    ("5f544d2d5032304949" + "00", Identity("TM-P20II")),
    ("5f00", Identity("")),
    ("11", FlowByte(True)),
    ("13", FlowByte(False)),
    ("ff", Stray(b"\xff")),
    ("37235f00", Stray(b"\x37")),  # Another block of its kind: the rest is read anew, and is an empty identity.
)
READ_ANEW = {"37235f00": (Stray(b"\x37"), Ordered(0x23), Identity(""))}


def replies_to(text: str) -> tuple[Reply, ...]:
    return Demultiplexer().feed(bytes.fromhex(text))


@pytest.mark.parametrize(("text", "reply"), SAID)
def test_each_reply_is_known_by_its_bits(text: str, reply: Reply) -> None:
    assert replies_to(text) == READ_ANEW.get(text, (reply,))


@given(st.lists(st.sampled_from(SAID[:-1]), max_size=12), st.data())
def test_replies_are_the_same_however_the_link_cuts_them(said: list[tuple[str, Reply]], data: st.DataObject) -> None:
    stream = bytes.fromhex("".join(text for text, _ in said))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    demultiplexer = Demultiplexer()
    heard: list[Reply] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        heard += demultiplexer.feed(stream[start:end])
    assert heard == [reply for _, reply in said]


def test_an_answer_in_real_time_parts_no_automatic_status() -> None:
    assert replies_to("18" + "12" + "000f00") == (RealTime(0x12), AutoStatus(bytes.fromhex("18000f00")))


def test_a_block_or_status_that_broke_off_swallows_nothing_that_follows() -> None:
    assert replies_to("1000" + "10000000") == (Stray(b"\x10\x00"), AutoStatus(bytes.fromhex("10000000")))
    assert replies_to("1800" + "37224a30343200") == (Stray(b"\x18\x00"), JobDone(b"J042"))
    assert replies_to("37224a30343201" + "12") == (Stray(bytes.fromhex("37224a30343201")), RealTime(0x12))
    endless = replies_to("5f" + "41" * 95 + "12")
    assert endless == (Stray(b"\x5f" + b"A" * 95), RealTime(0x12))


@given(st.binary(max_size=200))
def test_whatever_is_said_is_taken_in_and_nothing_is_said_twice(noise: bytes) -> None:
    demultiplexer = Demultiplexer()
    heard = demultiplexer.feed(noise)
    demultiplexer.reset()
    assert demultiplexer.feed(b"\x12") == (RealTime(0x12),)
    told = sum(len(one.data) if isinstance(one, Stray) else 1 for one in heard)
    assert told <= len(noise)


STATES = """
# DLE EOT 1 2 4 (3)     -> trouble
  12 12 12              -> -
  12 12 1e              -> -                # near its end, and it prints
  1a 32 72              -> paper-out
  1a 32 7e              -> paper-out
  1a 16 12              -> cover-open
  1a 36 72              -> cover-open       # first what a hand closes
  1a 52 12 12           -> printer-error
  1a 52 12 52           -> head-hot
  1a 12 12              -> printer-offline
"""


@pytest.mark.parametrize("row", [row for row in STATES.strip().splitlines() if not row.startswith("#")])
def test_a_round_of_questions_says_why_it_does_not_print(row: str) -> None:
    bits, _, trouble = row.partition("#")[0].partition("->")
    assert state_of_round(*(int(one, 16) for one in bits.split())).trouble == (
        None if trouble.strip() == "-" else trouble.strip()
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("10000000", PrinterState()),
        ("10000300", PrinterState(near_end=True)),
        ("18000f00", PrinterState(offline=True, paper_out=True, near_end=True)),
        ("38000000", PrinterState(offline=True, cover_open=True)),
        ("1400000f", PrinterState()),  # Bit 2 is fixed on such printers.
        ("1c000000", PrinterState(offline=True, low_battery=True)),
        ("18080000", PrinterState(offline=True, error=True)),
        ("18400000", PrinterState(offline=True, head_hot=True)),
    ],
)
def test_an_automatic_status_says_the_same(status: str, state: PrinterState) -> None:
    assert state_of_auto(bytes.fromhex(status)) == state
