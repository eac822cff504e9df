"""The film of a run: cameras side by side, the plan below, the instruction above. H.264."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vla_data.checker import judge_execution
from vla_data.images import pixels_of
from vla_data.lerobot.images import VideoWriter
from vla_data.recording import Recording
from vla_data.records import MODES, NS
from vla_data.report import canvas
from vla_data.report.figures import played_chunks
from vla_data.report.metrics import EpisodeMetrics, Metrics
from vla_data.report.panel import PlanPanel

WIDTH, HEAD, PLAN = 1280, 56, 184  # [px]
FPS = 20
LINGER_S = 0.6  # the last picture of an episode stays
CRF = 24
THREADS = 2  # of the encoder: the run is over, nobody else needs the processor


def make_film(recording: Recording, metrics: Metrics, path: Path) -> bool:
    """Write the film of all episodes; False if the recording has no pictures."""
    frames = _Frames(recording, metrics)
    if not frames.cameras:
        return False
    writer: VideoWriter | None = None
    for frame in frames:
        if writer is None:
            height, width = frame.shape[:2]
            writer = VideoWriter(
                path,
                FPS,
                height,
                width,
                crf=CRF,
                gop=FPS * 2,
                preset="ultrafast",
                threads=THREADS,
            )
        writer.append(frame)
    if writer is not None:
        writer.close()
    return writer is not None


class _Frames:
    """Iterates over the film's pictures."""

    def __init__(self, recording: Recording, metrics: Metrics) -> None:
        self._recording, self._metrics = recording, metrics
        self.cameras = [
            name
            for name, stream in recording.robot.images.items()
            if recording.topic(stream.topic) is not None
        ]
        chunks = [
            chunk
            for episode in metrics.episodes
            for chunk in played_chunks(
                recording, episode, judge_execution(recording, episode.start_ns, episode.end_ns)
            )
        ]
        self._panel = PlanPanel(recording, chunks, WIDTH, PLAN)

    def __iter__(self) -> Iterator[canvas.Pixels]:
        newest: dict[str, Any] = {}
        pictures: dict[str, canvas.Pixels] = {}
        events = self._recording.images(*self.cameras)
        following = next(events, None)
        for number, episode in enumerate(self._metrics.episodes):
            frame: canvas.Pixels | None = None
            for at in range(episode.start_ns, episode.end_ns, NS // FPS):
                while following is not None and following[1] <= at:
                    newest[following[0]] = following[2]
                    following = next(events, None)
                if len(newest) < len(self.cameras):
                    continue
                for name in list(newest):
                    if newest[name] is not None:
                        pictures[name], newest[name] = pixels_of(newest[name]), None
                frame = self._frame(pictures, episode, number, at)
                yield frame
            if frame is not None:
                self._seal(frame, episode)
                yield from [frame] * round(LINGER_S * FPS)

    def _frame(
        self, pictures: dict[str, canvas.Pixels], episode: EpisodeMetrics, number: int, at: int
    ) -> canvas.Pixels:
        views = _side_by_side([pictures[name] for name in self.cameras], WIDTH)
        frame = np.empty((HEAD + views.shape[0] + PLAN, WIDTH, 3), np.uint8)
        frame[:HEAD] = canvas.BACKGROUND
        frame[HEAD:-PLAN] = views
        frame[-PLAN:] = self._panel.draw(at)
        count = len(self._metrics.episodes)
        canvas.text(frame, (16, 12), episode.instruction, 24, bold=True)
        clock = f"{(at - episode.start_ns) / NS:4.1f} s"
        canvas.text(frame, (WIDTH - 16, 12), clock, 24, anchor="right")
        state = self._recording.state_at(at)
        mode = MODES[state.mode] if state else ""
        colour = canvas.GOOD if mode == "running" else canvas.PLAN
        canvas.text(frame, (WIDTH - 130, 17), mode, 16, colour, anchor="right")
        canvas.text(
            frame, (WIDTH - 240, 17), f"{number + 1} of {count}", 16, canvas.DIM, anchor="right"
        )
        width = WIDTH // len(self.cameras)
        for i, name in enumerate(self.cameras):
            canvas.label(frame, (i * width + 12, HEAD + 8), name)
        return frame

    def _seal(self, frame: canvas.Pixels, episode: EpisodeMetrics) -> None:
        """Write the verdict over the last picture of an episode."""
        if episode.success is None:
            return
        words, colour = ("done", canvas.GOOD) if episode.success else ("not done", canvas.BAD)
        canvas.text(frame, (WIDTH // 2, HEAD + 24), words, 40, colour, bold=True, anchor="centre")


def _side_by_side(pictures: Sequence[canvas.Pixels], width: int) -> canvas.Pixels:
    """Scale pictures to one height so that together they fill a width; even sizes for H.264."""
    ratio = sum(picture.shape[1] / picture.shape[0] for picture in pictures)
    height = 2 * math.floor(width / ratio / 2)
    parts: list[canvas.Pixels] = []
    for i, picture in enumerate(pictures):
        last = i == len(pictures) - 1
        wide = round(height * picture.shape[1] / picture.shape[0])
        wide = width - sum(part.shape[1] for part in parts) if last else wide
        parts.append(cv2.resize(picture, (wide, height), interpolation=cv2.INTER_LINEAR))
    return np.asarray(np.concatenate(parts, axis=1), np.uint8)
