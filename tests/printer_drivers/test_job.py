"""The table of a print job, walked in every order of happenings."""

from itertools import product

import pytest

from printer_drivers.job import ENDS, NEXT, Happening, JobState, PrintJob


def test_every_state_that_is_no_end_can_be_left_and_no_end_can() -> None:
    left = {state for state, _ in NEXT}
    assert left == set(JobState) - ENDS


def test_not_printed_is_reached_from_before_the_point_of_no_return_only() -> None:
    assert {state for (state, _), end in NEXT.items() if end is JobState.NOT_PRINTED} == {JobState.CHECKING}


def test_printed_is_reached_by_an_answer_alone() -> None:
    ways = [way for way, end in NEXT.items() if end is JobState.PRINTED]
    assert ways == [(JobState.FENCED, Happening.ANSWERED)]


@pytest.mark.parametrize("state", [state for state in JobState if state not in ENDS])
def test_a_restart_leaves_a_job_to_print_only_while_nothing_had_left(state: JobState) -> None:
    after = NEXT[state, Happening.RESTARTED]
    assert after is (JobState.QUEUED if state in (JobState.QUEUED, JobState.CHECKING) else JobState.UNKNOWN)


def test_every_walk_ends_and_stays_ended() -> None:
    for walk in product(Happening, repeat=4):
        job = PrintJob()
        for what in walk:
            if job.ended or (job.state, what) not in NEXT:
                with pytest.raises(AssertionError, match="cannot be"):
                    job.happened(what)
                break
            job.happened(what, "why")
            assert job.reason == "why"
