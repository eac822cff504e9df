"""The graph of ``backend:=isaac`` against somebody who speaks Isaac Sim's topics."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import Image, JointState
from world import ROOT, World

from vla_bringup.graph import describe
from vla_bringup.session import running
from vla_interfaces.msg import ExecutorState
from vla_ros import qos
from vla_ros.joints import entries_from_msg

PAN = 0.9  # of "reach left" [rad]


class Stage(World):
    """A session that hears what the simulator tells."""

    pan = 0.0
    goals = 0
    pictures: list[Image]

    def listen(self) -> None:
        self.pictures = []
        node, hear = self.client.node, qos.SENSOR
        node.create_subscription(JointState, "/joint_states", self._on_joints_of_isaac, hear)
        node.create_subscription(JointState, "/joint_command", self._on_goal, hear)
        images = self.contract.observation.images["front"].topic
        node.create_subscription(Image, images, self.pictures.append, hear)

    def _on_joints_of_isaac(self, msg: JointState) -> None:
        self.pan = float(entries_from_msg(msg, "position", ["shoulder_pan"])[0])

    def _on_goal(self, _: JointState) -> None:
        self.goals += 1


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The running graph and its simulator."""
    folder: Path = tmp_path_factory.mktemp("isaac")
    os.environ["ROS_DOMAIN_ID"] = str((os.getpid() + 89) % 100 + 1)
    isaac = subprocess.Popen([sys.executable, str(Path(__file__).with_name("isaac.py"))])
    try:
        graph = describe("so101", "isaac", "reach", ROOT)
        with running(graph, folder, print) as session:
            made = Stage(session, graph, folder)
            made.listen()
            yield made
    finally:
        isaac.kill()
        isaac.wait(10.0)


def test_the_arm_reaches_a_pose_through_joint_commands(stage: Stage) -> None:
    stage.until_mode(ExecutorState.MODE_IDLE, 10.0, "the executor was not idle")
    stage.client.start_task("reach left", time_limit_s=40.0)
    stage.until(
        lambda: abs(stage.pan - PAN) < 0.02,
        30.0,
        f"the arm did not arrive, pan is {stage.pan:.3f}",
    )


def test_pictures_arrive_in_the_contracts_size(stage: Stage) -> None:
    stage.until(lambda: stage.pictures, 10.0, "no picture arrived")
    picture = stage.pictures[-1]
    assert (picture.height, picture.width) == (240, 320)
    assert np.asarray(picture.data)[0] == 90


def test_a_stop_ends_in_rest_and_goals_that_stand(stage: Stage) -> None:
    stage.client.stop()
    stage.until_mode(ExecutorState.MODE_STOPPED, 5.0, "the executor did not stop")
    stage.until_at_rest(10.0)
    heard, here = stage.goals, stage.pan
    stage.until(lambda: stage.goals > heard + 20, 10.0, "the bridge no longer holds the arm")
    assert abs(stage.pan - here) < 0.01


def test_the_graph_has_every_topic_and_service_that_the_layouts_name(stage: Stage) -> None:
    text = (ROOT / "config/foxglove/so101.json").read_text()
    text += (ROOT / "config/rviz/so101.rviz").read_text()
    named = {name.partition(".")[0] for name in re.findall(r"/so101/[\w/]+[\w.]*", text)}
    node = stage.client.node
    there = {
        *(t for t, _ in node.get_topic_names_and_types() if node.count_publishers(t)),
        *(service for service, _ in node.get_service_names_and_types()),
    }
    assert len(named) > 6 and named <= there
