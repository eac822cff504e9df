"""The bridge to a simulator against somebody who speaks the simulator's topics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image, JointState
from trajectory_msgs.msg import JointTrajectory

from vla_bridge.simulator_node import SimulatorNode, SimulatorParams
from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError
from vla_interfaces.msg import EmergencyStop
from vla_ros import qos
from vla_ros.images import image_msg
from vla_ros.joints import joint_state_msg, trajectory_msg, twist_msg
from vla_ros.stamps import header, now_ns
from vla_testing.readme import undocumented
from vla_testing.ros_world import World, parameters, ros_world

MS = 1_000_000
ROOT = Path(__file__).parents[3]
CONTRACT_FILE = str(ROOT / "config/robots/go2_arm/contract.yaml")
CONTRACT = load_contract([CONTRACT_FILE])
ARM = CONTRACT.outputs["arm"].columns
HOME = np.array([CONTRACT.home[name] for name in ARM])
ISAAC: dict[str, object] = {
    "contract_files": (CONTRACT_FILE,),
    "state_relays": ("arm=/joint_command",),
    "twist_relays": ("base=/cmd_vel",),
    "joint_states": "/joint_states",
    "odometry": "/odom",
    "image_relays": ("front=/front/rgb",),
    "joint_names": ("gripper=jaw",),
}
THEIRS = [*ARM[:-1], "jaw"]


@pytest.fixture()
def world() -> Iterator[World]:
    with ros_world() as it:
        yield it


class Rig:
    """A bridge and a simulator whose arm stands at home."""

    def __init__(self, world: World, **changes: object) -> None:
        self.world = world
        options = {**ISAAC, **changes}
        self.node: SimulatorNode = world.add(
            SimulatorNode(parameter_overrides=parameters(**options))
        )
        self.tell_joints = world.talk(JointState, "/joint_states", qos.SENSOR)
        self.joints = world.listen(JointState, "observation/joints", qos.SENSOR)

    def stand(self) -> None:
        """Tell the joints of the simulated arm ten times a second from now on."""

        def tell() -> None:
            stamp = now_ns(self.world.tester)
            self.tell_joints(joint_state_msg(stamp, ["wheel", *THEIRS], np.array([1.0, *HOME])))

        self.world.tester.create_timer(0.1, tell)
        self.world.until(lambda: self.joints, "the joints arrive")

    def trajectory(self) -> JointTrajectory:
        """Return a motion of the first joint by 0.1 rad in 0.2 s, at rest at its end."""
        rows, still = np.tile(HOME, (2, 1)), np.zeros((2, 6))
        rows[:, 0] += [0.05, 0.1]
        speeds = still.copy()
        speeds[0, 0] = 0.5
        # Stamp 0: starts on arrival, however busy the machine is.
        return trajectory_msg(0, ARM, [100 * MS, 200 * MS], rows, speeds, still)


def test_tells_the_joints_by_the_contracts_names(world: World) -> None:
    rig = Rig(world)
    rig.stand()
    assert list(rig.joints[-1].name) == list(ARM)
    assert list(rig.joints[-1].position) == pytest.approx(HOME)


def test_tells_base_and_attitude_from_odometry(world: World) -> None:
    Rig(world)
    tell = world.talk(Odometry, "/odom", qos.SENSOR)
    base = world.listen(JointState, "observation/base", qos.SENSOR)
    attitude = world.listen(JointState, "observation/attitude", qos.SENSOR)
    msg = Odometry(header=header(3 * MS))
    msg.pose.pose.position.x = 1.5
    msg.pose.pose.orientation.w = 1.0
    world.tester.create_timer(0.1, lambda: tell(msg))
    world.until(lambda: base and attitude, "both arrive")
    assert base[0].position[0] == 1.5 and base[0].header.stamp.nanosec == 3 * MS
    assert list(attitude[0].name) == ["base_roll", "base_pitch"]


def test_pictures_get_the_contracts_size_and_keep_their_stamp(world: World) -> None:
    Rig(world)
    tell = world.talk(Image, "/front/rgb", qos.SENSOR)
    heard = world.listen(Image, "observation/images/front", qos.SENSOR)
    picture = np.zeros((360, 640, 3), np.uint8)
    picture[..., 0] = 200
    world.tester.create_timer(0.1, lambda: tell(image_msg(picture, 5 * MS, "front")))
    world.until(lambda: heard, "the picture arrives")
    assert (heard[0].height, heard[0].width, heard[0].encoding) == (240, 320, "rgb8")
    assert heard[0].header.stamp.nanosec == 5 * MS and heard[0].data[0] == 200


def test_a_trajectory_is_played_as_joint_commands_and_held(world: World) -> None:
    rig = Rig(world)
    rig.stand()
    heard = world.listen(JointState, "/joint_command", qos.COMMAND)
    command = world.talk(JointTrajectory, "command/arm", qos.COMMAND)
    world.activate(rig.node)
    # On a busy machine the joints may be too old when the first one comes.
    world.tester.create_timer(0.5, lambda: heard or command(rig.trajectory()))
    goal = HOME[0] + 0.1
    world.until(
        lambda: [m for m in heard if abs(m.position[0] - goal) < 1e-9][10:], "ten at the goal"
    )
    path = np.array([msg.position[0] for msg in heard])
    assert list(heard[0].name) == THEIRS and not len(heard[0].velocity)
    assert (np.diff(path) >= -1e-12).all() and np.diff(path).max() < 0.1


def test_no_command_is_taken_while_the_simulation_tells_no_joints(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    rig = Rig(world)
    heard = world.listen(JointState, "/joint_command", qos.COMMAND)
    command = world.talk(JointTrajectory, "command/arm", qos.COMMAND)
    world.activate(rig.node)
    command(rig.trajectory())
    text = ""

    def refused() -> bool:
        nonlocal text
        text += capfd.readouterr().err
        return "no joint states heard yet" in text

    world.until(refused, "the refusal in the log")
    assert not heard


def test_a_stop_ends_the_base(world: World) -> None:
    rig = Rig(world)
    rig.stand()
    speeds = world.listen(Twist, "/cmd_vel", qos.COMMAND)
    base = world.talk(Twist, "command/base", qos.COMMAND)
    emergency = world.talk(EmergencyStop, "emergency_stop", qos.EVENT)
    world.activate(rig.node)
    timer = world.tester.create_timer(
        0.02, lambda: base(twist_msg(("linear.x",), np.array([0.4])))
    )
    world.until(lambda: speeds and speeds[-1].linear.x == 0.4, "the base is told its velocity")
    emergency(EmergencyStop(source="operator", reason="test"))
    world.until(lambda: speeds[-1].linear.x == 0.0, "the base is told to stand")
    timer.cancel()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"image_relays": ("left=/rgb",)}, r"unknown \['left'\]; the contract has \['front'"),
        ({"joint_names": ("elbow=3",)}, r"'joint_names': expected columns of .* got \['elbow'\]"),
        ({"joint_names": ("elbow",)}, "expected column=joint"),
        ({"state_relays": ()}, r"outputs \['arm'\] are relayed nowhere"),
        ({"state_relays": ("arm=a", "base=b")}, "cannot be relayed so"),
    ],
)
def test_a_wrong_mapping_is_refused_at_start(
    world: World, changes: dict[str, object], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        SimulatorNode(parameter_overrides=parameters(**{**ISAAC, **changes}))


def test_the_readme_names_every_parameter_and_interface(world: World) -> None:
    node = Rig(world).node
    outputs = {o.topic for o in CONTRACT.outputs.values()}
    named_by_files = {
        *("/joint_command", "/cmd_vel", "/front/rgb", "/joint_states", "/odom"),
        *("joint_command", "cmd_vel", "front/rgb", "joint_states", "odom"),
        *(stream.topic for stream in CONTRACT.observation.images.values()),
        *(stream.topic for stream in CONTRACT.observation.state.values()),
        *(f"{source}{topic}" for source in ("", "teleoperation/", "homing/") for topic in outputs),
    }
    readme = Path(__file__).parents[1] / "README.md"
    assert undocumented(node, SimulatorParams, readme, own=named_by_files) == []
