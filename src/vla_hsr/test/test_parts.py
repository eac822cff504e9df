"""What the bridge decides without ROS: names, buttons, force or position; the base's guard."""

from __future__ import annotations

import pytest

from vla_core.errors import ConfigurationError, NotReadyError
from vla_hsr.gripper import GraspChoice
from vla_hsr.guard import ZEROS_FOR_S, Guard
from vla_hsr.names import ROS1, ROS2, preset
from vla_hsr.stops import StopInputs
from vla_hsr.vendor import interface

S = 1_000_000_000


def test_names_are_a_preset_with_single_ones_replaced() -> None:
    names = preset("ros2").with_overrides(base_topic="/omni_base_controller/command_velocity")
    assert names.base_topic == "/omni_base_controller/command_velocity"
    assert names.arm_topic == ROS2.arm_topic
    assert names.with_overrides(arm_state="none").arm_state == ""
    assert preset("ros1") is ROS1
    assert all(topic.startswith("/hsrb/") for topic in (ROS1.arm_topic, *ROS1.stop_topics))
    with pytest.raises(ConfigurationError, match=r"\['ros1', 'ros2'\], got 'ros3'"):
        preset("ros3")


def test_a_stop_input_is_trouble_while_pressed_silent_or_never_heard() -> None:
    stops = StopInputs(["runstop", "bumper"], silence_s=1.0)
    assert stops.unheard() == ["runstop", "bumper"]
    assert "'runstop' was never heard" in stops.trouble(0)
    stops.hear("runstop", False, 0)
    stops.hear("bumper", False, 0)
    assert stops.trouble(S // 2) == ""
    stops.hear("bumper", True, S // 2)
    assert stops.trouble(S // 2) == "'bumper' is pressed"
    stops.hear("bumper", False, S)
    assert "'runstop' is silent for 1.1 s" in stops.trouble(S + S // 10)


def test_force_begins_once_and_ends_only_well_above_the_threshold() -> None:
    choice = GraspChoice(below=0.5)
    assert not choice.begins_grasp(0.6)
    assert choice.begins_grasp(0.49)
    assert not choice.begins_grasp(0.3)
    assert not choice.begins_grasp(0.55)
    assert choice.is_grasping
    choice.begins_grasp(0.61)
    assert not choice.is_grasping
    assert choice.begins_grasp(0.4)


def test_the_guard_sends_zero_only_after_silence_in_motion() -> None:
    guard = Guard(deadline_s=0.2)
    guard.hear(True, 0.0)
    assert not guard.needs_zero(10.0)
    guard.hear(False, 10.0)
    assert not guard.needs_zero(10.2)
    assert guard.needs_zero(10.21)
    guard.hear(True, 10.22)  # its own zero comes back
    assert guard.needs_zero(10.4)
    assert not guard.needs_zero(10.21 + ZEROS_FOR_S)


def test_the_guard_gives_way_to_somebody_who_commands_again() -> None:
    guard = Guard(deadline_s=0.2)
    guard.hear(False, 0.0)
    assert guard.needs_zero(0.3)
    guard.hear(False, 0.32)
    assert not guard.needs_zero(0.33)


def test_a_missing_vendor_package_is_refused_with_where_it_comes_from() -> None:
    with pytest.raises(NotReadyError, match=r"robot's own installation.*Then build again"):
        interface("hsrb_interface", "robot", "Robot", "homing")
