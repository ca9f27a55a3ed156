"""`python -m printer_drivers`: find a printer, see what it can do, and print on it, with no handheld around.

For branch IT and whoever tests a new printer. Everything is said in Vietnamese, then in English. 0: done; 1: not
printed, or nobody knows; 2: asked in a way that cannot work.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from printer_drivers.escpos import EncodeError, Mode, Segment, encode
from printer_drivers.job import JobState
from printer_drivers.profiles import GENERIC, MUTE, PROFILES, UNKNOWN, Fence, Profile, UnknownModelError, profile_for
from printer_drivers.raster import FontMissingError
from printer_drivers.replies import PrinterState
from printer_drivers.session import Patience, PrintEnd, PrinterSession, Probe, ProbeError
from printer_drivers.tickets import page_ticket, picture_paper, test_ticket
from printer_drivers.transports import Link, LinkError, open_link
from printer_drivers.transports.address import AddressError, PrinterAddress, Way, parse
from printer_drivers.words import PRINTER_WORDS
from protocol.document import Document, Feed, Item, Text

DONE, NOT_DONE, WRONG_USAGE = 0, 1, 2

SECONDS_MAX = 600  # Nobody stands longer before a printer, or a scan.
PICTURE_ROWS_MAX = 16_000  # 2 m of paper. More is a mistaken file.
TEXT_BYTES_MAX = 64 * 1024  # A roll of 30 m takes about 8000 lines of 32 letters; a longer file is a mistaken one too.
_LINE_LETTERS_MAX = 100  # Both languages stand on one line where they fit there.
_STRONG_DBM, _FAIR_DBM = -65, -80  # Above: the same room. Below: connections break.
_NO_BREAK = "\N{NO-BREAK SPACE}"

OUTCOMES: Mapping[JobState, tuple[str, str]] = {
    JobState.PRINTED: ("ĐÃ IN XONG", "PRINTED"),
    JobState.NOT_PRINTED: ("CHƯA IN GÌ", "NOT PRINTED"),
    JobState.UNKNOWN: ("CHƯA RÕ ĐÃ IN HAY CHƯA, hãy xem giấy", "UNKNOWN, look at the paper"),
}
FENCES: Mapping[Fence, tuple[str, str]] = {
    Fence.GS_H: ("khi in xong (GS ( H)", "when it is printed (GS ( H)"),
    Fence.GS_R: ("khi thực hiện xong (GS r)", "when it is executed (GS r)"),
    Fence.NONE: ("không", "no"),
}
# A paper that has begun may wait for these, and a person can see to it.
_MENDABLE = frozenset(
    {"paper-out", "cover-open", "head-hot", "printer-error", "low-battery", "printer-offline", "stalled"}
)


class UsageError(Exception):
    """What was asked for cannot be done. The message says why, in both languages."""

    def __init__(self, vietnamese: str, english: str) -> None:
        super().__init__(_both(vietnamese, english))


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; its exit code. argparse ends it by itself, with 2, when words are missing or unknown."""
    if sys.flags.optimize:
        sys.stderr.write("This program checks itself while it runs: start it without -O.\n")
        return WRONG_USAGE
    given = _parser().parse_args(arguments)
    try:
        if given.action == "scan":
            return asyncio.run(_scan(given.seconds))
        printer = Printer(given.url, given.wait)
        match given.action:
            case "probe":
                return asyncio.run(printer.probe())
            case "test":
                return _test(printer, pages=given.pages)
            case _:
                return asyncio.run(printer.print_all([_file_paper(given.file, printer)]))
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_USAGE
    except EncodeError as error:
        _complain(f"Máy in không có chữ {error.letter!r}, ở dòng {error.where!r}: bỏ mode=folded", str(error))
        return NOT_DONE
    except FontMissingError as error:
        _complain("Thiếu phông chữ: chạy `make web`", str(error))
        return NOT_DONE
    except KeyboardInterrupt:
        _complain("Đã dừng: nếu đang in dở, hãy xem giấy", "Stopped: if it was printing, look at the paper")
        return NOT_DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ghithu-printer",
        description="Tìm, hỏi và thử máy in · find, ask and try a printer.",
        epilog=(
            "URL: serial:///dev/ttyUSB0?baud=115200&flow=xonxoff, serial:///dev/rfcomm0, ble://AA:BB:CC:DD:EE:FF, "
            f"file:out.bin; thêm · and ?model=MODEL&mode=raster|folded. MODEL: {', '.join(PROFILES)}."
        ),
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="scan | probe | test | print")
    scan = actions.add_parser("scan", help="tìm máy in · look for printers")
    scan.add_argument("--seconds", type=_seconds, help="tìm Bluetooth bao lâu · how long to look for Bluetooth")
    probe = actions.add_parser("probe", help="hỏi máy in làm được gì, không in · ask what it can do, print nothing")
    test = actions.add_parser("test", help="in phiếu thử · print a test ticket")
    test.add_argument("--pages", action="store_true", help="in thêm phiếu bảng mã · and a ticket of code pages")
    document = actions.add_parser("print", help="in một tệp · print a file")
    document.add_argument("file", type=Path, metavar="FILE", help="ảnh .png, hoặc .txt UTF-8 · a picture, or a text")
    for action in (probe, test, document):
        action.add_argument("url", metavar="URL", help="địa chỉ máy in · the printer's address")
        action.set_defaults(wait=Patience().trouble_s)
    for action in (test, document):
        words = "đang in mà hết giấy: chờ bao nhiêu giây · seconds to wait for a new roll, say"
        action.add_argument("--wait", type=_seconds, metavar="SECONDS", help=words)
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: trên 0 đến {SECONDS_MAX} giây · seconds, at most {SECONDS_MAX}")
    return seconds


