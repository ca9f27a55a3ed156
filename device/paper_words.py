"""Why a paper of this handheld did not come out, or may not have, in words for the collector.

Printers and links have their codes and words in `printer_drivers.words`; here stand those of the handheld itself. A
record carries the code, a screen shows the words.
"""

from collections.abc import Mapping

from device.core.effects import RESTART, SEEN_BY_COLLECTOR
from printer_drivers.words import PRINTER_WORDS

FILE = "file-"  # What follows is the name of the operating system's error: file-ENOSPC.

# code: (Vietnamese, English). FILE stands for all codes that begin so.
PAPER_WORDS: Mapping[str, tuple[str, str]] = {
    **PRINTER_WORDS,
    # The paper itself.
    "letter-missing": (
        "Máy in không có chữ cần in: chuyển sang chế độ in hình, hoặc báo bộ phận kỹ thuật",
        "The printer lacks a letter of this paper: change to printing pictures, or tell the technical staff",
    ),
    "qr-too-large": (
        "Mã QR không vừa khổ giấy: dùng máy in khổ rộng hơn, hoặc báo bộ phận kỹ thuật",
        "The QR code does not fit on the paper: use a wider printer, or tell the technical staff",
    ),
    "font-missing": (
        "Máy thiếu phông chữ để in: báo bộ phận kỹ thuật cài lại",
        "The handheld lacks the fonts for papers: have the technical staff install them again",
    ),
    "driver-error": (
        "Lỗi phần mềm khi in: xem giấy đã ra chưa, rồi in lại và báo cho chi nhánh",
        "The printing software failed: see whether the paper came out, then print again and tell the branch",
    ),
    FILE: (
        "Không ghi được tệp của tờ giấy: kiểm tra bộ nhớ còn trống và thư mục chứa tệp",
        "The file of the paper cannot be written: see that there is room and that the folder is there",
    ),
    # What this handheld and its collector say.
    RESTART: (
        "Máy đã khởi động lại trong khi in: hãy xem tờ giấy đã ra đủ chưa",
        "The handheld started again while printing: see whether the whole paper came out",
    ),
    SEEN_BY_COLLECTOR: ("Người thu đã thấy tờ giấy in ra", "The collector has seen the paper"),
}
GENERAL = (
    "Máy in gặp trục trặc: tắt và bật lại máy in, nếu vẫn vậy thì báo bộ phận kỹ thuật",
    "Something is wrong with the printer: switch it off and on, and if it stays so, tell the technical staff",
)


def paper_words(code: str) -> tuple[str, str]:
    """A code in words, (Vietnamese, English); a general sentence for a code that is not known here."""
    return PAPER_WORDS.get(FILE if code.startswith(FILE) else code, GENERAL)
