"""Is the wall clock right? It warns and flags; it never stands in the way of money.

A record's own time never goes back (`max(previous, wall clock)`), and each carries what the clocks said, so the office
can tell afterwards. Here the collector is told while something can still be done. Collectors expect a warning from
two minutes on.
"""

from protocol.values import ClockSource, Instant

OFF_MAX_MS = 120_000
BEHIND_RECORDS = "behind-records"
OFF_HUB = "off-hub"
OFF_SATELLITES = "off-satellites"

# What people read of each code: Vietnamese, English.
CLOCK_WORDS: dict[str, tuple[str, str]] = {
    BEHIND_RECORDS: (
        "Đồng hồ máy chạy lùi so với lần ghi trước: vẫn làm việc được, hãy chỉnh lại giờ",
        "The clock is behind the last record: go on working, and have it set right",
    ),
    OFF_HUB: (
        "Đồng hồ máy lệch so với máy chủ: vẫn làm việc được, hãy chỉnh lại giờ",
        "The clock differs from the hub's: go on working, and have it set right",
    ),
    OFF_SATELLITES: (
        "Đồng hồ máy lệch so với giờ vệ tinh: vẫn làm việc được, hãy chỉnh lại giờ",
        "The clock differs from the satellites' time: go on working, and have it set right",
    ),
}


def clock_trouble(now: Instant, last_record_ms: int, offset_ms: int, source: ClockSource) -> str | None:
    """A code of CLOCK_WORDS, or None. offset_ms: reference minus wall, as `source` last said."""
    if last_record_ms - now.wall_ms > OFF_MAX_MS:
        return BEHIND_RECORDS
    if source is not ClockSource.NONE and abs(offset_ms) > OFF_MAX_MS:
        return OFF_HUB if source is ClockSource.HUB else OFF_SATELLITES
    return None
