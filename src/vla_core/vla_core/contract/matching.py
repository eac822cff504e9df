"""Robot against policy, before anything moves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from vla_core.contract.model import Contract
from vla_core.contract.policy_config import PolicyConfig
from vla_core.errors import MismatchError
from vla_core.ports import PolicySpec

# Keys of PolicySpec.metadata: JSON lists with the smallest and largest value per action column
# in the training data, after the policy's own conversions.
ACTION_MIN = "action_min"
ACTION_MAX = "action_max"

# Training data may leave the limits by this share of their range before we doubt the unit.
TOLERATED_SHARE = 0.5


def check(contract: Contract, spec: PolicySpec, config: PolicyConfig | None = None) -> None:
    """Check that a policy fits a robot.

    Raises:
        MismatchError: lists every mismatch: robot, columns and their order, units, images,
            state entries, rate, statistics.
    """
    mismatches = list(_mismatches(contract, spec, config))
    if mismatches:
        lines = "".join(f"\n  - {mismatch}" for mismatch in mismatches)
        raise MismatchError(f"policy '{spec.name}' does not fit robot '{contract.robot}':{lines}")


def _mismatches(
    contract: Contract, spec: PolicySpec, config: PolicyConfig | None
) -> Iterator[str]:
    yield from _robot(contract, spec, config)
    yield from _columns(contract, spec)
    yield from _images(contract, spec)
    yield from _state(contract, spec)
    yield from _rate(contract, spec, config)
    yield from _join(spec, config)
    if spec.columns == contract.columns:
        yield from _statistics(contract, spec)


def _robot(contract: Contract, spec: PolicySpec, config: PolicyConfig | None) -> Iterator[str]:
    if spec.robot and spec.robot != contract.robot:
        yield f"robot: the policy was trained for '{spec.robot}', this is '{contract.robot}'"
    if config is not None and config.robot != contract.robot:
        yield f"robot: its file is for '{config.robot}', this is '{contract.robot}'"
    if config is None:
        return
    streams = [*contract.observation.images, *contract.observation.state]
    for source, stream in config.streams.items():
        if stream not in streams:
            yield f"streams.{source}: expected one of {streams}, found '{stream}'"


def _columns(contract: Contract, spec: PolicySpec) -> Iterator[str]:
    expected, found = contract.columns, spec.columns
    if found == expected:
        for name, ours, theirs in zip(expected, contract.units, spec.units, strict=False):
            if ours != theirs:
                yield f"unit of column '{name}': expected '{ours}', the policy gives '{theirs}'"
        if len(spec.units) != len(found):
            yield f"units: expected {len(found)}, one per column, found {len(spec.units)}"
    elif sorted(found) == sorted(expected):
        yield f"order of columns: expected {list(expected)}, the policy gives {list(found)}"
    else:
        missing = [name for name in expected if name not in found]
        unknown = [name for name in found if name not in expected]
        yield (
            f"columns: expected {list(expected)}, the policy gives {list(found)} "
            f"(missing {missing}, unknown {unknown})"
        )


def _images(contract: Contract, spec: PolicySpec) -> Iterator[str]:
    known = contract.observation.images
    for name, image in spec.images.items():
        if name not in known:
            yield f"image '{name}': the robot has no such camera, it has {list(known)}"
            continue
        ours = (known[name].height_px, known[name].width_px)
        theirs = (image.height or ours[0], image.width or ours[1])
        if theirs != ours:
            yield (
                f"image '{name}': the policy expects {theirs[0]} x {theirs[1]} pixels "
                f"(height x width), the robot gives {ours[0]} x {ours[1]}"
            )


def _state(contract: Contract, spec: PolicySpec) -> Iterator[str]:
    known = contract.observation.state
    for name, entries in spec.state.items():
        if name not in known:
            yield f"state '{name}': the robot has no such stream, it has {list(known)}"
        elif tuple(entries) != known[name].entries:
            yield (
                f"state '{name}': the policy expects entries {list(entries)}, "
                f"the robot gives {list(known[name].entries)}"
            )


def _rate(contract: Contract, spec: PolicySpec, config: PolicyConfig | None) -> Iterator[str]:
    if spec.horizon < 2:
        yield f"horizon: expected at least 2 rows per chunk, the policy gives {spec.horizon}"
    if spec.step_ns < contract.step_ns:
        yield (
            f"rate: expected rows at least {contract.step_ns / 1e6:g} ms apart (the executor's "
            f"tick), the policy's are {spec.step_ns / 1e6:g} ms apart"
        )
    rows = config.execution.horizon_rows if config is not None else None
    if rows is not None and rows > spec.horizon:
        yield f"execution.horizon_rows: expected at most {spec.horizon} rows, found {rows}"
    rate = config.rate_hz if config is not None else None
    if rate is not None and abs(rate * spec.step_ns / 1e9 - 1.0) > 0.01:
        yield f"rate_hz: expected {1e9 / spec.step_ns:g} (the policy's own), found {rate:g}"


def _join(spec: PolicySpec, config: PolicyConfig | None) -> Iterator[str]:
    if config is not None and config.execution.join == "rtc" and not spec.accepts_prefix:
        yield (
            "execution.join: 'rtc' needs a policy that continues a plan, this one accepts no "
            "prefix; expected another join, such as 'blend'"
        )


def _statistics(contract: Contract, spec: PolicySpec) -> Iterator[str]:
    """Doubt the unit when the training data lie far outside what the robot can do."""
    for key in (ACTION_MIN, ACTION_MAX):
        if key not in spec.metadata:
            continue
        values = _numbers(spec.metadata[key], len(spec.columns))
        if values is None:
            yield f"metadata.{key}: expected {len(spec.columns)} finite numbers as a JSON list"
            continue
        for column, value in zip(contract.action.columns, values, strict=True):
            lower, upper = column.position or (-column.velocity, column.velocity)
            margin = TOLERATED_SHARE * (upper - lower)
            if not lower - margin <= value <= upper + margin:
                hint = "; degrees instead of radians?" if "rad" in column.unit else ""
                yield (
                    f"statistics: column '{column.name}' reached {value:g} in training, "
                    f"the robot's limits are {lower:g} to {upper:g} {column.unit}{hint}"
                )


def _numbers(text: str, count: int) -> list[float] | None:
    try:
        values = [float(value) for value in json.loads(text)]
    except (ValueError, TypeError):
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None
