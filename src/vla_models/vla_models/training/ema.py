"""The running average of weights that is evaluated and shipped instead of the last step's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class WeightAverage:
    """Exponential average with a warm-up, so that the random start is soon forgotten."""

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self._decay = decay
        self.weights = {name: tensor.detach().clone() for name, tensor in weights.items()}

    def update(self, weights: Mapping[str, Tensor], step: int) -> None:
        """Take in the weights after a step (counted from 1)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, average in self.weights.items():
                if average.is_floating_point():
                    average.lerp_(weights[name].detach(), 1 - decay)
                else:
                    average.copy_(weights[name])
