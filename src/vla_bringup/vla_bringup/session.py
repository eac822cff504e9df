"""A graph that runs only for us: started, waited for, given task after task, ended.

For the demo, evaluations and system tests.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from std_msgs.msg import Bool

from vla_bringup.client import Client, Outcome, Progress
from vla_bringup.graph import Graph
from vla_bringup.runner import Runner, Say
from vla_core.errors import NotReadyError
from vla_interfaces.msg import ExecutorState
from vla_ros import qos

READY_WITHIN_S = 90.0


@dataclass(frozen=True)
class Episode:
    """One task and how it ended."""

    instruction: str
    seed: int
    outcome: Outcome
    duration_s: float  # wall time from the request to the result


class Session:
    """A running graph and a client beside it. Made by `running`."""

    def __init__(self, runner: Runner, client: Client) -> None:
        self.runner, self.client = runner, client
        self.first_motion_s: float | None = None  # monotonic time of the first running mode
        self.state: ExecutorState | None = None  # newest
        self._is_recording = False
        subscribe = client.node.create_subscription
        subscribe(ExecutorState, "executor/state", self._on_state, qos.EVENT)
        subscribe(Bool, "recorder/ready", self._on_recorder_ready, qos.STATE)

    def wait_until_ready(self, within_s: float = READY_WITHIN_S) -> None:
        """Return when the executor is active and the router takes tasks.

        Raises:
            NotReadyError: it takes too long, or a node ends; with the end of its output.
        """
        self.client.wait_until(
            self._is_idle, within_s, f"not all nodes became active; see {self.runner.folder}/log"
        )
        self.client.wait_for_router(10.0)
        if "recorder" in [process.name for process in self.runner.graph.processes]:
            self.client.wait_until(
                lambda: self._is_recording, 30.0, "the recorder does not hear all nodes"
            )

    def episode(
        self,
        instruction: str,
        seed: int,
        time_limit_s: float,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Episode:
        """Reset the scene to a seed and do one task."""
        self.prepare(seed, instruction)
        began = time.monotonic()
        outcome = self.client.run_task(
            instruction, time_limit_s=time_limit_s, on_progress=on_progress
        )
        return Episode(instruction, seed, outcome, time.monotonic() - began)

    def prepare(self, seed: int, instruction: str) -> None:
        """Reset the scene to a seed, with the executor ready for a task."""
        self.until(self._is_idle, 10.0, "the executor did not become idle")
        self.client.reset_scene(seed, instruction)

    def until(self, condition: Callable[[], bool], within_s: float, missing: str) -> None:
        """Return when the condition holds.

        Raises:
            NotReadyError: it does not in time; with the executor's reason and the newest lines of
                executor and bridge.
        """
        try:
            self.client.wait_until(condition, within_s, missing)
        except NotReadyError as error:
            state = self.state or ExecutorState(reason="not heard of")
            said = [f"{error}; executor in mode {state.mode}: {state.reason}"]
            for name in ("executor", "bridge"):
                if self.runner.log(name).is_file():
                    said += [f"The end of the output of '{name}':", self.runner.tail(name, 8)]
            raise NotReadyError("\n".join(said)) from error

    def is_running(self) -> bool:
        """Whether a plan is played."""
        return self.state is not None and self.state.mode == ExecutorState.MODE_RUNNING

    def _is_idle(self) -> bool:
        return self.state is not None and self.state.mode == ExecutorState.MODE_IDLE

    def _on_recorder_ready(self, ready: Bool) -> None:
        self._is_recording = ready.data

    def _on_state(self, state: ExecutorState) -> None:
        self.state = state
        if self.first_motion_s is None and self.is_running():
            self.first_motion_s = time.monotonic()


@contextlib.contextmanager
def running(graph: Graph, folder: Path, say: Say) -> Iterator[Session]:
    """Start a graph, and end it whatever happens; a node that ends at start is an error."""
    ready = False

    def poll() -> None:
        runner.poll()
        if not ready and (ended := runner.ended()):
            raise NotReadyError(
                f"node '{ended}' ended before everything was ready. The end of its output:\n"
                f"{runner.tail(ended)}"
            )

    with Runner(graph, folder, say) as runner, Client(graph.robot, tick=poll) as client:
        session = Session(runner, client)
        session.wait_until_ready()
        ready = True
        yield session


def stay_private(environment: MutableMapping[str, str] = os.environ) -> int:
    """Give this process and its children a ROS domain of their own, on this machine only.

    A domain that is set already is kept. Returns the domain.
    """
    environment.setdefault("ROS_DOMAIN_ID", str(random.SystemRandom().randrange(1, 102)))
    # Humble knows the first name only; later releases warn about it.
    if environment.get("ROS_DISTRO") == "humble":
        environment["ROS_LOCALHOST_ONLY"] = "1"
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    return int(environment["ROS_DOMAIN_ID"])