# Looking around.


async def _scan(seconds: float | None) -> int:
    """What is in reach by radio and by cable. Done also where there is no radio, which is then said."""
    from printer_drivers.transports import ble, serial_port  # noqa: PLC0415 -- A third of a second, for a scan alone.

    _say("Đang tìm máy in Bluetooth...", "Looking for Bluetooth printers...")
    try:
        found = await ble.scan(ble.SCAN_S if seconds is None else seconds)
    except LinkError as error:
        _say(f"  {PRINTER_WORDS[error.reason][0]}", error.sentence)
    else:
        for one in found:
            kind = _both("có vẻ là máy in", "looks like a printer") if one.looks_like_printer else "-"
            address = PrinterAddress(scheme=Way.BLE, place=one.address)
            print(f"  {one.name or '?'}  {one.address}  {_strength(one.rssi_dbm)}  {kind}\n    {address}")
        if not found:
            _say("  Không thấy thiết bị nào: bật máy in và đến gần", "Nothing found: switch the printer on, go nearer")
    _say("Cổng nối tiếp", "Serial ports")
    ports = serial_port.ports()
    for path, name in ports:
        print(f"  {name}\n    {PrinterAddress(scheme=Way.SERIAL, place=path)}")
    if not ports:
        _say("  Không có cổng nào: cắm dây máy in", "None: plug the printer in")
    return DONE


def _strength(rssi_dbm: int) -> str:
    if rssi_dbm >= _STRONG_DBM:
        words = _both("mạnh", "strong")
    elif rssi_dbm >= _FAIR_DBM:
        words = _both("vừa", "fair")
    else:
        words = _both("yếu", "weak")
    return f"{rssi_dbm} dBm {words}"


# One printer.


