"""Bidirectional decoding: of several samples, the one that goes on with what the robot does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vla_core.errors import ConfigurationError
from vla_core.ports import Policy, PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.wrappers import Wrapper

# How much less each later row counts.
DECAY = 0.99


class ClosestPolicy(Wrapper):
    """Asks a policy that draws its answers several times and gives the sample nearest to the plan.

    Costs that many inferences. Without a plan the first sample is as good as any, and alone.

    Source: backward coherence of bidirectional decoding (arXiv 2408.17355), section 4.
    """

    def __init__(self, policy: Policy, samples: int) -> None:
        """Take a policy in the robot's words.

        Raises:
            ConfigurationError: fewer than two samples leave nothing to choose.
        """
        super().__init__(policy)
        if samples < 2:
            raise ConfigurationError(f"samples: expected at least 2 to choose, got {samples}")
        self._samples = samples

    @property
    def spec(self) -> PolicySpec:
        """What the policy inside takes and gives; a plan is welcome even if it ignores it."""
        return replace(super().spec, accepts_prefix=True)

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Return the sample that is nearest to the plan."""
        inside = prefix if super().spec.accepts_prefix else None
        count = 1 if prefix is None else self._samples
        chunks = [super(ClosestPolicy, self).infer(observation, inside) for _ in range(count)]
        return chunks[0] if prefix is None else chunks[closest(chunks, prefix)]


def closest(chunks: Sequence[ActionChunk], prefix: Prefix) -> int:
    """Return which chunk is nearest to a plan on the chunks' own rows; only rows that both have.

    Every column counts by the share of its spread over the samples, so units do not matter.
    """
    chunk = chunks[0]
    offset = (prefix.start_ns - chunk.start_ns) // chunk.step_ns
    first, last = max(0, offset), min(chunk.horizon, offset + len(prefix.values))
    if last <= first:
        return 0
    samples = np.stack([each.values[first:last] for each in chunks])  # (K, rows, A)
    spread = np.maximum(np.ptp(samples, axis=0).max(axis=0), 1e-9)
    way = (samples - prefix.values[first - offset : last - offset]) / spread
    weight = DECAY ** np.arange(last - first)
    return int((np.linalg.norm(way, axis=2) @ weight).argmin())
