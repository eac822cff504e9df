"""Episodes in which the policy acts and the expert says, at each frame, what it would have done.

Demonstrations show the expert's own states; these show the states that the policy gets itself
into, with the way out of them. Source: DAgger, Ross et al., arXiv 1011.0686.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vla_core.ports import Policy
from vla_core.types import NS_PER_S, ActionChunk, Observation
from vla_models.demo.recording import auxiliary_targets, named_pixels
from vla_models.nano.processor import prepare_image
from vla_models.training.episodes import Episode, EpisodeStore
from vla_scenes.episode import row_at
from vla_scenes.expert import STEP_NS, TabletopExpert
from vla_scenes.layout import TRAIN_SEEDS
from vla_scenes.motion import Reference
from vla_scenes.tabletop import CAMERAS, OBJECT_ENTRIES, TabletopScene
from vla_scenes.tasks import TASKS

FIRST_SEED = 500_000  # far from those of the demonstrations
LONGEST_S = 11.0
AFTER_SUCCESS_S = 1.0  # long enough to learn to leave
# Drawn per episode: rows played of each chunk, and delay of each answer.
REPLAN_ROWS = (6, 18)
LATENCY_S = (0.0, 0.45)
# Share of the episodes in which the policy is first told another task, and for how long.
MISLED_SHARE, MISLED_S = 0.4, (0.3, 2.2)
TICK_NS = 10_000_000


def record_corrections(
    policy: Policy,
    folder: Path,
    numbers: Iterable[int],
    longest_s: float = LONGEST_S,
) -> EpisodeStore:
    """Add the corrected episodes that are missing; the number decides task and scene."""
    store = EpisodeStore(folder)
    scene = TabletopScene()
    try:
        for number in sorted(set(numbers) - set(store.numbers())):
            store.write(number, _Correction(scene, policy, number).play(longest_s))
    finally:
        scene.close()
    return store


class _Correction:
    """One episode: the policy's rows are played by time, every 50 ms a frame is labelled.

    Labelled with the one task also while the policy is told another: that is how a changed
    instruction finds the arm.
    """

    def __init__(self, scene: TabletopScene, policy: Policy, number: int) -> None:
        rng = np.random.default_rng([7, number])
        self._task = TASKS[number % len(TASKS)]
        self._scene, self._policy = scene, policy
        scene.reset(TRAIN_SEEDS[FIRST_SEED + number])
        scene.set_task(self._task.instruction)
        self._expert = TabletopExpert()
        self._replan_rows = int(rng.integers(*REPLAN_ROWS))
        self._latency_ns = round(rng.uniform(*LATENCY_S) * (rng.random() < 0.6) * NS_PER_S)
        self._other = TASKS[int(rng.integers(len(TASKS)))].instruction
        self._misled_ns = round(rng.uniform(*MISLED_S) * (rng.random() < MISLED_SHARE) * NS_PER_S)
        self._plan: ActionChunk | None = None
        self._pending: ActionChunk | None = None
        self._kept: dict[str, list[NDArray[np.generic]]] = {}

    def play(self, longest_s: float) -> Episode:
        """Return the episode."""
        after = 0
        while self._scene.time_ns < longest_s * NS_PER_S and after < AFTER_SUCCESS_S * NS_PER_S:
            images = {camera: self._scene.image(camera) for camera in CAMERAS}
            self._label(images)
            self._plan_on(images)
            self._move()
            after = after + STEP_NS if self._scene.success() else 0
        kept = {name: np.array(values) for name, values in self._kept.items()}
        targets = kept["targets"].astype(np.float32)
        return Episode(
            instruction=self._task.instruction,
            images=kept["images"].astype(np.uint8),
            state=kept["state"].astype(np.float32),
            targets=targets,
            valid=np.ones(targets.shape[:2], np.bool_),
            objects=auxiliary_targets(kept["objects"].astype(np.float32), self._task),
            pixels=named_pixels(kept["pixels"].astype(np.float32), self._task),
        )

    def _label(self, images: dict[str, NDArray[np.uint8]]) -> None:
        joints, objects = self._scene.joints()[0], self._scene.objects()
        small = np.stack([prepare_image(images[camera], 96) for camera in CAMERAS])
        rows = self._expert.rows(self._task, joints, objects, self._reference())
        self._keep("images", small)
        self._keep("state", joints)
        self._keep("targets", rows)
        self._keep("objects", np.array([objects[entry] for entry in OBJECT_ENTRIES]))
        self._keep("pixels", np.stack([self._scene.pixels(camera) for camera in CAMERAS]))

    def _reference(self) -> Reference:
        """Return what the servos are told and how fast it moves, as the expert goes on from it."""
        plan, now = self._plan, self._scene.time_ns
        if plan is None:
            return Reference.at_rest(self._scene.targets())
        before, after = row_at(plan, now - STEP_NS // 2), row_at(plan, now + STEP_NS // 2)
        velocity = np.clip((after - before) / (STEP_NS / NS_PER_S), -1.5, 1.5)
        return Reference.moving(row_at(plan, now), velocity, np.zeros(6))

    def _plan_on(self, images: dict[str, NDArray[np.uint8]]) -> None:
        now, plan = self._scene.time_ns, self._plan
        due = plan is None or now >= plan.due_ns(self._replan_rows) - self._latency_ns
        if self._pending is None and due:
            state = {"joints": self._scene.joints()[0]}
            told = self._other if now < self._misled_ns else self._task.instruction
            seen = Observation(now, images, state, told)
            self._pending = self._policy.infer(seen)
        if self._pending is not None and now >= self._pending.start_ns + self._latency_ns:
            self._plan, self._pending = self._pending, None

    def _move(self) -> None:
        for _ in range(STEP_NS // TICK_NS):
            if self._plan is not None:
                self._scene.command(row_at(self._plan, self._scene.time_ns + TICK_NS))
            self._scene.step(TICK_NS)

    def _keep(self, name: str, value: NDArray[np.generic]) -> None:
        self._kept.setdefault(name, []).append(np.array(value))
