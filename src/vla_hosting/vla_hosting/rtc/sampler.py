"""Samplers that turn noise into rows which continue a plan.

Time runs from 0 (noise) to 1 (rows) along straight lines, ``x = t·rows + (1 - t)·noise``; networks
of the other convention go in `NoiseAtOne`, diffusion models in `Diffusion`. Arrays are
(..., H, A) in the space of the network; a NaN in a plan means that there is nothing to continue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError
from vla_hosting.rtc.weights import guidance_weight

Array = NDArray[np.float64]
Pullback = Callable[[Array], Array]


class Flow(Protocol):
    """A network with one observation already encoded. Called from the policy's thread only."""

    def velocity(self, rows: Array, times: Array) -> Array:
        """Return the velocity (..., H, A) at ``rows`` (..., H, A) and ``times`` (..., H)."""
        ...

    def pullback(self, rows: Array, times: Array) -> tuple[Array, Pullback]:
        """Return the velocity, and what multiplies an array by its Jacobian from the left.

        That is, ``e -> sum(e * d velocity / d rows)``, both (..., H, A).
        """
        ...


@dataclass(frozen=True)
class NoiseAtOne:
    """A flow of the other convention (openpi, LeRobot): noise at time 1, rows at 0."""

    flow: Flow

    def velocity(self, rows: Array, times: Array) -> Array:
        """Return the velocity towards the rows."""
        return np.asarray(-self.flow.velocity(rows, 1.0 - times), np.float64)

    def pullback(self, rows: Array, times: Array) -> tuple[Array, Pullback]:
        """Return the velocity towards the rows, and its pullback."""
        velocity, pull = self.flow.pullback(rows, 1.0 - times)

        def back(error: Array) -> Array:
            return np.asarray(-pull(error), np.float64)

        return np.asarray(-velocity, np.float64), back


def steps(count: int) -> Array:
    """Return the times (count + 1,) of an integration in equal steps."""
    return np.asarray(np.linspace(0.0, 1.0, count + 1), np.float64)


def integrate(flow: Flow, noise: Array, times: Array) -> Array:
    """Return rows that continue nothing: Euler along the flow."""
    rows = noise
    for now, then in _pairs(times):
        rows = rows + (then - now) * flow.velocity(rows, _everywhere(now, rows))
    return rows


@dataclass(frozen=True)
class Guidance:
    """Continues a plan with any flow: each step is corrected towards what the plan asks.

    ``jacobian`` is the method of the paper, one backward pass per step. ``identity`` leaves the
    backward pass out (what LeRobot's code does): cheaper, no differentiable network needed.

    Raises:
        ConfigurationError: no such method, or a factor that is not positive.

    Source: arXiv 2506.07339, section 4.1.
    """

    method: Literal["jacobian", "identity"] = "jacobian"
    most: float = 5.0  # largest factor of the correction, beta; as many as there are steps is safe
    prior_sd: float = 1.0  # of the rows around what the observation tells, in the network's space

    def __post_init__(self) -> None:
        if self.method not in ("jacobian", "identity"):
            raise ConfigurationError(
                f"guidance: expected the method 'jacobian' or 'identity', got '{self.method}'"
            )
        for name in ("most", "prior_sd"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(
                    f"guidance: expected {name} above 0, got {getattr(self, name)}"
                )

    def sample(self, flow: Flow, noise: Array, times: Array, plan: Array, weights: Array) -> Array:
        """Return rows near the plan where it weighs, and the flow's own elsewhere.

        Args:
            flow: the network.
            noise: (..., H, A), standard normal.
            times: rising from 0 to 1.
            plan: (..., H, A), NaN where there is none.
            weights: (..., H), of `soft_mask`.
        """
        rows = noise
        wanted = np.where(np.isfinite(plan), weights[..., None], 0.0)
        plan = np.nan_to_num(plan)  # weighs nothing there
        for now, then in _pairs(times):
            velocity, pull = self._look(flow, rows, now)
            ahead = rows + (1.0 - now) * velocity  # where this leads
            error = wanted * (plan - ahead)
            correction = error + (1.0 - now) * pull(error) if pull else error
            factor = guidance_weight(now, self.most, self.prior_sd)
            rows = rows + (then - now) * (velocity + factor * correction)
        return rows

    def _look(self, flow: Flow, rows: Array, now: float) -> tuple[Array, Pullback | None]:
        times = _everywhere(now, rows)
        if self.method == "identity":
            return flow.velocity(rows, times), None
        return flow.pullback(rows, times)


def continue_rows(
    flow: Flow, noise: Array, times: Array, plan: Array, count: int | NDArray[np.int64]
) -> Array:
    """Return rows whose first ``count`` are the plan's, of a flow that was trained for that.

    Its network has seen the first rows finished (time 1) while the others were noise; without
    such training use `Guidance`.

    Args:
        flow: the network, which takes a time for each row.
        noise: (..., H, A), standard normal.
        times: rising from 0 to 1.
        plan: (..., H, A), finite in the first ``count`` rows.
        count: rows that are kept, 0: none; one number, or (...) many.

    Source: Training-Time Action Conditioning for Real-Time Chunking, arXiv 2512.05964.
    """
    kept = np.arange(noise.shape[-2]) < np.asarray(count)[..., None]  # (..., H)
    rows = np.where(kept[..., None], plan, noise)
    for now, then in _pairs(times):
        velocity = flow.velocity(rows, np.where(kept, 1.0, _everywhere(now, rows)))
        rows = np.where(kept[..., None], rows, rows + (then - now) * velocity)
    return rows


def _pairs(times: Array) -> list[tuple[float, float]]:
    return list(pairwise(times.tolist()))


def _everywhere(time: float, rows: Array) -> Array:
    return np.full(rows.shape[:-1], time, rows.dtype)
