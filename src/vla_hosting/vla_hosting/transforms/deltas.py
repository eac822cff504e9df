"""Two kinds of delta made absolute, both from the state that the chunk was conditioned on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import ACTION_MAX, ACTION_MIN
from vla_core.ports import PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.transforms.chain import Unchanged


@dataclass(frozen=True)
class _Anchored(Unchanged):
    """Columns that are deltas inside; a column's anchor is one entry of a state stream."""

    stream: str
    columns: tuple[int, ...]  # which columns
    entries: tuple[int, ...]  # entry of ``stream`` that each one starts from

    def outside(self, spec: PolicySpec) -> PolicySpec:
        # Ranges of deltas say nothing about the ranges of absolute values.
        metadata = {k: v for k, v in spec.metadata.items() if k not in (ACTION_MIN, ACTION_MAX)}
        return replace(spec, metadata=metadata)

    def _anchor(self, observation: Observation) -> NDArray[np.float64]:
        return observation.state[self.stream][list(self.entries)]

    def _changed(
        self, values: NDArray[np.float64], columns: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        changed = values.copy()
        changed[:, list(self.columns)] = columns
        return changed


@dataclass(frozen=True)
class RelativeToState(_Anchored):
    """Every row is relative to the conditioning state: absolute = state + delta."""

    def prefix(self, prefix: Prefix, observation: Observation) -> Prefix:
        deltas = prefix.values[:, list(self.columns)] - self._anchor(observation)
        return replace(prefix, values=self._changed(prefix.values, deltas))

    def chunk(self, chunk: ActionChunk, observation: Observation) -> ActionChunk:
        absolute = chunk.values[:, list(self.columns)] + self._anchor(observation)
        return replace(chunk, values=self._changed(chunk.values, absolute))


@dataclass(frozen=True)
class Accumulated(_Anchored):
    """Every row is relative to the row before: absolute = state + sum of the deltas so far."""

    def prefix(self, prefix: Prefix, observation: Observation) -> Prefix | None:
        columns = prefix.values[:, list(self.columns)]
        if prefix.start_ns == observation.as_of_ns:
            deltas = np.diff(np.vstack([self._anchor(observation), columns]), axis=0)
            return replace(prefix, values=self._changed(prefix.values, deltas))
        # Nobody knows what came before its first row, so that row has no delta.
        if len(columns) < 2:
            return None
        values = self._changed(prefix.values[1:], np.diff(columns, axis=0))
        return replace(prefix, values=values, start_ns=prefix.start_ns + prefix.step_ns)

    def chunk(self, chunk: ActionChunk, observation: Observation) -> ActionChunk:
        absolute = self._anchor(observation) + np.cumsum(
            chunk.values[:, list(self.columns)], axis=0
        )
        return replace(chunk, values=self._changed(chunk.values, absolute))
