"""A conversation with one printer: what it can do, whether it is ready, and whether a paper was printed.

Printed means that a fence was answered: a question that stands behind the paper in the printer's own buffer. Bytes
that a link has taken prove nothing. The session waits only inside its link, so it runs on any loop and any clock.

Rules kept here, each learned from printers that broke it:

- A paper is never further ahead of the printer's answers than half its buffer. Some links take all that they are given
  and lose what the printer has no room for; where each fence is answered, one behind every band shows such a loss.
- Status is asked between bands only: inside a band the question would become a part of the picture. For the same
  reason a few NULs go before the first question on a new link: the last one may have fallen inside a header, and the
  question would become the size of a picture that never ends.
- No paper begins behind a broken one. What broke off is completed with NULs, the printer is set up anew and has to
  answer a fence; until then a paper is refused, and nothing of it has left.
- Answers to GS r bear no name. With such printers automatic status stays off, whose bytes could pass for an answer,
  and a fence that nobody answered is waited out before the next one is trusted.
- Nothing is sent again by itself.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from printer_drivers.escpos import (
    FENCES_MAX,
    Kind,
    Segment,
    auto_status,
    completion,
    fence,
    fence_id,
    identity,
    initialize,
    realtime_status,
)
from printer_drivers.job import Happening, JobState, PrintJob
from printer_drivers.profiles import Abilities, Fence, Profile
from printer_drivers.replies import (
    AutoStatus,
    Demultiplexer,
    Identity,
    JobDone,
    Ordered,
    PrinterState,
    RealTime,
    Reply,
    state_of_auto,
    state_of_round,
)
from printer_drivers.transports import Link, LinkError

MODEL_NAME = 67  # GS I n: the model; 65 and 66 are firmware and maker.
_ROUNDS_MAX = 3  # One round can be spoiled by strays of what was sent before; nothing that could spoil a third is sent.
_QUIET_MIN_S = 0.05  # A surplus answer comes no later than twice the slowest of its round, and not at once.
_INBOX_MAX = 256  # Replies nobody asked for; a printer that chatters must not fill the memory.
_MARKS_PROBED = 3
_BREAK_S = 0.3  # No printer pauses so long within a reply, and no radio between its parts.
_ORDERED_PAPER_OUT = 0x0C  # Of the answer to GS r 1.
_BESIDES_BYTES = 64  # Set-up, fences and questions that stand in the buffer beside a paper's bands.
_HEADER_BYTES_MAX = 16  # Longer than any command of ours before its data.
# 37 mm/s, the slowest that a printer which answers GS r on arrival is thought to print.
_ROWS_PER_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited, in seconds.

    reply_s: for the answer to a real-time question. offer_s: for the link to take more before one looks around.
    fence_s: for a fence while the printer gives no cause for its silence. settle_s: for a printer that may still be
    busy with a broken paper. quiet_s: for an answer that may still be on its way, where answers bear no name.
    probe_s: for the first fence of a probe, behind NULs that take 1.3 s at 9600 baud.
    trouble_s: for a person who changes the roll or closes the cover; after that the paper is UNKNOWN and the next
    customer's comes first. ready_s: for all questions before a paper, and paper_s for the paper, however the link
    dribbles and the printer dawdles.
    """

    reply_s: float = 0.5
    offer_s: float = 0.5
    fence_s: float = 8.0
    settle_s: float = 6.0
    quiet_s: float = 0.5
    probe_s: float = 2.5
    trouble_s: float = 120.0
    ready_s: float = 30.0
    paper_s: float = 300.0


class PrintEnd(NamedTuple):
    """How a paper ended. state: PRINTED, NOT_PRINTED or UNKNOWN; reason: a short code, None when it was printed."""

    state: JobState
    reason: str | None = None


class Probe(NamedTuple):
    """What a printer turned out to be. model: what it calls itself, "" when it does not say."""

    abilities: Abilities
    state: PrinterState | None
    model: str


