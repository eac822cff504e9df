"""Parameters of a node as one frozen dataclass: name, type, default, range, meaning on one line.

@dataclass(frozen=True)
class ExecutorParams:
    rate_hz: float = param(50.0, "Command rate [Hz]", low=1.0, high=1000.0)
    files: tuple[str, ...] = param((), "Contract and overlays")
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException, ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter

from vla_core.errors import ConfigurationError, VlaError

P = TypeVar("P")

_TYPES: dict[type, Parameter.Type] = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
    tuple: Parameter.Type.STRING_ARRAY,
}


def param(
    default: Any,
    text: str,
    low: float | None = None,
    high: float | None = None,
    live: bool = False,
) -> Any:
    """Describe one field of a parameter dataclass.

    Args:
        default: bool, int, float, str or a tuple of strings. A NaN default allows NaN.
        text: what it means, with its unit in square brackets.
        low, high: the range, both included; None: open.
        live: may change while running (see `watch`); all others are read-only.
    """
    return dataclasses.field(
        default=default, metadata={"text": text, "low": low, "high": high, "live": live}
    )


def declare(node: Node, cls: type[P]) -> P:
    """Declare all fields of ``cls`` on ``node`` and return their values.

    Raises:
        ConfigurationError: wrong types and values out of range, all of them at once.
    """
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for spec in dataclasses.fields(cls):  # type: ignore[arg-type]
        try:
            values[spec.name] = _declare(node, spec)
        except VlaError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    return cls(**values)


def watch(node: Node, params: P, apply: Callable[[P], None]) -> None:
    """Call ``apply`` with the new values when a live parameter changes; a VlaError refuses."""
    current = params
    specs = {spec.name: spec for spec in dataclasses.fields(params)}  # type: ignore[arg-type]

    def on_set(changes: list[Parameter]) -> SetParametersResult:
        nonlocal current
        new = {c.name: _from_ros(c.value) for c in changes if c.name in specs}
        try:
            for name, value in new.items():
                _check(specs[name], value)
            wanted = dataclasses.replace(current, **new)  # type: ignore[type-var]
            if new:
                apply(wanted)
        except VlaError as error:
            return SetParametersResult(successful=False, reason=str(error))
        current = wanted
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)


def _declare(node: Node, spec: dataclasses.Field[Any]) -> Any:
    kind = _TYPES[type(spec.default)]
    # An empty list has no element type in ROS, so the type is declared instead of the default.
    default = kind if spec.default == () else _to_ros(spec.default)
    is_empty = _override(node, spec.name) == []
    try:
        found = node.declare_parameter(
            spec.name, default, _descriptor(spec), ignore_override=is_empty
        ).value
    except ParameterUninitializedException:
        found = None
    except (ParameterException, ValueError) as error:
        raise ConfigurationError(
            f"parameter '{spec.name}' ({spec.metadata['text']}): "
            f"expected {_expected(spec)}, got {_override(node, spec.name)!r} ({error})"
        ) from error
    value = () if is_empty else _from_ros(spec.default if found is None else found)
    _check(spec, value)
    return value


def _override(node: Node, name: str) -> object:
    # Humble and later keep what was asked for here, declared or not.
    override = getattr(node, "_parameter_overrides", {}).get(name)
    return override.value if override is not None else None


def _descriptor(spec: dataclasses.Field[Any]) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=spec.metadata["text"], read_only=not spec.metadata["live"]
    )
    low, high = spec.metadata["low"], spec.metadata["high"]
    # rclpy refuses NaN against any range, so where NaN is allowed only _check looks at it.
    if isinstance(spec.default, float) and not math.isnan(spec.default):
        if low is not None or high is not None:
            bounds = (-math.inf if low is None else low, math.inf if high is None else high)
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(bounds[0]), to_value=float(bounds[1]))
            ]
    elif type(spec.default) is int and low is not None and high is not None:
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return descriptor


def _check(spec: dataclasses.Field[Any], value: Any) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return
    if isinstance(spec.default, float) and math.isnan(value) and math.isnan(spec.default):
        return
    low, high = spec.metadata["low"], spec.metadata["high"]
    inside = (low is None or value >= low) and (high is None or value <= high)
    if not inside or math.isnan(value):
        raise ConfigurationError(
            f"parameter '{spec.name}' ({spec.metadata['text']}): "
            f"expected {_expected(spec)}, got {value}"
        )


def _expected(spec: dataclasses.Field[Any]) -> str:
    kind = "list of strings" if spec.default == () else type(spec.default).__name__
    low, high = spec.metadata["low"], spec.metadata["high"]
    if low is None and high is None:
        return kind
    return f"{kind} from {'-inf' if low is None else low} to {'inf' if high is None else high}"


def _to_ros(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _from_ros(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value
