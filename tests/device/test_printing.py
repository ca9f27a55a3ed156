"""Papers that come out, papers that cannot, and what is on disk before the first byte leaves."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from device.core.effects import Append, PaperJob, PaperState, Print, PrintResult
from device.core.events import PrintEnded
from device.printing import (
    PRINTED,
    Files,
    PaperPress,
    PngFolder,
    Printer,
    Starting,
    TextFolder,
    not_printed,
    printer_for,
)
from device.store import DeviceStore, StoreError
from printer_drivers.raster import render
from protocol.chain import EMPTY
from protocol.document import Document, QrCode, Text
from protocol.records import PaperKind, PrintOutcome
from tests.device.test_store import job_of, next_record

PAPER = Document((Text("Giấy báo tiền nước"),))


def job(kind: PaperKind = PaperKind.RECEIPT, print_no: int = 1, customer: str | None = "C00001") -> PaperJob:
    return PaperJob(kind=kind, about=bytes(32), print_no=print_no, customer=customer)


async def begun() -> None:
    """For papers that no list waits for."""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_pictures_are_numbered_in_the_order_they_came_out(tmp_path: Path) -> None:
    printer = PngFolder(tmp_path)
    assert await printer.print(job(), PAPER, begun) == PRINTED
    assert await printer.print(job(print_no=2), PAPER, begun) == PRINTED
    assert await PngFolder(tmp_path).print(job(PaperKind.DAY_SLIP, customer=None), PAPER, begun) == PRINTED
    names = names_in(tmp_path)
    assert names == ["0001_receipt_C00001_1.png", "0002_receipt_C00001_2.png", "0003_day_slip_day_1.png"]
    with Image.open(tmp_path / names[0]) as picture:
        assert picture.tobytes() == render(PAPER, 384).tobytes()


async def test_letters_stand_one_paper_behind_the_other(tmp_path: Path) -> None:
    printer = TextFolder(tmp_path)
    await printer.print(job(), PAPER, begun)
    await printer.print(job(print_no=2), PAPER, begun)
    lines = (tmp_path / "papers.txt").read_text().splitlines()
    assert [line for line in lines if line.startswith("===")] == ["=== receipt_C00001_1", "=== receipt_C00001_2"]
    assert lines.count("Giấy báo tiền nước") == 2


@pytest.mark.parametrize("make", [PngFolder, TextFolder])
async def test_a_folder_that_has_gone_prints_nothing_and_says_why(tmp_path: Path, make: type[PngFolder]) -> None:
    printer = make(tmp_path / "gone")
    assert await printer.print(job(), PAPER, begun) == not_printed("file-ENOENT")
    (tmp_path / "gone").write_text("a file where the folder was")
    assert await printer.print(job(), PAPER, begun) == not_printed("file-ENOTDIR")


async def test_a_code_that_no_paper_can_show_prints_nothing(tmp_path: Path) -> None:
    result = await PngFolder(tmp_path).print(job(), Document((QrCode("x" * 2_000),)), begun)
    assert result == PrintResult(outcome=PrintOutcome.NOT_PRINTED, reason="qr-too-large")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("place", ["", "png:", "text:", "pdf:/tmp", "papers", "ble://AA", "serial:///dev/x?baud=7"])
def test_a_place_for_papers_that_is_none_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(ValueError, match=r"\w \w"):
        printer_for(place, tmp_path)


def test_the_folder_of_papers_is_made(tmp_path: Path) -> None:
    printer_for(f"png:{tmp_path / 'a' / 'b'}", tmp_path)
    assert (tmp_path / "a" / "b").is_dir()


class WatchedPrinter(Files):
    """Prints when it is let, and looks at the disk before the first byte leaves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[list[str]] = []
        self.begun = asyncio.Event()
        self.let = asyncio.Event()

    async def print(self, job: PaperJob, document: Document, starting: Starting) -> PrintResult:
        await starting()
        with closing(sqlite3.connect(self.path)) as other:
            self.seen.append([state for (state,) in other.execute("SELECT state FROM paper ORDER BY about")])
        self.begun.set()
        await self.let.wait()
        return PRINTED


async def test_a_paper_has_begun_on_disk_before_it_begins_and_the_next_waits(
    tmp_path: Path, store: DeviceStore
) -> None:
    first = next_record(EMPTY)
    second = next_record(first.tip)
    jobs = sorted((job_of(first), job_of(second)), key=lambda one: one.about)
    await store.append(Append(sealed=first, queue=job_of(first)))
    await store.append(Append(sealed=second, queue=job_of(second)))
    printer = WatchedPrinter(tmp_path / "store.db")
    press = PaperPress(store, printer)
    papers = [asyncio.create_task(press.print(Print(job=one, document=PAPER))) for one in jobs]
    await printer.begun.wait()
    assert [state for _, state in (await store.load()).papers] == [PaperState.STARTED, PaperState.WAITING]
    printer.let.set()
    assert await asyncio.gather(*papers) == [PrintEnded(job=one, result=PRINTED) for one in jobs]
    assert printer.seen == [["started", "waiting"], ["started", "started"]]


async def test_what_cannot_be_committed_as_begun_does_not_begin(tmp_path: Path, store: DeviceStore) -> None:
    printer: Printer = TextFolder(tmp_path)
    with pytest.raises(StoreError):
        await PaperPress(store, printer).print(Print(job=job(), document=PAPER))
    assert not (tmp_path / "papers.txt").exists()
