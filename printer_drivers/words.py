"""Why a paper did not come out, or may not have, in words for people: what is wrong, and what to do about it.

One sentence serves a paper that waits and a paper in doubt alike, so none of them says to print again unless the code
is about the paper itself.
"""

from collections.abc import Mapping

# Every code that a session or a link ends a paper with: (Vietnamese, English).
PRINTER_WORDS: Mapping[str, tuple[str, str]] = {
    # What the printer says of itself.
    "paper-out": ("Hết giấy: lắp cuộn giấy mới vào máy in", "Out of paper: put a new roll into the printer"),
    "cover-open": ("Nắp máy in đang mở: đóng nắp lại cho khít", "The printer's cover is open: close it tightly"),
    "printer-offline": (
        "Máy in đang tạm ngừng: xem đèn báo và bấm nút trên máy in cho sẵn sàng",
        "The printer is offline: look at its lamps and press its button until it is ready",
    ),
    "printer-error": (
        "Máy in báo lỗi: gỡ giấy kẹt nếu có, rồi tắt và bật lại máy in",
        "The printer reports an error: free jammed paper if there is any, then switch it off and on",
    ),
    "head-hot": ("Đầu in quá nóng: chờ vài phút cho nguội", "The print head is too hot: let it cool for a few minutes"),
    "low-battery": ("Máy in sắp hết pin: sạc hoặc thay pin", "The printer's battery is low: charge or change it"),
    # What the conversation with it came to.
    "printer-silent": (
        "Máy in không trả lời: kiểm tra máy in đã bật, tắt và bật lại nếu cần",
        "The printer does not answer: see that it is on; if it is, switch it off and on",
    ),
    "printer-busy": (
        "Máy in còn bận với giấy trước: chờ một lát, nếu vẫn vậy thì tắt và bật lại máy in",
        "The printer is still busy with an earlier paper: wait a moment, and if it stays so, switch it off and on",
    ),
    "stalled": (
        "Máy in không nhận thêm dữ liệu: xem giấy, nắp và đèn báo của máy in",
        "The printer takes no more: look at its paper, its cover and its lamps",
    ),
    "fence-missing": (
        "Đã gửi hết nhưng máy in không xác nhận: hãy xem tờ giấy đã ra đủ chưa",
        "All of it was sent and the printer never confirmed it: see whether the whole paper came out",
    ),
    "no-fence": (
        "Máy in này không báo được khi in xong: hãy xem tờ giấy đã ra đủ chưa",
        "This printer cannot say when a paper is done: see whether the whole paper came out",
    ),
    "marks-missing": (
        "Dữ liệu bị mất trên đường truyền: xem kỹ tờ giấy, thiếu hoặc sai chữ thì in lại",
        "Data was lost on the way: look closely at the paper, and if anything is missing or garbled, print it again",
    ),
    # The link.
    "lost": (
        "Mất kết nối với máy in: kiểm tra máy in còn bật và ở gần, dây còn cắm",
        "The connection to the printer is gone: see that it is on and near, and that its cable is plugged in",
    ),
    "no-connection": (
        "Máy in không nhận kết nối: tắt và bật lại máy in, xem có máy khác đang kết nối không",
        "The printer does not accept the connection: switch it off and on, and see that nobody else is connected",
    ),
    "no-such-port": (
        "Không thấy cổng của máy in: cắm lại dây, hoặc chọn lại máy in",
        "The printer's port is not there: plug the cable in again, or choose the printer again",
    ),
    "not-a-port": (
        "Nơi đã chọn không phải là cổng máy in: chọn lại máy in",
        "What was chosen is no printer's port: choose the printer again",
    ),
    "port-busy": (
        "Chương trình khác đang dùng cổng máy in: đóng chương trình đó",
        "Another program is using the printer's port: close that program",
    ),
    "not-allowed": (
        "Không có quyền dùng máy in này: báo bộ phận kỹ thuật cấp quyền",
        "This handheld may not use the printer: ask the technical staff for the permission",
    ),
    "no-bluetooth": ("Bluetooth đang tắt hoặc không có: bật Bluetooth", "Bluetooth is off or missing: switch it on"),
    "not-found": (
        "Không tìm thấy máy in: bật máy in và đến gần hơn, hoặc chọn lại máy in",
        "The printer is not found: switch it on and go nearer, or choose the printer again",
    ),
    "no-service": (
        "Thiết bị này không có chức năng in: chọn lại máy in",
        "This device offers nothing to print with: choose the printer again",
    ),
    "wrong-printer": (
        "Máy in này không phải loại dùng được với máy ghi thu: chọn máy in khác",
        "This is not a receipt printer that can be used: choose another one",
    ),
}
