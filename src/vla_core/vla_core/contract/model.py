"""The typed contract of one robot: topics to observation, action columns to commands.

Only shapes and single values are checked here; what several keys mean together is in `checks.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

Finite = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Positive = Annotated[float, Strict(), Field(gt=0.0, allow_inf_nan=False)]
Whole = Annotated[int, Strict(), Field(gt=0)]
Name = Annotated[str, Field(min_length=1)]

POSITION_KINDS = ("joint_position", "gripper")
VELOCITY_KINDS = ("joint_velocity", "base_velocity")
KINDS = POSITION_KINDS + VELOCITY_KINDS

# Units that fit each kind; everything inside the stack is SI.
UNITS: dict[str, tuple[str, ...]] = {
    "joint_position": ("rad", "m"),
    "gripper": ("rad", "m"),
    "joint_velocity": ("rad/s", "m/s"),
    "base_velocity": ("m/s", "rad/s"),
}

# What each observation type can give, and each output type can take.
STATE_FIELDS: dict[str, tuple[str, ...]] = {
    "sensor_msgs/msg/JointState": ("position", "velocity", "effort"),
    "std_msgs/msg/Float64MultiArray": ("data",),
}
OUTPUT_KINDS: dict[str, tuple[str, ...]] = {
    "trajectory_msgs/msg/JointTrajectory": POSITION_KINDS,
    "sensor_msgs/msg/JointState": POSITION_KINDS,
    "geometry_msgs/msg/Twist": VELOCITY_KINDS,
    "std_msgs/msg/Float64MultiArray": KINDS,
}
TWIST_FIELDS = ("linear.x", "linear.y", "linear.z", "angular.x", "angular.y", "angular.z")


def _refuse_unknown_kind(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("ee_"):
        raise ValueError(
            f"one of {list(KINDS)}: end-effector columns become joint targets in the policy's "
            "output transforms, before they reach the executor"
        )
    return value


def _known_state_type(value: Any) -> Any:
    if value not in STATE_FIELDS:
        raise ValueError(f"one of {list(STATE_FIELDS)}")
    return value


def _known_output_type(value: Any) -> Any:
    if value not in OUTPUT_KINDS:
        raise ValueError(f"one of {list(OUTPUT_KINDS)}")
    return value


class Section(BaseModel):
    """Refuses unknown keys and cannot be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageStream(Section):
    """One camera."""

    topic: Name
    transport: Literal["raw", "compressed"] = "raw"
    height_px: Whole
    width_px: Whole


class StateStream(Section):
    """Named numbers of one message type."""

    topic: Name
    type: Annotated[str, BeforeValidator(_known_state_type)]
    field: Name = "position"
    entries: tuple[Name, ...] = Field(min_length=1)


class ObservationSection(Section):
    """What may reach a policy, and how old it may be."""

    max_age_s: Positive
    max_skew_s: Positive
    frozen_after_s: Positive = 1.0  # a stamp that stands still for so long is a dead sensor
    images: Mapping[Name, ImageStream] = Field(default_factory=dict)
    state: Mapping[Name, StateStream] = Field(default_factory=dict)


class Column(Section):
    """One action column with its limits, in ``unit``, per second, second^2 and second^3.

    For velocity kinds ``velocity`` bounds the value itself, ``acceleration`` and ``jerk`` its
    first and second derivative.
    """

    name: Name
    kind: Annotated[
        Literal["joint_position", "joint_velocity", "base_velocity", "gripper"],
        BeforeValidator(_refuse_unknown_kind),
    ]
    unit: Literal["rad", "m", "rad/s", "m/s"]
    position: tuple[Finite, Finite] | None = None  # lower, upper; position kinds only
    velocity: Positive
    acceleration: Positive
    jerk: Positive
    measured_by: str | None = None  # "stream.entry"; default: the state entry of the same name
    # An angle on the circle: a policy's row may be whole turns away. Its limits count turns.
    continuous: bool = False
    # A gripper keeps its value until the plan asks for a change larger than this [unit].
    hysteresis: Annotated[float, Strict(), Field(ge=0.0, allow_inf_nan=False)] = 0.0

    @property
    def is_position(self) -> bool:
        """Whether the column is a target position (else it is a velocity)."""
        return self.kind in POSITION_KINDS

    @property
    def is_gripper(self) -> bool:
        """Whether newest wins instead of being averaged or interpolated."""
        return self.kind == "gripper"

    @property
    def run_out(self) -> Literal["brake_and_hold", "ramp_to_zero"]:
        """What the column does when the plan runs out; follows from its kind."""
        return "brake_and_hold" if self.is_position else "ramp_to_zero"


Vector = tuple[Finite, Finite, Finite]


class Link(Section):
    """One joint of the chain to the tool, as in a URDF; without ``column`` it is fixed."""

    origin: Vector  # in the frame before it [m]
    rpy: Vector = (0.0, 0.0, 0.0)  # fixed-axis angles [rad]
    axis: Vector = (0.0, 0.0, 1.0)
    column: Name | None = None
    slides: bool = False  # moves along its axis instead of turning about it


class Workspace(Section):
    """Box that the tool must stay in [m]; needs the chain to the tool."""

    frame: Name
    lower: Vector
    upper: Vector
    chain: tuple[Link, ...] = ()  # from ``frame`` to the tool; empty: handed to the executor


class ActionSection(Section):
    """The action vector and the executor's tick."""

    step_s: Positive
    columns: tuple[Column, ...] = Field(min_length=1)
    workspace: Workspace | None = None


class Output(Section):
    """One receiver: which columns go where, and when it stops by itself."""

    topic: Name
    type: Annotated[str, BeforeValidator(_known_output_type)]
    columns: tuple[Name, ...] = Field(min_length=1)
    deadline_s: Positive
    fields: tuple[Name, ...] = ()  # Twist: field of each column


class TrackingError(Section):
    """Commanded minus measured position that stops the robot."""

    limit: Positive  # [unit of the column]
    duration_s: Positive


class Contract(Section):
    """Everything the stack knows of one robot."""

    robot: Name
    observation: ObservationSection
    action: ActionSection
    outputs: Mapping[Name, Output] = Field(min_length=1)
    home: Mapping[Name, Finite] = Field(default_factory=dict)
    tracking_error: TrackingError

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the action columns in order."""
        return tuple(column.name for column in self.action.columns)

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the action columns in order."""
        return tuple(column.unit for column in self.action.columns)

    @property
    def step_ns(self) -> int:
        """The executor's tick [ns]."""
        return round(self.action.step_s * 1e9)

    @property
    def measurements(self) -> dict[str, tuple[str, str]]:
        """Position column -> (state stream, entry) that measures it."""
        return {
            column.name: where
            for column in self.action.columns
            if column.is_position and (where := self._measurement(column)) is not None
        }

    def _measurement(self, column: Column) -> tuple[str, str] | None:
        if column.measured_by is not None:
            stream, _, entry = column.measured_by.partition(".")
            return stream, entry
        for name, stream_spec in self.observation.state.items():
            if stream_spec.field == "position" and column.name in stream_spec.entries:
                return name, column.name
        return None
