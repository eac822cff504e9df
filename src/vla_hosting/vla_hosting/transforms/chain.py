"""A policy behind a chain of transforms, each undone in the opposite order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from vla_core.ports import Policy, PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix


class Transform(Protocol):
    """One reversible step. *Outside* is the robot's side, *inside* the policy's.

    Transforms keep nothing between calls: what a chunk's way out needs from the observation's
    way in (the state that deltas are relative to) is handed over as that observation.
    """

    def outside(self, spec: PolicySpec) -> PolicySpec:
        """Return the spec of the policy together with this step."""
        ...

    def observation(self, observation: Observation) -> Observation:
        """Take an observation inside."""
        ...

    def prefix(self, prefix: Prefix, observation: Observation) -> Prefix | None:
        """Take a prefix inside, None if nothing is left; ``observation`` is the one outside."""
        ...

    def chunk(self, chunk: ActionChunk, observation: Observation) -> ActionChunk:
        """Take a chunk outside; ``observation`` is the one outside, from which it was computed."""
        ...


class Unchanged:
    """What most steps leave alone: a transform overrides what it is about."""

    def outside(self, spec: PolicySpec) -> PolicySpec:
        return spec

    def observation(self, observation: Observation) -> Observation:
        return observation

    def prefix(self, prefix: Prefix, observation: Observation) -> Prefix | None:
        return prefix

    def chunk(self, chunk: ActionChunk, observation: Observation) -> ActionChunk:
        return chunk


class ConvertedPolicy:
    """A policy in the robot's words. ``steps`` is the way in, from the robot to the policy."""

    def __init__(self, policy: Policy, steps: Sequence[Transform]) -> None:
        self._policy, self._steps = policy, tuple(steps)
        spec = policy.spec
        for step in reversed(self._steps):
            spec = step.outside(spec)
        self._spec = spec

    @property
    def spec(self) -> PolicySpec:
        """What the policy takes and gives after all conversions."""
        return self._spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Take the observation in, ask, take the chunk out; see `Policy.infer`."""
        passed = [observation]
        for step in self._steps:
            if prefix is not None:
                prefix = step.prefix(prefix, passed[-1])
            passed.append(step.observation(passed[-1]))
        chunk = self._policy.infer(passed.pop(), prefix)
        for step, seen in zip(reversed(self._steps), reversed(passed), strict=True):
            chunk = step.chunk(chunk, seen)
        return replace(chunk, ages_ns=dict(observation.ages_ns))

    def reset(self) -> None:
        """Forget the running episode."""
        self._policy.reset()

    def close(self) -> None:
        """Release what the policy holds."""
        self._policy.close()
