"""Where pictures come from: a V4L2 device, a video file, a folder of pictures; all by OpenCV.

A source belongs to one thread. It knows no ROS and decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_cameras.stamps import taken_ns
from vla_core.errors import ConfigurationError, NotReadyError
from vla_core.types import NS_PER_S

Pixels = NDArray[np.uint8]
PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
FALLBACK_HZ = 30.0  # of a file that does not tell its rate


@dataclass(frozen=True)
class Frame:
    """One picture and when it was taken."""

    pixels: Pixels  # (H, W, 3) RGB
    taken_ns: int  # steady clock


@dataclass(frozen=True)
class Wish:
    """What is asked of a source; a device may give something else."""

    where: str  # device (path or number), video file, or folder
    height_px: int
    width_px: int
    rate_hz: float = 0.0  # 0: the source's own
    pixel_format: str = ""  # four letters; empty: the driver's choice
    loop: bool = False  # files begin again at their end


class Source(Protocol):
    """Gives one picture after the other."""

    def read(self) -> Frame | None:
        """Wait for the next picture; None: a file has ended.

        Raises:
            NotReadyError: the source gives none any more.
        """

    def close(self) -> None:
        """Let go of the device or file."""


def kind(where: str) -> str:
    """Return 'device', 'video' or 'folder'.

    Raises:
        ConfigurationError: nothing of this kind is there. A device may be plugged in later.
    """
    path = Path(where)
    if where.isdigit() or where.startswith("/dev/"):
        return "device"
    if path.is_dir():
        if not pictures_in(path):
            raise ConfigurationError(
                f"parameter 'source': no pictures {list(PICTURES)} in folder {where}"
            )
        return "folder"
    if path.is_file():
        return "video"
    raise ConfigurationError(
        f"parameter 'source': expected a device (/dev/video0), a video file or a folder of "
        f"pictures, got '{where}', which is none of them"
    )


def pictures_in(folder: Path) -> list[Path]:
    """Return a folder's pictures in the order of their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def open_source(wish: Wish, wait: Callable[[float], object]) -> Source:
    """Open a source; ``wait`` sleeps for some seconds and may end early.

    Raises:
        NotReadyError: it cannot be opened (now).
    """
    which = kind(wish.where)
    if which == "device":
        return Device(wish)
    return Paced(Folder(wish) if which == "folder" else Video(wish), wish, wait)


class Device:
    """A camera of the kernel's video interface."""

    def __init__(self, wish: Wish) -> None:
        where: Any = int(wish.where) if wish.where.isdigit() else wish.where
        self._where = wish.where
        self._capture = cv2.VideoCapture(where, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            self._capture.release()
            raise NotReadyError(
                f"camera {wish.where} cannot be opened: is it plugged in, free, and may this "
                "user read it (group 'video')?"
            )
        # The format first: it decides which sizes and rates there are.
        if wish.pixel_format:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*wish.pixel_format))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, wish.width_px)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wish.height_px)
        if wish.rate_hz:
            self._capture.set(cv2.CAP_PROP_FPS, wish.rate_hz)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # else a slow reader gets old pictures

    def read(self) -> Frame:
        ok, picture = self._capture.read()
        arrived_ns = time.monotonic_ns()
        if not ok:
            raise NotReadyError(f"camera {self._where} gives no picture: unplugged?")
        driver_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        return Frame(_rgb(picture), taken_ns(arrived_ns, driver_ms))

    def close(self) -> None:
        self._capture.release()


class Folder:
    """Pictures of a folder, by name."""

    rate_hz = FALLBACK_HZ

    def __init__(self, wish: Wish) -> None:
        self._files = pictures_in(Path(wish.where))
        self._next = 0

    def picture(self) -> Pixels | None:
        """Return the next picture; None: there is no other."""
        if self._next >= len(self._files):
            return None
        file = self._files[self._next]
        self._next += 1
        found = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if found is None:
            raise NotReadyError(f"{file} is no picture")
        return _rgb(found)

    def rewind(self) -> None:
        """Begin again."""
        self._next = 0

    def close(self) -> None:
        """Nothing is held open."""


class Video:
    """A video file, at its average rate."""

    def __init__(self, wish: Wish) -> None:
        self._where = wish.where
        self._open()
        self.rate_hz = self._capture.get(cv2.CAP_PROP_FPS) or FALLBACK_HZ

    def picture(self) -> Pixels | None:
        """Return the next picture; None: there is no other."""
        ok, found = self._capture.read()
        return _rgb(found) if ok else None

    def rewind(self) -> None:
        """Begin again; opening anew works for every container, seeking does not."""
        self._capture.release()
        self._open()

    def close(self) -> None:
        self._capture.release()

    def _open(self) -> None:
        self._capture = cv2.VideoCapture(self._where)
        if not self._capture.isOpened():
            raise NotReadyError(f"{self._where} is no video that OpenCV can read")


class Paced:
    """Gives the pictures of a file when they are due, as a camera would."""

    def __init__(
        self, pictures: Folder | Video, wish: Wish, wait: Callable[[float], object]
    ) -> None:
        self._pictures, self._wait, self._loop = pictures, wait, wish.loop
        self._period_ns = int(NS_PER_S / (wish.rate_hz or pictures.rate_hz))
        self._due_ns = 0

    def read(self) -> Frame | None:
        found = self._pictures.picture()
        if found is None and self._loop:
            self._pictures.rewind()
            found = self._pictures.picture()
        if found is None:
            return None
        self._due_ns += self._period_ns
        now_ns = time.monotonic_ns()
        if now_ns > self._due_ns + self._period_ns:
            self._due_ns = now_ns  # too late (or the first): go on from here
        while (left_ns := self._due_ns - time.monotonic_ns()) > 0:
            if self._wait(left_ns / NS_PER_S):
                break  # nobody wants it any more
        return Frame(found, self._due_ns)

    def close(self) -> None:
        self._pictures.close()


def _rgb(bgr: Any) -> Pixels:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
