"""The same graph by ``ros2 launch``. Skipped where there is no `launch`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from commands import MARK, program

pytestmark = pytest.mark.launch


def test_the_shipped_launch_file_does_a_task_and_ctrl_c_leaves_nothing_behind() -> None:
    domain = (os.getpid() + 83) % 100 + 1
    words = ("launch", "vla_bringup", "robot.launch.py", "robot:=so101", "policy:=expert")
    with program("ros2", *words, domain=domain) as family:
        family.until(lambda: "all nodes active" in family.said(), 60.0, "not all became active")
        vla = [sys.executable, "-m", "vla_bringup.cli"]
        task = subprocess.run(
            [*vla, "task", "put the red cube on the purple pad"],
            env={**os.environ, "ROS_DOMAIN_ID": str(domain), MARK: ""},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert task.returncode == 0, task.stdout + task.stderr
        family.end(signal.SIGINT)


def test_launch_refuses_an_unknown_robot_and_lists_the_known_ones() -> None:
    words = ("launch", "vla_bringup", "robot.launch.py", "robot:=so102")
    answer = subprocess.run(["ros2", *words], capture_output=True, text=True, timeout=60)
    assert answer.returncode != 0
    assert "so101" in answer.stdout + answer.stderr
