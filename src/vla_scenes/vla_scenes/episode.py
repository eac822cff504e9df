"""Lockstep episodes: demonstrations by the expert, and policies run against simulated time.

No ROS and no executor here: rows are played by time, late rows are lost. The full stack is
measured through its nodes; this is where policies are developed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_core.ports import Policy
from vla_core.types import NS_PER_S, ActionChunk, Observation, Prefix
from vla_scenes.expert import ROWS, STEP_NS, TabletopExpert, view_of
from vla_scenes.motion import Mover, Reference
from vla_scenes.pick_place import GRIPPER, HEIGHT, HOME_POSE, decide
from vla_scenes.tabletop import CAMERAS, OBJECT_ENTRIES, TabletopScene

TICK_NS = 20_000_000  # of the inline executor: rows become servo targets at 50 Hz
IMAGE_SIZE = 96

Recorder = Callable[[Observation, NDArray[np.float64]], None]


@dataclass(frozen=True, eq=False)
class Demonstration:
    """One task as the expert did it: row k is 50 ms after row k - 1."""

    seed: int
    instruction: str
    images: dict[str, NDArray[np.uint8]]  # camera -> (T, size, size, 3) RGB
    joints: NDArray[np.float32]  # (T, 6) measured [rad]
    actions: NDArray[np.float32]  # (T, 6) the servos' targets at that instant [rad]
    rows: NDArray[np.float32]  # (T, H, 6) the expert's chunk from that instant; never masked
    objects: NDArray[np.float32]  # (T, len(OBJECT_ENTRIES)), for an auxiliary loss only
    pixels: NDArray[np.float32]  # (T, cameras, len(THINGS), 2), where the cameras have them
    masked: NDArray[np.bool_]  # (T,) True: `actions` is a kick, not the expert's doing
    succeeded: bool


@dataclass(frozen=True, eq=False)
class EpisodeResult:
    """How one episode of a policy went."""

    seed: int
    instruction: str
    succeeded: bool
    duration_s: float  # until success, or until given up
    chunks: int
    commands: NDArray[np.float64]  # (T, 6) servo targets at 50 Hz [rad]
    measured: NDArray[np.float64]  # (T, 6) [rad]


def resize_area(image: NDArray[np.uint8], size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
    """Return the image averaged down to (size, size, 3): the same live and in training."""
    small: NDArray[np.uint8] = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return small


def observe(
    scene: TabletopScene,
    instruction: str,
    *,
    with_images: bool,
    with_objects: bool,
    as_of_ns: int | None = None,
) -> Observation:
    """Return what the robot knows now; ``as_of_ns`` is now on another clock than the scene's."""
    state = {"joints": scene.joints()[0]}
    if with_objects:
        state["objects"] = np.array(list(scene.objects().values()))
    images = {name: scene.image(name) for name in CAMERAS} if with_images else {}
    now_ns = scene.time_ns if as_of_ns is None else as_of_ns
    return Observation(now_ns, images, state, instruction)


# -- policies --------------------------------------------------------------------------------


def run_episode(
    policy: Policy,
    seed: int,
    instruction: str,
    latency_s: float = 0.0,
    max_s: float = 15.0,
    *,
    replan_rows: int = 8,
    judged_by: str | None = None,
    scene: TabletopScene | None = None,
) -> EpisodeResult:
    """Run a policy until the task is done or time is up.

    Args:
        policy: gives chunks; sees exactly the streams its spec names.
        seed: the layout.
        instruction: what the policy is told.
        latency_s: simulated time from observation to answer; rows due meanwhile are lost.
        max_s: simulated time after which the episode has failed.
        replan_rows: rows of a chunk to play before the next observation is sent.
        judged_by: instruction that decides success, if it is not the one told.
        scene: used again instead of building one (saves 0.1 s); the caller closes it.
    """
    own = scene is None
    world = scene or TabletopScene(seed)
    try:
        world.reset(seed)
        world.set_task(judged_by or instruction)
        policy.reset()
        return _Run(world, policy, instruction, round(latency_s * NS_PER_S), replan_rows).play(
            seed, round(max_s * NS_PER_S)
        )
    finally:
        if own:
            world.close()


