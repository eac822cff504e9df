"""Ways to go from one chunk to the next while inference takes ``delay`` steps, for `rtc.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rtc_network import ROWS, Policy
from rtc_world import SENSOR, STEPS, Array, Plant, sides

from vla_hosting.rtc import Guidance, PrefixRows, continue_rows, integrate, soft_mask, steps

SOLVER = 5  # steps from noise to rows
EVERY = 4  # steps between two inferences, at least
COMPARED = 4  # steps over which an old and a new plan are compared
OLD_FIRST = 0.01  # of temporal ensembling: how much less newer chunks count (ACT)

METHODS = ("naive", "ensemble", "jacobian", "identity", "trained")


@dataclass(frozen=True)
class Figures:
    """How the episodes of one method at one delay went."""

    method: str
    delay: int
    episodes: int
    successes: int
    success: float
    collisions: float
    seam_gap: float  # largest distance of old and new plan just after the switch, mean [m]
    mode_switches: float  # changes of side per episode
    roughness: float  # RMS of the second difference of the commanded targets [m]


def run(method: str, delay: int, base: Policy, tuned: Policy, episodes: int, seed: int) -> Figures:
    """Play episodes side by side."""
    rng = np.random.default_rng(seed)
    plant = Plant.at_start(episodes, rng)
    chunker = _Chunker(method, delay, tuned if method == "trained" else base, rng)
    every = 1 if method == "ensemble" else max(EVERY, delay)
    plan = _Plan(method, episodes)
    seen = plant.position + SENSOR * rng.normal(size=plant.position.shape)
    plan.take(chunker.chunk(seen, None), 0, 0)  # the first may take its time: nothing moves
    coming: list[tuple[int, int, Array]] = []  # when, as of when, chunk

    def deliver(now: int) -> None:
        while coming and coming[0][0] <= now:
            _, as_of, chunk = coming.pop(0)
            plan.take(chunk, as_of, now)

    for now in range(STEPS):
        deliver(now)  # first: who asks now continues what is played from now on
        if now and now % every == 0:
            seen = plant.position + SENSOR * rng.normal(size=plant.position.shape)
            coming.append((now + delay, now, chunker.chunk(seen, plan.rows(now))))
        deliver(now)  # what needed no time
        plant.follow(plan.play(now))
    done = plant.has_reached & ~plant.has_hit
    return Figures(
        method,
        delay,
        episodes,
        int(done.sum()),
        float(done.mean()),
        float(plant.has_hit.mean()),
        float(np.mean(plan.gaps)),
        plan.switches / episodes,
        plan.roughness(),
    )


class _Chunker:
    """Samples chunks (N, H, 2), each continuing what its method lets it continue."""

    def __init__(self, method: str, delay: int, policy: Policy, rng: np.random.Generator) -> None:
        self._method, self._delay, self._policy, self._rng = method, delay, policy, rng

    def chunk(self, seen: Array, plan: Array | None) -> Array:
        flow, times = self._policy.flow(seen), steps(SOLVER)
        noise = self._rng.normal(size=(len(seen), ROWS, 2))
        if plan is None or self._method in ("naive", "ensemble"):
            return self._policy.decode(integrate(flow, noise, times), seen)
        wanted = self._policy.encode(plan, seen)
        rows = PrefixRows(plan[0], self._delay)  # the same ones exist in all episodes
        if self._method == "trained":
            kept = min(rows.committed, rows.leading)
            found = continue_rows(flow, noise, times, wanted, kept)
        else:
            guidance = Guidance("jacobian" if self._method == "jacobian" else "identity")
            weights = np.broadcast_to(soft_mask(rows), wanted.shape[:2])
            found = guidance.sample(flow, noise, times, wanted, weights)
        return self._policy.decode(found, seen)


class _Plan:
    """What is played, by time; and how far new plans are from old ones."""

    def __init__(self, method: str, episodes: int) -> None:
        self._is_ensemble = method == "ensemble"
        self._targets = np.full((episodes, STEPS + 2 * ROWS, 2), np.nan)
        self._sum = np.zeros(self._targets.shape)
        self._weight = np.zeros(self._targets.shape[1])
        self._count = np.zeros(self._targets.shape[1])
        self._side = np.full(episodes, np.nan)
        self._played: list[Array] = []
        self.gaps: list[float] = []
        self.switches = 0

    def rows(self, now: int) -> Array:
        """Return the rest of the plan (N, H, 2), NaN where there is none."""
        return self._targets[:, now : now + ROWS].copy()

    def take(self, chunk: Array, as_of: int, now: int) -> None:
        """Go over to a chunk observed at ``as_of``; what is past stays played."""
        old = self._targets[:, now : now + COMPARED].copy()
        self._targets[:, now:] = np.nan
        due = slice(as_of, as_of + ROWS)
        self._targets[:, max(now, as_of) : due.stop] = self._joined(chunk, due)[
            :, max(now, as_of) - as_of :
        ]
        apart = np.linalg.norm(self._targets[:, now : now + COMPARED] - old, axis=-1)
        if now and np.isfinite(apart).any():
            self.gaps.append(float(np.nanmax(apart, axis=1).mean()))
        side = sides(self._targets[:, now : now + ROWS])
        self.switches += int((side * self._side == -1.0).sum())
        self._side = np.where(np.isnan(side), self._side, side)

    def _joined(self, chunk: Array, due: slice) -> Array:
        if not self._is_ensemble:
            return chunk
        weight = np.exp(-OLD_FIRST * self._count[due])
        self._sum[:, due] += weight[:, None] * chunk
        self._weight[due] += weight
        self._count[due] += 1
        return np.asarray(self._sum[:, due] / self._weight[due][:, None])

    def play(self, now: int) -> Array:
        """Return the targets of this step (N, 2)."""
        targets = self._targets[:, now]
        assert np.isfinite(targets).all(), f"the plan has run out at step {now}"
        self._played.append(targets.copy())
        return targets

    def roughness(self) -> float:
        """Return how much the commanded targets shake."""
        second = np.diff(np.stack(self._played, axis=1), n=2, axis=1)
        return float(np.sqrt((second**2).sum(axis=-1).mean()))
