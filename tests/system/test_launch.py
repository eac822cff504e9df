"""The same graph by the real ``ros2 launch``. Skipped where there is no `launch`."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from commands import Family, program
from starts import MOCKS, SIMULATIONS, Start, check_done, do

pytestmark = [pytest.mark.ros_launch, pytest.mark.timeout(300)]

LAUNCH = ("ros2", "launch", "vla_bringup", "robot.launch.py")
DOMAIN = (os.getpid() + 83) % 100 + 1


@contextmanager
def launched(start: Start) -> Iterator[Family]:
    """Start a robot and wait until it is active."""
    words = [f"{name}:={value}" for name, value in start.arguments.items()]
    with program(*LAUNCH, *words, domain=DOMAIN) as family:
        family.until(lambda: "all nodes active" in family.said(), 90.0, "not all became active")
        yield family


@pytest.mark.parametrize("start", [*MOCKS, *SIMULATIONS], ids=str)
def test_every_robot_does_a_task_and_ctrl_c_leaves_nothing_behind(start: Start) -> None:
    if start.needs:
        pytest.importorskip(start.needs, reason=f"no {start.needs} here: the mock speaks it")
    with launched(start) as family:
        check_done(start, do(start, DOMAIN))
        family.end(signal.SIGINT)
    assert "Traceback" not in family.said(), family.said()
    assert "process has died" not in family.said(), family.said()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_launch_that_ends_without_ctrl_c_takes_its_nodes_along(number: signal.Signals) -> None:
    with launched(MOCKS[0]) as family:
        family.end(number, others_s=20.0)


def test_launch_refuses_an_unknown_robot_and_lists_the_known_ones() -> None:
    answer = subprocess.run([*LAUNCH, "robot:=so102"], capture_output=True, text=True, timeout=60)
    assert answer.returncode != 0
    assert "so101" in answer.stdout + answer.stderr
