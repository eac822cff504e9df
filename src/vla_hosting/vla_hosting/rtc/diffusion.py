"""Diffusion models as flows along straight lines, so that one sampler serves both.

A diffusion model's ``x = a·rows + s·noise`` divided by ``a + s`` lies on the straight line at time
``a / (a + s)``; a DDIM step without noise is an Euler step there, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError
from vla_hosting.rtc.sampler import Array, Pullback

# (x, timestep of the training) -> noise or rows, as the network was trained to predict.
Network = Callable[[Array, int], Array]
NetworkPullback = Callable[[Array, int], tuple[Array, Pullback]]


class Diffusion:
    """A network of DDPM or DDIM as a `Flow`, at the timesteps of its sampler.

    Args:
        network: predicts at a timestep.
        kept: share of the rows' variance at each timestep in the order of sampling, that is
            rising (``alphas_cumprod`` of the chosen timesteps).
        timesteps: of the training, one for each of ``kept``.
        predicts: what the network says.
        pullback: prediction, and what multiplies an array by its Jacobian from the left; None:
            only guidance without a Jacobian is possible.

    Raises:
        ConfigurationError: ``kept`` is not rising inside 0 to 1, or not one for each timestep.
    """

    def __init__(
        self,
        network: Network,
        kept: Sequence[float],
        timesteps: Sequence[int],
        predicts: Literal["noise", "rows"] = "noise",
        pullback: NetworkPullback | None = None,
    ) -> None:
        self._network, self._pullback, self._predicts = network, pullback, predicts
        variance = np.asarray(kept, np.float64)
        is_rising = bool((np.diff(variance) > 0).all() and variance[0] > 0 and variance[-1] < 1)
        if len(variance) != len(timesteps) or not is_rising:
            raise ConfigurationError(
                f"diffusion: expected {len(timesteps)} shares rising between 0 and 1 "
                f"(alphas_cumprod in the order of sampling), got {variance.tolist()}"
            )
        self._rows, self._noise = np.sqrt(variance), np.sqrt(1.0 - variance)
        self._timesteps = tuple(timesteps)
        start = self._rows / (self._rows + self._noise)
        self.times: NDArray[np.float64] = np.append(start, 1.0)  # for the samplers

    def start(self, noise: Array) -> Array:
        """Return where sampling starts: standard normal noise, on the straight line."""
        return np.asarray(noise / (self._rows[0] + self._noise[0]))

    def velocity(self, rows: Array, times: Array) -> Array:
        """Return rows minus noise, as the network sees them."""
        step = self._step(times)
        x = rows * (self._rows[step] + self._noise[step])
        return self._straight(step, x, self._network(x, self._timesteps[step]))

    def pullback(self, rows: Array, times: Array) -> tuple[Array, Pullback]:
        """Return the velocity, and what multiplies by its Jacobian from the left."""
        if self._pullback is None:
            raise ConfigurationError(
                "diffusion: this network gives no Jacobian; use the method 'identity'"
            )
        step = self._step(times)
        a, s = float(self._rows[step]), float(self._noise[step])
        x = rows * (a + s)
        said, pull = self._pullback(x, self._timesteps[step])

        def back(error: Array) -> Array:
            if self._predicts == "noise":
                return (a + s) / a * (error - (a + s) * pull(error))
            return (a + s) / s * ((a + s) * pull(error) - error)

        return self._straight(step, x, said), back

    def _straight(self, step: int, x: Array, said: Array) -> Array:
        a, s = self._rows[step], self._noise[step]
        if self._predicts == "noise":
            return np.asarray((x - s * said) / a - said)
        return np.asarray(said - (x - a * said) / s)

    def _step(self, times: Array) -> int:
        return int(np.argmin(np.abs(self.times[:-1] - times.flat[0])))
