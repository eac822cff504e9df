"""A pseudo-terminal that appears under a path and can be pulled out like a plug."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import termios
import tty
from pathlib import Path

SPEEDS = {
    termios.B1000000: 1_000_000,
    termios.B500000: 500_000,
    termios.B115200: 115_200,
    termios.B57600: 57_600,
    termios.B38400: 38_400,
}


class Terminal:
    """The host opens `path`; here are the bytes that it sends.

    Args:
        link: where the path shall appear, as a link; None: only under the terminal's own name.
    """

    def __init__(self, link: Path | None = None) -> None:
        self._link = link
        self._ours = self._theirs = -1
        self.path = ""
        self.plug()

    @property
    def is_plugged(self) -> bool:
        """Whether the path is there."""
        return self._ours >= 0

    def plug(self) -> None:
        """Appear."""
        if self.is_plugged:
            return
        # Their end stays open here too: the host may come and go without ending the terminal.
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.path = os.ttyname(self._theirs)
        if self._link is not None:
            self._link.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._link.with_name(f"{self._link.name}.{os.getpid()}")
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()
            fresh.symlink_to(self.path)
            os.replace(fresh, self._link)
            self.path = str(self._link)

    def unplug(self) -> None:
        """Vanish; whoever has the path open gets an error. Also twice."""
        if not self.is_plugged:
            return
        ours, theirs, self._ours, self._theirs = self._ours, self._theirs, -1, -1
        if self._link is not None and os.path.realpath(self._link) == os.ttyname(theirs):
            self._link.unlink()
        os.close(theirs)
        os.close(ours)

    def read(self, within_s: float) -> bytes:
        """Return what the host sent, b"" if nothing came in time."""
        if not select.select([self._ours], [], [], within_s)[0]:
            return b""
        try:
            return os.read(self._ours, 4096)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Send to the host; what it does not read in time is lost, as on a wire."""
        with contextlib.suppress(OSError):
            os.write(self._ours, data)

    @property
    def baud_rate(self) -> int:
        """What the host has set; 0: none that this terminal knows."""
        return SPEEDS.get(termios.tcgetattr(self._ours)[4], 0)
