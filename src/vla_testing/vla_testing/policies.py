"""Policies for tests: one that holds still, and some that misbehave. For ``scripted:`` uris.

They run in worker processes of any Python, so this module imports the core alone.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import numpy as np

from vla_core.contract import Contract, PolicyConfig
from vla_core.ports import ImageSpec, PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix

ROWS, STEP_NS = 8, 50_000_000
HANG_S = 600.0


class HoldPolicy:
    """Commands the measured position, nudged by how many answers it gave since the reset.

    Takes the robot's first camera (``options.images`` of them) in any size, and its first state
    stream; ``options.prefix``: repeats a prefix.
    """

    def __init__(self, config: PolicyConfig, contract: Contract) -> None:
        (self._stream, stream), *_ = contract.observation.state.items()
        cameras = list(contract.observation.images)[: int(config.options.get("images", 1))]
        self._answers = 0
        self._spec = PolicySpec(
            name="hold",
            images={name: ImageSpec(0, 0) for name in cameras},
            state={self._stream: stream.entries},
            columns=contract.columns,
            units=contract.units,
            horizon=ROWS,
            step_ns=STEP_NS,
            accepts_prefix=bool(config.options.get("prefix", False)),
        )

    @property
    def spec(self) -> PolicySpec:
        return self._spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        rows = np.repeat(observation.state[self._stream][None], ROWS, axis=0)
        kept = 0 if prefix is None else min(len(prefix.values), ROWS)
        if prefix is not None:
            rows[:kept] = prefix.values[:kept]
        rows += 1e-6 * self._answers
        self._answers += 1
        return ActionChunk(
            rows, observation.as_of_ns, STEP_NS, self._spec.columns, prefix_rows=kept
        )

    def reset(self) -> None:
        self._answers = 0

    def close(self) -> None:
        """Nothing is held."""


class MisbehavingPolicy(HoldPolicy):
    """Holds still, but does what the instruction says: die, hang, stop, raise, nan, narrow, ...

    Only in tests of what hosting does about it.
    """

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        misdeed = getattr(self, f"_{observation.instruction}", None)
        chunk = super().infer(observation, prefix)
        return chunk if misdeed is None else misdeed(chunk)

    def _die(self, chunk: ActionChunk) -> ActionChunk:
        print("last words of the worker", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        return chunk

    def _hang(self, chunk: ActionChunk) -> ActionChunk:
        time.sleep(HANG_S)
        return chunk

    def _raise(self, chunk: ActionChunk) -> ActionChunk:
        raise ZeroDivisionError("somebody divided by zero")

    def _nan(self, chunk: ActionChunk) -> ActionChunk:
        return _with(chunk, values=np.full_like(chunk.values, np.nan))

    def _narrow(self, chunk: ActionChunk) -> ActionChunk:
        return _with(chunk, values=chunk.values[:, 1:], columns=chunk.columns[1:])

    def _swapped(self, chunk: ActionChunk) -> ActionChunk:
        return _with(chunk, columns=chunk.columns[::-1])

    def _late(self, chunk: ActionChunk) -> ActionChunk:
        return _with(chunk, start_ns=chunk.start_ns + 1)

    def _fast(self, chunk: ActionChunk) -> ActionChunk:
        return _with(chunk, step_ns=chunk.step_ns // 2)

    def _long(self, chunk: ActionChunk) -> ActionChunk:
        return _with(chunk, values=np.repeat(chunk.values, 2, axis=0))


def _with(chunk: ActionChunk, **changes: Any) -> ActionChunk:
    fields = {
        "values": chunk.values,
        "start_ns": chunk.start_ns,
        "step_ns": chunk.step_ns,
        "columns": chunk.columns,
    }
    return ActionChunk(**{**fields, **changes})