class Printer:
    """The printer of an address, for one conversation. Raises UsageError for an address that cannot be one."""

    def __init__(self, url: str, wait_s: float) -> None:
        try:
            self._address = parse(url)
            self.profile = profile_for(self._address.options.get("model", GENERIC))
        except (AddressError, UnknownModelError) as error:
            raise UsageError("Địa chỉ máy in không đúng", str(error)) from error
        self.begun = 0  # Papers of which something may have come out.
        self._started = False
        self._link = _Remembering(open_link(self._address, self.profile))
        self._session = PrinterSession(
            self._link,
            self.profile,
            monotonic=time.monotonic,
            abilities=MUTE if self._address.scheme is Way.FILE else None,
            watch=self._watch,
            patience=Patience(trouble_s=wait_s),
        )

    def encoded(self, document: Document) -> tuple[Segment, ...]:
        """A document as the address wants it set. Raises what `escpos.encode` raises."""
        mode = Mode(self._address.options.get("mode", Mode.RASTER))
        if mode is Mode.TEXT:
            # As on a handheld that nobody has told its pages.
            _say("In bằng hình: chưa ai xác nhận bảng mã", "Printing a picture: nobody has confirmed code pages")
            mode = Mode.RASTER
        return tuple(encode(document, self.profile, mode))

    async def probe(self) -> int:
        """Ask, and say what the answers mean. Not done when it cannot be asked, or answers nothing."""
        self._say_profile()
        _say_guesses(self.profile)
        try:
            found = await self._session.probe()
        except (LinkError, ProbeError) as error:
            self._say_reason(error.reason)
            return NOT_DONE
        finally:
            await self._session.close()
        return _say_probe(found)

    async def print_all(self, papers: Sequence[tuple[Segment, ...]]) -> int:
        """Print one after the other and say how each ended. Behind one that went wrong no other begins."""
        self._say_profile()
        code = DONE
        try:
            for paper in papers:
                self._started = False
                end = await self._session.print(paper, starting=self._starting)
                self._say_end(end)
                if end.state is not JobState.PRINTED:
                    code = NOT_DONE
                    if end.reason != "no-fence":  # Such a printer never says more; there the next may come.
                        break
        finally:
            await self._session.close()
        return code

    def _say_profile(self) -> None:
        profile = self.profile
        _say(f"Hồ sơ máy in: {profile.name} ({profile.model})", f"profile, {profile.dots} dots wide")
        if "model" not in self._address.options:
            _say("  URL không ghi ?model=, nên dùng hồ sơ chung", "the URL names no model: the general profile")

    async def _starting(self) -> None:
        self._started = True
        self.begun += 1
        _say("Đang in...", "Printing...")

    def _watch(self, trouble: str | None) -> None:
        if trouble in _MENDABLE and self._started:
            self._say_reason(trouble)
        if trouble is None:
            _say("Máy in lại sẵn sàng", "It is ready again")

    def _say_end(self, end: PrintEnd) -> None:
        _say(*OUTCOMES[end.state])
        if end.reason is not None and not (self._started and end.reason in _MENDABLE):  # Those were said already.
            self._say_reason(end.reason)

    def _say_reason(self, reason: str) -> None:
        vietnamese, english = PRINTER_WORDS[reason]
        error = self._link.error
        _say(vietnamese, error.sentence if error is not None and error.reason == reason else english)


class _Remembering:
    """A link that remembers what went wrong last: its sentence says more than the code that a job ends with."""

    def __init__(self, link: Link) -> None:
        self.error: LinkError | None = None
        self._link = link

    async def open(self) -> None:
        with self._noted():
            await self._link.open()

    async def close(self) -> None:
        await self._link.close()

    async def write(self, data: bytes, timeout_s: float) -> int:
        with self._noted():
            return await self._link.write(data, timeout_s)

    async def urge(self, data: bytes) -> bool:
        with self._noted():
            return await self._link.urge(data)

    async def read(self, timeout_s: float) -> bytes:
        with self._noted():
            return await self._link.read(timeout_s)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except LinkError as error:
            self.error = error
            raise


# Papers.


def _test(printer: Printer, *, pages: bool) -> int:
    tickets = [printer.encoded(test_ticket(printer.profile))]
    if pages:
        tickets.append(page_ticket(printer.profile))
    code = asyncio.run(printer.print_all(tickets))
    if printer.begun > 1:
        _say(
            "Trên phiếu bảng mã: ghi lại tên các dòng giống hệt mẫu (ví dụ 30 t và 31 T) để chọn trên máy cầm tay",
            "On the ticket of code pages: note the lines that read like the samples (such as 30 t and 31 T)",
        )
    return code


