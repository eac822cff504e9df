"""A torch network as a `Flow`. The only module of this package that imports torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vla_hosting.rtc.sampler import Array, Pullback

Network = Callable[[Tensor, Tensor], Tensor]


class TorchFlow:
    """Asks a network in its own precision and on its own device.

    Args:
        network: rows (..., H, A) and times (..., H) to velocities (..., H, A); the encoded
            observation is already inside. Prepare that under ``torch.no_grad()``, not under
            ``inference_mode``: tensors of the latter cannot take part in a backward pass.
        device: where it runs.
        dtype: its precision.
    """

    def __init__(
        self,
        network: Network,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._network, self._device, self._dtype = network, torch.device(device), dtype

    def velocity(self, rows: Array, times: Array) -> Array:
        """Return the velocity at the rows."""
        with torch.no_grad():
            return _array(self._network(self._tensor(rows), self._tensor(times)))

    def pullback(self, rows: Array, times: Array) -> tuple[Array, Pullback]:
        """Return the velocity, and its vector-Jacobian product by one backward pass."""
        with torch.inference_mode(False), torch.enable_grad():
            x = self._tensor(rows).requires_grad_()
            velocity = self._network(x, self._tensor(times))

        def pull(error: Array) -> Array:
            with torch.inference_mode(False):
                (product,) = torch.autograd.grad(velocity, x, self._tensor(error))
            return _array(product)

        return _array(velocity), pull

    def _tensor(self, values: Array) -> Tensor:
        return torch.as_tensor(values, dtype=self._dtype, device=self._device)


def _array(values: Tensor) -> Array:
    return np.asarray(values.detach().to("cpu", torch.float64).numpy())
