"""Records the core's own executor in a closed loop, as the nodes would: for the replay's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from synthetic import CONTRACT, MS, NS, STEP, TYPES, WALL, Tick, duration, header, make
from synthetic import _trajectory as trajectory

from vla_core.contract import parse_contract
from vla_core.execution import Answer, Command, Executor, Request, Task
from vla_core.types import ActionChunk
from vla_data.bag import LATCHED, BagWriter

POLICY = """
name: demo
robot: test
uri: scripted:none
streams: {joints: joints}
execution: {mode: async, horizon_rows: 16, join: blend}
"""
ROW = 50 * MS
ROWS = 32
BOOT = 99


def record_live(path: Path, seconds: float = 2.5, early_ns: int = 0, missed: int = -1) -> Path:
    """Write the bag of one task, played by the executor.

    Args:
        path: of the bag.
        seconds: length of the task.
        early_ns: by how much the recorder hears chunks before the executor does.
        missed: number of a tick that does not happen.
    """
    contract = parse_contract(yaml.safe_load(CONTRACT))
    executor = Executor(contract, boot_id=BOOT)
    executor.activate(0)
    start, positions = NS, np.array([0.1, 0.2])
    mail: list[tuple[int, Request, ActionChunk]] = []
    with BagWriter(path, types=TYPES) as bag:
        for kind, text in (("contract", CONTRACT), ("policy", POLICY)):
            message = make("std_msgs/msg/String", data=text)
            bag.write_message(f"/test/recorder/{kind}", message, WALL, LATCHED)
        executor.begin_task(Task("task-1", "wave", "demo", contract.columns, ROWS, ROW, 16), start)
        for number in range(round(seconds * 50)):
            now = start + number * STEP
            _write_joints(bag, now, positions)
            executor.measure(contract.columns, positions.tolist(), now, now)
            executor.renew_lease("task-1", now)
            while mail and mail[0][0] <= now:
                at, request, chunk = mail.pop(0)
                executor.accept(Answer(request.request_id, executor.epoch, "demo", chunk), now - 1)
                _write_chunk(bag, at - early_ns, request, chunk)
            if number == missed:
                continue
            decision = executor.tick(now)
            if decision.request is not None:
                _write_request(bag, now, decision.request)
                chunk = ActionChunk(_rows(now), now, ROW, contract.columns)
                mail.append((now + 90 * MS - MS, decision.request, chunk))
            if decision.command is not None:
                positions = decision.command.positions[0]
                _write_command(bag, decision.command)
            _write_state(bag, now, int(decision.mode), executor)
    return path


def _rows(start: int) -> np.ndarray:
    t = (start + np.arange(ROWS) * ROW) / NS
    return np.stack([0.3 * np.sin(2 * t), 0.2 + 0.1 * np.cos(3 * t)], axis=1)


def _epoch(counter: int) -> object:
    return make("vla_interfaces/msg/Epoch", boot_id=BOOT, counter=counter)


def _write_joints(bag: BagWriter, now: int, positions: np.ndarray) -> None:
    joints = make(
        "sensor_msgs/msg/JointState",
        header=header(now),
        name=["pan", "gripper"],
        position=positions.copy(),
    )
    bag.write_message("/test/observation/joints", joints, now)


def _write_request(bag: BagWriter, now: int, request: Request) -> None:
    message = make(
        "vla_interfaces/msg/InferenceRequest",
        header=header(now),
        request_id=request.request_id,
        epoch=_epoch(request.epoch.counter),
        policy=request.policy,
        instruction=request.instruction,
    )
    bag.write_message("/test/inference_request", message, now + MS)


def _write_chunk(bag: BagWriter, at: int, request: Request, chunk: ActionChunk) -> None:
    message = make(
        "vla_interfaces/msg/ActionChunk",
        header=header(chunk.start_ns),
        request_id=request.request_id,
        epoch=_epoch(request.epoch.counter),
        policy="demo",
        step=duration(chunk.step_ns),
        names=list(chunk.columns),
        values=chunk.values.ravel(),
    )
    bag.write_message("/test/action_chunk", message, at)


def _write_command(bag: BagWriter, command: Command) -> None:
    tick = Tick(
        command.stamp_ns,
        command.times_ns,
        command.positions,
        command.velocities,
        command.accelerations,
    )
    bag.write_message("/test/command/joints", trajectory(tick), command.stamp_ns + MS)


def _write_state(bag: BagWriter, now: int, mode: int, executor: Executor) -> None:
    state = make(
        "vla_interfaces/msg/ExecutorState",
        header=header(now),
        epoch=_epoch(executor.epoch.counter),
        mode=mode,
        task_id="task-1",
        instruction="wave",
        policy="demo",
    )
    bag.write_message("/test/executor/state", state, now + MS)
