from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.errors import ConfigurationError, InferenceError
from vla_core.ports import Policy
from vla_core.types import NS_PER_S
from vla_hosting.loading import load_policy
from vla_hosting.recording import CHUNKS, DESCRIPTION, RecordedPolicy
from vla_testing.policies import HoldPolicy

STARTS = (0, NS_PER_S, 2 * NS_PER_S)


def at(policy: Policy, as_of_ns: int, pan: float = 0.0) -> Any:
    state = {"joints": np.array([pan, 0.0, 0.0])}
    return replace(policy.spec.example(), as_of_ns=as_of_ns, state=state)


@pytest.fixture
def recording(tmp_path: Path, contract: Contract, configure: Any) -> Path:
    """Two tasks of three chunks; the pan joint says which chunk it is."""
    folder = tmp_path / "recording"
    policy = RecordedPolicy(HoldPolicy(configure("scripted:x:Y"), contract), folder)
    for task in (0, 10):
        policy.reset()
        for number, start_ns in enumerate(STARTS):
            policy.infer(at(policy, 5 * NS_PER_S + start_ns, pan=0.1 * (task + number)))
    policy.close()
    return folder


@pytest.fixture
def replay(recording: Path, contract: Contract, configure: Any) -> Policy:
    return load_policy(configure(f"replay:{recording}"), contract, Path())


def pan(policy: Policy, as_of_ns: int) -> float:
    return round(float(policy.infer(at(policy, as_of_ns)).values[0, 0]), 3)


def test_answers_with_the_chunk_nearest_in_task_time(replay: Policy) -> None:
    asked = [0.0, 0.4, 0.6, 1.4, 1.6, 2.3]
    begin = 777 * NS_PER_S
    answers = [pan(replay, begin + round(second * NS_PER_S)) for second in asked]
    assert answers == [0.0, 0.0, 0.1, 0.1, 0.2, 0.2]


def test_task_time_begins_again_with_a_reset(replay: Policy) -> None:
    assert [pan(replay, 9 * NS_PER_S), pan(replay, 11 * NS_PER_S)] == [0.0, 0.2]
    replay.reset()
    assert pan(replay, 11 * NS_PER_S) == 0.0


def test_a_recording_that_is_over_has_no_answer(replay: Policy) -> None:
    pan(replay, 0)
    with pytest.raises(InferenceError, match=r"lasts 2.40 s, asked for 2.50 s"):
        pan(replay, round(2.5 * NS_PER_S))


def test_another_task_can_be_chosen(recording: Path, contract: Contract, configure: Any) -> None:
    policy = load_policy(configure(f"replay:{recording}", options={"run": 1}), contract, Path())
    assert pan(policy, 0) == 1.0
    with pytest.raises(ConfigurationError, match=r"options.run: expected 0 to 1, got 2"):
        load_policy(configure(f"replay:{recording}", options={"run": 2}), contract, Path())


@pytest.mark.parametrize("name", [DESCRIPTION, CHUNKS])
def test_a_damaged_recording_is_refused(
    recording: Path, contract: Contract, configure: Any, name: str
) -> None:
    (recording / name).write_bytes(b"PK garbage")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_policy(configure(f"replay:{recording}"), contract, Path())


def test_a_bag_is_replayed_by_the_epochs_of_its_chunks(
    tmp_path: Path, contract: Contract, configure: Any
) -> None:
    bag = pytest.importorskip("vla_data.bag")
    path = tmp_path / "bag"
    with bag.BagWriter(path) as writer:
        for epoch in (1, 2):
            for number in range(2):
                writer.write_message(
                    "mini/action_chunk", chunk(writer.types, epoch, number), number
                )
    policy = load_policy(configure(f"replay:{path}", options={"run": 1}), contract, Path())
    assert policy.spec.step_ns == 50_000_000
    assert [pan(policy, 0), pan(policy, NS_PER_S)] == [0.2, 0.21]


def chunk(types: Any, epoch: int, number: int) -> Any:
    time = types.make("builtin_interfaces/msg/Time", sec=number)
    return types.make(
        "vla_interfaces/msg/ActionChunk",
        header=types.make("std_msgs/msg/Header", stamp=time),
        epoch=types.make("vla_interfaces/msg/Epoch", boot_id=1, counter=epoch),
        step=types.make("builtin_interfaces/msg/Duration", nanosec=50_000_000),
        names=["pan", "lift", "gripper"],
        values=np.full(6, 0.1 * epoch + 0.01 * number),
    )


def test_a_bag_without_chunks_is_refused(
    tmp_path: Path, contract: Contract, configure: Any
) -> None:
    bag = pytest.importorskip("vla_data.bag")
    with bag.BagWriter(tmp_path / "bag") as writer:
        message = writer.types.make("std_msgs/msg/String", data="x")
        writer.write_message("topic", message, 1)
    with pytest.raises(ConfigurationError, match="nothing to replay"):
        load_policy(configure(f"replay:{tmp_path / 'bag'}"), contract, Path())
