"""Our side: the whole process graph over real DDS, one task per scenario."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from executor_vs_lerobot.record import Answer, Run
from executor_vs_lerobot.scenario import (
    CAMERAS,
    HEIGHT,
    HOME,
    JOINTS,
    WIDTH,
    Scenario,
)
from vla_bringup import executables
from vla_bringup.client import Client
from vla_bringup.graph import Graph, Process, describe
from vla_bringup.runner import Runner
from vla_bringup.session import Session
from vla_core.errors import NotReadyError
from vla_interfaces.msg import ActionChunk, ExecutorState, InferenceRequest
from vla_interfaces.srv import ResetScene
from vla_ros import qos
from vla_ros.stamps import duration_ns, time_ns

HERE = Path(__file__).parent
OURS = ("policy", "executor", "router", "supervisor")  # what a robot with our stack runs


class Ours:
    """A running graph for one rate; made by `running`."""

    def __init__(self, session: Session, folder: Path) -> None:
        self._session, self._folder = session, folder
        self._requests: dict[tuple[int, int], float] = {}
        self._chunks: dict[tuple[int, int], ActionChunk] = {}
        self._states: list[ExecutorState] = []
        subscribe = session.client.node.create_subscription
        subscribe(InferenceRequest, "inference_request", self._on_request, qos.EVENT)
        subscribe(ActionChunk, "action_chunk", self._on_chunk, qos.EVENT)
        subscribe(ExecutorState, "executor/state", self._states.append, qos.EVENT)
        self._seed = 0

    def run(self, scenario: Scenario) -> Run:
        """Do the task once; raises if the graph breaks, never if the task fails."""
        session = self._session
        self._set(mode=scenario.mode, join=scenario.join)
        self._reset(scenario.text())
        self._requests.clear()
        self._chunks.clear()
        del self._states[:]
        spent, began = self._cpu(), time.monotonic()
        session.client.run_task(scenario.text(), time_limit_s=scenario.time_limit_s)
        wall = time.monotonic() - began
        cpu = {name: seconds - spent[name] for name, seconds in self._cpu().items()}
        told = [state for state in self._states if state.task_id]
        last = told[-1] if told else ExecutorState()
        seed = self._seed
        self._reset("")  # writes down
        return self._gather(self._folder / f"{seed}.npz", last, cpu, wall)

    def _gather(self, book: Path, last: ExecutorState, cpu: dict[str, float], wall: float) -> Run:
        with np.load(book) as found:
            arrays = {name: found[name] for name in found.files}
        return Run(
            began_s=min(self._requests.values(), default=float("nan")),
            commands_s=arrays["arrived_ns"] * 1e-9,
            due_s=arrays["stamps_ns"] * 1e-9,
            commands=arrays["commands"],
            states_s=arrays["states_ns"] * 1e-9,
            states=arrays["states"],
            answers=tuple(self._answers()),
            ticks=last.ticks,
            starved_ticks=last.starved_ticks,
            requests=last.requests_sent,
            requests_by_threshold=last.requests_by_threshold,
            is_synchronous=last.synchronous,
            tick_error_s=(last.tick_error_p50, last.tick_error_p99),
            cpu_s=cpu,
            wall_s=wall,
            memory_mb=self._memory(),
            interventions=last.limit_interventions,
        )

    def _answers(self) -> Iterator[Answer]:
        for line in (self._folder / "usable.txt").read_text().splitlines():
            epoch, request_id, _, usable = (int(word) for word in line.split())
            key = (epoch, request_id)
            if key not in self._chunks or key not in self._requests:
                continue
            chunk = self._chunks[key]
            stages = {
                name: duration_ns(spent) * 1e-9
                for name, spent in zip(chunk.stage_names, chunk.stage_durations, strict=True)
            }
            yield Answer(
                asked_s=self._requests[key],
                observed_s=time_ns(chunk.header.stamp) * 1e-9,
                usable_s=usable * 1e-9,
                inference_s=stages["infer"],
                prepared_s=stages.get("decode", 0.0),
            )

    def _reset(self, text: str) -> None:
        self._session.client.wait_until(self._is_idle, 15.0, "the executor did not become idle")
        self._seed += 1
        request = ResetScene.Request(seed=self._seed, instruction=text)
        self._session.client.call(ResetScene, "sim/reset_scene", request)
        self._session.client.spin(0.3)  # the executor hears where the robot is now

    def _is_idle(self) -> bool:
        state = self._session.state
        return state is not None and state.mode == ExecutorState.MODE_IDLE

    def _set(self, **values: str) -> None:
        wanted = [
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
        ]
        request = SetParameters.Request(parameters=wanted)
        answer = self._session.client.call(SetParameters, "executor/set_parameters", request)
        for result in answer.results:
            if not result.successful:
                raise NotReadyError(f"the executor refused a parameter: {result.reason}")

    def _on_request(self, msg: InferenceRequest) -> None:
        self._requests[(msg.epoch.counter, msg.request_id)] = time_ns(msg.header.stamp) * 1e-9

    def _on_chunk(self, msg: ActionChunk) -> None:
        self._chunks[(msg.epoch.counter, msg.request_id)] = msg

    def _processes(self) -> dict[str, psutil.Process]:
        runner = self._session.runner
        return {p.name: psutil.Process(runner.pid(p.name)) for p in runner.graph.processes}

    def _cpu(self) -> dict[str, float]:
        return {name: sum(p.cpu_times()[:2]) for name, p in self._processes().items()}

    def _memory(self) -> dict[str, float]:
        return {name: p.memory_info().rss / 1e6 for name, p in self._processes().items()}


@contextlib.contextmanager
def running(rate_hz: int, horizon_rows: int, folder: Path) -> Iterator[Ours]:
    """Start the graph for one rate and end it whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["VLA_BENCH_FOLDER"] = str(folder)
    _write_config(folder, rate_hz, horizon_rows)
    graph = _with_stopwatch(describe("six", "benchmark", "follow", folder))
    ready = False

    def poll() -> None:
        runner.poll()
        if not ready and (ended := runner.ended()):
            raise NotReadyError(f"node '{ended}' ended:\n{runner.tail(ended)}")

    with (
        Runner(graph, folder, lambda _: None, command_of=_command) as runner,
        Client(graph.robot, tick=poll) as client,
    ):
        session = Session(runner, client)
        session.wait_until_ready()
        ready = True
        yield Ours(session, folder)


