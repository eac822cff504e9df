"""How well a policy does the demo's tasks: lockstep episodes on seeds that training never saw.

The executor, the contract and the way of execution are those of the live system.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vla_core.contract import Contract, load_contract, load_policy_config
from vla_core.execution import Execution
from vla_core.metrics import wilson
from vla_core.ports import Policy, PolicySpec
from vla_core.types import NS_PER_S, ActionChunk, Observation, Prefix
from vla_scenes.layout import EVAL_SEEDS
from vla_scenes.lockstep import run_executed
from vla_scenes.tabletop import TabletopScene
from vla_scenes.tasks import TASKS

MEANINGLESS = "whatever you like, as always"
SWAP_AFTER_S = 1.0


@dataclass(frozen=True)
class Condition:
    """One way of examining a policy."""

    name: str
    latency_s: float = 0.0
    told: str | None = None  # instead of the instruction that decides success
    swapped: bool = False  # begins with another task's instruction


CONDITIONS = (
    Condition("plain"),
    Condition("latency_400ms", latency_s=0.4),
    Condition("swapped_instruction", swapped=True),
    Condition("meaningless_instruction", told=MEANINGLESS),
)


@dataclass(frozen=True)
class Trial:
    """One episode."""

    condition: str
    seed: int
    instruction: str
    succeeded: bool
    duration_s: float


@dataclass(frozen=True)
class Score:
    """Successes with the interval that they allow to claim."""

    condition: str
    successes: int
    episodes: int
    low: float  # Wilson, 95 %
    high: float
    median_duration_s: float  # of successes; NaN without one


class SwappedInstruction:
    """Tells a policy another instruction for the first second of an episode."""

    def __init__(self, policy: Policy, first: str) -> None:
        self._policy, self._first = policy, first
        self._started_ns: int | None = None

    @property
    def spec(self) -> PolicySpec:
        """That of the policy."""
        return self._policy.spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Ask the policy, early on with the first instruction."""
        now = observation.as_of_ns
        if self._started_ns is None:
            self._started_ns = now
        if now < self._started_ns + SWAP_AFTER_S * NS_PER_S:
            observation = replace(observation, instruction=self._first)
        return self._policy.infer(observation, prefix)

    def reset(self) -> None:
        """Begin with the first instruction again."""
        self._started_ns = None
        self._policy.reset()

    def close(self) -> None:
        """Close the policy."""
        self._policy.close()


@dataclass(frozen=True)
class Setting:
    """The robot and the way in which its policy is executed."""

    contract: Contract
    execution: Execution
    horizon_rows: int | None

    @classmethod
    def of(cls, root: Path, policy: str = "demo") -> Setting:
        """Read the SO-101's contract and a policy file from a checkout."""
        config = load_policy_config(root / "config" / "policies" / f"{policy}.yaml")
        contract = load_contract([root / "config" / "robots" / config.robot / "contract.yaml"])
        return cls(contract, Execution.of(config.execution), config.execution.horizon_rows)


class Examiner:
    """Tries one policy, episode by episode, in a scene of its own."""

    def __init__(self, policy: Policy, setting: Setting) -> None:
        self._policy, self._setting = policy, setting
        self._scene = TabletopScene()

    def trial(self, condition: Condition, number: int) -> Trial:
        """Run the n-th unseen episode: every task and every wording takes its turn."""
        task = TASKS[number % len(TASKS)]
        wordings = task.wordings()
        instruction = wordings[(number // len(TASKS)) % len(wordings)]
        policy = self._policy
        if condition.swapped:  # from another task's cube and pad
            other = TASKS[(number + 3) % len(TASKS)].instruction
            policy = SwappedInstruction(policy, other)
        seed, setting = EVAL_SEEDS[number], self._setting
        result = run_executed(
            policy, setting.contract, self._scene, seed, condition.told or instruction,
            condition.latency_s, execution=setting.execution, horizon_rows=setting.horizon_rows,
            judged_by=instruction,
        )  # fmt: skip
        duration_s = result.lockstep.duration_s
        return Trial(condition.name, seed, instruction, result.succeeded, duration_s)

    def close(self) -> None:
        """Close the scene."""
        self._scene.close()


def score(trials: Sequence[Trial]) -> Score:
    """Sum up the trials of one condition."""
    successes = sum(trial.succeeded for trial in trials)
    low, high = wilson(successes, len(trials))
    durations = [trial.duration_s for trial in trials if trial.succeeded]
    median = float(np.median(durations)) if durations else math.nan
    return Score(trials[0].condition, successes, len(trials), low, high, median)
