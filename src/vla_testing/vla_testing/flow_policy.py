"""A flow policy without a network: its rows are Gaussian, so all that it should say is known.

For ``scripted:`` uris and for tests of samplers. It runs in worker processes of any Python, so
this module imports numpy, the core and hosting alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract, PolicyConfig
from vla_core.ports import PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.rtc import Guidance, PrefixRows, continue_rows, integrate, soft_mask
from vla_hosting.rtc.sampler import Array, Pullback, steps

ROWS, STEP_NS, STEPS = 16, 50_000_000, 10
SCALE = 0.1  # standard deviation of the rows around the measured state [SI]
MEMORY = 0.9  # correlation of neighbouring rows


class GaussianFlow:
    """The exact flow from noise to rows with a known mean and covariance.

    Each row may have a time of its own, so it knows how to continue finished rows as well.
    Columns are independent of each other.
    """

    def __init__(self, mean: Array, covariance: Array) -> None:
        """Take the mean (H, A) and the covariance (H, H) of every column."""
        self._mean, self._covariance = mean, covariance

    def velocity(self, rows: Array, times: Array) -> Array:
        """Return (E[finished rows | these] - these) / time left; 0 where they are finished."""
        gain = self._gain(times)
        ahead = self._mean + gain @ (rows - times[..., None] * self._mean)
        return np.asarray((ahead - rows) * _per_left(times))

    def pullback(self, rows: Array, times: Array) -> tuple[Array, Pullback]:
        """Return the velocity, and what multiplies by its Jacobian from the left."""
        gain = np.swapaxes(self._gain(times), -1, -2)

        def pull(error: Array) -> Array:
            scaled = error * _per_left(times)
            return np.asarray(gain @ scaled - scaled)

        return self.velocity(rows, times), pull

    def _gain(self, times: Array) -> Array:
        identity = np.eye(times.shape[-1])
        across = self._covariance * times[..., None, :]
        seen = times[..., :, None] * across + identity * ((1.0 - times) ** 2)[..., None, :]
        return np.asarray(np.swapaxes(np.linalg.solve(seen, np.swapaxes(across, -1, -2)), -1, -2))


def _per_left(times: Array) -> Array:
    finished = times >= 1.0
    left = np.where(finished, 1.0, 1.0 - times)
    return np.asarray(np.where(finished, 0.0, 1.0 / left)[..., None])


def correlated(rows: int, memory: float = MEMORY) -> NDArray[np.float64]:
    """Return the covariance (H, H) of rows whose neighbours are alike, each of variance 1."""
    apart = np.abs(np.subtract.outer(np.arange(rows), np.arange(rows)))
    return np.asarray(memory**apart, np.float64)


class FlowPolicy:
    """Wanders around the measured state; continues a plan as ``options.method`` says.

    ``jacobian`` and ``identity`` are guided, ``trained`` keeps the committed rows exactly.
    """

    def __init__(self, config: PolicyConfig, contract: Contract) -> None:
        (self._stream, stream), *_ = contract.observation.state.items()
        self._method = str(config.options.get("method", "jacobian"))
        self._flow = GaussianFlow(np.zeros((ROWS, len(contract.columns))), correlated(ROWS))
        self._random = np.random.default_rng(0)
        self._spec = PolicySpec(
            name="flow",
            images={},
            state={self._stream: stream.entries},
            columns=contract.columns,
            units=("",) * len(contract.columns),
            horizon=ROWS,
            step_ns=STEP_NS,
            accepts_prefix=self._method != "none",
        )

    @property
    def spec(self) -> PolicySpec:
        return self._spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        anchor = observation.state[self._stream]
        noise = self._random.standard_normal((ROWS, len(anchor)))
        rows, kept = self._sample(noise, prefix, observation.as_of_ns, anchor)
        return ActionChunk(
            anchor + SCALE * rows,
            observation.as_of_ns,
            STEP_NS,
            self._spec.columns,
            prefix_rows=kept,
        )

    def _sample(
        self, noise: Array, prefix: Prefix | None, start_ns: int, anchor: Array
    ) -> tuple[Array, int]:
        if prefix is None:
            return integrate(self._flow, noise, steps(STEPS)), 0
        plan = PrefixRows.of(prefix, start_ns, STEP_NS, ROWS).encoded(
            lambda rows: (rows - anchor) / SCALE
        )
        kept = min(plan.committed, plan.leading)
        if self._method == "trained":
            return continue_rows(self._flow, noise, steps(STEPS), plan.values, kept), kept
        guidance = Guidance("identity" if self._method == "identity" else "jacobian")
        weights = soft_mask(plan)
        rows = guidance.sample(self._flow, noise, steps(STEPS), plan.values, weights)
        return rows, kept

    def reset(self) -> None:
        self._random = np.random.default_rng(0)

    def close(self) -> None:
        """Nothing is held."""
