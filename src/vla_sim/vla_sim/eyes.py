"""Renders the cameras in a thread of its own, so that the simulated clock never waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vla_scenes.tabletop import Snapshot, TabletopScene

Pixels = NDArray[np.uint8]
OnFrame = Callable[[str, Pixels, int], None]
Job = tuple[Snapshot, Sequence[str], int]  # what, for which cameras, simulated time
WAIT_S = 5.0


class Eyes:
    """Takes snapshots of the world in the thread that steps it, and renders them in its own.

    Exactly one snapshot is handed over at a time. A snapshot that comes while the one before is
    still being rendered is dropped and counted: pictures are rather few than late.

    Args:
        on_frame: gets (camera, (H, W, 3) RGB, simulated time of the snapshot) in the eyes' thread.
        on_crash: gets the error that ended the rendering.
    """

    def __init__(
        self, scene: TabletopScene, on_frame: OnFrame, on_crash: Callable[[Exception], None]
    ) -> None:
        self._scene, self._on_frame, self._on_crash = scene, on_frame, on_crash
        self._wake = threading.Condition()
        self._job: Job | None = None
        self._busy = False
        self._running = True
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="eyes", daemon=True)
        self._thread.start()

    def look(self, cameras: Sequence[str], stamp_ns: int) -> None:
        """Hand over what the world looks like now; called by the thread that steps it."""
        with self._wake:
            if self._busy:
                self.dropped += 1
                return
            self._job = (self._scene.snapshot(), cameras, stamp_ns)
            self._busy = True
            self._wake.notify()

    def rest(self) -> bool:
        """Return when no picture is being rendered: the scene's look may be changed then."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._busy, WAIT_S)

    def close(self) -> None:
        """End the thread; it releases the renderer, which belongs to it."""
        with self._wake:
            self._running = False
            self._wake.notify()
        self._thread.join(WAIT_S)

    def _run(self) -> None:
        try:
            while (job := self._next()) is not None:
                snapshot, cameras, stamp_ns = job
                for camera in cameras:
                    self._on_frame(camera, self._scene.image(camera, snapshot), stamp_ns)
                with self._wake:
                    self._busy = False
                    self._wake.notify_all()
        except Exception as error:
            self._on_crash(error)
        finally:
            self._scene.close()

    def _next(self) -> Job | None:
        with self._wake:
            self._wake.wait_for(lambda: self._job is not None or not self._running)
            job, self._job = self._job, None
            return job if self._running else None
