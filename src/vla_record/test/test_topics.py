from __future__ import annotations

from pathlib import Path

from vla_core.contract import load_contract
from vla_record.topics import topics_of

ROBOTS = Path(__file__).resolve().parents[3] / "config/robots"


def test_what_is_observed_and_commanded_is_recorded_with_its_type() -> None:
    contract = load_contract([ROBOTS / "so101/contract.yaml"])
    types = {topic.name: topic.msgtype for topic in topics_of(contract)}
    assert types["observation/images/front"] == "sensor_msgs/msg/Image"
    assert types["observation/joints"] == "sensor_msgs/msg/JointState"
    assert types["command/joints"] == "trajectory_msgs/msg/JointTrajectory"
    assert types["teleoperation/command/joints"] == "trajectory_msgs/msg/JointTrajectory"
    assert "sim/objects" not in types


def test_an_overlay_adds_its_streams() -> None:
    files = [ROBOTS / "so101/contract.yaml", ROBOTS / "so101/sim.yaml"]
    assert "sim/objects" in {topic.name for topic in topics_of(load_contract(files))}


def test_cameras_may_be_left_out() -> None:
    topics = topics_of(load_contract([ROBOTS / "so101/contract.yaml"]), images=False)
    assert not [topic for topic in topics if topic.msgtype.endswith("Image")]


def test_no_topic_comes_twice() -> None:
    names = [t.name for t in topics_of(load_contract([ROBOTS / "so101/contract.yaml"]))]
    assert len(names) == len(set(names))
