"""The scene in real time, for a fraction of a second each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from vla_scenes.tabletop import CAMERAS, TabletopScene
from vla_scenes.world import Look
from vla_sim.simulation import SLICE_NS, Simulation

Floats = NDArray[np.float64]


class Notebook:
    """Writes down what the simulation tells."""

    def __init__(self) -> None:
        self.clock: list[int] = []
        self.joints: list[tuple[int, Floats]] = []
        self.frames: list[tuple[str, int]] = []
        self.wanted: Floats | None = None
        self.errors: list[BaseException] = []
        self.changed = threading.Condition()

    def targets_now(self, now_ns: int) -> Floats | None:
        return self.wanted

    def on_clock(self, now_ns: int) -> None:
        with self.changed:
            self.clock.append(now_ns)
            self.changed.notify_all()

    def on_joints(self, positions: Floats, velocities: Floats, now_ns: int) -> None:
        self.joints.append((now_ns, positions.copy()))

    def on_objects(self, poses: dict[str, float], now_ns: int) -> None:
        pass

    def on_frame(self, camera: str, pixels: NDArray[np.uint8], now_ns: int) -> None:
        with self.changed:
            assert pixels.shape == (48, 64, 3)
            self.frames.append((camera, now_ns))
            self.changed.notify_all()

    def on_crash(self, error: BaseException) -> None:
        self.errors.append(error)

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> bool:
        """Return whether the condition came true before the deadline."""
        with self.changed:
            return self.changed.wait_for(condition, seconds)


@pytest.fixture
def notebook() -> Notebook:
    """A listener."""
    return Notebook()


@pytest.fixture
def simulation(notebook: Notebook) -> Iterator[Simulation]:
    """A running simulation whose cameras are watched."""
    scene = TabletopScene(1, Look(width=64, height=48))
    running = Simulation(scene, notebook, notebook.on_frame, lambda: ["front", "wrist"])
    running.start()
    yield running
    running.close()
    assert not notebook.errors


def test_time_rises_slice_by_slice(simulation: Simulation, notebook: Notebook) -> None:
    assert notebook.until(lambda: len(notebook.clock) > 20)
    assert set(np.diff(notebook.clock[:20])) == {SLICE_NS}


def test_time_rises_through_a_reset_of_the_scene(
    simulation: Simulation, notebook: Notebook
) -> None:
    assert notebook.until(lambda: len(notebook.clock) > 5)
    simulation.reset(2)
    before = len(notebook.clock)
    assert notebook.until(lambda: len(notebook.clock) > before + 5)
    assert set(np.diff(notebook.clock)) == {SLICE_NS}


def test_joints_carry_the_time_at_which_they_were_read(
    simulation: Simulation, notebook: Notebook
) -> None:
    assert notebook.until(lambda: len(notebook.joints) > 5)
    assert {stamp in notebook.clock for stamp, _ in notebook.joints[:5]} == {True}


def test_pictures_carry_the_time_of_the_snapshot_they_show(
    simulation: Simulation, notebook: Notebook
) -> None:
    assert notebook.until(lambda: len(notebook.frames) >= 4)
    stamps = {camera: {at for name, at in notebook.frames if name == camera} for camera in CAMERAS}
    assert {at % (5 * SLICE_NS) for at in stamps["front"]} == {0}
    assert {at % (5 * SLICE_NS) for at in stamps["wrist"]} == {2 * SLICE_NS}


def test_the_servos_follow_the_targets(simulation: Simulation, notebook: Notebook) -> None:
    wanted = simulation.scene.targets()
    wanted[0] += 0.2
    notebook.wanted = wanted
    assert notebook.until(
        lambda: bool(notebook.joints) and abs(notebook.joints[-1][1][0] - wanted[0]) < 0.02
    )


def test_does_not_run_faster_than_the_wall_clock(
    simulation: Simulation, notebook: Notebook
) -> None:
    began, simulated = time.monotonic_ns(), simulation.now_ns
    assert notebook.until(lambda: len(notebook.clock) > 30)
    passed = simulation.now_ns - simulated
    assert passed <= time.monotonic_ns() - began + 2 * SLICE_NS
