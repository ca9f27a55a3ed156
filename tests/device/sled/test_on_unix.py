"""The whole firmware under MicroPython, with a host, a receiver and a modem at the end of pseudo-terminals."""

import asyncio
from contextlib import suppress
from pathlib import Path

from tests.device.sled.workbench import (
    FIRMWARE,
    IMEI,
    INDOORS,
    MICROPYTHON,
    STREET,
    STREET_E7,
    STREET_TIME,
    STREET_UTC_MS,
    beside,
    modem_at,
    outlets,
    request,
    running_sled,
    sentence,
)

FLOOD_BYTES = 30_000  # Its answers are four times as long; a pseudo-terminal holds 64 KiB.
SIGHT_MAX_S = 10.0  # A sled says one each second; a machine under load may take its time.


async def test_position_time_imei_and_battery_come_over_one_line(tmp_path: Path) -> None:
    cell = tmp_path / "cell"
    cell.write_text("3840\n")
    with outlets(tmp_path, "host", "gnss", "modem") as (host, gnss, modem):
        async with (
            asyncio.timeout(SIGHT_MAX_S),
            running_sled(host, gnss=gnss, modem=modem, battery=cell),
            beside(modem_at(modem)),
        ):
            await host.message()  # It speaks first.

            def stand_in_the_street() -> None:
                gnss.write(sentence(STREET) + sentence(STREET_TIME))

            sight = await host.message_like(lambda said: said.get("fix") is not None, stand_in_the_street)
            assert sight["fix"] == {"lat": STREET_E7[0], "lon": STREET_E7[1], "acc": 45, "sats": 9, "quality": 1}
            assert isinstance(sight["utc"], int)
            assert 0 <= sight["utc"] - STREET_UTC_MS <= 10_000
            host.write(request("info"))
            info = await host.reply()
            assert (info["imei"], info["why"], info["board"]) == (IMEI, None, "unix")
            assert (info["mv"], info["percent"]) == (3_840, 50)
            cell.write_text("no number")
            host.write(request("battery", 2))
            assert (await host.reply(2))["mv"] is None
            host.write(request("time", 3, utc=STREET_UTC_MS - 60_000))
            compared = await host.reply(3)
            assert compared["source"] == "satellites"
            assert isinstance(compared["offset"], int)
            assert 60_000 <= compared["offset"] <= 70_000


async def test_the_receivers_wire_comes_off_in_mid_sentence_and_is_put_back(tmp_path: Path) -> None:
    with outlets(tmp_path, "host", "gnss") as (host, gnss):
        async with asyncio.timeout(SIGHT_MAX_S), running_sled(host, gnss=gnss):
            await host.message_like(lambda said: said.get("fix") is not None, lambda: gnss.write(sentence(STREET)))
            gnss.write(sentence(STREET)[:30])
            gnss.vanish()
            gnss.appear()
            await host.message_like(lambda said: said.get("why") == "no-signal", lambda: gnss.write(sentence(INDOORS)))
            await host.message_like(lambda said: said.get("fix") is not None, lambda: gnss.write(sentence(STREET)))


async def test_a_host_that_is_unplugged_in_mid_frame_is_answered_when_it_is_back(tmp_path: Path) -> None:
    with outlets(tmp_path, "host") as (host,):
        async with asyncio.timeout(SIGHT_MAX_S), running_sled(host):
            for number in range(1, 3):
                await host.message_like(lambda said: said["op"] == "sight")
                host.write(request("info", 100 + number)[:-7])
                host.vanish()
                host.appear()
                await host.message_like(lambda said: said["op"] == "sight")
                host.write(request("info", number))
                assert (await host.reply(number))["op"] == "info"


async def test_garbage_and_a_frame_without_end_are_survived(tmp_path: Path) -> None:
    with outlets(tmp_path, "host") as (host,):
        async with asyncio.timeout(SIGHT_MAX_S), running_sled(host):
            await host.message()
            host.write(b"AT\r\n" + bytes(range(1, 256)) * 8 + b"\0")
            assert (await host.message_like(lambda said: said["op"] == "error"))["code"] == "frame"
            host.write(b"\x11\x13\x03\x04" * 200 + request("battery", 4))
            assert (await host.reply(4))["mv"] is None


async def test_a_host_that_asks_and_never_reads_does_not_stop_the_loop(tmp_path: Path) -> None:
    with outlets(tmp_path, "host", "gnss") as (host, gnss):
        async with asyncio.timeout(SIGHT_MAX_S), running_sled(host, gnss=gnss, watchdog=500) as process:
            await host.message()
            # It goes on taking in what we say, so its loop turns, long after its own words have filled the kernel.
            flood = request("info") * 20
            sent = 0
            while sent < FLOOD_BYTES:
                sent += (taken := host.push(flood))
                await asyncio.sleep(0 if taken else 0.01)  # A full pseudo-terminal has no event for its far end.
                assert process.returncode is None
            host.push(b"\0")
            await host.message_like(lambda said: said["op"] == "sight" and said["seq"] != 1)


async def test_a_loop_that_stands_still_is_ended_by_the_watchdog_and_one_that_turns_is_not() -> None:
    standing = "import on_unix\nw = on_unix.Watchdog(300)\nwhile True: pass"
    turning = "import on_unix, time\nw = on_unix.Watchdog(300)\nfor _ in range(30):\n w.feed(); time.sleep_ms(30)"
    endings = []
    for program in (standing, turning):
        process = await asyncio.create_subprocess_exec(MICROPYTHON, "-c", program, cwd=FIRMWARE)
        try:
            async with asyncio.timeout(SIGHT_MAX_S):
                endings.append(await process.wait())
        finally:
            with suppress(ProcessLookupError):  # It has ended, as it should.
                process.kill()
    assert endings == [-9, 0]
