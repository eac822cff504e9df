"""Messages of openpi's protocol as values of ours, for server and client alike.

A request is openpi's flat observation dict, an answer its dict with ``actions`` (T, A) and
``server_timing``. What openpi does not have rides along under one optional key, ``vla``; an
openpi client never sends it and ignores it in answers, an openpi server is never sent it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import InferenceError, MismatchError
from vla_core.ports import ImageSpec, PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.keys import ObservationKeys

EXTRA = "vla"
PROTOCOL = 1


@dataclass(frozen=True)
class Hosted:
    """What is behind a connection."""

    spec: PolicySpec
    keys: ObservationKeys
    is_ours: bool  # it understands what rides along; an openpi server is sent none of it


def metadata_to_wire(spec: PolicySpec, keys: ObservationKeys) -> dict[str, Any]:
    """Return what the server says first: enough for a client of ours to know the policy."""
    return {
        **spec.metadata,
        EXTRA: {
            "protocol": PROTOCOL,
            "spec": spec_to_wire(spec),
            "keys": keys.to_wire(),
        },
    }


def metadata_from_wire(metadata: object) -> Hosted | None:
    """Return what one of our servers said of its policy; None: a server of openpi.

    Raises:
        MismatchError: another version of the protocol, or something unreadable.
    """
    if not isinstance(metadata, dict):
        raise MismatchError(
            f"policy server: expected a dict of metadata first, got {type(metadata).__name__}"
        )
    extra = metadata.get(EXTRA)
    if not isinstance(extra, dict):
        return None
    if extra.get("protocol") != PROTOCOL:
        raise MismatchError(
            f"policy server: speaks version {extra.get('protocol')!r} of our protocol, "
            f"expected {PROTOCOL}. Use the same release on both sides."
        )
    try:
        return Hosted(
            spec_from_wire(extra["spec"]), ObservationKeys.from_wire(extra["keys"]), is_ours=True
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MismatchError(f"policy server: unreadable metadata: {error!r}") from error


def spec_to_wire(spec: PolicySpec) -> dict[str, Any]:
    """Return a spec as a dict of plain values."""
    return {
        "name": spec.name,
        "images": {name: [size.height, size.width] for name, size in spec.images.items()},
        "state": {name: list(entries) for name, entries in spec.state.items()},
        "columns": list(spec.columns),
        "units": list(spec.units),
        "horizon": spec.horizon,
        "step_ns": spec.step_ns,
        "robot": spec.robot,
        "accepts_prefix": spec.accepts_prefix,
        "has_correction": spec.has_correction,
        "parameters": spec.parameters,
        "metadata": dict(spec.metadata),
    }


def spec_from_wire(value: Mapping[str, Any]) -> PolicySpec:
    """Read what `spec_to_wire` wrote."""
    return PolicySpec(
        name=str(value["name"]),
        images={
            name: ImageSpec(int(height), int(width))
            for name, (height, width) in value["images"].items()
        },
        state={name: tuple(entries) for name, entries in value["state"].items()},
        columns=tuple(value["columns"]),
        units=tuple(value["units"]),
        horizon=int(value["horizon"]),
        step_ns=int(value["step_ns"]),
        robot=str(value["robot"]),
        accepts_prefix=bool(value["accepts_prefix"]),
        has_correction=bool(value["has_correction"]),
        parameters=int(value["parameters"]),
        metadata=dict(value["metadata"]),
    )


def request_to_wire(
    observation: Observation, spec: PolicySpec, keys: ObservationKeys
) -> dict[str, Any]:
    """Return openpi's flat observation, with exactly what the policy takes."""
    message: dict[str, Any] = {keys.images[name]: observation.images[name] for name in spec.images}
    for key, streams in _streams_by_key(spec, keys).items():
        message[key] = np.concatenate([observation.state[name] for name in streams])
    message[keys.prompt] = observation.instruction
    return message


def extras_to_wire(
    request: int, observation: Observation, prefix: Prefix | None
) -> dict[str, Any]:
    """Return what rides along in a request to one of our servers."""
    extra: dict[str, Any] = {
        "request": request,
        "as_of_ns": observation.as_of_ns,
        "ages_ns": dict(observation.ages_ns),
    }
    if prefix is not None:
        extra["prefix"] = {
            "values": prefix.values,
            "start_ns": prefix.start_ns,
            "step_ns": prefix.step_ns,
            "committed_until_ns": prefix.committed_until_ns,
        }
    return extra


def observation_from_wire(
    message: Mapping[str, Any], spec: PolicySpec, keys: ObservationKeys, now_ns: int
) -> Observation:
    """Read a client's observation; ``now_ns`` is its time where the client gives none.

    Raises:
        MismatchError: a field is missing or is not what the policy takes, with its key.
    """
    extra = _mapping(message.get(EXTRA, {}), EXTRA)
    state: dict[str, NDArray[np.float64]] = {}
    for key, streams in _streams_by_key(spec, keys).items():
        state |= _split(_state(_field(message, key), key, spec, streams), spec, streams)
    return Observation(
        as_of_ns=_integer(extra.get("as_of_ns", now_ns), "as_of_ns"),
        images={
            name: _image(_field(message, keys.images[name]), keys.images[name], size)
            for name, size in spec.images.items()
        },
        state=state,
        instruction=_text(_field(message, keys.prompt), keys.prompt),
        ages_ns={
            str(name): _integer(age, "ages_ns")
            for name, age in _mapping(extra.get("ages_ns", {}), "ages_ns").items()
        },
    )


