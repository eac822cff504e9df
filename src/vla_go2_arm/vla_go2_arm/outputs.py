"""Which columns of the contract go to the arm and which to the base, checked before motion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vla_core.contract import Contract, Output
from vla_core.errors import MismatchError
from vla_go2_arm.sport import RANGES

# Fields of the Twist by key of Move's parameter.
TWIST_FIELDS = {"linear.x": "x", "linear.y": "y", "angular.z": "z"}


@dataclass(frozen=True)
class Receivers:
    """The two outputs, by name."""

    arm: str
    base: str


def match_outputs(contract: Contract, joints: Sequence[str], watchdog_s: float) -> Receivers:
    """Return which output is the arm's and which the base's.

    Args:
        contract: of the robot.
        joints: names of the arm's joints.
        watchdog_s: silence after which StopMove is sent whatever the ramp says.

    Raises:
        MismatchError: lists all that does not fit this robot.
    """
    by_type = {output.type: name for name, output in contract.outputs.items()}
    arm = by_type.get("trajectory_msgs/msg/JointTrajectory", "")
    base = by_type.get("geometry_msgs/msg/Twist", "")
    mistakes: list[str] = []
    if not arm or not base or len(contract.outputs) != 2:
        found = {name: output.type for name, output in contract.outputs.items()}
        mistakes.append(
            f"outputs: expected one JointTrajectory (arm) and one Twist (base), found {found}"
        )
    if arm:
        mistakes += _arm_mistakes(contract.outputs[arm], joints)
    if base:
        mistakes += _base_mistakes(contract, contract.outputs[base], watchdog_s)
    if mistakes:
        raise MismatchError(f"robot '{contract.robot}' is no Go2 with arm: " + "; ".join(mistakes))
    return Receivers(arm, base)


def _arm_mistakes(output: Output, joints: Sequence[str]) -> Iterator[str]:
    if sorted(output.columns) != sorted(joints):
        yield f"joints of the arm: expected {list(joints)}, found {list(output.columns)}"


def _base_mistakes(contract: Contract, output: Output, watchdog_s: float) -> Iterator[str]:
    if set(output.fields) != set(TWIST_FIELDS):
        yield f"fields of the base: expected {list(TWIST_FIELDS)}, found {list(output.fields)}"
        return
    columns = {column.name: column for column in contract.action.columns}
    for name, field in zip(output.columns, output.fields, strict=True):
        low, high = RANGES[TWIST_FIELDS[field]]
        largest = min(-low, high)
        if columns[name].velocity > largest:
            yield (
                f"column '{name}': the robot takes at most {largest:g}, "
                f"the contract's limit is {columns[name].velocity:g}"
            )
    ramp_s = max(columns[n].velocity / columns[n].acceleration for n in output.columns)
    if output.deadline_s + ramp_s > watchdog_s:
        yield (
            f"deadline of the base: {output.deadline_s:g} s and a ramp of {ramp_s:.2g} s are "
            f"longer than the watchdog of {watchdog_s:g} s"
        )