class _Run:
    """One episode: asks, waits the simulated latency, plays rows by time."""

    def __init__(
        self,
        scene: TabletopScene,
        policy: Policy,
        instruction: str,
        latency_ns: int,
        replan_rows: int,
    ) -> None:
        self._scene, self._policy, self._instruction = scene, policy, instruction
        self._latency_ns, self._replan_rows = latency_ns, replan_rows
        self._plan: ActionChunk | None = None
        self._pending: ActionChunk | None = None
        self._chunks = 0
        self._commands: list[NDArray[np.float64]] = []
        self._measured: list[NDArray[np.float64]] = []

    def play(self, seed: int, until_ns: int) -> EpisodeResult:
        while self._scene.time_ns < until_ns and not self._scene.success():
            self._ask()
            self._accept()
            self._tick()
        return EpisodeResult(
            seed=seed,
            instruction=self._instruction,
            succeeded=self._scene.success(),
            duration_s=self._scene.time_ns / NS_PER_S,
            chunks=self._chunks,
            commands=np.array(self._commands),
            measured=np.array(self._measured),
        )

    def _ask(self) -> None:
        now = self._scene.time_ns
        plan = self._plan
        due = plan is None or now >= plan.due_ns(self._replan_rows) - self._latency_ns
        if self._pending is not None or not due:
            return
        spec = self._policy.spec
        observation = observe(
            self._scene,
            self._instruction,
            with_images=bool(spec.images),
            with_objects="objects" in spec.state,
        )
        self._pending = self._policy.infer(observation, self._prefix())
        self._chunks += 1

    def _prefix(self) -> Prefix | None:
        """Return the commands still to come under the present plan, as the executor would."""
        plan, now = self._plan, self._scene.time_ns
        if plan is None or not self._policy.spec.accepts_prefix:
            return None
        times = np.arange(now - 2 * TICK_NS, plan.end_ns + 1, TICK_NS)
        values = np.array([row_at(plan, int(t)) for t in times])
        return Prefix(values, int(times[0]), TICK_NS, now + self._latency_ns)

    def _accept(self) -> None:
        pending = self._pending
        if pending is None or self._scene.time_ns < pending.start_ns + self._latency_ns:
            return
        if self._plan is None:
            # At rest until now: nothing has moved since the observation, so nothing is lost.
            pending = replace(pending, start_ns=self._scene.time_ns)
        self._plan, self._pending = pending, None

    def _tick(self) -> None:
        if self._plan is not None:
            self._scene.command(row_at(self._plan, self._scene.time_ns + TICK_NS))
        self._commands.append(self._scene.targets())
        self._scene.step(TICK_NS)
        self._measured.append(self._scene.joints()[0])


def row_at(chunk: ActionChunk, at_ns: int) -> NDArray[np.float64]:
    """Return the chunk's value at a time (A,), straight between rows, held at both ends."""
    at = float(np.clip((at_ns - chunk.start_ns) / chunk.step_ns, 0, chunk.horizon - 1))
    before = int(at)
    after = min(before + 1, chunk.horizon - 1)
    values: NDArray[np.float64] = chunk.values[before] + (at - before) * (
        chunk.values[after] - chunk.values[before]
    )
    return values


# -- demonstrations --------------------------------------------------------------------------


@dataclass(frozen=True)
class Kicks:
    """How a demonstration is disturbed, so that a policy sees how to recover.

    While a kick lasts the arm goes somewhere else than the expert wants.
    """

    per_step: float = 0.015  # chance that one begins
    steps: tuple[int, int] = (4, 10)  # how long one lasts
    # Half-width of the pose's displacement: azimuth, reach, height, pitch, roll, gripper.
    spread: tuple[float, ...] = (0.20, 0.03, 0.03, 0.10, 0.4, 0.0)
    gripper_share: float = 0.15  # kicks that also open or close the gripper


def record_demonstration(
    seed: int,
    instruction: str,
    rng: np.random.Generator,
    *,
    scene: TabletopScene,
    kicks: Kicks | None = None,
    size: int = IMAGE_SIZE,
    max_s: float = 20.0,
    rows: int = ROWS,
) -> Demonstration:
    """Let the expert do a task, disturbed if ``kicks`` are given, and return what was seen.

    Ends half a second after the arm is home again, or after ``max_s`` (then not succeeded).
    """
    return _Demonstrator(scene, seed, instruction, rng, kicks, size, rows).play(max_s)