def _with_stopwatch(graph: Graph) -> Graph:
    """Let the executor note when a chunk has become usable; all else is as shipped."""
    processes = tuple(
        replace(process, package="benchmark", executable="timed_executor.py")
        if process.name == "executor"
        else process
        for process in graph.processes
    )
    return replace(graph, processes=processes)


def _command(process: Process, folder: Path) -> list[str]:
    if process.package != "benchmark":
        return executables.command(process, folder)
    shipped = replace(process, package="vla_executor", executable="executor_node")
    arguments = executables.command(shipped, folder)[1:]
    return [sys.executable, str(HERE / process.executable), *arguments]


def _write_config(root: Path, rate_hz: int, horizon_rows: int) -> None:
    files: dict[str, Any] = {
        "robots/six/contract.yaml": _contract(rate_hz),
        "robots/six/backends.yaml": {
            "benchmark": {
                "judge": "sim/judge_task",
                "nodes": [
                    {
                        "package": "benchmark",
                        "executable": "robot_node.py",
                        "name": "bridge",
                        "lifecycle": True,
                    },
                    {"package": "benchmark", "executable": "cameras_node.py", "name": "cameras"},
                ],
            }
        },
        "policies/follow.yaml": {
            "name": "follow",
            "robot": "six",
            "uri": "scripted:executor_vs_lerobot.policy:FollowPolicy",
            "options": {"rate_hz": rate_hz},
            "execution": {"horizon_rows": horizon_rows},
        },
    }
    for name, content in files.items():
        path = root / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))


def _contract(rate_hz: int) -> dict[str, Any]:
    limits = {"velocity": 2.5, "acceleration": 12.0, "jerk": 150.0, "position": [-2.5, 2.5]}
    image = {"transport": "raw", "height_px": HEIGHT, "width_px": WIDTH}
    return {
        "robot": "six",
        "observation": {
            "max_age_s": 0.15,
            "max_skew_s": 0.12,
            "images": {n: {"topic": f"observation/images/{n}", **image} for n in CAMERAS},
            "state": {
                "joints": {
                    "topic": "observation/joints",
                    "type": "sensor_msgs/msg/JointState",
                    "field": "position",
                    "entries": list(JOINTS),
                }
            },
        },
        "action": {
            "step_s": 1.0 / rate_hz,
            "columns": [
                {"name": name, "kind": "joint_position", "unit": "rad", **limits}
                for name in JOINTS
            ],
        },
        "outputs": {
            "arm": {
                "topic": "command/joints",
                "type": "trajectory_msgs/msg/JointTrajectory",
                "columns": list(JOINTS),
                "deadline_s": 0.2,
            }
        },
        "home": dict(zip(JOINTS, HOME, strict=True)),
        "tracking_error": {"limit": 0.6, "duration_s": 0.5},
    }
