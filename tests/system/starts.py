"""What the tests of the launch file start, and what they tell it to do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from commands import MARK

VLA = (sys.executable, "-m", "vla_bringup.cli")
SECONDS = 3.0  # of a task that nobody judges


@dataclass(frozen=True)
class Start:
    """A robot behind a backend, a task for it, and what its bridge needs beyond ROS."""

    robot: str
    backend: str
    policy: str
    instruction: str
    needs: str = ""

    def __str__(self) -> str:
        return f"{self.robot}-{self.backend}"

    @property
    def arguments(self) -> dict[str, str]:
        """Return the arguments of the launch file."""
        return {"robot": self.robot, "backend": self.backend, "policy": self.policy}

    @property
    def is_judged(self) -> bool:
        """Return whether somebody tells when the task is done."""
        return self.backend == "sim"


MOCKS = (
    Start("so101", "mock", "reach", "wave"),
    Start("hsr", "mock", "hsr_sway", "sway", needs="tmc_control_msgs"),
    Start("go2_arm", "mock", "patrol", "patrol", needs="unitree_go"),
)
SIMULATIONS = (
    Start("so101", "sim", "expert", "put the red cube on the purple pad"),
    Start("hsr", "sim", "hsr_expert", "fetch the red can"),
    Start("go2_arm", "sim", "go2_arm_expert", "go to the red cube and lift it"),
)


def do(start: Start, domain: int) -> str:
    """Do the task from a terminal, to its end where it is judged; return what was said."""
    limit_s = 60.0 if start.is_judged else SECONDS
    answer = subprocess.run(
        [*VLA, "task", start.instruction, "--time-limit", str(limit_s)],
        env={**os.environ, "ROS_DOMAIN_ID": str(domain), MARK: ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,
    )
    return answer.stdout


def check_done(start: Start, said: str) -> None:
    """Assert that the task ran, and ended as it should."""
    assert "running" in said, said
    assert ("completed, succeeded" if start.is_judged else "time limit") in said, said