class ProbeError(Exception):
    """What the printer can do cannot be found out now, and why, as a short code: it is offline, say."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the printer cannot be asked what it can do: {reason}")
        self.reason = reason


class _Asked(NamedTuple):
    """A fence under way, and how many bytes had been sent when it was."""

    fence: bytes
    at_bytes: int


class _Pace:
    """How far a paper is ahead of the printer's answers: half a buffer at most, because profiles guess."""

    def __init__(self, buffer_bytes: int) -> None:
        self.outstanding: deque[_Asked] = deque()
        self.sent: list[bytes] = []
        self._answered_bytes = 0
        self._ahead_max_bytes = buffer_bytes // 2 - _BESIDES_BYTES
        self._window_bytes = buffer_bytes // 4

    def wants_fence(self, sent_bytes: int, next_bytes: int) -> bool:
        """Whether a fence is due before the next bytes, where only one may be under way."""
        ahead_bytes = sent_bytes - self._answered_bytes
        due = ahead_bytes >= self._window_bytes or ahead_bytes + next_bytes > self._ahead_max_bytes
        return not self.outstanding and ahead_bytes > 0 and due

    def too_far(self, sent_bytes: int, next_bytes: int) -> bool:
        """Whether the oldest answer has to be waited for before the next bytes go."""
        return bool(self.outstanding) and sent_bytes + next_bytes - self._answered_bytes > self._ahead_max_bytes

    def asked(self, fence: bytes, sent_bytes: int) -> None:
        """A fence has been sent."""
        self.outstanding.append(_Asked(fence, sent_bytes))
        self.sent.append(fence)

    def answered(self) -> None:
        """The oldest fence has been answered."""
        self._answered_bytes = self.outstanding.popleft().at_bytes


