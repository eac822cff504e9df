"""Images to bytes and back: PNG for single frames, H.264 for videos. Arrays are RGB, uint8."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from vla_core.errors import VlaError

Image = NDArray[np.uint8]  # (H, W, 3) RGB

# Run lengths only: on rendered 96x96 images smaller than the default and up to three times faster.
PNG_OPTIONS = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]


def encode_png(image: Image) -> bytes:
    """Return the image as PNG."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), PNG_OPTIONS)
    if not done:
        raise VlaError(f"image of shape {image.shape} {image.dtype} cannot be stored as PNG")
    return bytes(data)


def decode(data: bytes) -> Image:
    """Return the image of any still format that OpenCV reads.

    Raises:
        VlaError: the bytes are not an image.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise VlaError(f"{len(data)} bytes are not an image that can be read")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


class VideoWriter:
    """Appends frames to one H.264 file.

    A key frame every second frame, as lerobot writes: any frame is found by decoding at most two.
    """

    def __init__(
        self,
        path: Path,
        fps: int,
        height: int,
        width: int,
        crf: int = 23,
        gop: int = 2,
        preset: str = "veryfast",
        threads: int = 1,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.frames = 0
        self.size = 0  # bytes that left the encoder
        self._container: Any = av.open(str(path), "w")
        self._stream: Any = self._container.add_stream("libx264", rate=fps)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.gop_size = gop
        self._stream.thread_count = threads
        self._stream.options = {"crf": str(crf), "preset": preset, "bf": "0"}

    def append(self, image: Image) -> None:
        """Add one frame."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = self.frames
        self.frames += 1
        for packet in self._stream.encode(frame):
            self.size += packet.size
            self._container.mux(packet)

    def close(self) -> None:
        """Write what is still in the encoder and the file's index."""
        self._container.mux(self._stream.encode(None))
        self._container.close()


def read_video(path: Path, first: int, count: int, fps: float) -> Iterator[Image]:
    """Yield ``count`` frames from frame number ``first`` on."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        base = stream.time_base
        container.seek(round(first / fps / base), stream=stream, backward=True)
        wanted = first
        for frame in container.decode(stream):
            if round(float(frame.pts * base) * fps) < wanted:
                continue
            yield frame.to_ndarray(format="rgb24")
            wanted += 1
            if wanted == first + count:
                return
    raise VlaError(f"video {path} ends before frame {first + count - 1}")
