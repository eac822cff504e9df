"""What several keys of a contract mean together.

Works on the raw file, so that one wrong key does not hide the mistakes of the others: a part that
is malformed is skipped here, because the typed model reports it already.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from vla_core.contract.model import (
    KINDS,
    OUTPUT_KINDS,
    POSITION_KINDS,
    STATE_FIELDS,
    TWIST_FIELDS,
    UNITS,
    VELOCITY_KINDS,
)


def contract_mistakes(raw: Any) -> list[str]:
    """Return one sentence per contradiction inside a raw contract."""
    root = _mapping(raw)
    columns = _columns(root)
    return [
        *_column_mistakes(columns),
        *_stream_mistakes(root),
        *_measurement_mistakes(root, columns),
        *_output_mistakes(root, columns),
        *_home_mistakes(root, columns),
        *_workspace_mistakes(root, columns),
    ]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _columns(root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [_mapping(column) for column in _list(_mapping(root.get("action")).get("columns"))]


def _names(columns: list[Mapping[str, Any]]) -> list[str]:
    return [c["name"] for c in columns if isinstance(c.get("name"), str)]


def _range(column: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the position limits if they are two finite numbers in order."""
    values = _list(column.get("position"))
    if len(values) == 2 and all(_is_number(value) for value in values) and values[0] < values[1]:
        return float(values[0]), float(values[1])
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _column_mistakes(columns: list[Mapping[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for i, column in enumerate(columns):
        path, name, kind = f"action.columns[{i}]", column.get("name"), column.get("kind")
        if isinstance(name, str):
            if name in seen:
                yield f"{path}.name: expected a name used once, found '{name}' again"
            seen.add(name)
        unit = column.get("unit")
        if kind in UNITS and isinstance(unit, str) and unit not in UNITS[kind]:
            yield f"{path}.unit: expected one of {list(UNITS[kind])} for a {kind}, found '{unit}'"
        limits = _list(column.get("position"))
        if kind in POSITION_KINDS and column.get("position") is None:
            yield f"{path}.position: expected [lower, upper] for a {kind}, found nothing"
        if kind in VELOCITY_KINDS and column.get("position") is not None:
            yield f"{path}.position: expected nothing for a {kind}, found {column['position']}"
        if len(limits) == 2 and all(map(_is_number, limits)) and limits[0] >= limits[1]:
            yield f"{path}.position: expected lower below upper, found {limits}"
        if column.get("continuous") is True and (kind, unit) != ("joint_position", "rad"):
            yield f"{path}.continuous: expected for a joint_position in rad, found a {kind}"
        limits_in_order = _range(column)
        if column.get("continuous") is True and limits_in_order is not None:
            turn = limits_in_order[1] - limits_in_order[0]
            if turn < 2 * math.pi:
                yield f"{path}.position: expected a whole turn for continuous, found {turn:.3g}"
        if column.get("hysteresis") and kind in UNITS and kind != "gripper":
            yield f"{path}.hysteresis: expected for a gripper, found a {kind}"


def _stream_mistakes(root: Mapping[str, Any]) -> Iterator[str]:
    observation = _mapping(root.get("observation"))
    images, states = _mapping(observation.get("images")), _mapping(observation.get("state"))
    for name in images.keys() & states.keys():
        yield f"observation.state.{name}: expected a name no image has, found '{name}' twice"
    for name, stream in states.items():
        fields = STATE_FIELDS.get(str(_mapping(stream).get("type")))
        field = _mapping(stream).get("field", "position")
        if fields is not None and field not in fields:
            path = f"observation.state.{name}.field"
            yield f"{path}: expected one of {list(fields)}, found {field!r}"
        entries = [str(entry) for entry in _list(_mapping(stream).get("entries"))]
        for entry in sorted({entry for entry in entries if entries.count(entry) > 1}):
            yield (
                f"observation.state.{name}.entries: expected each name once, "
                f"found '{entry}' {entries.count(entry)} times"
            )


def _measurement_mistakes(
    root: Mapping[str, Any], columns: list[Mapping[str, Any]]
) -> Iterator[str]:
    states = _mapping(_mapping(root.get("observation")).get("state"))
    measured = {
        name: [str(entry) for entry in _list(_mapping(stream).get("entries"))]
        for name, stream in states.items()
        if _mapping(stream).get("field", "position") == "position"
    }
    for i, column in enumerate(columns):
        if column.get("kind") not in POSITION_KINDS:
            continue
        name, where = column.get("name"), column.get("measured_by")
        if where is not None:
            stream, _, entry = str(where).partition(".")
            if entry not in measured.get(stream, []):
                known = [f"{s}.{e}" for s, entries in measured.items() for e in entries]
                yield f"action.columns[{i}].measured_by: expected one of {known}, found '{where}'"
        elif isinstance(name, str) and not any(name in entries for entries in measured.values()):
            known = [entry for entries in measured.values() for entry in entries]
            yield (
                f"action.columns[{i}].name: expected a position that a state stream measures "
                f"{known}, found '{name}'"
            )


def _output_mistakes(root: Mapping[str, Any], columns: list[Mapping[str, Any]]) -> Iterator[str]:
    names, owner = _names(columns), dict[str, str]()
    kinds = {column.get("name"): column.get("kind") for column in columns}
    outputs = _mapping(root.get("outputs"))
    for output_name, output in outputs.items():
        path, type_ = f"outputs.{output_name}", str(_mapping(output).get("type"))
        listed = [str(column) for column in _list(_mapping(output).get("columns"))]
        for i, column in enumerate(listed):
            if column not in names:
                yield f"{path}.columns[{i}]: expected one of {names}, found '{column}'"
                continue
            if column in owner:
                yield f"{path}.columns[{i}]: '{column}' already goes to output '{owner[column]}'"
            owner[column] = str(output_name)
            allowed = OUTPUT_KINDS.get(type_)
            if allowed is not None and kinds[column] in KINDS and kinds[column] not in allowed:
                yield (
                    f"{path}.columns[{i}]: a {type_} takes {list(allowed)}, "
                    f"found '{column}' of kind {kinds[column]}"
                )
        fields = _list(_mapping(output).get("fields"))
        yield from _twist_mistakes(path, type_, fields, listed)
        if type_ == "geometry_msgs/msg/Twist":
            yield from _twist_units(path, fields, listed, columns)
    if outputs:
        for name in names:
            if name not in owner:
                yield f"outputs: expected a receiver for every column, found none for '{name}'"


def _twist_units(
    path: str, fields: list[Any], listed: list[str], columns: list[Mapping[str, Any]]
) -> Iterator[str]:
    """Yield each velocity that would go to a field of another unit."""
    units = {str(column.get("name")): column.get("unit") for column in columns}
    for i, (field, name) in enumerate(zip(fields, listed, strict=False)):
        unit = {"linear": "m/s", "angular": "rad/s"}.get(str(field).split(".")[0])
        if unit is not None and units.get(name) in {"m/s", "rad/s"} - {unit}:
            yield (
                f"{path}.fields[{i}]: expected a column in {unit} for '{field}', "
                f"found '{name}' in {units[name]}"
            )


def _twist_mistakes(path: str, type_: str, fields: list[Any], listed: list[str]) -> Iterator[str]:
    if type_ != "geometry_msgs/msg/Twist":
        if fields:
            yield f"{path}.fields: expected nothing for a {type_}, found {fields}"
        return
    if len(fields) != len(listed) or len(set(map(str, fields))) != len(fields):
        yield f"{path}.fields: expected one field per column {listed}, found {fields}"
    for i, field in enumerate(fields):
        if field not in TWIST_FIELDS:
            yield f"{path}.fields[{i}]: expected one of {list(TWIST_FIELDS)}, found {field!r}"


def _home_mistakes(root: Mapping[str, Any], columns: list[Mapping[str, Any]]) -> Iterator[str]:
    home = _mapping(root.get("home"))
    # A column of unknown kind is reported once, where it stands: here it counts as a position.
    positions = {
        c["name"]: c for c in columns if "name" in c and c.get("kind") not in VELOCITY_KINDS
    }
    for name, value in home.items():
        if name not in positions:
            yield f"home.{name}: expected one of {list(positions)}, found '{name}'"
            continue
        limits = _range(positions[name])
        if limits is not None and _is_number(value) and not limits[0] <= value <= limits[1]:
            yield f"home.{name}: expected a value inside {list(limits)}, found {value}"
    if home:
        for name in positions:
            if name not in home:
                yield f"home: expected every position column, found none for '{name}'"


def _workspace_mistakes(
    root: Mapping[str, Any], columns: list[Mapping[str, Any]]
) -> Iterator[str]:
    joints = [c.get("name") for c in columns if c.get("kind") == "joint_position"]
    for i, link in enumerate(
        _list(_mapping(_mapping(root.get("action")).get("workspace")).get("chain"))
    ):
        path, column = f"action.workspace.chain[{i}]", _mapping(link).get("column")
        if column is not None and column not in joints:
            yield f"{path}.column: expected one of {joints}, found {column!r}"
        axis = _list(_mapping(link).get("axis"))
        if len(axis) == 3 and all(map(_is_number, axis)) and not any(axis):
            yield f"{path}.axis: expected a direction, found {axis}"
    box = _mapping(_mapping(root.get("action")).get("workspace"))
    lower, upper = _list(box.get("lower")), _list(box.get("upper"))
    for i, (low, high) in enumerate(zip(lower, upper, strict=False)):
        if _is_number(low) and _is_number(high) and low >= high:
            yield f"action.workspace.lower[{i}]: expected a value below {high}, found {low}"
