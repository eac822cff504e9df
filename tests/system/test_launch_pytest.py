"""The shipped launch file within launch_pytest, which tells how each process ended."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starts import MOCKS, Start, check_done, do

launch_pytest = pytest.importorskip(
    "launch_pytest",
    reason="no launch_pytest here: it comes with a ROS installation, not from PyPI",
)
if pytest.version_tuple >= (8, 4):
    pytest.skip("launch_pytest knows pytest up to 8.3", allow_module_level=True)

from launch import LaunchDescription  # noqa: E402 (only where there is a launch)
from launch.actions import IncludeLaunchDescription, RegisterEventHandler  # noqa: E402
from launch.event_handlers import OnProcessExit, OnProcessIO  # noqa: E402
from launch_pytest.actions import ReadyToTest  # noqa: E402

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "robot.launch.py"
DOMAIN = (os.getpid() + 89) % 100 + 1


@dataclass
class Heard:
    """What the processes of a launch said, and how each ended."""

    start: Start
    text: str = ""
    codes: dict[str, int] = field(default_factory=dict)

    def handlers(self) -> list[RegisterEventHandler]:
        """Return what listens to every process."""
        said = OnProcessIO(on_stdout=self._on_text, on_stderr=self._on_text)
        return [
            RegisterEventHandler(said),
            RegisterEventHandler(OnProcessExit(on_exit=self._on_exit)),
        ]

    def until(self, text: str, within_s: float) -> None:
        """Wait until some process has said something."""
        deadline = time.monotonic() + within_s
        while text not in self.text:
            assert time.monotonic() < deadline, f"no '{text}' within {within_s} s\n{self.text}"
            time.sleep(0.05)

    def _on_text(self, event: Any) -> None:
        self.text += event.text.decode(errors="replace")

    def _on_exit(self, event: Any, _: Any) -> None:
        self.codes[event.process_name] = event.returncode


@launch_pytest.fixture(params=MOCKS, ids=str)
def graph(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The launch file of a robot behind its mock, and what is heard of it."""
    start: Start = request.param
    if start.needs:
        pytest.importorskip(start.needs, reason=f"no {start.needs} here: the mock speaks it")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN))
    heard = Heard(start)
    included = IncludeLaunchDescription(str(LAUNCH_FILE), launch_arguments=start.arguments.items())
    return LaunchDescription([*heard.handlers(), included, ReadyToTest()]), heard


@pytest.mark.timeout(300)
@pytest.mark.launch(fixture=graph)
def test_every_process_of_a_mock_ends_well_after_a_task(graph: Any) -> Iterator[None]:
    heard: Heard = graph[1]
    heard.until("all nodes active", 90.0)
    check_done(heard.start, do(heard.start, DOMAIN))
    yield  # here launch ends
    assert len(heard.codes) > 5
    assert set(heard.codes.values()) == {0}, heard.codes
