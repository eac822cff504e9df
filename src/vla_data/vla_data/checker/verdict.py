"""The verdict on one recording, in one object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vla_data.checker import execution
from vla_data.checker.execution import Execution, judge_execution
from vla_data.checker.limits import Violation, check_limits
from vla_data.recording import Recording
from vla_data.robot import Robot


@dataclass(frozen=True, eq=False)
class Verdict:
    """What an independent judge says of the commands in one recording."""

    commands: int
    violations: Sequence[Violation]
    execution: Execution

    @property
    def by_kind(self) -> dict[str, int]:
        """Number of violations of each kind."""
        return dict(Counter(violation.kind for violation in self.violations))

    @property
    def passed(self) -> bool:
        """Whether something was judged, no limit was violated and no tick starved."""
        return bool(self.commands) and not self.violations and not self.execution.starved


def check(recording: Recording | Path, robot: Robot | None = None) -> Verdict:
    """Judge a recording, all of its tasks together.

    Raises:
        ConfigurationError: no bag, or no contract in it and none given.
    """
    if isinstance(recording, Path):
        recording = Recording(recording, robot)
    parts = [judge_execution(recording, *span) for span in execution.spans(recording)]
    return Verdict(
        commands=sum(len(commands) for commands in recording.commands.values()),
        violations=check_limits(recording),
        execution=execution.join(parts),
    )
