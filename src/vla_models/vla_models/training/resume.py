"""The full state of a training as one safetensors file: weights, their average, both moments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vla_core.errors import ConfigurationError
from vla_models.nano.checkpoint import write_whole

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class TrainingState:
    """Where a training is."""

    step: int
    seconds: float  # spent so far


def save_state(
    path: Path,
    state: TrainingState,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: dict[str, Tensor],
) -> None:
    """Write everything that an exact continuation needs."""
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": moments[name] for name in _MOMENTS}
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    metadata = {"step": str(state.step), "seconds": str(state.seconds)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save(whole, metadata=metadata))


def load_state(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: dict[str, Tensor],
) -> TrainingState:
    """Put a saved state into network, optimiser and average.

    Raises:
        ConfigurationError: the file is damaged or of another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network.load_state_dict(_under(tensors, "network."))
        for name, tensor in _under(tensors, "average.").items():
            average[name].copy_(tensor)
        optimiser.load_state_dict(_optimiser_state(optimiser, _under(tensors, "optimiser.")))
        return TrainingState(int(metadata["step"]), float(metadata["seconds"]))
    except (SafetensorError, RuntimeError, KeyError, OSError) as error:
        raise ConfigurationError(
            f"training: cannot resume from {path}: {error}. Delete it to start anew."
        ) from error


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _optimiser_state(
    optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> dict[str, object]:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = tensor
    return {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
