"""What can go wrong with a printer, by name: for tests, and for people who try the system by hand.

A fault is written as its name, and where that matters with a place or a time: `paper-out@1234`, `late-fence@800ms`.
Several stand behind one another, with commas or spaces between them. Places are bytes counted from the arming: from
the start of the model, where it is armed at the start. What happens to the printer happens when so many of these bytes
have been executed, what happens to the link when so many have arrived. Without a place it happens at once.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from simulator.printer import PrinterModel

STRAY_EVERY_BYTES = 512
LATE_FENCE_MS = 800

_FAULT = re.compile(r"(?P<name>[a-z-]+)(?:@(?P<amount>[0-9]{1,9})(?P<unit>ms)?)?")
# What a printer says unasked: the answer to a DLE EOT 1 that it found in a picture; automatic status, switched on by a
# DIP switch.
_STRAYS = (b"\x12", b"\x10\x00\x00\x00")


class FaultError(Exception):
    """The text names no fault, and the sentence says what there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong.

    description: one line for people. apply: arms it on a printer; the number is bytes, or milliseconds where unit is
    "ms", or a count as the description says. default: the number where none is written. unit: "byte", "ms", or "" for
    a fault that takes no number.
    """

    description: str
    apply: Callable[[PrinterModel, int], None]
    default: int = 0
    unit: str = "byte"


class Armed(NamedTuple):
    """A fault as somebody wrote it."""

    name: str
    amount: int


def parse(text: str) -> tuple[Armed, ...]:
    """The faults that the text names, in order; none for an empty one. Raises FaultError."""
    return tuple(_one(word) for word in re.split(r"[\s,]+", text) if word)


def arm(printer: PrinterModel, text: str) -> None:
    """Let these faults happen to a printer. Raises FaultError, and then arms none."""
    for name, amount in parse(text):
        FAULTS[name].apply(printer, amount)


def _one(word: str) -> Armed:
    match = _FAULT.fullmatch(word)
    if match is None or match["name"] not in FAULTS:
        raise FaultError(f"{word!r} is no fault; there are {', '.join(FAULTS)}")
    fault = FAULTS[match["name"]]
    if match["amount"] is None:
        return Armed(match["name"], fault.default)
    if not fault.unit:
        raise FaultError(f"{match['name']} takes no number")
    if (match["unit"] == "ms") != (fault.unit == "ms"):
        raise FaultError(f"{match['name']} takes {'milliseconds, as 800ms' if fault.unit == 'ms' else 'bytes'}")
    return Armed(match["name"], int(match["amount"]))


def _condition(name: str) -> Callable[[PrinterModel, int], None]:
    def apply(printer: PrinterModel, after: int) -> None:
        printer.after_executed(after, lambda: printer.change(name, on=True))

    return apply


def _power_cycle(printer: PrinterModel, after: int) -> None:
    printer.after_executed(after, printer.power_cycle)


def _power_off(printer: PrinterModel, after: int) -> None:
    printer.after_executed(after, printer.power_off)


def _drop(printer: PrinterModel, after: int) -> None:
    printer.after_received(after, printer.drop)


def _mute(printer: PrinterModel, after: int) -> None:
    def mute() -> None:
        printer.mute = True

    printer.after_received(after, mute)


def _lost_fence(printer: PrinterModel, after: int) -> None:
    def lose() -> None:
        printer.fence_lost = True

    printer.after_received(after, lose)


def _late_fence(printer: PrinterModel, delay_ms: int) -> None:
    printer.answer_delay_s = delay_ms / 1000


def _early_fence(printer: PrinterModel, _: int) -> None:
    printer.gs_h = False
    printer.early_fence = True


def _stray(printer: PrinterModel, every: int) -> None:
    turn = 0

    def stray() -> None:
        nonlocal turn
        printer.say(_STRAYS[turn % len(_STRAYS)])
        turn += 1
        printer.after_received(max(every, 1), stray)

    printer.after_received(max(every, 1), stray)


def _overrun(printer: PrinterModel, _: int) -> None:
    printer.flow = False


def _no_replies(printer: PrinterModel, _: int) -> None:
    printer.realtime = printer.gs_h = printer.gs_r = printer.asb = False
    printer.identity = None


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "paper-out": Fault(description="the paper ends there", apply=_condition("paper_out")),
        "cover-open": Fault(description="somebody opens the cover there", apply=_condition("cover_open")),
        "low-battery": Fault(description="the battery is too low to print from there", apply=_condition("low_battery")),
        "head-hot": Fault(description="the head is too hot to print from there", apply=_condition("head_hot")),
        "near-end": Fault(description="the paper will end soon", apply=_condition("near_end")),
        "power-cycle": Fault(description="somebody switches it off and on there", apply=_power_cycle),
        "power-off": Fault(description="somebody switches it off there", apply=_power_off),
        "drop": Fault(description="the link falls when the printer has received so many bytes", apply=_drop),
        "mute": Fault(description="nothing that it says arrives any more from there", apply=_mute),
        "lost-fence": Fault(description="answers to fences are lost from there, others arrive", apply=_lost_fence),
        "late-fence": Fault(
            description="answers to fences come so much later", apply=_late_fence, default=LATE_FENCE_MS, unit="ms"
        ),
        "early-fence": Fault(
            description="a clone: knows no GS ( H, and answers GS r when it arrives", apply=_early_fence, unit=""
        ),
        "stray": Fault(description="speaks unasked, every so many bytes", apply=_stray, default=STRAY_EVERY_BYTES),
        "overrun": Fault(description="cannot hold back a sender: what finds no room is lost", apply=_overrun, unit=""),
        "no-replies": Fault(description="prints, and never says anything", apply=_no_replies, unit=""),
    }
)
