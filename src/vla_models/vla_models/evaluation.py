"""How well a policy does the demo's tasks: lockstep episodes on seeds that training never saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vla_core.ports import Policy, PolicySpec
from vla_core.types import NS_PER_S, ActionChunk, Observation, Prefix
from vla_scenes.episode import run_episode
from vla_scenes.layout import EVAL_SEEDS
from vla_scenes.tabletop import TabletopScene
from vla_scenes.tasks import TASKS

MEANINGLESS = "whatever you like, as always"
SWAP_AFTER_S = 1.0


@dataclass(frozen=True)
class Condition:
    """One way of examining a policy."""

    name: str
    latency_s: float = 0.0
    replan_rows: int = 14  # of the 16 that the demo executes, as when the executor asks in time
    told: str | None = None  # instead of the instruction that decides success
    swapped: bool = False  # begins with another task's instruction


CONDITIONS = (
    Condition("plain"),
    Condition("latency_400ms", latency_s=0.4, replan_rows=14),
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

    def __init__(self, policy: Policy, first: str, until_ns: int) -> None:
        self._policy, self._first, self._until_ns = policy, first, until_ns

    @property
    def spec(self) -> PolicySpec:
        """That of the policy."""
        return self._policy.spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Ask the policy, early on with the first instruction."""
        if observation.as_of_ns < self._until_ns:
            observation = replace(observation, instruction=self._first)
        return self._policy.infer(observation, prefix)

    def reset(self) -> None:
        """Reset the policy."""
        self._policy.reset()

    def close(self) -> None:
        """Close the policy."""
        self._policy.close()


def evaluate(
    policy: Policy,
    condition: Condition,
    seeds_per_task: int,
    done: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Run every task on its own unseen seeds."""
    scene = TabletopScene()
    trials = []
    try:
        for number in range(seeds_per_task * len(TASKS)):
            trials.append(_trial(policy, condition, number, scene))
            done(trials[-1])
    finally:
        scene.close()
    return trials


def _trial(policy: Policy, condition: Condition, number: int, scene: TabletopScene) -> Trial:
    task = TASKS[number % len(TASKS)]
    # Every wording takes its turn; another task's cube and pad for the swap.
    wordings = task.wordings()
    instruction = wordings[(number // len(TASKS)) % len(wordings)]
    if condition.swapped:
        other = TASKS[(number + 3) % len(TASKS)].instruction
        policy = SwappedInstruction(policy, other, round(SWAP_AFTER_S * NS_PER_S))
    seed = EVAL_SEEDS[number]
    result = run_episode(
        policy, seed, condition.told or instruction, condition.latency_s,
        replan_rows=condition.replan_rows, judged_by=instruction, scene=scene,
    )  # fmt: skip
    return Trial(condition.name, seed, instruction, result.succeeded, result.duration_s)


def score(trials: Sequence[Trial]) -> Score:
    """Sum up the trials of one condition."""
    successes = sum(trial.succeeded for trial in trials)
    low, high = wilson(successes, len(trials))
    durations = [trial.duration_s for trial in trials if trial.succeeded]
    median = float(np.median(durations)) if durations else math.nan
    return Score(trials[0].condition, successes, len(trials), low, high, median)


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the Wilson interval of a share, 95 % by default."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = (
        z
        / (1 + z * z / trials)
        * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    )
    return max(0.0, centre - half), min(1.0, centre + half)