class _GaveUpError(Exception):
    """Patience is at its end."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def _nothing() -> None:
    """For papers that nobody keeps a list of."""


def _unwatched(trouble: str | None) -> None:
    """For sessions that nobody looks at."""


class PrinterSession:
    """One printer behind one link, one paper at a time.

    abilities: what a probe has found, instead of what the profile supposes. monotonic: seconds that never go back.
    watch: told the trouble as a short code whenever it changes, and None when it is over.
    """

    def __init__(
        self,
        link: Link,
        profile: Profile,
        *,
        monotonic: Callable[[], float],
        abilities: Abilities | None = None,
        watch: Callable[[str | None], None] = _unwatched,
        patience: Patience | None = None,
    ) -> None:
        self.profile = profile
        self.abilities = abilities or profile.abilities
        self._link = link
        self._now = monotonic
        self._tell = watch
        self._patience = patience or Patience()
        self._demultiplexer = Demultiplexer()
        self._inbox: deque[Reply] = deque(maxlen=_INBOX_MAX)
        self._automatic: PrinterState | None = None
        self._trouble: str | None = None
        self._open = False
        self._settled = False  # Nobody knows what an earlier run or another program left in the printer.
        self._fences = 0
        self._sent_bytes = 0
        self._answered: set[bytes] = set()
        self._held = False  # The link did not let the last question through.
        self._all_until = 0.0
        self._begun_s = 0.0
        self._heard_s = 0.0
        self._printing = False  # Then a person has time to help; before, the paper simply waits.

    async def close(self) -> None:
        """Hang up. The next paper opens the link anew."""
        self._open = self._settled = False
        await self._link.close()

    async def probe(self) -> Probe:
        """Ask what the printer can do; `abilities` are these from now on. Prints nothing, takes a few seconds at most.

        Raises LinkError; ProbeError while the printer is offline or holds back what it is sent.
        """
        self._all_until = self._now() + self._patience.ready_s
        try:
            await self._connect()
            await self._start_afresh()
            return await self._probe()
        except LinkError:
            await self.close()
            raise
        except _GaveUpError as gave_up:
            raise ProbeError(gave_up.reason) from gave_up

    async def preflight(self) -> str | None:
        """Why the printer would not print now, as a short code, or None; also where the link is the reason."""
        self._all_until = self._now() + self._patience.ready_s
        try:
            return await self._ready()
        except LinkError as error:
            await self.close()
            return error.reason
        except _GaveUpError as gave_up:
            return gave_up.reason

    async def print(
        self, paper: Sequence[Segment], *, starting: Callable[[], Awaitable[None]] = _nothing
    ) -> PrintEnd:
        """Print a paper once.

        starting is awaited before the first byte that can print leaves; what it raises ends the job with nothing sent.
        A job that is cancelled after that is UNKNOWN.
        """
        job = PrintJob()
        job.happened(Happening.BEGUN)
        reason = await self.preflight()
        if reason is not None:
            self._watch(reason)
            job.happened(Happening.REFUSED, reason)
            return PrintEnd(job.state, job.reason)
        await starting()
        job.happened(Happening.READY)
        self._printing = True
        self._all_until = self._now() + self._patience.paper_s
        try:
            await self._print(paper, job)
        except LinkError as lost:
            await self.close()
            job.happened(Happening.LOST, lost.reason)
        except _GaveUpError as gave_up:
            if job.state is JobState.SENDING:
                await self.close()  # What the link still holds must not come out minutes later.
            job.happened(Happening.GAVE_UP, gave_up.reason)
        finally:
            self._printing = False
            if not job.ended:
                await self.close()  # Cancelled: what the link still holds must not come out by itself.
        self._watch(job.reason)
        return PrintEnd(job.state, job.reason)

    # One paper.

    async def _print(self, paper: Sequence[Segment], job: PrintJob) -> None:
        self._settled = False
        self._answered.clear()
        self._forget(Ordered)
        self._begun_s = self._now()
        pace = _Pace(self.profile.buffer_bytes)
        self._sent_bytes = 0
        for segment in paper:
            if self.abilities.fence is not Fence.NONE:
                await self._keep_pace(pace, len(segment.data))
            await self._send(segment.data)
            if segment.kind is Kind.SETUP:
                await self._send(auto_status(on=self._wants_automatic))  # Set-up ends it on some printers.
            elif self.abilities.marks:
                pace.asked(await self._send_fence(), self._sent_bytes)
        if self.abilities.fence is Fence.NONE:
            await self._rest_of(paper)
            raise _GaveUpError("no-fence")
        if not self.abilities.marks and pace.outstanding:
            await self._answer(pace.outstanding[-1].fence)  # Without names only one answer may be under way.
        self._forget(Ordered)
        last = await self._send_fence()
        job.happened(Happening.SENT)
        await self._answer(last)
        self._settled = True
        if self.abilities.marks and not self._answered.issuperset(pace.sent):
            # Bytes were lost on the way and a band swallowed the question behind it: what came out is not the paper.
            raise _GaveUpError("marks-missing")
        if self.abilities.fence is Fence.GS_R:
            await self._rest_of(paper)
        job.happened(Happening.ANSWERED)

    async def _keep_pace(self, pace: "_Pace", next_bytes: int) -> None:
        """Never be further ahead of the printer's answers than its buffer can hold: no link is trusted to hold back."""
        while pace.outstanding and pace.outstanding[0].fence in self._answered:
            pace.answered()
        while True:
            if not self.abilities.marks and pace.wants_fence(self._sent_bytes, next_bytes):
                pace.asked(await self._send_fence(), self._sent_bytes)
            if not pace.too_far(self._sent_bytes, next_bytes):
                return
            await self._answer(pace.outstanding[0].fence)
            pace.answered()

    async def _rest_of(self, paper: Sequence[Segment]) -> None:
        """Some printers answer on arrival: let the paper come out, and see that nothing stopped it."""
        rows = sum(segment.rows for segment in paper)
        await self._wait(self._begun_s + rows / _ROWS_PER_S - self._now())
        if self.abilities.realtime:
            state = await self._state()
            if state is None:
                raise _GaveUpError("printer-silent")
            if state.trouble is not None:
                raise _GaveUpError(state.trouble)

    async def _answer(self, last: bytes) -> None:
        """Wait for a fence; when it is late, find out why, and let a person mend it."""
        patience = self._patience
        until = self._now() + patience.fence_s
        trouble_until: float | None = None
        while True:
            if await self._fence_within(last, patience.reply_s):
                self._watch(None)
                return
            self._mind_the_time()
            state = await self._state() if self.abilities.realtime else self._automatic
            if last in self._answered:
                continue
            trouble = state.trouble if state is not None else self._trouble_of_link()
            if trouble is not None:
                self._watch(trouble)
                trouble_until = trouble_until or self._now() + patience.trouble_s
                if self._now() >= trouble_until:
                    raise _GaveUpError(trouble)
                until = self._now() + patience.fence_s
                continue
            if state is not None:
                self._watch(None)
            if self._now() >= until:
                silent = state is None and self.abilities.realtime
                raise _GaveUpError("printer-silent" if silent else "fence-missing")

    def _trouble_of_link(self) -> str | None:
        """What is known where the link lets no question through."""
        if not self._held:
            return None
        return self._automatic.trouble if self._automatic is not None and self._automatic.trouble else "stalled"

    async def _fence_within(self, last: bytes, timeout_s: float) -> bool:
        until = self._now() + timeout_s
        while last not in self._answered:
            if self._ordered_answer():
                self._answered.add(last)
                return True
            left_s = until - self._now()
            if left_s <= 0:
                return False
            await self._hear(left_s)
        return True

    def _ordered_answer(self) -> bool:
        """Whether a printer whose fence is GS r has answered. One that says that its paper has ended proves nothing."""
        if self.abilities.fence is not Fence.GS_R:
            return False
        answer = self._taken(Ordered)
        if isinstance(answer, Ordered) and answer.status & _ORDERED_PAPER_OUT:
            raise _GaveUpError("paper-out")
        return answer is not None

    # Readiness.

    async def _ready(self) -> str | None:
        """None once the printer listens, has nothing broken in it, and reports no trouble."""
        was_open = self._open
        await self._connect()
        await self._hear(0)
        self._demultiplexer.reset()  # A printer at rest says nothing by halves.
        try:
            reason = await self._at_rest()
        except LinkError:
            if not was_open:
                raise
            reason = "printer-silent"
        if reason == "printer-silent" and was_open:
            # A link can seem alive long after the printer was switched off: once anew before anybody is told.
            await self.close()
            await self._connect()
            reason = await self._at_rest()
        if reason is None:
            self._watch(None)
        return reason

    async def _at_rest(self) -> str | None:
        if not self._settled:
            await self._send(bytes(_HEADER_BYTES_MAX))
        if self.abilities.realtime:
            state = await self._state()
            if state is None:
                return "stalled" if self._held else "printer-silent"
            if state.trouble is not None:
                return state.trouble
        if self._settled:
            return None
        await self._start_afresh()
        if None in (self.abilities.fence, self.abilities.realtime, self.abilities.marks):
            await self._probe()
        return await self._settle()

    async def _start_afresh(self) -> None:
        """Complete whatever command broke off, and set the printer up. It prints at most the rest of a broken paper."""
        await self._send(completion(self.profile))
        await self._send(initialize())
        await self._send(auto_status(on=self._wants_automatic))

    @property
    def _wants_automatic(self) -> bool:
        return bool(self.abilities.auto_status) and self.abilities.fence is Fence.GS_H

    async def _settle(self) -> str | None:
        """See that the printer executes what it is sent, with no answer of an earlier paper still to come."""
        kind = self.abilities.fence
        if kind in (None, Fence.NONE):
            self._settled = True
            return None
        self._forget(Ordered)
        if not await self._fence_within(await self._send_fence(), self._patience.settle_s):
            return "printer-busy"
        if kind is Fence.GS_R and not await self._alone():
            return "printer-busy"
        self._settled = True
        return None

    async def _alone(self) -> bool:
        """Whether one question without a name gets one answer: then none is owed any more, of whatever broke off."""
        until = self._now() + self._patience.settle_s
        while self._now() < until:
            await self._wait(self._patience.quiet_s)
            self._forget(Ordered)
            if not await self._fence_within(await self._send_fence(), self._patience.settle_s):
                return False
            await self._wait(self._patience.quiet_s)
            if self._taken(Ordered) is None:
                return True
        return False

    async def _probe(self) -> Probe:
        """See `probe`; on a link that is open, with a printer that was set up afresh."""
        await self._send(auto_status(on=False))
        state = await self._state()
        if state is None and self._held:
            raise _GaveUpError("stalled")
        if state is not None and state.trouble is not None:
            raise _GaveUpError(state.trouble)  # It executes nothing now: what it leaves unanswered says nothing.
        self.abilities = replace(self.abilities, realtime=state is not None)
        before = self.abilities
        try:
            found, marks = await self._probe_fence()
        except (LinkError, _GaveUpError):
            self.abilities = before  # A guess that was under way is no finding.
            raise
        if found is Fence.NONE and state is not None and before.fence not in (None, Fence.NONE):
            self.abilities = before
            raise _GaveUpError("fence-missing")  # It used to answer, and now does not: a bad moment is no finding.
        self.abilities = replace(self.abilities, fence=found, marks=marks)
        self._forget(Identity)
        await self._send(identity(MODEL_NAME))
        name = await self._reply(Identity, self._patience.reply_s)
        model = name.text if isinstance(name, Identity) else ""
        automatic = found is Fence.GS_H and await self._probe_automatic()
        self.abilities = replace(self.abilities, identity=bool(model), auto_status=automatic)
        # A printer that does not know a question may have taken it for letters: they must not stand on the next paper.
        await self._send(initialize())
        return Probe(self.abilities, state, model)

    async def _probe_fence(self) -> tuple[Fence, bool]:
        """Which fence is answered, and whether each of several in a row is."""
        self.abilities = replace(self.abilities, fence=Fence.GS_H)
        if await self._fence_within(await self._send_fence(), self._patience.probe_s):
            several = [await self._send_fence() for _ in range(_MARKS_PROBED)]
            each = [await self._fence_within(one, self._patience.reply_s) for one in several]
            return Fence.GS_H, all(each)
        await self._send(initialize())
        if not self.abilities.realtime:
            # Noise on a line, an echo or an answer on arrival could pass for the one byte of GS r: it is believed only
            # of printers whose paper sensor can be asked besides.
            return Fence.NONE, False
        self.abilities = replace(self.abilities, fence=Fence.GS_R)
        self._forget(Ordered)
        answered = await self._fence_within(await self._send_fence(), self._patience.reply_s)
        return (Fence.GS_R if answered else Fence.NONE), False

    async def _probe_automatic(self) -> bool:
        self._automatic = None
        await self._send(auto_status(on=True))
        until = self._now() + self._patience.reply_s
        while not self._reports_itself and (left_s := until - self._now()) > 0:
            await self._hear(left_s)
        return self._reports_itself

    @property
    def _reports_itself(self) -> bool:
        return self._automatic is not None

    async def _state(self) -> PrinterState | None:
        """The printer's state in real time; None when it does not answer. Only between bands.

        A round whose answers are followed by one more was joined by the answer to something else: it is asked again.
        """
        for _ in range(_ROUNDS_MAX):
            self._forget(RealTime)
            answers = {}
            slowest_s = 0.0
            for question in (1, 2, 4):
                asked = self._now()
                answer = await self._realtime(question)
                if answer is None:
                    return None
                slowest_s = max(slowest_s, self._now() - asked)
                answers[question] = answer
            quiet_s = min(max(2 * slowest_s, _QUIET_MIN_S), self._patience.quiet_s)
            if await self._reply(RealTime, quiet_s) is not None:
                continue
            state = state_of_round(answers[1], answers[2], answers[4])
            if state.error:
                cause = await self._realtime(3)
                state = state_of_round(answers[1], answers[2], answers[4], cause or 0)
            battery = self._automatic is not None and self._automatic.low_battery  # No question has a bit for it.
            return replace(state, low_battery=battery)
        return None

    async def _realtime(self, question: int) -> int | None:
        self._held = not await self._link.urge(realtime_status(question))
        if self._held:
            return None
        answer = await self._reply(RealTime, self._patience.reply_s)
        return answer.status if isinstance(answer, RealTime) else None

    # The link.

    async def _connect(self) -> None:
        if self._open:
            return
        await self._link.open()
        self._open = True
        self._settled = False
        self._automatic = None
        self._demultiplexer.reset()
        self._inbox.clear()

    async def _send(self, data: bytes) -> None:
        """Offer the bytes until the link has taken all. Raises _GaveUpError when it holds back for too long."""
        patience, offset = self._patience, 0
        until: float | None = None
        while offset < len(data):
            taken = await self._link.write(data[offset:], patience.offer_s)
            offset += taken
            self._sent_bytes += taken
            await self._hear(0)
            self._mind_the_time()
            if taken:
                until = None
                continue
            reason = await self._why_held(between=offset == 0 or not data.strip(b"\x00"))
            self._watch(reason)
            until = until or self._now() + (patience.trouble_s if self._printing else patience.settle_s)
            if self._now() >= until or not (self._printing or reason == "stalled"):
                raise _GaveUpError(reason)
        if self._trouble == "stalled":
            self._watch(None)

    def _mind_the_time(self) -> None:
        """Neither a paper nor the questions before it take for ever."""
        if self._now() >= self._all_until:
            raise _GaveUpError(self._trouble or "stalled")

    async def _why_held(self, *, between: bool) -> str:
        """Why the link takes no more. Inside a band only a printer that speaks by itself can tell."""
        if self._automatic is not None and self._automatic.trouble is not None:
            return self._automatic.trouble
        if between and self.abilities.realtime:
            state = await self._state()
            if state is not None and state.trouble is not None:
                return state.trouble
        return "stalled"

    async def _send_fence(self) -> bytes:
        """Send a fence; what its answer is known by."""
        assert self.abilities.fence is not None
        self._fences = (self._fences + 1) % FENCES_MAX
        await self._send(fence(self.abilities.fence, self._fences))
        return fence_id(self._fences)

    async def _hear(self, timeout_s: float) -> None:
        """Take in what the printer has said."""
        heard = await self._link.read(timeout_s)
        if heard:
            if self._now() - self._heard_s > _BREAK_S:
                self._demultiplexer.reset()  # The rest of what began so long ago does not come any more.
            self._heard_s = self._now()
        for reply in self._demultiplexer.feed(heard):
            if isinstance(reply, AutoStatus):
                self._automatic = state_of_auto(reply.status)
            elif isinstance(reply, JobDone):
                self._answered.add(reply.fence)
            else:
                self._inbox.append(reply)

    async def _reply(self, kind: type[Reply], timeout_s: float) -> Reply | None:
        """The next reply of a kind, or None when none comes in time."""
        until = self._now() + timeout_s
        while (found := self._taken(kind)) is None:
            left_s = until - self._now()
            if left_s <= 0:
                return None
            await self._hear(left_s)
        return found

    async def _wait(self, seconds: float) -> None:
        """Let time pass, listening."""
        until = self._now() + seconds
        while (left_s := until - self._now()) > 0:
            await self._hear(left_s)

    def _taken(self, kind: type[Reply]) -> Reply | None:
        for reply in self._inbox:
            if isinstance(reply, kind):
                self._inbox.remove(reply)
                return reply
        return None

    def _forget(self, kind: type[Reply]) -> None:
        self._inbox = deque((one for one in self._inbox if not isinstance(one, kind)), maxlen=_INBOX_MAX)

    def _watch(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._tell(trouble)
