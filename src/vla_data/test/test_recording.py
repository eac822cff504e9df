from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic import CONTRACT, NS, WALL, Run, record

from vla_core.errors import ConfigurationError
from vla_data.bag import LATCHED, BagWriter, TypeStore
from vla_data.clock_map import ClockMap
from vla_data.recording import Recording

START = 100 * NS


def test_a_bag_says_what_happened(tmp_path: Path) -> None:
    recording = Recording(record(tmp_path / "bag"))
    assert recording.robot.name == "test"
    assert len(recording.commands["arm"]) == 144
    assert len(recording.chunks) == 8
    assert recording.chunks[0].inference_ns == 98_000_000, "decoding is the stack's"
    assert [task.instruction for task in recording.tasks] == ["wave"]
    assert recording.series["joints"].entries == ("pan", "gripper")
    assert recording.state_at(START + NS).task_id == "task-1"
    assert recording.state_at(START - NS) is None


def test_a_chunk_without_whole_rows_is_left_out(tmp_path: Path) -> None:
    recording = Recording(record(tmp_path / "bag", Run(cut_chunk=3)))
    assert [chunk.request_id for chunk in recording.chunks] == [1, 2, 3, 5, 6, 7, 8]


def test_topics_are_found_in_any_namespace(tmp_path: Path) -> None:
    recording = Recording(record(tmp_path / "bag"))
    assert recording.topic("observation/joints") == "/test/observation/joints"
    assert recording.topic("/clock") == "/clock"
    assert recording.topic("joints") is None, "only the whole of a relative name"


def test_the_clock_maps_both_ways_and_beyond_its_ends() -> None:
    wall = WALL + np.array([0, 2, 4], np.int64) * NS
    ros = np.array([0, 1, 2], np.int64) * NS
    clock = ClockMap(wall, ros)
    assert clock.to_ros(WALL + NS) == NS // 2
    assert clock.to_wall(NS + NS // 2) == WALL + 3 * NS
    assert clock.to_ros(WALL + 5 * NS) == 3 * NS
    assert clock.to_ros(WALL - NS) == -NS
    assert clock.factor(0, 2 * NS) == pytest.approx(0.5)


def test_without_a_clock_both_times_are_one() -> None:
    clock = ClockMap(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert clock.to_ros(7) == clock.to_wall(7) == 7
    assert np.isnan(clock.factor(0, NS))


def test_a_bag_without_a_contract_is_refused(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_message("/note", TypeStore().make("std_msgs/msg/String", data="a"), 1)
    with pytest.raises(ConfigurationError, match=r"carries no contract.*'/note'.*--contract"):
        Recording(tmp_path / "bag")


def test_a_task_survives_a_restart_of_the_executor(tmp_path: Path) -> None:
    # While it restarts, time has not begun for it: its stamps are 0 and it has no task.
    recording = Recording(record(tmp_path / "bag", Run(restart_s=1.5)))
    (task,) = recording.tasks
    assert (task.start_ns, task.end_ns) == (START, START + 3 * NS)


def test_a_command_without_a_stamp_was_sent_when_it_arrived_in_ros_time(tmp_path: Path) -> None:
    base = (
        "{name: vx, kind: base_velocity, unit: m/s, velocity: 1.0, acceleration: 1.0, jerk: 9.0}"
    )
    output = "{topic: command/base, type: geometry_msgs/msg/Twist, columns: [vx], "
    text = CONTRACT.replace("outputs:", f"    - {base}\noutputs:").replace(
        "home:", f"  base: {output}fields: [linear.x], deadline_s: 0.2}}\nhome:"
    )
    types = TypeStore()
    with BagWriter(tmp_path / "bag", types=types) as bag:
        contract = types.make("std_msgs/msg/String", data=text)
        bag.write_message("/test/recorder/contract", contract, WALL, LATCHED)
        for i in range(4):  # simulated time at half the speed
            stamp = types.make("builtin_interfaces/msg/Time", sec=100 + i, nanosec=0)
            clock = types.make("rosgraph_msgs/msg/Clock", clock=stamp)
            bag.write_message("/clock", clock, WALL + 2 * i * NS)
        bag.write_message("/test/command/base", _twist(types, 0.3), WALL + 3 * NS)
    command = Recording(tmp_path / "bag").commands["base"][0]
    assert command.stamp_ns == 101 * NS + NS // 2
    assert command.velocities[0, 0] == pytest.approx(0.3)


def _twist(types: TypeStore, forward: float) -> object:
    def vector(x: float) -> object:
        return types.make("geometry_msgs/msg/Vector3", x=x, y=0.0, z=0.0)

    return types.make("geometry_msgs/msg/Twist", linear=vector(forward), angular=vector(0.0))
