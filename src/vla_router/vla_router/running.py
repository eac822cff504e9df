"""One task from its goal to its result: what is known of it, and when it is over. No ROS."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from vla_core.types import NS_PER_S
from vla_interfaces.action import RunTask

Result = RunTask.Result


@dataclass
class Ending:
    """How a task ended, for its result."""

    ended: int
    success: int
    message: str


@dataclass
class Running:
    """A task that the executor works on.

    It ends once: the first ending stays, the result is sent when the robot is at rest.
    """

    task_id: str
    instruction: str
    policy: str
    time_limit_s: float
    began_ns: int
    judged: bool = False  # a judge knows the instruction
    ending: Ending | None = None
    ending_since_s: float = math.nan  # steady
    mode: int = 0
    reason: str = ""
    chunks: int = 0
    boot_id: int = 0  # of the executor that has the goal
    restarted_s: float = -math.inf  # steady; when the newest one took it over
    _past_chunks: int = field(default=0, repr=False)

    def elapsed_s(self, now_ns: int) -> float:
        """Return the time since it began [s]."""
        return (now_ns - self.began_ns) / NS_PER_S

    def end(self, ended: int, message: str, success: int | None = None) -> bool:
        """Note how it ended; returns False if that was known already."""
        if self.ending is not None:
            return False
        if success is None:
            success = Result.SUCCESS_NO if self.judged else Result.SUCCESS_UNKNOWN
        self.ending = Ending(ended, success, message)
        return True

    def enforce_time_limit(self, now_ns: int) -> bool:
        """End it if its time is up; returns whether it is."""
        if self.elapsed_s(now_ns) < self.time_limit_s:
            return False
        return self.end(
            Result.ENDED_TIME_LIMIT, f"the time limit of {self.time_limit_s:g} s is reached"
        )

    def restarted(self, now_s: float) -> None:
        """A new executor has taken it over; its counter begins at 0."""
        self.restarted_s = now_s
        self._past_chunks += self.chunks
        self.chunks = 0

    @property
    def all_chunks(self) -> int:
        """Chunks accepted by all executors that worked on it."""
        return self._past_chunks + self.chunks
