"""LeRobot's own `RobotClient`, with a stopwatch: one scenario per line of input.

    python lerobot_client.py <port> <folder>

Writes <folder>/<seed>.npz and prints `@done`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from executor_vs_lerobot import lerobot_plugin as plugin  # first: it completes torchvision
from executor_vs_lerobot.scenario import Scenario

import torch  # isort: skip
from lerobot.async_inference.configs import RobotClientConfig  # isort: skip
from lerobot.async_inference.robot_client import RobotClient  # isort: skip

THRESHOLD = 0.5  # LeRobot's default
PRIORITY = 10  # real time, as our executor


class TimedClient(RobotClient):
    """Notes when things happen, and ends when the task is done."""

    def __init__(self, config: RobotClientConfig, scenario: Scenario) -> None:
        super().__init__(config)
        self._follower = scenario.follower()
        self._until = time.monotonic() + scenario.time_limit_s
        self._asked_s = 0.0
        self.sent: list[tuple[float, float, bool]] = []  # asked, stamp, must_go
        self.usable: list[tuple[float, float]] = []  # stamp of the observation, now
        self.ticks = self.starved = 0

    def actions_available(self) -> bool:
        is_available = bool(super().actions_available())
        if self.usable:
            self.ticks += 1
            self.starved += not is_available
        is_late = time.monotonic() > self._until
        if is_late or self._follower.is_done(self.robot.positions()):
            self.shutdown_event.set()
        return is_available

    def control_loop_observation(self, task: str, verbose: bool = False) -> Any:
        self._asked_s = time.time()
        return super().control_loop_observation(task, verbose)

    def send_observation(self, obs: Any) -> bool:
        self.sent.append((self._asked_s, obs.get_timestamp(), obs.must_go))
        return bool(super().send_observation(obs))

    def _aggregate_action_queues(self, incoming_actions: Any, aggregate_fn: Any = None) -> None:
        super()._aggregate_action_queues(incoming_actions, aggregate_fn)
        self.usable.append((incoming_actions[0].get_timestamp(), time.time()))


def run(scenario: Scenario, port: int, folder: Path) -> None:
    """Do the task once and write down what happened."""
    config = RobotClientConfig(
        policy_type=plugin.FollowPolicy.name,
        pretrained_name_or_path=str(folder / "policy"),
        robot=plugin.SixJointsConfig(id="six", calibration_dir=folder / "calibration"),
        actions_per_chunk=scenario.rows,
        task=scenario.text(),
        server_address=f"127.0.0.1:{port}",
        chunk_size_threshold=0.0 if scenario.mode == "sync" else THRESHOLD,
        fps=scenario.rate_hz,
    )
    client = TimedClient(config, scenario)
    if not client.start():
        raise SystemExit("the policy server does not answer")
    receiver = threading.Thread(target=client.receive_actions, daemon=True)
    receiver.start()
    print("@go", flush=True)
    client.control_loop(task=config.task)
    client.stop()
    receiver.join(timeout=5.0)
    robot = client.robot
    np.savez(
        folder / f"{scenario.seed}.npz",
        commands_s=np.array([at for at, _ in robot.commands]),
        commands=np.array([row for _, row in robot.commands]),
        states_s=np.array([at for at, _ in robot.states]),
        states=np.array([row for _, row in robot.states]),
        sent=np.array(client.sent, np.float64).reshape(-1, 3),
        usable=np.array(client.usable, np.float64).reshape(-1, 2),
        counts=np.array([client.ticks, client.starved]),
    )
    print("@done", flush=True)


def main() -> None:
    """Serve scenarios until the input ends."""
    torch.set_num_threads(1)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    print("@ready", flush=True)
    for line in sys.stdin:
        run(Scenario.of(line), int(sys.argv[1]), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
