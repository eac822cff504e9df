"""A small reader of contracts for judging recordings: limits, receivers, streams.

Deliberately not `vla_core.contract`: the checker shares no code with what it checks. Closed by
default: a limit that is not there is a refusal, never "no limit".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError

POSITION_KINDS = ("joint_position", "gripper")


@dataclass(frozen=True)
class Column:
    """One action column and its limits in SI units."""

    name: str
    is_position: bool
    is_gripper: bool
    unit: str
    lower: float  # -inf for velocity columns
    upper: float
    velocity: float
    acceleration: float
    jerk: float


@dataclass(frozen=True)
class Receiver:
    """Who gets commands: topic, type, columns in order, and after what silence it stops."""

    topic: str
    msgtype: str
    columns: tuple[str, ...]
    deadline_ns: int
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stream:
    """A topic that is observed; ``entries`` is empty for images."""

    topic: str
    entries: tuple[str, ...] = ()
    field: str = ""


@dataclass(frozen=True, eq=False)
class Robot:
    """What a judge needs to know of one robot."""

    name: str
    step_ns: int
    columns: Mapping[str, Column]
    receivers: Mapping[str, Receiver]
    images: Mapping[str, Stream]
    states: Mapping[str, Stream]

    def limits(self, quantity: str, columns: Sequence[str]) -> NDArray[np.float64]:
        """Return one limit of several columns, (A,): "lower", "velocity", "jerk", ..."""
        return np.array([getattr(self.columns[name], quantity) for name in columns])

    def unit(self, column: str, derivative: int = 0) -> str:
        """Return the unit of a column or of its time derivative, for people."""
        unit = self.columns[column].unit.replace("/s", "")
        order = derivative + (not self.columns[column].is_position)
        return unit + ("", "/s", "/s²", "/s³", "/s⁴")[order]


def read_robot(texts: Sequence[str]) -> Robot:
    """Read a contract from its text and the texts laid over it, in order.

    Raises:
        ConfigurationError: something that a judge needs is missing, with its key.
    """
    try:
        return _robot(merge_texts(texts))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"contract: not what a judge can read, at {error!r}") from error


def merge_texts(texts: Sequence[str]) -> dict[str, Any]:
    """Return a contract as it stands in its text and the texts laid over it."""
    merged: dict[str, Any] = {}
    for text in texts:
        merged = _merge(merged, yaml.safe_load(text) or {})
    return merged


def read_robot_files(paths: Sequence[Path]) -> Robot:
    """Read a contract from files; see `read_robot`."""
    return read_robot([path.read_text() for path in paths])


def _robot(contract: Mapping[str, Any]) -> Robot:
    observation, action = contract["observation"], contract["action"]
    return Robot(
        name=contract["robot"],
        step_ns=round(float(action["step_s"]) * 1e9),
        columns={entry["name"]: _column(entry) for entry in action["columns"]},
        receivers={
            name: Receiver(
                output["topic"],
                output["type"],
                tuple(output["columns"]),
                round(float(output["deadline_s"]) * 1e9),
                tuple(output.get("fields", ())),
            )
            for name, output in contract["outputs"].items()
        },
        images={n: Stream(s["topic"]) for n, s in observation.get("images", {}).items()},
        states={
            n: Stream(s["topic"], tuple(s["entries"]), s.get("field", "position"))
            for n, s in observation.get("state", {}).items()
        },
    )


def _column(entry: Mapping[str, Any]) -> Column:
    is_position = entry["kind"] in POSITION_KINDS
    lower, upper = entry["position"] if is_position else (-np.inf, np.inf)
    bounds = [float(entry[name]) for name in ("velocity", "acceleration", "jerk")]
    if not all(np.isfinite(bound) and bound > 0 for bound in bounds):
        raise ValueError(f"limits of column '{entry['name']}': {bounds}")
    kind = (is_position, entry["kind"] == "gripper", entry["unit"])
    return Column(entry["name"], *kind, float(lower), float(upper), *bounds)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
