"""AT commands on a real pseudo-terminal, to a modem that echoes, dawdles, stammers and says things nobody asked for."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.hardware.at import (
    LINE_MAX_BYTES,
    AtRefusedError,
    AtSilentError,
    LineReader,
    is_answer,
    is_final,
    open_at_port,
)
from device.hardware.serial_port import TtyError, open_tty
from simulator.receivers import AtModem

CSQ = {"AT+CSQ": ("+CSQ: 27,99", "OK")}


@pytest.fixture
def name(tmp_path: Path) -> Path:
    return tmp_path / "ttyUSB2"


async def test_answer_is_the_lines_before_ok(name: Path) -> None:
    answers = {"ATI": ("Quectel", "EC25", "Revision: EC25EFAR06A01M4G", "OK")}
    async with AtModem(name, answers) as modem, open_at_port(modem.path) as port:
        assert await port.command("ATI") == ("Quectel", "EC25", "Revision: EC25EFAR06A01M4G")


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, None])
async def test_answer_comes_in_pieces(name: Path, piece_bytes: int | None) -> None:
    async with AtModem(name, CSQ, piece_bytes=piece_bytes) as modem, open_at_port(modem.path) as port:
        assert await port.command("AT+CSQ") == ("+CSQ: 27,99",)


async def test_echo_is_not_an_answer_and_is_switched_off(name: Path) -> None:
    async with AtModem(name, CSQ, echo=True) as modem, open_at_port(modem.path) as port:
        assert await port.command("AT+CSQ") == ("+CSQ: 27,99",)
        await port.greet()
        assert modem.asked == ["AT+CSQ", "AT", "ATE0"]
        assert await port.command("AT+CSQ") == ("+CSQ: 27,99",)


async def test_what_nobody_asked_for_is_told_apart(name: Path) -> None:
    heard: list[str] = []
    async with (
        AtModem(name, CSQ, unasked=("+CREG: 2", "^MODE: 5,4"), echo=False) as modem,
        open_at_port(modem.path, unasked=heard.append) as port,
    ):
        assert await port.command("AT+CSQ") == ("+CSQ: 27,99",)
    assert heard == ["+CREG: 2", "^MODE: 5,4"]


async def test_echo_hangs_on_the_tail_of_an_unasked_line(name: Path) -> None:
    heard: list[str] = []
    answers = {"AT+IPADDR": ("+NETOPEN: 0AT+IPADDR", "+IPADDR: 10.4.20.106", "OK")}
    async with AtModem(name, answers, echo=False) as modem, open_at_port(modem.path, unasked=heard.append) as port:
        assert await port.command("AT+IPADDR") == ("+IPADDR: 10.4.20.106",)
    assert heard == ["+NETOPEN: 0"]


@pytest.mark.parametrize("final", ["ERROR", "+CME ERROR: 10", "+CME ERROR: SIM busy", "+CMS ERROR: 500", "NO CARRIER"])
async def test_refusal_carries_the_words_of_the_modem(name: Path, final: str) -> None:
    async with AtModem(name, {"AT+CPIN?": (final,)}) as modem, open_at_port(modem.path) as port:
        with pytest.raises(AtRefusedError) as refused:
            await port.command("AT+CPIN?")
        assert (refused.value.final, refused.value.command) == (final, "AT+CPIN?")
        await port.greet()  # It is none the worse for it.


async def test_late_answer_is_not_taken_for_the_next_one(name: Path) -> None:
    async with AtModem(name, {"AT+COPS?": (), **CSQ}, echo=False) as modem, open_at_port(modem.path) as port:
        with pytest.raises(AtSilentError):
            await port.command("AT+COPS?", timeout_s=0.05)
        modem.say_unasked("+COPS: 0,0,NOS,7")
        modem.say_unasked("OK")
        assert await port.command("AT+CSQ") == ("+CSQ: 27,99",)


async def test_commands_wait_for_each_other(name: Path) -> None:
    answers = {f"AT+C{number}": (f"+C{number}: {number}", "OK") for number in range(8)}
    async with AtModem(name, answers, piece_bytes=1) as modem, open_at_port(modem.path) as port:
        told = await asyncio.gather(*(port.command(command) for command in answers))
        assert told == [(f"+C{number}: {number}",) for number in range(8)]
        assert modem.asked == list(answers)


async def test_modem_that_wakes_up_is_greeted_until_it_hears(name: Path) -> None:
    async with AtModem(name, {}, deaf=2) as modem, open_at_port(modem.path) as port:
        await port.greet(timeout_s=0.05)
        assert modem.asked == ["AT", "AT", "AT", "ATE0"]


async def test_modem_that_never_hears_is_given_up(name: Path) -> None:
    async with AtModem(name, {}, deaf=99) as modem, open_at_port(modem.path) as port:
        with pytest.raises(AtSilentError):
            await port.greet(tries=2, timeout_s=0.05)
        assert modem.asked == ["AT", "AT"]


async def test_modem_that_is_pulled_out_while_it_is_asked(name: Path) -> None:
    async with AtModem(name, {"AT+COPS?": ()}) as modem, open_at_port(modem.path) as port:
        asking = asyncio.create_task(port.command("AT+COPS?"))
        async with asyncio.timeout(5):
            await modem.stirred.wait()
        modem.pull_out()
        with pytest.raises(TtyError) as gone:
            await asking
        assert gone.value.code == "lost"
        with pytest.raises(TtyError):
            await port.command("AT")


async def test_one_that_talks_without_end_is_no_modem(name: Path) -> None:
    async with AtModem(name, {"AT": ("blah",) * 500}) as modem, open_at_port(modem.path) as port:
        with pytest.raises(AtSilentError, match="no modem"):
            await port.command("AT")


@pytest.mark.parametrize(
    ("path", "code"),
    [("/dev/no-such-tty", "no-such-port"), ("/dev/null", "not-a-port"), ("/etc/passwd/x", "no-such-port")],
)
async def test_port_that_cannot_be_opened_says_what_to_do(path: str, code: str) -> None:
    with pytest.raises(TtyError) as refused:
        async with open_tty(path, 9_600):
            pass
    assert refused.value.code == code
    assert path in str(refused.value)


async def test_port_that_is_gone_leaves_the_loop_at_rest(name: Path) -> None:
    async with AtModem(name, {}) as modem, open_tty(modem.path, 9_600) as port:
        modem.pull_out()
        with pytest.raises(TtyError):
            await port.read()
        assert not asyncio.get_running_loop().remove_reader(port._descriptor), "it would be told of the end for ever"


async def test_port_is_ours_alone(name: Path) -> None:
    async with AtModem(name, {}) as modem, open_tty(modem.path, 9_600):
        with pytest.raises(TtyError) as refused:
            async with open_tty(modem.path, 9_600):
                pass
        assert refused.value.code == "port-busy"


def test_final_codes_and_answers_are_told_from_the_rest() -> None:
    assert all(map(is_final, ("OK", "ERROR", "+CME ERROR: 100", "+CMS ERROR: 1", "NO CARRIER", "BUSY")))
    assert not any(map(is_final, ("", "OKAY", "+CSQ: 1,2", "RDY", "ERROR 5", "CONNECTED")))
    assert is_answer("+CGSN: 1", "AT+CGSN=1")
    assert is_answer("490154203237518", "AT+CGSN")
    assert not is_answer("+CREG: 1", "AT+CGSN=1")
    assert not is_answer("+CGSNX: 1", "AT+CGSN")


LINES = st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60), max_size=8)


@given(LINES, st.sampled_from(["\r", "\n", "\r\n", "\r\r\n"]), st.lists(st.integers(0, 500), max_size=10))
def test_lines_come_out_whole_however_they_arrive(lines: list[str], end: str, cuts: list[int]) -> None:
    data = "".join(line + end for line in lines).encode()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    reader = LineReader()
    assert [line for start, stop in pairwise(places) for line in reader.feed(data[start:stop])] == lines


@given(st.binary(max_size=2_000))
def test_no_noise_is_an_error_or_grows(data: bytes) -> None:
    reader = LineReader()
    assert all(0 < len(line) <= LINE_MAX_BYTES for line in reader.feed(data))
    assert len(reader._line) <= LINE_MAX_BYTES
