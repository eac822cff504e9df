"""The bridge against the emulated robot over real DDS."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs_unitree  # noqa: F401  (skips this module)
import numpy as np
import pytest
import wire
from go2_rig import CONTRACT, HOME, Rig, rig
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Imu, JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from unitree_go.msg import WirelessController

from vla_core.errors import MismatchError
from vla_go2_arm import vendor
from vla_go2_arm.bridge_node import Go2ArmParams
from vla_go2_arm.sport import Call
from vla_interfaces.msg import EmergencyStop
from vla_ros import qos
from vla_ros.joints import trajectory_msg
from vla_ros.stamps import now_ns, time_ns
from vla_testing.readme import interfaces, undocumented

MS = 1_000_000
MOVE, STOP = 1008, 1003
NAMED_BY_FILES = {
    *(output.topic for output in CONTRACT.outputs.values()),
    *(f"{s}/{o.topic}" for s in ("teleoperation", "homing") for o in CONTRACT.outputs.values()),
    *(stream.topic for stream in CONTRACT.observation.state.values()),
}


def test_every_request_is_valid_and_the_robot_goes_where_it_is_told() -> None:
    with rig() as it:
        it.world.activate(it.bridge)
        it.drive(0.3, -0.1, 0.4)
        robot = it.robot.robot
        it.world.until(
            lambda: np.allclose(robot.velocity, [0.3, -0.1, 0.4], atol=0.02), "the robot walks"
        )
        it.drive(0.0)
        it.comes_to_rest()
        it.world.until(lambda: it.apis()[-1] == STOP, "the zero twist arrives as StopMove")
        assert [wire.mistakes(request) for request in it.requests if wire.mistakes(request)] == []
        assert {MOVE, STOP} == set(it.apis())
        ids = [request.header.identity.id for request in it.requests]
        assert len(set(ids)) == len(ids)


def test_silence_ends_in_a_stop_and_the_robot_rests_within_half_a_second_and_its_lag() -> None:
    with rig() as it:
        it.world.activate(it.bridge)
        it.walk()
        it.let_go()
        since = time.monotonic()
        it.comes_to_rest()
        # Deadline 0.2 s, ramp 0.15 s, then four time constants of the emulated body.
        assert time.monotonic() - since < 0.5 + 4 * 0.15 + 0.2
        assert STOP in it.apis()[-5:]
        it.world.until(lambda: not it.bridge.base.walker.is_stopping, "rest is seen")  # type: ignore[union-attr]
        count = len(it.requests)
        time.sleep(0.3)
        it.world.until(lambda: True, "")
        assert len(it.requests) == count  # quiet at rest


def test_lost_stop_requests_are_sent_again() -> None:
    with rig({"lost_stops": 8, "move_held_s": 5.0}) as it:
        # The first is asked for by the activation, which tries three times.
        it.bridge.trigger_configure()
        it.robot._stops_to_lose = 0
        it.bridge.trigger_activate()
        it.walk()
        it.robot._stops_to_lose = 4
        it.let_go()
        it.comes_to_rest()
        assert it.apis().count(STOP) >= 5


def test_the_operators_remote_takes_over_and_the_executor_hears_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a busy machine the emulated remote may pause for longer than a second.
    monkeypatch.setattr("vla_go2_arm.base.REMOTE_SILENT_NS", 60_000 * MS)
    with rig() as it:
        stops = it.world.listen(EmergencyStop, "emergency_stop", qos.EVENT)
        remote = it.world.talk(WirelessController, "/go2/remote", 10)
        it.world.activate(it.bridge)
        it.walk()
        after: list[int] = []
        send = it.bridge.base.sport.send

        def note(call: Call) -> int:
            if it.bridge.is_stopped:
                after.append(call.api_id)
            return send(call)

        monkeypatch.setattr(it.bridge.base.sport, "send", note)
        remote(WirelessController(rx=0.9))  # turns to the right
        it.world.until(lambda: it.bridge.is_stopped, "the takeover is latched")
        it.world.until(lambda: stops, "the executor is told")
        assert stops[0].source == "remote" and "rx 0.90" in stops[0].reason
        it.world.until(lambda: it.robot.robot.velocity[2] < -0.2, "the operator drives")
        end = time.monotonic() + 0.5
        it.world.until(lambda: time.monotonic() > end, "half a second")
        # One, that ends our own Move; more would fight the operator.
        assert after == [STOP]
        remote(WirelessController())
        it.comes_to_rest()
        # Commands go on all the time: only a reset lets them through again.
        assert it.world.call(Trigger, "bridge/reset").success
        it.world.until(lambda: it.speed > 0.2, "the robot walks after the reset")


def test_a_remote_that_is_switched_off_while_driving_does_not_end_the_stops() -> None:
    with rig({"move_held_s": 5.0}) as it:
        remote = it.world.talk(WirelessController, "/go2/remote", 10)
        it.world.activate(it.bridge)
        it.walk()
        remote(WirelessController(ly=0.9))
        it.world.until(lambda: it.bridge.is_stopped, "the takeover is latched")
        it.robot.params = replaced(it, remote_on=False)
        count = it.apis().count(STOP)
        it.world.until(lambda: it.apis().count(STOP) > count + 3, "the stops go on")


@pytest.mark.parametrize("fault", ["silent", "frozen"])
def test_a_lost_or_frozen_state_stops_the_robot(fault: str) -> None:
    with rig() as it:
        it.world.activate(it.bridge)
        it.walk()
        it.robot.params = replaced(it, **{fault: True})
        it.world.until(lambda: it.bridge.is_stopped, "the stop is latched")
        it.comes_to_rest()
        assert it.apis()[-1] == STOP
        it.robot.params = replaced(it, **{fault: False})


def test_an_unplugged_arm_stops_the_base_as_well() -> None:
    with rig() as it:
        it.world.activate(it.bridge)
        it.walk()
        it.bridge.obedient.unplugged = True
        it.world.until(lambda: it.bridge.is_stopped, "the stop is latched")
        it.comes_to_rest()
        refused = it.world.call(Trigger, "bridge/reset")
        assert not refused.success and refused.message.startswith("still stopped: the arm:")


def test_deactivation_in_motion_waits_for_rest() -> None:
    with rig() as it:
        it.world.activate(it.bridge)
        it.walk()
        it.let_go()
        it.bridge.trigger_deactivate()
        assert it.speed < 0.06
        assert not it.bridge.base.walker.is_stopping  # type: ignore[union-attr]


def test_the_arm_follows_a_trajectory() -> None:
    with rig() as it:
        it.world.activate(it.bridge)
        assert it.bridge.obedient.holds
        talk = it.world.talk(JointTrajectory, "command/arm", qos.COMMAND)
        joints = it.world.listen(JointState, "observation/joints", qos.SENSOR)
        it.world.until(lambda: it.bridge.read() is not None, "the arm is measured")
        rows, zeros = np.tile(HOME, (2, 1)), np.zeros((2, 6))
        rows[:, 0] += (0.01, 0.02)
        names = CONTRACT.outputs["arm"].columns
        times = [50 * MS, 100 * MS]
        talk(trajectory_msg(now_ns(it.world.tester), names, times, rows, zeros, zeros))
        it.world.until(
            lambda: joints and joints[-1].position[0] == pytest.approx(HOME[0] + 0.02, abs=1e-9),
            "the arm arrives",
        )


def test_the_robots_state_is_told_in_the_words_of_ros() -> None:
    with rig({"low_state_hz": 50.0}) as it:
        heard = {
            name: it.world.listen(kind, name, qos.SENSOR)
            for name, kind in (
                ("odom", Odometry),
                ("imu", Imu),
                ("joint_states", JointState),
                ("observation/base", JointState),
                ("observation/attitude", JointState),
            )
        }
        it.robot.robot.yaw = math.pi / 2
        it.world.activate(it.bridge)
        it.drive(0.3)
        odom, base = heard["odom"], heard["observation/base"]
        it.world.until(
            lambda: odom and odom[-1].pose.pose.position.y > 0.05, "odometry shows the way"
        )
        it.world.until(lambda: heard["imu"] and heard["joint_states"], "IMU and legs")
        # w first on the wire, last in ROS.
        assert heard["imu"][-1].orientation.w == pytest.approx(math.cos(math.pi / 4), abs=0.01)
        assert heard["imu"][-1].orientation.z == pytest.approx(math.sin(math.pi / 4), abs=0.01)
        assert odom[-1].twist.twist.linear.x > 0.1
        assert list(base[-1].name) == ["base_x", "base_y", "base_yaw"]
        legs = heard["joint_states"][-1]
        assert legs.name[0] == "FL_hip_joint"
        # Motor i of the emulator is off by i/100: FL is motors 3 to 5.
        assert legs.position[0] == pytest.approx(0.03, abs=1e-6)
        # The robot's clock is a year behind, the observation's stamp is not.
        assert abs(time_ns(base[-1].header.stamp) - now_ns(it.world.tester)) < 2_000_000_000


def test_standing_up_unlocks_the_joints_and_waits_until_move_is_obeyed() -> None:
    with rig({"posture": "lying", "deaf_s": 0.5}) as it:
        it.bridge.trigger_configure()
        assert it.bridge.state_label == "inactive"
        it.bridge.trigger_activate()
        assert it.bridge.state_label == "inactive", "a lying robot was activated"
        answers = [it.world.tester.create_client(Trigger, "bridge/stand_up")]
        it.world.until(answers[0].service_is_ready, "the service is there")
        future = answers[0].call_async(Trigger.Request())
        it.world.until(future.done, "an answer")
        assert future.result().success, future.result().message
        it.world.until(lambda: it.robot.robot.posture == "standing", "the robot stands, unlocked")
        it.world.until(
            lambda: [api for api in it.apis() if api != STOP] == [1004, 1002],
            "StandUp, then BalanceStand",
        )
        it.bridge.trigger_activate()
        assert it.bridge.state_label == "inactive", "Move would be ignored for some seconds yet"


@pytest.mark.parametrize(
    ("emulated", "bridged", "said"),
    [
        ({"service": "future"}, {}, "motion service 'future' is unknown"),
        ({"service": ""}, {}, "switch sport mode on"),
        ({"posture": "odd"}, {}, "error_code 7777"),
        ({"mute": True}, {}, "did not answer function 1001"),
        ({"prefix": "/elsewhere"}, {}, "no '/sportmodestate' within"),
    ],
)
def test_an_unknown_robot_is_refused_before_motion(
    emulated: dict[str, Any],
    bridged: dict[str, Any],
    said: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vla_go2_arm.base.STATE_WITHIN_S", 0.3)
    monkeypatch.setattr("vla_go2_arm.services.ANSWER_WITHIN_S", 0.3)
    with rig(emulated, **bridged) as it:
        it.bridge.trigger_configure()
        assert it.bridge.state_label == "unconfigured"
        assert said in capfd.readouterr().err
        assert MOVE not in it.apis()


def test_an_arm_that_its_driver_refuses_keeps_the_robot_still(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Wrong calibration, motor, baud rate, two arms on a bus: see the SO-101's test_refusals."""
    with rig() as it:
        it.bridge.obedient.refusal = MismatchError("two arms are on one bus")
        it.bridge.trigger_configure()
        assert it.bridge.state_label == "unconfigured"
        assert "two arms are on one bus" in capfd.readouterr().err
        assert not it.bridge.obedient.holds
        assert MOVE not in it.apis()


def test_missing_vendor_messages_are_refused_with_where_to_get_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = {"unitree_nowhere/Request": {"parameter": "string"}}
    with pytest.raises(
        vendor.ConfigurationError, match="unitree_nowhere/Request is not installed"
    ):
        vendor.load(fields)
    other = {"unitree_api/Response": {"binary": "sequence<uint8>"}}
    with pytest.raises(
        vendor.ConfigurationError, match="expected sequence<uint8>, found sequence"
    ):
        vendor.load(other)


def test_the_readme_names_every_parameter_and_interface() -> None:
    with rig() as it:
        readme = Path(__file__).parents[1] / "README.md"
        text = readme.read_text()
        # The robot's own topics are in the root namespace, which here is the node's as well.
        robots = {name for name in interfaces(it.bridge) if f"`/{name}`" in text}
        own = NAMED_BY_FILES | robots
        assert undocumented(it.bridge, Go2ArmParams, readme, own) == []


def replaced(it: Rig, **changes: Any) -> Any:
    return replace(it.robot.params, **changes)
