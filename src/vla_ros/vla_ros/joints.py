"""Named numbers to messages and back: joint states, trajectories, twists, plain arrays."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Twist
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_core.errors import ChunkError, NonFiniteError, ObservationError
from vla_ros.stamps import duration_msg, duration_ns, header

Floats = NDArray[np.float64]

# The contract's names of the types that carry numbers.
MESSAGE_TYPES: dict[str, type] = {
    "geometry_msgs/msg/Twist": Twist,
    "sensor_msgs/msg/JointState": JointState,
    "std_msgs/msg/Float64MultiArray": Float64MultiArray,
    "trajectory_msgs/msg/JointTrajectory": JointTrajectory,
}


def doubles(values: Floats) -> array[float]:
    """Return what rclpy takes without looking at each element."""
    data = array("d")
    data.frombytes(np.ascontiguousarray(values, np.float64).tobytes())
    return data


def entries_from_msg(msg: JointState, field: str, entries: Sequence[str]) -> Floats:
    """Return one field of a joint state by name, (entries,); the message's order does not matter.

    Raises:
        ObservationError: an entry is missing, doubled, or not finite.
    """
    values = getattr(msg, field)
    index = {name: i for i, name in enumerate(msg.name)}
    missing = [name for name in entries if name not in index]
    if missing or len(index) != len(msg.name):
        raise ObservationError(
            f"joint state: expected {list(entries)}, each once, got {list(msg.name)}"
        )
    if len(values) != len(msg.name):
        raise ObservationError(
            f"joint state: {len(msg.name)} names but {len(values)} values in '{field}'"
        )
    found = np.array([values[index[name]] for name in entries], np.float64)
    if not np.isfinite(found).all():
        name = entries[int(np.argmin(np.isfinite(found)))]
        raise ObservationError(f"joint state: '{name}' is not finite in '{field}'")
    return found


def joint_state_msg(
    stamp_ns: int,
    names: Sequence[str],
    positions: Floats,
    velocities: Floats | None = None,
    efforts: Floats | None = None,
) -> JointState:
    """Return a joint state; what is not known stays empty."""
    return JointState(
        header=header(stamp_ns),
        name=list(names),
        position=doubles(positions),
        velocity=array("d") if velocities is None else doubles(velocities),
        effort=array("d") if efforts is None else doubles(efforts),
    )


def trajectory_msg(
    stamp_ns: int,
    names: Sequence[str],
    times_ns: Sequence[int],
    positions: Floats,  # (K, A)
    velocities: Floats,  # (K, A)
    accelerations: Floats,  # (K, A)
) -> JointTrajectory:
    """Return a trajectory whose point i is due at ``stamp_ns + times_ns[i]``."""
    points = [
        JointTrajectoryPoint(
            positions=doubles(positions[i]),
            velocities=doubles(velocities[i]),
            accelerations=doubles(accelerations[i]),
            time_from_start=duration_msg(int(times_ns[i])),
        )
        for i in range(len(times_ns))
    ]
    return JointTrajectory(header=header(stamp_ns), joint_names=list(names), points=points)


def trajectory_arrays(
    msg: JointTrajectory, names: Sequence[str]
) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """Return times from start [ns] (K,) and positions, velocities, accelerations (K, A).

    The columns are those of ``names``, whatever the order of the message; velocities and
    accelerations that the sender left out are zero.

    Raises:
        ChunkError: no points, other joints, a row of another width, times that do not increase.
        NonFiniteError: a value is NaN or infinite.
    """
    if sorted(msg.joint_names) != sorted(names) or len(set(names)) != len(names):
        raise ChunkError(f"trajectory: expected {list(names)}, got {list(msg.joint_names)}")
    if not msg.points:
        raise ChunkError("trajectory: expected at least one point, got none")
    order = [list(msg.joint_names).index(name) for name in names]
    times = np.array([duration_ns(p.time_from_start) for p in msg.points], np.int64)
    if (np.diff(times) <= 0).any() or times[0] < 0:
        raise ChunkError("trajectory: expected times that increase from 0 on")
    rows = [_field(msg, name, order) for name in ("positions", "velocities", "accelerations")]
    return times, rows[0], rows[1], rows[2]


def _field(msg: JointTrajectory, field: str, order: list[int]) -> Floats:
    values = np.zeros((len(msg.points), len(order)))
    for i, point in enumerate(msg.points):
        row = getattr(point, field)
        if not len(row) and field != "positions":
            continue
        if len(row) != len(order):
            raise ChunkError(
                f"trajectory: point {i} has {len(row)} {field}, expected {len(order)}"
            )
        values[i] = np.asarray(row)[order]
    if not np.isfinite(values).all():
        raise NonFiniteError(f"trajectory: NaN or infinity in {field}")
    return values


def floats_msg(values: Floats) -> Float64MultiArray:
    """Return what a forward command controller takes."""
    return Float64MultiArray(data=doubles(values))


def twist_msg(fields: Sequence[str], values: Floats) -> Twist:
    """Return a twist with these fields set, the rest zero."""
    msg = Twist()
    for field, value in zip(fields, values, strict=True):
        part, axis = field.split(".")
        setattr(getattr(msg, part), axis, float(value))
    return msg


def twist_values(msg: Twist, fields: Sequence[str]) -> Floats:
    """Return these fields of a twist.

    Raises:
        NonFiniteError: one is NaN or infinite.
    """
    values = np.array([getattr(getattr(msg, f.split(".")[0]), f.split(".")[1]) for f in fields])
    if not np.isfinite(values).all():
        raise NonFiniteError(f"twist: NaN or infinity in {list(fields)}")
    return values
