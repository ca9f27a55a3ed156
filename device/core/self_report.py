"""When a handheld tells of itself: at both ends of a shift, each hour of it, when the battery runs low, when the clock
is wrong. The office sees the state of each handheld without asking the collector.
"""

from device.core.clock_watch import clock_trouble
from device.core.effects import Append, Effect
from device.core.events import PowerRead
from device.core.outbox import Outbox
from device.core.pen import Pen
from device.core.work import Work
from protocol.records import DeviceStatus, StatusMoment
from protocol.values import Instant

EVERY_MS = 3_600_000
BATTERY_LOW_PERCENT = 20
BATTERY_FINE_PERCENT = 25  # A battery that wavers about a limit tells of it once.
BATTERY_VERY_LOW_PERCENT = 10  # From here on what is unsent goes first, and nothing large is downloaded.


class SelfReport:
    """State of the handheld itself, and when it becomes a record. Only in an open shift: a record has a collector."""

    def __init__(self, software: str, work: Work, outbox: Outbox, pen: Pen) -> None:
        self._software = software
        self._work = work
        self._outbox = outbox
        self._pen = pen
        self.power = PowerRead(battery_percent=None, charging=None, storage_free_mib=None)
        self.clock: str | None = None
        self._printer: str | None = None
        self._told_up_ms: int | None = None
        self._told_level = 0

    @property
    def battery_very_low(self) -> bool:
        """Whether the battery may end the work within the hour."""
        return self._battery_level() == 2

    def tick(self, printer: str | None, now: Instant) -> tuple[Effect, ...]:
        """Look at the clocks."""
        self._printer = printer
        before, self.clock = self.clock, clock_trouble(
            now, self._work.at_ms, self._pen.offset_ms(now), self._pen.offset_source
        )
        if self.clock is not None and self.clock != before:
            return self.tell(StatusMoment.CLOCK, now)
        if self._told_up_ms is None:
            self._told_up_ms = now.up_ms  # After a restart the hour begins anew.
        if now.up_ms - self._told_up_ms >= EVERY_MS:
            return self.tell(StatusMoment.HOURLY, now)
        return ()

    def read(self, power: PowerRead, now: Instant) -> tuple[Effect, ...]:
        """Take what battery and disk say."""
        self.power = power
        level = self._battery_level()
        if power.charging or power.battery_percent is None or power.battery_percent >= BATTERY_FINE_PERCENT:
            self._told_level = 0
        if level <= self._told_level:
            return ()
        self._told_level = level
        if self.battery_very_low:
            self._outbox.hurry()
        return self.tell(StatusMoment.BATTERY_LOW, now)

    def tell(self, moment: StatusMoment, now: Instant) -> tuple[Effect, ...]:
        """The record, where a shift is open."""
        shift = self._work.shift
        if shift is None or not shift.is_open:
            return ()
        self._told_up_ms = now.up_ms
        record = DeviceStatus(
            period=shift.period,
            moment=moment,
            software=self._software,
            unsent=self._outbox.unsent,
            battery_percent=self.power.battery_percent,
            charging=None if self.power.charging is None else int(self.power.charging),
            storage_free_mib=self.power.storage_free_mib,
            clock=self.clock,
            printer=self._printer,
        )
        return (Append(sealed=self._pen.make(record, shift.package, None, now)),)

    def _battery_level(self) -> int:
        percent = self.power.battery_percent
        if percent is None or self.power.charging:
            return 0
        return (percent < BATTERY_LOW_PERCENT) + (percent < BATTERY_VERY_LOW_PERCENT)
