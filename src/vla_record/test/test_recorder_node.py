from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy comes with ROS or its wheels")
interfaces = pytest.importorskip("vla_interfaces.msg", reason="vla_interfaces is not built")

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import Image, JointState  # noqa: E402
from std_msgs.msg import Bool  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402

from vla_core.errors import ConfigurationError  # noqa: E402
from vla_data.bag import BagReader, ensure_readable  # noqa: E402
from vla_record.recorder_node import RecorderNode, RecorderParams  # noqa: E402
from vla_ros import qos  # noqa: E402

CONTRACT = Path(__file__).resolve().parents[3] / "config/robots/so101/contract.yaml"


@pytest.fixture
def context() -> Iterator[Any]:
    rclpy.init()
    yield
    rclpy.try_shutdown()


class Rig:
    """A recorder and a robot's publishers in one process."""

    def __init__(self, folder: Path, **parameters: Any) -> None:
        values = {"contract_files": [str(CONTRACT)], "directory": str(folder), **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.recorder = RecorderNode(namespace="so101", parameter_overrides=overrides)
        self.robot = Node("robot", namespace="so101")
        self.executor = SingleThreadedExecutor()
        for node in (self.recorder, self.robot):
            self.executor.add_node(node)
        self.joints = self.robot.create_publisher(JointState, "observation/joints", qos.SENSOR)
        self.image = self.robot.create_publisher(Image, "observation/images/front", qos.SENSOR)
        self.command = self.robot.create_publisher(JointTrajectory, "command/joints", qos.COMMAND)
        self.stop = self.robot.create_publisher(
            interfaces.EmergencyStop, "emergency_stop", qos.EVENT
        )
        publishers = (self.joints, self.image, self.command, self.stop)
        self.until(lambda: all(p.get_subscription_count() for p in publishers), "no subscription")

    def until(self, done: Callable[[], bool], why: str) -> None:
        end = time.monotonic() + 10.0
        while not done():
            assert time.monotonic() < end, why
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, service: str) -> Any:
        client = self.robot.create_client(Trigger, f"recorder/{service}")
        assert client.wait_for_service(5.0)
        future = client.call_async(Trigger.Request())
        self.until(future.done, f"{service} did not answer")
        return future.result()

    def close(self) -> None:
        self.recorder.destroy_node()
        self.robot.destroy_node()
        self.executor.shutdown()


@pytest.mark.usefixtures("context")
def test_what_is_published_is_recorded_unchanged(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    image = Image(height=2, width=2, encoding="rgb8", step=6, data=bytes(range(12)))
    rig.image.publish(image)
    for i in range(3):
        rig.joints.publish(JointState(name=["pan"], position=[float(i)]))
    rig.command.publish(JointTrajectory(joint_names=["pan"]))
    rig.until(lambda: rig.recorder._sink.written >= 5, "not everything arrived")
    rig.close()
    with BagReader(tmp_path / "bag") as bag:
        front = [m.decode() for m in bag.messages(["/so101/observation/images/front"])]
        joints = [m.decode() for m in bag.messages(["/so101/observation/joints"])]
        assert front[0].data.tolist() == list(range(12))
        assert [j.position.tolist() for j in joints] == [[0.0], [1.0], [2.0]]
        assert bag.counts["/so101/command/joints"] == 1
        texts = [m.decode().data for m in bag.messages(["/so101/recorder/contract"])]
        assert texts == [CONTRACT.read_text()]
        now = time.time_ns()
        assert 0 <= now - bag.start_ns < 60e9, "the bag's time is the wall clock"


@pytest.mark.usefixtures("context")
def test_services_begin_and_end_bags(tmp_path: Path) -> None:
    rig = Rig(tmp_path, record_on_start=False)
    rig.joints.publish(JointState())
    assert not rig.call("stop").success
    assert rig.call("start").message == str(tmp_path / "bag")
    assert not rig.call("start").success
    rig.joints.publish(JointState(position=[1.0]))
    rig.until(lambda: rig.recorder._sink.written >= 1, "nothing arrived")
    answer = rig.call("stop")
    assert answer.success
    assert "0 dropped" in answer.message
    assert rig.call("start").message == str(tmp_path / "bag_2")
    rig.close()
    with BagReader(tmp_path / "bag") as bag:
        assert bag.counts["/so101/observation/joints"] == 1


@pytest.mark.usefixtures("context")
def test_a_stop_saves_the_black_box(tmp_path: Path) -> None:
    rig = Rig(tmp_path, record_on_start=False, black_box_after_s=0.1)
    rig.joints.publish(JointState(position=[0.5]))
    rig.stop.publish(interfaces.EmergencyStop(source="test", reason="because"))
    rig.until(lambda: any(tmp_path.glob("black_box_*/metadata.yaml")), "no black box")
    rig.close()
    (path,) = tmp_path.glob("black_box_*")
    assert ensure_readable(path) == ""
    with BagReader(path) as bag:
        assert bag.counts["/so101/observation/joints"] == 1
        assert bag.counts["/so101/recorder/contract"] == 1
        reason = next(bag.messages(["/so101/emergency_stop"])).decode().reason
    assert reason == "because"


@pytest.mark.usefixtures("context")
def test_it_says_when_it_hears_everything(tmp_path: Path) -> None:
    rig = Rig(tmp_path, record_on_start=False)
    heard: list[bool] = []
    rig.robot.create_subscription(
        Bool, "recorder/ready", lambda msg: heard.append(msg.data), qos.STATE
    )
    assert not rig.recorder._hears_all(), "nobody publishes chunks yet"
    others = {
        "action_chunk": interfaces.ActionChunk,
        "inference_request": interfaces.InferenceRequest,
        "executor/state": interfaces.ExecutorState,
        "policy/state": interfaces.PolicyState,
    }
    publishers = [
        rig.robot.create_publisher(kind, name, qos.STATE) for name, kind in others.items()
    ]
    rig.until(lambda: heard == [True], "the recorder is not ready")
    assert all(publisher.get_subscription_count() for publisher in publishers)
    rig.close()


@pytest.mark.usefixtures("context")
def test_a_missing_contract_is_a_refusal(tmp_path: Path) -> None:
    override = Parameter("contract_files", value=[str(tmp_path / "none.yaml")])
    with pytest.raises(ConfigurationError, match=r"none\.yaml"):
        RecorderNode(parameter_overrides=[override])


def test_the_readme_and_the_example_name_every_parameter() -> None:
    package = Path(__file__).resolve().parents[1]
    for text in (
        (package / "README.md").read_text(),
        (package / "config/recorder.yaml").read_text(),
    ):
        for field in dataclasses.fields(RecorderParams):
            assert field.name in text, f"parameter '{field.name}' is not described"