class _Demonstrator:
    """Plays the expert step by step and keeps what a policy would have seen."""

    def __init__(
        self,
        scene: TabletopScene,
        seed: int,
        instruction: str,
        rng: np.random.Generator,
        kicks: Kicks | None,
        size: int,
        rows: int,
    ) -> None:
        scene.reset(seed)
        self._task = scene.set_task(instruction)
        self._scene, self._seed, self._instruction = scene, seed, instruction
        self._rng, self._kicks, self._size, self._rows = rng, kicks, size, rows
        self._expert, self._mover = TabletopExpert(), Mover(STEP_NS / NS_PER_S)
        self._reference = Reference.at_rest(scene.targets())
        self._kick_left, self._kick_target = 0, HOME_POSE
        self._kept: dict[str, list[NDArray[np.generic]]] = {}

    def play(self, max_s: float) -> Demonstration:
        rest, succeeded = 0, False
        while self._scene.time_ns < max_s * NS_PER_S and rest < 10:
            self._step()
            succeeded = self._scene.success()
            home = np.abs(self._reference.pose - HOME_POSE).max() < 0.01
            rest = rest + 1 if succeeded and home else 0
        kept = {name: np.array(values) for name, values in self._kept.items()}
        return Demonstration(
            seed=self._seed,
            instruction=self._instruction,
            images={name: kept[name].astype(np.uint8) for name in CAMERAS},
            joints=kept["joints"].astype(np.float32),
            actions=kept["actions"].astype(np.float32),
            rows=kept["rows"].astype(np.float32),
            objects=kept["objects"].astype(np.float32),
            pixels=kept["pixels"].astype(np.float32),
            masked=kept["masked"].astype(np.bool_),
            succeeded=bool(succeeded and rest),
        )

    def _step(self) -> None:
        joints, objects = self._scene.joints()[0], self._scene.objects()
        view = view_of(self._task, joints, objects, self._reference)
        target = self._kick(decide(view, self._reference.velocity))
        ahead = self._expert.rows(self._task, joints, objects, self._reference, self._rows)
        for camera in CAMERAS:
            self._keep(camera, resize_area(self._scene.image(camera), self._size))
        self._keep("joints", joints)
        self._keep("actions", self._reference.joints())
        self._keep("rows", ahead)
        self._keep("objects", np.array([objects[entry] for entry in OBJECT_ENTRIES]))
        self._keep("pixels", np.stack([self._scene.pixels(camera) for camera in CAMERAS]))
        self._keep("masked", np.bool_(self._kick_left > 0))
        before, self._reference = self._reference, self._mover.advance(self._reference, target)
        self._play_between(before.joints(), self._reference.joints())

    def _kick(self, wanted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the expert's target, or another one while a kick lasts."""
        if self._kick_left > 0:
            self._kick_left -= 1
        elif self._kicks is not None and self._rng.random() < self._kicks.per_step:
            self._kick_left = int(self._rng.integers(*self._kicks.steps))
            self._kick_target = self._displaced(self._kicks, wanted)
        return self._kick_target if self._kick_left > 0 else wanted

    def _displaced(self, kicks: Kicks, wanted: NDArray[np.float64]) -> NDArray[np.float64]:
        target: NDArray[np.float64] = self._reference.pose + self._rng.uniform(
            -1, 1, 6
        ) * np.array(kicks.spread)
        target[HEIGHT] = max(target[HEIGHT], 0.014)
        target[GRIPPER] = wanted[GRIPPER]
        if self._rng.random() < kicks.gripper_share:
            target[GRIPPER] = self._rng.uniform(-0.1, 0.8)
        return target

    def _play_between(self, now: NDArray[np.float64], soon: NDArray[np.float64]) -> None:
        """Play 50 ms towards the next row in ticks of 10 ms, as an executor does."""
        ticks = 5
        for tick in range(1, ticks + 1):
            self._scene.command(now + (soon - now) * tick / ticks)
            self._scene.step(STEP_NS // ticks)

    def _keep(self, name: str, value: NDArray[np.generic] | np.generic) -> None:
        self._kept.setdefault(name, []).append(np.asarray(value))
