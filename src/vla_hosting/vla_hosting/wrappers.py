"""Policies around policies: each adds one thing and knows nothing of the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vla_core.contract import Contract
from vla_core.errors import ChunkError, InferenceError, MismatchError, VlaError
from vla_core.ports import Policy, PolicySpec
from vla_core.types import NS_PER_S, ActionChunk, Observation, Prefix
from vla_hosting.rtc import align

HOSTING = "hosting"  # stage: what hosting adds to the policy's own stages


class Wrapper:
    """A policy that passes everything on."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    @property
    def spec(self) -> PolicySpec:
        """What the policy inside takes and gives."""
        return self._policy.spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Ask the policy inside; see `Policy.infer`."""
        return self._policy.infer(observation, prefix)

    def reset(self) -> None:
        """Forget the running episode."""
        self._policy.reset()

    def close(self) -> None:
        """Release what the policy holds."""
        self._policy.close()


class CheckedPolicy(Wrapper):
    """Refuses what the spec does not promise, on the way in and on the way out.

    Whatever a policy raises leaves it as one of our errors.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._asking = threading.Lock()
        self._is_closed = False

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Return a chunk that keeps the promises of the spec.

        Raises:
            MismatchError: the observation or the prefix is not what the policy takes.
            ChunkError: the answer is not what the spec says.
            InferenceError: the policy raised, is closed, or is asked by two threads at once.
        """
        name = self.spec.name
        if self._is_closed:
            raise InferenceError(f"policy '{name}': asked after it was closed")
        if not self._asking.acquire(blocking=False):
            raise InferenceError(
                f"policy '{name}': asked by two threads at once "
                f"(now by '{threading.current_thread().name}'); ask from one"
            )
        try:
            check_request(self.spec, observation, prefix)
            chunk = self._answer(observation, prefix)
            check_chunk(self.spec, observation, prefix, chunk)
            return chunk
        finally:
            self._asking.release()

    def _answer(self, observation: Observation, prefix: Prefix | None) -> ActionChunk:
        try:
            return super().infer(observation, prefix)
        except VlaError:
            raise
        except Exception as error:
            raise InferenceError(
                f"policy '{self.spec.name}': {type(error).__name__}: {error}"
            ) from error

    def close(self) -> None:
        """Release what the policy holds, once."""
        if not self._is_closed:
            self._is_closed = True
            super().close()


def check_request(spec: PolicySpec, observation: Observation, prefix: Prefix | None) -> None:
    """Check that a policy can be asked this.

    Raises:
        MismatchError: the observation is not what it takes, or it continues no prefix.
    """
    spec.validate(observation)
    for name in spec.state:
        values = observation.state[name]
        if not np.isfinite(values).all():
            bad = spec.state[name][int(np.argmin(np.isfinite(values)))]
            raise MismatchError(
                f"policy '{spec.name}': state '{name}' has NaN or infinity at '{bad}'"
            )
    if prefix is None:
        return
    if not spec.accepts_prefix:
        raise MismatchError(
            f"policy '{spec.name}' cannot continue a prefix; choose another join, "
            "or a policy that accepts one"
        )
    shape = prefix.values.shape
    if len(shape) != 2 or shape[1] != len(spec.columns) or not shape[0]:
        raise MismatchError(
            f"policy '{spec.name}': prefix expected (T, {len(spec.columns)}), got {shape}"
        )
    if not np.isfinite(prefix.values).all():
        raise MismatchError(f"policy '{spec.name}': prefix has NaN or infinity among its values")
    if prefix.step_ns <= 0:
        raise MismatchError(
            f"policy '{spec.name}': prefix expected a step above 0 ns, got {prefix.step_ns}"
        )


def check_chunk(
    spec: PolicySpec, observation: Observation, prefix: Prefix | None, chunk: ActionChunk
) -> None:
    """Check that an answer is what the spec promises.

    Raises:
        ChunkError: it is not; shape and NaN are refused by `ActionChunk` itself.
    """
    rows = 0 if prefix is None else spec.horizon  # its knots may lie closer than our rows
    promises = (
        (chunk.columns == spec.columns, "columns", list(spec.columns), list(chunk.columns)),
        (chunk.step_ns == spec.step_ns, "step [ns]", spec.step_ns, chunk.step_ns),
        (chunk.horizon <= spec.horizon, "rows, at most", spec.horizon, chunk.horizon),
        (
            chunk.start_ns == observation.as_of_ns,
            "start, the observation's instant [ns]",
            observation.as_of_ns,
            chunk.start_ns,
        ),
        (0 <= chunk.prefix_rows <= rows, "prefix rows, at most", rows, chunk.prefix_rows),
    )
    for is_kept, what, expected, found in promises:
        if not is_kept:
            raise ChunkError(f"policy '{spec.name}': {what}: expected {expected}, got {found}")


class AlignedPolicy(Wrapper):
    """Gives the policy a plan on the policy's own rows, whatever rows the plan came in."""

    def __init__(self, policy: Policy, contract: Contract) -> None:
        super().__init__(policy)
        self._columns = contract.action.columns

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Ask the policy inside; a plan that has none of its rows is no plan."""
        if prefix is not None:
            spec = self.spec
            prefix = align(prefix, observation.as_of_ns, spec.step_ns, spec.horizon, self._columns)
        return super().infer(observation, prefix)


class TimedPolicy(Wrapper):
    """Notes in each chunk how long its answer took."""

    def __init__(self, policy: Policy, clock_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        super().__init__(policy)
        self._clock_ns = clock_ns

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Ask the policy inside and note the time."""
        started_ns = self._clock_ns()
        chunk = super().infer(observation, prefix)
        spent_ns = self._clock_ns() - started_ns
        stages = dict(chunk.stages_ns)
        # A policy that knows its stages keeps them; the rest of the time is ours.
        stage = HOSTING if stages else "infer"
        rest_ns = max(0, spent_ns - sum(stages.values()))
        stages[stage] = stages.get(stage, 0) + rest_ns
        return replace(chunk, stages_ns=stages)


class LatencyPolicy(Wrapper):
    """Answers later than the policy inside, for experiments."""

    def __init__(
        self,
        policy: Policy,
        median_s: float,
        spread: float = 0.0,
        seed: int = 0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Add ``median_s`` to each answer; with a ``spread``, lognormal of that sigma."""
        super().__init__(policy)
        self._median_s, self._spread, self._sleep = median_s, spread, sleep
        self._random = np.random.default_rng(seed)

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Ask the policy inside, then wait."""
        chunk = super().infer(observation, prefix)
        added_s = self._median_s * float(np.exp(self._random.normal(0.0, self._spread)))
        self._sleep(added_s)
        stages = {**chunk.stages_ns, "injected": round(added_s * NS_PER_S)}
        return replace(chunk, stages_ns=stages)
