"""Simulated wall time for real processes: a file that hub and handhelds read and only the simulator moves."""

from pathlib import Path


class ClockFile:
    """Milliseconds since 1970 UTC in a file, replaced in one step so that no reader sees half a number."""

    def __init__(self, path: Path, at_ms: int) -> None:
        self.path = path
        self.at_ms = 0
        self.set(at_ms)

    def set(self, at_ms: int) -> None:
        """Move to an instant, never backwards."""
        assert at_ms >= self.at_ms, "the simulator's time runs forward"
        self.at_ms = at_ms
        draft = self.path.with_suffix(".new")
        draft.write_text(str(at_ms), encoding="ascii")
        draft.replace(self.path)

    def pass_by(self, step_ms: int) -> None:
        """Let some time go by."""
        self.set(self.at_ms + step_ms)
