"""What stands between this handheld and its hub, in words for the collector.

Uplink and hub say it in English sentences, which logs keep; a screen shows these instead. A sentence that nobody has
foreseen is shown as it came, behind words that say whose it is.
"""

from collections.abc import Mapping

# What a sentence begins with: (Vietnamese, English).
HUB_WORDS: Mapping[str, tuple[str, str]] = {
    "no answer in time": (
        "Máy chủ không trả lời kịp. Máy sẽ tự thử lại",
        "The hub did not answer in time. It will be tried again",
    ),
    "no connection to the hub": (
        "Không kết nối được máy chủ. Máy sẽ tự thử lại khi có mạng",
        "There is no connection to the hub. It will be tried again",
    ),
    "something other than the hub answered": (
        "Có mạng nhưng máy chủ không trả lời; mạng này có thể đòi đăng nhập riêng",
        "Something else answered in the hub's place; this network may ask for a log-in of its own",
    ),
    "an answer": (
        "Câu trả lời của máy chủ bị hỏng trên đường truyền. Máy sẽ tự thử lại",
        "The hub's answer was damaged on its way. It will be tried again",
    ),
    "the answer": (
        "Câu trả lời của máy chủ bị hỏng trên đường truyền. Máy sẽ tự thử lại",
        "The hub's answer was damaged on its way. It will be tried again",
    ),
    "the download is not the hub's": (
        "Dữ liệu nhận được không phải của máy chủ nên không dùng. Hãy báo chi nhánh",
        "What was downloaded is not the hub's and is not used. Tell the branch",
    ),
    "the branch has not confirmed": (
        "Chi nhánh chưa xác nhận máy này. Nhờ chi nhánh so IMEI rồi xác nhận",
        "The branch has not confirmed this handheld. Ask them to compare its IMEI",
    ),
    "this handheld is not enrolled": (
        "Máy chủ không biết máy này. Hãy báo chi nhánh đăng ký lại",
        "The hub does not know this handheld. Ask the branch to enrol it again",
    ),
    "this handheld was revoked": (
        "Máy này đã bị thu hồi: chỉ gửi được dữ liệu đã ghi. Hãy báo chi nhánh",
        "This handheld was revoked: it may send its records, nothing else. Tell the branch",
    ),
    "the hub has another history": (
        "Máy chủ có dữ liệu khác của máy này. Không mất gì, hãy báo chi nhánh",
        "The hub has another history of this handheld. Nothing is lost: tell the branch",
    ),
    "a record before this one is missing": (
        "Máy chủ còn thiếu bản ghi trước đó. Máy đang gửi lại",
        "The hub lacks an earlier record. It is being sent again",
    ),
    "the handheld's clock is too far off": (
        "Đồng hồ máy lệch quá nhiều so với máy chủ. Hãy chỉnh lại giờ",
        "The clock is too far from the hub's. Have it set right",
    ),
    "the hub could not store": (
        "Máy chủ chưa lưu được. Máy sẽ tự gửi lại",
        "The hub could not store it. It will be sent again",
    ),
    "the route": (
        "Lộ trình này không còn giao cho bạn. Hãy hỏi chi nhánh",
        "This route is not yours any more. Ask the branch",
    ),
}


def hub_words(sentence: str) -> tuple[str, str]:
    """A sentence of uplink or hub as a collector reads it: (Vietnamese, English)."""
    known = next((words for beginning, words in HUB_WORDS.items() if sentence.startswith(beginning)), None)
    return known or (f"Máy chủ báo: {sentence}", f"The hub says: {sentence}")