def prefix_from_wire(message: Mapping[str, Any], spec: PolicySpec) -> Prefix | None:
    """Read the plan that a request asks the policy to continue, None where there is none."""
    value = _mapping(message.get(EXTRA, {}), EXTRA).get("prefix")
    if value is None:
        return None
    value = _mapping(value, "prefix")
    rows = _numbers(value.get("values"), "prefix values")
    if rows.ndim != 2 or rows.shape[1] != len(spec.columns):
        raise MismatchError(
            f"field 'prefix values': expected (T, {len(spec.columns)}), got {rows.shape}"
        )
    times = {
        name: _integer(value.get(name), f"prefix {name}")
        for name in ("start_ns", "step_ns", "committed_until_ns")
    }
    return Prefix(values=rows, **times)


def answer_to_wire(chunk: ActionChunk, request: object) -> dict[str, Any]:
    """Return openpi's answer; the server adds ``server_timing``."""
    return {
        "actions": chunk.values,
        EXTRA: {
            "request": request,
            "start_ns": chunk.start_ns,
            "step_ns": chunk.step_ns,
            "columns": list(chunk.columns),
            "prefix_rows": chunk.prefix_rows,
            "stages_ns": dict(chunk.stages_ns),
        },
    }


def chunk_from_wire(
    answer: object, spec: PolicySpec, observation: Observation, request: int
) -> ActionChunk:
    """Read an answer, of one of our servers or of openpi's.

    Raises:
        InferenceError: it is no answer, or not the answer to this request.
        ChunkError: its actions are no chunk (shape, NaN).
    """
    if not isinstance(answer, dict) or "actions" not in answer:
        found = sorted(map(str, answer)) if isinstance(answer, dict) else type(answer).__name__
        raise InferenceError(
            f"policy '{spec.name}': the server's answer has no 'actions'; it has {found}"
        )
    extra = answer.get(EXTRA)
    extra = extra if isinstance(extra, dict) else {}
    if extra.get("request", request) != request:
        raise InferenceError(
            f"policy '{spec.name}': the server answered request {extra['request']!r}, "
            f"expected {request}"
        )
    return ActionChunk(
        values=_actions(answer["actions"], spec),
        start_ns=observation.as_of_ns,
        step_ns=int(extra.get("step_ns", spec.step_ns)),
        columns=tuple(extra.get("columns", spec.columns)),
        prefix_rows=int(extra.get("prefix_rows", 0)),
        ages_ns=dict(observation.ages_ns),
        stages_ns=_stages(extra.get("stages_ns"), answer.get("server_timing")),
    )


def _actions(value: object, spec: PolicySpec) -> NDArray[np.float64]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        raise InferenceError(
            f"policy '{spec.name}': expected 'actions' as an array of numbers, "
            f"got {_describe(value)}"
        )
    return value.astype(np.float64)


def _stages(stages: object, timing: object) -> dict[str, int]:
    """Return the server's stages; of openpi's server only the inference is known."""
    if isinstance(stages, dict) and stages:
        return {str(name): int(spent) for name, spent in stages.items()}
    if isinstance(timing, dict) and isinstance(timing.get("infer_ms"), float | int):
        return {"infer": int(timing["infer_ms"] * 1e6)}
    return {}


def _streams_by_key(spec: PolicySpec, keys: ObservationKeys) -> dict[str, list[str]]:
    """Return the state streams that share a key, in the order in which they are joined."""
    joined: dict[str, list[str]] = {}
    for name in (name for name in keys.state if name in spec.state):
        joined.setdefault(keys.state[name], []).append(name)
    return joined


def _field(message: Mapping[str, Any], key: str) -> object:
    if key not in message:
        found = sorted(str(name) for name in message if name != EXTRA)
        raise MismatchError(f"field '{key}': missing; the observation has {found}")
    return message[key]


def _image(value: object, key: str, size: ImageSpec) -> NDArray[np.uint8]:
    if isinstance(value, np.ndarray) and value.ndim == 3 and value.dtype == np.uint8:
        expected = (size.height or value.shape[0], size.width or value.shape[1], 3)
        if value.shape == expected and 0 not in value.shape:
            return value
    expected_words = (size.height or "any", size.width or "any", 3)
    raise MismatchError(
        f"field '{key}': expected an image {expected_words} uint8, got {_describe(value)}"
    )


def _state(value: object, key: str, spec: PolicySpec, streams: list[str]) -> NDArray[np.float64]:
    entries = [entry for name in streams for entry in spec.state[name]]
    numbers = _numbers(value, key)
    if numbers.shape != (len(entries),):
        raise MismatchError(
            f"field '{key}': expected {len(entries)} numbers {entries}, got {_describe(value)}"
        )
    return numbers


def _split(
    values: NDArray[np.float64], spec: PolicySpec, streams: list[str]
) -> dict[str, NDArray[np.float64]]:
    ends = np.cumsum([len(spec.state[name]) for name in streams])
    return dict(zip(streams, np.split(values, ends[:-1]), strict=True))


def _numbers(value: object, key: str) -> NDArray[np.float64]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        raise MismatchError(f"field '{key}': expected an array of numbers, got {_describe(value)}")
    numbers = value.astype(np.float64)
    if not np.isfinite(numbers).all():
        where = np.argwhere(~np.isfinite(numbers))[0].tolist()
        raise MismatchError(f"field '{key}': NaN or infinity first at {where}")
    return numbers


def _text(value: object, key: str) -> str:
    if not isinstance(value, str):
        raise MismatchError(f"field '{key}': expected text, got {_describe(value)}")
    return value


def _integer(value: object, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MismatchError(f"field '{key}': expected an integer [ns], got {_describe(value)}")
    return value


def _mapping(value: object, key: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MismatchError(f"field '{key}': expected a dict, got {_describe(value)}")
    return value


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    if isinstance(value, str | int | float) and len(str(value)) < 60:
        return f"{type(value).__name__} {value!r}"
    return type(value).__name__
