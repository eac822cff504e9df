"""A NanoVLA on disk: ``config.json`` beside ``model.safetensors``. Nothing in it can run code."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from vla_core.errors import ConfigurationError
from vla_models.nano.config import NanoConfig
from vla_models.nano.network import NanoVla
from vla_models.nano.processor import Statistics

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT = "vla-nano-1"
_STATISTICS = "statistics."


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network with what it needs to be used."""

    config: NanoConfig
    network: NanoVla
    statistics: Statistics
    training: Mapping[str, Any]  # how it came about, for people


def save_checkpoint(
    folder: Path,
    config: NanoConfig,
    weights: Mapping[str, Tensor],
    statistics: Statistics,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write both files; weights as half floats, which costs no accuracy that an arm could show."""
    tensors = {name: _halved(tensor) for name, tensor in weights.items()}
    for name, array in statistics.arrays().items():
        tensors[_STATISTICS + name] = torch.from_numpy(np.ascontiguousarray(array))
    data = save(tensors, metadata={"format": FORMAT})
    description = {
        "format": FORMAT,
        "network": config.to_dict(),
        "weights": {
            "file": WEIGHTS,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        },
        "training": dict(training or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / WEIGHTS, data)
    write_whole(folder / CONFIG, (json.dumps(description, indent=2) + "\n").encode())


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises:
        ConfigurationError: a file is missing, damaged, or does not fit the other.
    """
    description = _read_description(folder / CONFIG)
    config = NanoConfig.from_dict(description["network"], str(folder / CONFIG))
    tensors = _read_weights(folder / WEIGHTS, description["weights"])
    arrays = {
        name.removeprefix(_STATISTICS): tensors.pop(name).numpy()
        for name in list(tensors)
        if name.startswith(_STATISTICS)
    }
    network = NanoVla(config)
    _check_shapes(folder / WEIGHTS, network.state_dict(), tensors)
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    statistics = _statistics(folder / WEIGHTS, config, arrays)
    return Checkpoint(config, network.eval(), statistics, description.get("training", {}))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is either the old one or the new one, also after a kill."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)


def _halved(tensor: Tensor) -> Tensor:
    half = tensor.detach().to(torch.float16) if tensor.is_floating_point() else tensor.detach()
    return half.contiguous()


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(
            f"policy weights: cannot read {path}: {error.strerror}. "
            "Train a policy with `./vla train demo`, or give the folder of one."
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"policy weights: {path} is not JSON: {error}") from error
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT or not {"network", "weights"} <= set(description):
        raise ConfigurationError(
            f"policy weights: {path} expected format '{FORMAT}' with 'network' and 'weights', "
            f"found format '{found}'"
        )
    return dict(description)


def _read_weights(path: Path, expected: Mapping[str, Any]) -> dict[str, Tensor]:
    restore = "Restore the file, for example with `git checkout`, or train again."
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"policy weights: cannot read {path}: {error.strerror}"
        ) from error
    if len(data) != expected["bytes"]:
        raise ConfigurationError(
            f"policy weights: {path} expected {expected['bytes']} bytes, found {len(data)}. "
            + restore
        )
    if (found := hashlib.sha256(data).hexdigest()) != expected["sha256"]:
        raise ConfigurationError(
            f"policy weights: {path} expected sha256 {expected['sha256'][:12]}..., "
            f"found {found[:12]}...: the file is damaged or of another training. " + restore
        )
    try:
        return dict(load(data))
    except SafetensorError as error:
        raise ConfigurationError(
            f"policy weights: {path} is not a safetensors file: {error}. " + restore
        ) from error


def _check_shapes(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    mistakes = [f"'{name}' is missing" for name in sorted(set(expected) - set(found))]
    mistakes += [f"'{name}' is unknown" for name in sorted(set(found) - set(expected))]
    mistakes += [
        f"'{name}' expected {tuple(tensor.shape)}, found {tuple(found[name].shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    mistakes += [
        f"'{name}' holds NaN or infinity"
        for name, tensor in found.items()
        if not torch.isfinite(tensor.float()).all()
    ]
    if mistakes:
        shown = "; ".join(mistakes[:5]) + (f"; and {len(mistakes) - 5} more" * (len(mistakes) > 5))
        raise ConfigurationError(f"policy weights: {path} does not fit {CONFIG}: {shown}")


def _statistics(path: Path, config: NanoConfig, arrays: Mapping[str, np.ndarray]) -> Statistics:
    state, chunk = (len(config.state_entries),), (config.horizon, len(config.columns))
    expected = {
        "state_mean": state, "state_scale": state, "action_mean": chunk, "action_scale": chunk,
    }  # fmt: skip
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        raise ConfigurationError(
            f"policy weights: {path}: statistics expected {expected}, found {found}"
        )
    return Statistics(**arrays)
