"""Where a print job stands, as a table.

A job ends in one of three ways. PRINTED: the printer itself said that everything before the fence has been printed.
NOT_PRINTED: no byte that can print has left. UNKNOWN: anything else; a person has to look at the paper.

Between CHECKING and SENDING lies the point of no return: whoever keeps jobs commits SENDING before the first byte
that can print leaves. So after a restart a job that was checked is still to be printed, and one that was being sent
is UNKNOWN.
"""

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    """The states. The last three are ends."""

    QUEUED = "queued"
    CHECKING = "checking"
    SENDING = "sending"
    FENCED = "fenced"
    PRINTED = "printed"
    NOT_PRINTED = "not-printed"
    UNKNOWN = "unknown"


class Happening(StrEnum):
    """What can happen to a job.

    REFUSED: the printer cannot print now, whatever the cause. SENT: the link has taken everything, the fence
    too. ANSWERED: the fence was. LOST: the link is gone. GAVE_UP: patience is at its end. RESTARTED: this program began
    anew.
    """

    BEGUN = "begun"
    READY = "ready"
    REFUSED = "refused"
    SENT = "sent"
    ANSWERED = "answered"
    LOST = "lost"
    GAVE_UP = "gave-up"
    RESTARTED = "restarted"


ENDS = frozenset({JobState.PRINTED, JobState.NOT_PRINTED, JobState.UNKNOWN})

NEXT: Mapping[tuple[JobState, Happening], JobState] = {
    (JobState.QUEUED, Happening.BEGUN): JobState.CHECKING,
    (JobState.QUEUED, Happening.RESTARTED): JobState.QUEUED,
    (JobState.CHECKING, Happening.READY): JobState.SENDING,
    (JobState.CHECKING, Happening.REFUSED): JobState.NOT_PRINTED,
    (JobState.CHECKING, Happening.RESTARTED): JobState.QUEUED,
    (JobState.SENDING, Happening.SENT): JobState.FENCED,
    (JobState.SENDING, Happening.LOST): JobState.UNKNOWN,
    (JobState.SENDING, Happening.GAVE_UP): JobState.UNKNOWN,
    (JobState.SENDING, Happening.RESTARTED): JobState.UNKNOWN,
    (JobState.FENCED, Happening.ANSWERED): JobState.PRINTED,
    (JobState.FENCED, Happening.LOST): JobState.UNKNOWN,
    (JobState.FENCED, Happening.GAVE_UP): JobState.UNKNOWN,
    (JobState.FENCED, Happening.RESTARTED): JobState.UNKNOWN,
}


class PrintJob:
    """One paper on its way. `happened` moves it; a happening that its state does not know is a programmer's error."""

    def __init__(self) -> None:
        self.state = JobState.QUEUED
        self.reason: str | None = None

    def happened(self, what: Happening, reason: str | None = None) -> None:
        """Move on. reason: a short code, kept for whoever asks why it ended so."""
        assert (self.state, what) in NEXT, f"a job that is {self.state} cannot be {what}"
        self.state = NEXT[self.state, what]
        self.reason = reason

    @property
    def ended(self) -> bool:
        """Whether it is at its end."""
        return self.state in ENDS