def _file_paper(path: Path, printer: Printer) -> tuple[Segment, ...]:
    """A file as a paper. Raises UsageError; what encoding raises."""
    match path.suffix.lower():
        case ".png":
            return picture_paper(_picture(path, printer.profile.dots), printer.profile)
        case ".txt":
            return printer.encoded(_text(path, printer.profile))
        case _:
            raise UsageError(f"{path}: chỉ in được tệp .png hoặc .txt", "only .png and .txt files can be printed")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What a missing or broken file raises becomes a UsageError. Pillow has many ways to say that a PNG is broken."""
    try:
        yield
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"Không đọc được tệp {path}", f"it cannot be read: {error}") from error


def _picture(path: Path, dots: int) -> Image.Image:
    """A PNG in black and white: what is at least half dark is black, what is transparent white. Raises UsageError."""
    with _readable(path), Image.open(path, formats=("PNG",)) as image:
        if image.width > dots:
            raise UsageError(
                f"{path}: ảnh rộng {image.width} chấm, giấy chỉ có {dots}: thu nhỏ ảnh, hoặc ghi đúng ?model=",
                f"the picture is {image.width} dots wide and the paper {dots}: make it narrower, or name the model",
            )
        if image.height > PICTURE_ROWS_MAX:
            raise UsageError(
                f"{path}: ảnh cao {image.height} chấm, nhiều nhất là {PICTURE_ROWS_MAX}",
                f"the picture is {image.height} dots high, and {PICTURE_ROWS_MAX} is the most",
            )
        opaque: Image.Image = image
        if image.has_transparency_data:
            opaque = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        elif image.mode == "I;16":  # Of 16 bits Pillow would take all but the darkest greys for white.
            opaque = image.convert("I").point(lambda grey: grey * (1 / 257))
        # Letters and codes stay sharp without dither.
        return opaque.convert("L").convert("1", dither=Image.Dither.NONE)


def _text(path: Path, profile: Profile) -> Document:
    """A text file, a paragraph for each line. A line that fits on the paper keeps its spaces. Raises UsageError."""
    with _readable(path), path.open("rb") as file:
        data = file.read(TEXT_BYTES_MAX + 1)
    if len(data) > TEXT_BYTES_MAX:
        raise UsageError(f"{path}: quá {TEXT_BYTES_MAX} byte", "the file is too long for a paper")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: phải là UTF-8", f"the file is not UTF-8, at byte {error.start}") from error
    if not any(map(str.strip, lines)):
        raise UsageError(f"{path}: tệp trống", "the file is empty")
    return Document(tuple(_item(line.expandtabs().rstrip(), profile.columns) for line in lines))


def _item(line: str, columns: int) -> Item:
    if not line:
        return Feed()
    return Text(line.replace(" ", _NO_BREAK) if len(line) <= columns else line)


# Words.


def _say_guesses(profile: Profile) -> None:
    """Which fields of a profile nobody has written down, and of which only a part."""
    whole = ", ".join(name for name, source in profile.sources.items() if source == UNKNOWN)
    part = ", ".join(name for name, source in profile.sources.items() if source != UNKNOWN and UNKNOWN in source)
    if whole:
        _say(f"  Chỉ phỏng đoán, chưa có tài liệu: {whole}", "guessed, since nobody has written it down")
    if part:
        _say(f"  Mới có một phần tài liệu: {part}", "written down in part")


def _say_probe(found: Probe) -> int:
    abilities = found.abilities
    _say(f"Máy in tự xưng: {found.model or '?'}", "what it calls itself")
    _say_ability("Trả lời trạng thái tức thời", "real-time status (DLE EOT)", abilities.realtime)
    _say(
        f"Xác nhận đã in: {FENCES[abilities.fence or Fence.NONE][0]}",
        f"confirms papers: {FENCES[abilities.fence or Fence.NONE][1]}",
    )
    _say_ability("Xác nhận từng phần của tờ giấy", "confirms every part of a paper", abilities.marks)
    _say_ability("Tự báo khi có thay đổi", "reports changes by itself (GS a)", abilities.auto_status)
    _say_ability("Báo gần hết giấy", "sees that the roll will end soon", abilities.near_end)
    if found.state is not None:
        _say(f"Trạng thái: {_state(found.state)[0]}", _state(found.state)[1])
    if not (abilities.realtime or abilities.identity or abilities.fence is not Fence.NONE):
        _say(*PRINTER_WORDS["printer-silent"])
        return NOT_DONE
    return DONE


def _say_ability(vietnamese: str, english: str, able: bool | None) -> None:
    answer = {True: "có", False: "không", None: "chưa biết"}[able], {True: "yes", False: "no", None: "unknown"}[able]
    _say(f"{vietnamese}: {answer[0]}", f"{english}: {answer[1]}")


def _state(state: PrinterState) -> tuple[str, str]:
    if state.trouble is not None:
        return PRINTER_WORDS[state.trouble]
    if state.near_end:
        return "Sẵn sàng, gần hết giấy", "Ready; the roll will end soon"
    return "Sẵn sàng", "Ready"


def _say(vietnamese: str, english: str) -> None:
    print(_both(vietnamese, english))


def _complain(vietnamese: str, english: str) -> None:
    sys.stderr.write(f"{_both(vietnamese, english)}\n")


def _both(vietnamese: str, english: str) -> str:
    together = f"{vietnamese} · {english}"
    return together if len(together) <= _LINE_LETTERS_MAX else f"{vietnamese}\n    {english}"


if __name__ == "__main__":
    sys.exit(main())
