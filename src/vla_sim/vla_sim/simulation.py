"""Runs a scene in real time in a thread of its own. No ROS: what happens is told to listeners."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vla_core.types import NS_PER_S
from vla_scenes.scene import Scene
from vla_sim.eyes import Eyes, OnFrame
from vla_sim.pace import Pace

SLICE_NS = 10_000_000  # of simulated time between two commands to the robot: /clock at 100 Hz
JOINTS_EVERY, CAMERAS_EVERY = 2, 5  # slices: 50 Hz and 20 Hz
SIMULATED_START_NS = NS_PER_S  # zero means "no clock yet" to ROS
Floats = NDArray[np.float64]


class Listener(Protocol):
    """Who is told what the simulation does; all but `on_frame` in the simulation's thread."""

    def targets_now(self, now_ns: int) -> Floats | None:
        """Return the targets by the scene's columns, NaN: as before; None: all as before."""
        ...

    def on_clock(self, now_ns: int) -> None:
        """A slice has been simulated."""
        ...

    def on_joints(self, positions: Floats, velocities: Floats, now_ns: int) -> None:
        """The robot measured itself; by the scene's entries."""
        ...

    def on_objects(self, poses: dict[str, float], now_ns: int) -> None:
        """Where everything is; right after `on_joints`."""
        ...

    def on_crash(self, error: BaseException) -> None:
        """The thread has ended by an error; nothing moves any more."""
        ...


class Simulation:
    """A scene that lives at the pace of the wall clock, or slower if the machine cannot follow.

    Simulated time only ever rises: a reset of the scene does not turn it back.

    Args:
        watched: returns the cameras that somebody watches.
        viewer: called with the scene 30 times a second, under the lock; None: no window.
    """

    def __init__(
        self,
        scene: Scene,
        listener: Listener,
        on_frame: OnFrame,
        watched: Callable[[], Collection[str]],
        viewer: Callable[[], None] | None = None,
    ) -> None:
        self.scene = scene
        self._listener, self._watched, self._viewer = listener, watched, viewer
        self._eyes = Eyes(scene, on_frame, listener.on_crash)
        self._lock = threading.Lock()  # held by whoever touches the scene
        self._offset_ns = SIMULATED_START_NS - scene.time_ns
        self._pace = Pace(SLICE_NS, time.monotonic_ns())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)

    def start(self) -> None:
        """Let time begin."""
        self._pace = Pace(SLICE_NS, time.monotonic_ns())
        self._thread.start()

    @property
    def now_ns(self) -> int:
        """Simulated time."""
        return self._offset_ns + self.scene.time_ns

    def real_time_factor(self) -> float:
        """Return simulated over real time within the newest second."""
        return self._pace.real_time_factor()

    @property
    def frames_dropped(self) -> int:
        """Pictures that were not taken because the one before was still being drawn."""
        return self._eyes.dropped

    def reset(self, seed: int, before: Callable[[], None] = lambda: None) -> None:
        """Put the layout of a seed on the table; ``before`` runs while nothing moves."""
        with self._lock:
            self._eyes.rest()
            before()
            now = self.now_ns
            self.scene.reset(seed)
            self._offset_ns = now - self.scene.time_ns

    def ask(self, question: Callable[[Scene], bool]) -> bool:
        """Return the answer to a question about the scene, between two steps."""
        with self._lock:
            return question(self.scene)

    def close(self) -> None:
        """End both threads and release the renderer."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(2.0)
        self._eyes.close()

    def _run(self) -> None:
        # Waking up late here is a late clock for every node.
        sys.setswitchinterval(0.0005)
        try:
            number = 0
            while not self._ended.is_set():
                wait_ns = self._pace.wait_ns(time.monotonic_ns())
                if wait_ns:
                    time.sleep(wait_ns / NS_PER_S)
                    continue
                number += 1
                self._slice(number)
                self._pace.did_slice(time.monotonic_ns())
        except Exception as error:
            traceback.print_exc()
            self._listener.on_crash(error)

    def _cameras(self, phase: int) -> list[str]:
        """Return the cameras that are due: one after the other, so that none waits for another."""
        names = self.scene.cameras
        due = [c for i, c in enumerate(names) if i * CAMERAS_EVERY // len(names) == phase]
        return [camera for camera in due if camera in self._watched()]

    def _slice(self, number: int) -> None:
        with self._lock:
            targets = self._listener.targets_now(self.now_ns)
            if targets is not None:
                self.scene.command(np.where(np.isnan(targets), self.scene.targets(), targets))
            self.scene.step(SLICE_NS)
            now = self.now_ns
            for camera in self._cameras(number % CAMERAS_EVERY):
                self._eyes.look(camera, now)
            if self._viewer is not None and number % 3 == 0:
                self._viewer()
            positions, velocities = self.scene.joints()
            joints_due = number % JOINTS_EVERY == 0
            poses = self.scene.objects() if joints_due else {}
        # Joints before the clock: a tick that the clock wakes finds the newest measurement.
        if joints_due:
            self._listener.on_joints(positions, velocities, now)
            self._listener.on_objects(poses, now)
        self._listener.on_clock(now)
