"""What goes over the line, under both Pythons, against `cbor2` and against the handheld's own frames."""

import subprocess
from binascii import crc32
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device.hardware.sled import framed, unframed
from tests.device.sled.workbench import FIRMWARE, MICROPYTHON, firmware

cbor, frames = firmware("cbor"), firmware("frames")

SCALARS = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=60)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=12,
).filter(lambda value: depth(value) <= cbor.MAX_DEPTH)
LONGEST = frames.MAX_PAYLOAD_BYTES
PAYLOADS = st.binary(min_size=1, max_size=LONGEST) | st.integers(1, LONGEST).map(bytes)

# One line in, one line out, for as long as it is asked.
ECHO = """
import sys, binascii, cbor, frames
for line in sys.stdin:
    op, data = line.split(":")
    data = binascii.unhexlify(data.strip())
    try:
        if op == "cbor":
            out = cbor.encode(cbor.decode(data))
        elif op == "frame":
            out = frames.frame(data)
        else:
            out = b"".join([b"!" if payload is None else payload for payload in frames.Deframer().feed(data)])
        sys.stdout.write(binascii.hexlify(out).decode() + "\\n")
    except (cbor.CborError, frames.FrameError) as error:
        sys.stdout.write("refused\\n")
"""


def depth(value: object) -> int:
    """How deep a value nests."""
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else None
    return 0 if inner is None else 1 + max((depth(item) for item in inner), default=0)


class Board:
    """The firmware's codec under MicroPython, one question after the other. A refusal is None."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, op: str, data: bytes) -> bytes | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{op}:{data.hex()}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer.endswith("\n"), "MicroPython ended"
        return None if answer == "refused\n" else bytes.fromhex(answer)


@pytest.fixture(scope="module")
def board() -> Iterator[Board]:
    with subprocess.Popen(
        [MICROPYTHON, "-c", ECHO], cwd=FIRMWARE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Board(process)


def canonical(value: object) -> bytes:
    return cbor2.dumps(value, canonical=True)


@given(value=VALUES)
def test_any_value_has_the_bytes_that_cbor2_gives_it(board: Board, value: object) -> None:
    assert cbor.encode(value) == canonical(value)
    assert cbor.decode(canonical(value)) == value
    assert board.ask("cbor", canonical(value)) == canonical(value)


@given(value=VALUES)
def test_a_value_in_a_longer_form_than_needed_is_understood(board: Board, value: object) -> None:
    plain = cbor2.dumps(value)  # Keys in any order.
    assert cbor.decode(plain) == value
    assert board.ask("cbor", plain) == canonical(value)


@given(data=st.binary(max_size=60) | VALUES.map(canonical).flatmap(lambda whole: st.just(whole[:-1])))
def test_bytes_that_mean_nothing_are_refused_by_name(board: Board, data: bytes) -> None:
    understood: object = None
    with suppress(cbor.CborError):
        understood = cbor.decode(data)
        assert cbor2.loads(data) == understood
    if (answer := board.ask("cbor", data)) is not None:
        # MicroPython's idea of UTF-8 is wider; whatever it takes for a text it also gives back.
        assert understood is None or answer == canonical(understood)


@pytest.mark.parametrize(
    ("hexadecimal", "why"),
    [
        ("fb3ff0000000000000", "float"),
        ("f93c00", "half float"),
        ("c11a514b67b0", "tag"),
        ("9fff", "indefinite length"),
        ("5f4101ff", "text in pieces"),
        ("f7", "undefined"),
        ("0000", "left over"),
        ("", "nothing"),
        ("1a0001", "number cut short"),
        ("5affffffff00", "four gigabytes"),
        ("9bffffffffffffffff", "more items than there are atoms"),
        ("a10101", "key that is no text"),
        ("a2616101616102", "key twice"),
        ("818181818180", "six deep"),
        ("1c", "reserved"),
    ],
)
def test_what_is_left_out_of_cbor_is_refused_by_both(board: Board, hexadecimal: str, why: str) -> None:
    with pytest.raises(cbor.CborError):
        cbor.decode(bytes.fromhex(hexadecimal))
    assert board.ask("cbor", bytes.fromhex(hexadecimal)) is None, why


@pytest.mark.parametrize("value", [1.5, 2**64, -(2**64) - 1, {1: 2}, (1,), [[[[[[]]]]]]])
def test_a_value_without_bytes_is_refused(value: object) -> None:
    with pytest.raises(cbor.CborError):
        cbor.encode(value)


@given(payload=PAYLOADS)
def test_either_side_reads_the_others_frames(board: Board, payload: bytes) -> None:
    wire = framed(payload)
    assert frames.frame(payload) == board.ask("frame", payload) == wire
    assert wire[0] == wire[-1] == 0
    assert 0 not in wire[1:-1]
    assert unframed(wire[1:-1]) == payload
    assert list(frames.Deframer().feed(wire)) == [payload]
    assert board.ask("deframe", wire) == payload


@pytest.mark.parametrize(
    ("data", "stuffed"),
    [
        ("00", "0101"),
        ("11220033", "0311220233"),
        ("11000000", "0211010101"),
        ("01" * 254, "ff" + "01" * 254 + "01"),
        ("01" * 255, "ff" + "01" * 254 + "0201"),
        ("00" + "01" * 253, "01fe" + "01" * 253),
    ],
)
def test_cobs_by_hand(data: str, stuffed: str) -> None:
    """From the paper's examples; a full last block is followed by an empty one, which the paper allows."""
    assert frames._stuffed(bytes.fromhex(data)).hex() == stuffed
    assert frames._unstuffed(bytes.fromhex(stuffed)).hex() == data


