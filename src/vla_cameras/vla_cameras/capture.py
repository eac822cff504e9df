"""The thread that reads one source until it fails, ends or is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vla_cameras.sources import Frame, Source
from vla_core.errors import VlaError


class Capture:
    """Reads in a thread of its own, since a driver may block for as long as it likes."""

    def __init__(
        self,
        name: str,
        open_it: Callable[[Callable[[float], object]], Source],
        on_frame: Callable[[Frame], None],
        on_end: Callable[[str], None],
    ) -> None:
        """Begin at once.

        Args:
            open_it: opens the source; gets a function that waits and returns whether to stop.
            on_frame, on_end: called from the thread; ``on_end`` with why, or '' at a file's end.
                Neither is called after `stop`.
        """
        self._open, self._on_frame, self._on_end = open_it, on_frame, on_end
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread still holds the source."""
        return self._thread.is_alive()

    def stop(self, wait_s: float = 0.0) -> None:
        """Stop; the thread lets go of the source as soon as its driver returns."""
        self._ended.set()
        if wait_s:
            self._thread.join(wait_s)

    def _run(self) -> None:
        why = ""
        try:
            source = self._open(self._ended.wait)
            try:
                while not self._ended.is_set() and (frame := source.read()) is not None:
                    if not self._ended.is_set():
                        self._on_frame(frame)
            finally:
                source.close()
        except VlaError as error:
            why = str(error)
        except Exception as error:  # of a driver: one camera's trouble must not end the node
            why = f"{type(error).__name__}: {error}"
        if not self._ended.is_set():
            self._on_end(why)
