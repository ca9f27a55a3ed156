"""What the hub does not have yet, and when to try again.

Level-triggered: whenever it is asked and something is pending and nothing is under way and the wait is over, it says
what to send. No record, answer or exception can stop it; only an ack whose digest is ours moves it. The unsent
counter is a subtraction, never a flag.
"""

from random import Random

from device.core.effects import AskHead, Upload
from protocol.wire import UPLOAD_RECORDS_MAX, RefusalCode

WINDOW_START = 500  # About 190 kB: one commit at the hub, half a minute on a slow phone link.
WAIT_FIRST_MS = 1_000
WAIT_MAX_MS = 60_000  # A collector back under a roof sees the counter fall within a minute.
WAIT_REFUSED_MS = 300_000  # A refusal needs a person; ask often enough to notice that it is mended.


class Outbox:
    """Records from `acked`+1 to `head` wait here. Sequence numbers start at 1; 0 is none."""

    def __init__(self, *, head: int, acked: int, random: Random) -> None:
        assert 0 <= acked <= head
        self.head = head
        self.acked = acked
        self.trouble = ""
        self._random = random
        self._window = WINDOW_START
        self._under_way = False
        self._failures = 0
        self._not_before_ms = 0
        self._ask_head = False

    @property
    def unsent(self) -> int:
        """How many records the hub is not known to have."""
        return self.head - self.acked

    @property
    def busy(self) -> bool:
        """Whether an answer is being waited for."""
        return self._under_way

    def made(self, seq: int) -> None:
        """A record was committed."""
        assert seq == self.head + 1
        self.head = seq

    def due(self, up_ms: int) -> Upload | AskHead | None:
        """What to send now, if anything. The caller performs it and reports how it ended."""
        if self._under_way or self.unsent == 0 or up_ms < self._not_before_ms:
            return None
        self._under_way = True
        if self._ask_head:
            return AskHead()
        last = min(self.head, self.acked + min(self._window, UPLOAD_RECORDS_MAX))
        return Upload(from_seq=self.acked + 1, to_seq=last)

    def hurry(self) -> None:
        """Forget the wait: a person asked, or the network came back."""
        self._not_before_ms = 0

    def has(self, seq: int) -> None:
        """The hub proved that it has everything up to seq. It never moves back: an older ack is old news."""
        self._under_way = False
        self._failures = 0
        self._ask_head = False
        self._not_before_ms = 0
        self.trouble = ""
        if seq > self.acked:  # A head that has not moved says nothing of what the link can carry.
            self._window = min(self._window * 2, UPLOAD_RECORDS_MAX)
        self.acked = max(self.acked, min(seq, self.head))

    def lost(self, sentence: str, up_ms: int) -> None:
        """No answer that proves anything. The records may have arrived: ask before sending them all again."""
        self._under_way = False
        self._failures += 1
        self._ask_head = self.unsent > 1
        self._window = max(1, self._window // 2)
        self.trouble = sentence
        self._wait(min(WAIT_FIRST_MS << min(self._failures - 1, 10), WAIT_MAX_MS), up_ms)

    def refused(self, code: str, sentence: str, have_seq: int | None, up_ms: int) -> None:
        """The hub said no. Nothing is dropped; where it says what it has, sending goes on from there."""
        self._under_way = False
        self._failures += 1
        self._ask_head = False  # A hub that knows another history of this handheld must still get this one.
        self.trouble = sentence
        if code == RefusalCode.GAP and have_seq is not None:
            # Backwards: a hub restored from a backup asks for what it lost. Never forwards, since a refusal proves
            # nothing: a hub that has more than it signed for has another history, and finds where they part in ours.
            self.acked = have_seq if have_seq < self.acked else 0
            self._wait(0 if self._failures == 1 else WAIT_MAX_MS, up_ms)
        elif code == RefusalCode.TOO_LARGE and self._window > 1:
            self._window = max(1, self._window // 2)
            self._wait(0, up_ms)
        else:
            self._wait(WAIT_REFUSED_MS if self._failures > 3 else WAIT_MAX_MS, up_ms)

    def _wait(self, wait_ms: int, up_ms: int) -> None:
        """Half of the wait is certain, half is chance: 23 handhelds under one roof do not knock together."""
        self._not_before_ms = up_ms + wait_ms // 2 + self._random.randrange(wait_ms // 2 + 1)
