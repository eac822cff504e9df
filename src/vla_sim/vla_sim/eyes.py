"""Renders the cameras in a thread of its own, so that the simulated clock never waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vla_scenes.scene import Scene, Snapshot

Pixels = NDArray[np.uint8]
OnFrame = Callable[[str, Pixels, int], None]
WAIT_S = 5.0


class Eyes:
    """Takes snapshots of the world in the thread that steps it, and renders them in its own.

    Per camera the newest snapshot waits; one that was never drawn because a newer one came is
    counted as dropped: pictures are rather few than late.

    Args:
        on_frame: gets (camera, (H, W, 3) RGB, simulated time of the snapshot) in the eyes' thread.
        on_crash: gets the error that ended the rendering.
    """

    def __init__(
        self, scene: Scene, on_frame: OnFrame, on_crash: Callable[[Exception], None]
    ) -> None:
        self._scene, self._on_frame, self._on_crash = scene, on_frame, on_crash
        self._wake = threading.Condition()  # guards what follows
        self._waiting: dict[str, tuple[Snapshot, int]] = {}  # camera -> what, simulated time
        self._busy = False
        self._running = True
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="eyes", daemon=True)
        self._thread.start()

    def look(self, camera: str, stamp_ns: int) -> None:
        """Hand over what the world looks like now; called by the thread that steps it."""
        snapshot = self._scene.snapshot()
        with self._wake:
            self.dropped += camera in self._waiting
            self._waiting[camera] = snapshot, stamp_ns
            self._wake.notify_all()

    def rest(self) -> bool:
        """Return when no picture is being rendered: the scene's look may be changed then."""
        with self._wake:
            self._waiting.clear()
            return self._wake.wait_for(lambda: not self._busy, WAIT_S)

    def close(self) -> None:
        """End the thread; it releases the renderer, which belongs to it."""
        with self._wake:
            self._running = False
            self._wake.notify_all()
        self._thread.join(WAIT_S)

    def _run(self) -> None:
        try:
            while (job := self._next()) is not None:
                camera, snapshot, stamp_ns = job
                self._on_frame(camera, self._scene.image(camera, snapshot), stamp_ns)
                with self._wake:
                    self._busy = False
                    self._wake.notify_all()
        except Exception as error:
            self._on_crash(error)
        finally:
            self._scene.close()

    def _next(self) -> tuple[str, Snapshot, int] | None:
        """Wait for the oldest snapshot; None at the end."""
        with self._wake:
            self._wake.wait_for(lambda: bool(self._waiting) or not self._running)
            if not self._running:
                return None
            camera = min(self._waiting, key=lambda name: self._waiting[name][1])
            self._busy = True
            return (camera, *self._waiting.pop(camera))