@given(payload=PAYLOADS, noise=st.binary(max_size=700), cuts=st.lists(st.integers(0, 2_000), max_size=6))
def test_a_frame_after_any_noise_and_in_any_pieces_arrives(payload: bytes, noise: bytes, cuts: list[int]) -> None:
    wire = noise + framed(payload)
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    deframer = frames.Deframer()
    heard = [part for start, end in pairwise(edges) for part in deframer.feed(wire[start:end])]
    assert heard[-1] == payload
    assert len(deframer._held) == 0


@example(payload=bytes(6), place=6, bit=0)  # Cuts it in half: an empty payload's CRC would be right.
@given(payload=PAYLOADS, place=st.integers(0, 2_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_never_taken_for_a_message(board: Board, payload: bytes, place: int, bit: int) -> None:
    wire = bytearray(framed(payload))
    wire[place % len(wire)] ^= 1 << bit
    heard = [part for part in frames.Deframer().feed(bytes(wire) + b"\0") if part is not None]
    assert heard in ([], [payload])  # The same one, if only a zero around it was hit.
    answer = board.ask("deframe", bytes(wire) + b"\0")
    assert answer is not None
    assert answer.replace(b"!", b"") in (b"", payload.replace(b"!", b""))


def test_a_frame_that_never_ends_is_not_kept(board: Board) -> None:
    deframer = frames.Deframer()
    endless = b"\x01" * 100_000
    assert list(deframer.feed(endless)) == []
    assert len(deframer._held) <= 600
    assert list(deframer.feed(framed(b"next"))) == [None, b"next"]
    assert board.ask("deframe", endless + framed(b"next")) == b"!next"


def test_a_payload_that_is_too_long_is_refused_on_both_ends(board: Board) -> None:
    longest = bytes(range(256)) * 2
    assert list(frames.Deframer().feed(framed(longest))) == [longest]
    assert list(frames.Deframer().feed(framed(longest + b"x" * 8))) == [None]
    assert board.ask("frame", longest + b"x") is None
    with pytest.raises(frames.FrameError):
        frames.frame(longest + b"x")


def test_the_checksum_is_the_common_one(board: Board) -> None:
    """CRC-32 of "123456789" in the catalogue of parametrised CRC algorithms: cbf43926."""
    assert crc32(b"123456789") == 0xCBF43926
    assert board.ask("frame", b"123456789") == b"\0\x0e123456789\xcb\xf4\x39\x26\0"
