"""What the hub is sent, when, and what it takes to believe its answer."""

from random import Random

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from

from device.core.commands import SendNow
from device.core.effects import AskHead, KeepAck, Upload
from device.core.events import Tick, UploadAcked, UploadLost, UploadRefused
from device.core.outbox import WAIT_FIRST_MS, WAIT_MAX_MS, WAIT_REFUSED_MS, WINDOW_START, Outbox
from protocol import wire
from protocol.chain import digest
from protocol.wire import UPLOAD_RECORDS_MAX, RefusalCode
from tests.device.branch import DEVICE_KEY, NOON_MS
from tests.device.handset import Handset

CALL_MS = 100


class Line:
    """An outbox, a hub that holds `have` records, and a line between them that does what a test says."""

    def __init__(self, head: int, seed: int = 1, carries: int = UPLOAD_RECORDS_MAX) -> None:
        self.outbox = Outbox(head=head, acked=0, random=Random(seed))
        self.have = 0
        self.now_ms = 0
        self.carries = carries
        self.calls = 0

    def next_call(self) -> Upload | AskHead:
        """Let time pass until something is sent."""
        for _ in range(2 * WAIT_REFUSED_MS // CALL_MS):
            if (send := self.outbox.due(self.now_ms)) is not None:
                self.calls += 1
                self.now_ms += CALL_MS
                return send
            self.now_ms += CALL_MS
        raise AssertionError("something is pending, and nothing is sent")

    def serve(self, send: Upload | AskHead) -> None:
        """A hub in good health at the end of a line that carries so many records in one call."""
        outbox = self.outbox
        if isinstance(send, AskHead):
            outbox.has(self.have)
        elif send.to_seq - send.from_seq >= self.carries:
            outbox.lost("too slow", self.now_ms)
        elif send.from_seq > self.have + 1:
            outbox.refused(RefusalCode.GAP, "gap", self.have, self.now_ms)
        else:
            self.have = max(self.have, send.to_seq)
            outbox.has(send.to_seq)

    def fail(self, send: Upload | AskHead, fault: str) -> None:
        """One call that goes wrong."""
        outbox = self.outbox
        match fault:
            case "lost on the way":
                outbox.lost(fault, self.now_ms)
            case "answer lost":
                if isinstance(send, Upload) and send.from_seq <= self.have + 1:
                    self.have = max(self.have, send.to_seq)
                outbox.lost(fault, self.now_ms)
            case "old answer":
                outbox.has(self.have // 2)
            case "hub restored":
                self.have //= 2
                outbox.lost(fault, self.now_ms)
            case "claims too much":
                outbox.refused(RefusalCode.GAP, fault, outbox.head + 7, self.now_ms)
            case code:
                outbox.refused(code, fault, None, self.now_ms)


FAULTS = (
    *("lost on the way", "answer lost", "old answer", "hub restored", "claims too much"),
    *(RefusalCode.TOO_LARGE, RefusalCode.STORAGE, RefusalCode.UNKNOWN_KEY, RefusalCode.TIMED_OUT, "other-history"),
)


@given(
    head=integers(1, 3_000),
    faults=lists(sampled_from(FAULTS), max_size=25),
    carries=sampled_from((1, 7, 400, UPLOAD_RECORDS_MAX)),
    seed=integers(0, 99),
)
def test_everything_arrives_once_the_faults_stop(head: int, faults: list[str], carries: int, seed: int) -> None:
    line = Line(head, seed, carries)
    for fault in faults:
        if line.outbox.unsent == 0:
            break
        line.fail(line.next_call(), fault)
        assert 0 <= line.outbox.acked <= line.outbox.head
    healed_ms, line.calls = line.now_ms, 0
    # Each window that fits follows at most one that was too large, with the question for the head between them.
    enough = 3 * (-(-head // (carries // 2 + 1)) + 10) + 3
    while line.outbox.unsent:
        line.serve(line.next_call())
        assert 0 <= line.outbox.acked <= line.outbox.head
        assert line.calls <= enough
    assert line.now_ms - healed_ms <= WAIT_REFUSED_MS + enough * (WAIT_FIRST_MS + 2 * CALL_MS) + 10 * WAIT_MAX_MS
    assert line.have == head or "hub restored" in faults


def test_nothing_pending_sends_nothing() -> None:
    outbox = Outbox(head=5, acked=5, random=Random(1))
    assert outbox.due(10**9) is None
    outbox.made(6)
    assert outbox.due(10**9) == Upload(from_seq=6, to_seq=6)


def test_one_call_at_a_time() -> None:
    outbox = Outbox(head=5, acked=0, random=Random(1))
    assert outbox.due(0) == Upload(from_seq=1, to_seq=5)
    outbox.made(6)
    assert outbox.due(0) is None
    assert outbox.busy
    outbox.has(5)
    assert outbox.due(0) == Upload(from_seq=6, to_seq=6)


def test_window_halves_when_the_line_breaks_and_doubles_when_records_arrive() -> None:
    outbox = Outbox(head=100_000, acked=0, random=Random(1))
    sizes = []
    for works in (False, False, True, True, True, True):
        outbox.hurry()
        send = outbox.due(0)
        if isinstance(send, AskHead):
            outbox.has(outbox.acked)
            send = outbox.due(0)
        assert isinstance(send, Upload)
        sizes.append(send.to_seq - send.from_seq + 1)
        if works:
            outbox.has(send.to_seq)
        else:
            outbox.lost("x", 0)
    assert sizes == [WINDOW_START, WINDOW_START // 2, WINDOW_START // 4, WINDOW_START // 2, WINDOW_START, 1_000]


def test_upload_that_is_too_large_is_halved_at_once_down_to_one() -> None:
    outbox = Outbox(head=8, acked=0, random=Random(1))
    sizes = set()
    for _ in range(20):
        outbox.hurry()
        send = outbox.due(0)
        assert isinstance(send, Upload)
        sizes.add(send.to_seq)
        outbox.refused(RefusalCode.TOO_LARGE, "x", None, 0)
    assert min(sizes) == 1
    assert outbox.due(0) is None  # Even one record is too large: that needs a person, and patience.


@pytest.mark.parametrize("seed", range(20))
def test_waits_grow_to_a_minute_and_are_spread(seed: int) -> None:
    outbox = Outbox(head=1, acked=0, random=Random(seed))
    outbox.due(0)
    for failures in range(1, 15):
        outbox.lost("x", 0)
        wait_ms = min(WAIT_FIRST_MS * 2 ** (failures - 1), WAIT_MAX_MS)
        assert outbox.due(wait_ms // 2 - 1) is None
        assert outbox.due(wait_ms) is not None


def test_handhelds_that_lose_the_hub_together_do_not_come_back_together() -> None:
    starts = set()
    for seed in range(23):
        line = Line(1, seed)
        line.outbox.due(0)
        line.outbox.lost("x", 0)
        while line.outbox.due(line.now_ms) is None:
            line.now_ms += 1
        starts.add(line.now_ms)
    assert len(starts) > 15


@pytest.mark.parametrize("code", [RefusalCode.STORAGE, RefusalCode.UNKNOWN_KEY, RefusalCode.NOT_CONFIRMED, "new-code"])
def test_refusal_drops_nothing_and_is_asked_again_within_five_minutes(code: str) -> None:
    outbox = Outbox(head=3, acked=1, random=Random(1))
    now_ms = 0
    for _ in range(8):
        assert outbox.due(now_ms) == Upload(from_seq=2, to_seq=3)
        outbox.refused(code, "x", None, now_ms)
        assert (outbox.unsent, outbox.trouble) == (2, "x")
        now_ms += WAIT_REFUSED_MS
    outbox.due(now_ms)
    outbox.has(3)
    assert (outbox.unsent, outbox.trouble) == (0, "")


def test_old_ack_never_moves_back_and_none_moves_past_the_end() -> None:
    outbox = Outbox(head=10, acked=0, random=Random(1))
    for seq, acked in ((4, 4), (2, 4), (0, 4), (99, 10), (5, 10)):
        outbox.has(seq)
        assert outbox.acked == acked


def test_gap_that_repeats_itself_does_not_spin() -> None:
    outbox = Outbox(head=10, acked=6, random=Random(1))
    assert outbox.due(0) == Upload(from_seq=7, to_seq=10)
    outbox.refused(RefusalCode.GAP, "x", 2, 0)
    assert outbox.due(0) == Upload(from_seq=3, to_seq=10)
    outbox.refused(RefusalCode.GAP, "x", 2, 0)
    assert outbox.due(WAIT_MAX_MS // 2 - 1) is None
    assert outbox.due(WAIT_MAX_MS) == Upload(from_seq=1, to_seq=10)


# Under a session: what it takes to believe the hub.


@pytest.fixture
def walking() -> Handset:
    """A handheld in the middle of a day."""
    handset = Handset()
    handset.open_shift()
    return handset


def test_only_an_ack_of_our_own_digest_moves_the_counter(walking: Handset) -> None:
    walking.read(1)
    whole = walking.session.work.tip.seq
    stranger = wire.seal_ack(
        wire.Ack(device=7, from_seq=1, to_seq=whole, digest=walking.session.work.tip.digest, hub_ms=NOON_MS, changes=0),
        DEVICE_KEY,
    )
    lies = {
        "not the hub's key": stranger,
        "another handheld's": walking.signed_ack(whole, device=8),
        "another history": walking.signed_ack(whole, name=b"\x02" * 32),
        "more than there is": walking.signed_ack(9, name=b"\x02" * 32),
        "a captive portal": b"<html>",
    }
    for what, message in lies.items():
        effects = walking.give(UploadAcked(message=message))
        assert not any(isinstance(effect, KeepAck) for effect in effects), what
        assert walking.session.outbox.unsent == whole, what
        assert walking.session.outbox.trouble, what
        walking.wait(600_000)
        walking.give(Tick())
    walking.give(UploadAcked(message=walking.signed_ack(whole)))
    assert (walking.session.outbox.unsent, walking.store.acked[0]) == (0, whole)


def test_next_record_bears_witness_of_the_last_ack(walking: Handset) -> None:
    message = walking.signed_ack(1)
    walking.give(UploadAcked(message=message))
    for restarted in (False, True):
        if restarted:
            walking.restart()
        evidence = walking.read(1).header.evidence
        assert evidence is not None
        assert evidence.ack == digest(message)


def test_refusal_with_an_ack_keeps_what_the_hub_kept(walking: Handset) -> None:
    walking.read(1)
    walking.read(2)
    refusal = UploadRefused(code="bad-signature", sentence="x", have_seq=2, ack=walking.signed_ack(2))
    walking.give(refusal)
    assert (walking.session.outbox.unsent, walking.store.acked[0]) == (2, 2)


def test_hub_restored_from_a_backup_gets_again_what_it_lost(walking: Handset) -> None:
    walking.read(1)
    walking.read(2)
    walking.give(UploadAcked(message=walking.signed_ack(4)))
    walking.read(3)
    assert walking.asked[-1] == Upload(from_seq=5, to_seq=5)
    walking.give(UploadRefused(code="gap", sentence="x", have_seq=2, ack=None))
    walking.give(Tick())
    assert walking.asked[-1] == Upload(from_seq=3, to_seq=5)
    assert walking.session.outbox.unsent == 3


def test_hub_that_claims_more_than_it_signed_for_is_sent_the_whole_chain(walking: Handset) -> None:
    walking.read(1)
    walking.give(UploadAcked(message=walking.signed_ack(3)))
    walking.read(2)
    walking.give(UploadRefused(code="gap", sentence="x", have_seq=4, ack=None))
    assert walking.session.outbox.unsent == 4  # A refusal is not signed: it can make the counter larger, never smaller.
    walking.wait(600_000)
    walking.give(Tick())
    assert walking.asked[-1] == Upload(from_seq=1, to_seq=4)


def test_lost_answer_is_followed_by_a_question_for_the_head(walking: Handset) -> None:
    walking.read(1)
    walking.give(UploadLost(sentence="no answer"))
    walking.wait(1_000)
    walking.give(Tick())
    assert walking.asked[-1] == AskHead()


def test_tap_on_send_forgets_the_wait(walking: Handset) -> None:
    walking.give(UploadLost(sentence="no answer"))
    assert not any(isinstance(effect, Upload | AskHead) for effect in walking.give(Tick()))
    assert any(isinstance(effect, Upload | AskHead) for effect in walking.give(SendNow()))
