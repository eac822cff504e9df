"""The plan as a moving plot: what was commanded, and the chunk that is being played."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vla_data.recording import Recording
from vla_data.records import NS, Chunk
from vla_data.report import canvas

Floats = NDArray[np.float64]

PAST_S, FUTURE_S = 2.0, 1.6
MARGIN = 10  # [px] around a plot
LEAST_SPAN = 0.3  # of a plot's values: noise must not fill it


class PlanPanel:
    """Draws one small plot per column around the present instant."""

    def __init__(
        self, recording: Recording, chunks: Sequence[Chunk], width: int, height: int
    ) -> None:
        name, receiver = next(iter(recording.robot.receivers.items()))
        commands = recording.commands[name]
        self._columns = receiver.columns
        self._width, self._height = width, height
        self._chunks = sorted(chunks, key=lambda chunk: chunk.arrived_ns)
        self._arrived = np.array(
            [recording.clock.to_ros(chunk.arrived_ns) for chunk in self._chunks], np.int64
        )
        due = [c.stamp_ns + int(c.times_ns[0]) for c in commands if len(c.times_ns)]
        self._due = np.array(due, np.int64)
        rows = [c.positions[0] for c in commands if len(c.times_ns)]
        self._values = np.array(rows).reshape(-1, len(self._columns))
        self._plots = self._layout(recording)
        self._empty = self._background()

    def _layout(self, recording: Recording) -> list[tuple[int, int, float, float]]:
        """Return left, width, lowest and highest value of each column's plot."""
        count = len(self._columns)
        width = (self._width - MARGIN * (count + 1)) // count
        plots = []
        for i in range(count):
            values = self._values[:, i] if len(self._values) else np.zeros(1)
            middle = (values.min() + values.max()) / 2
            half = max(LEAST_SPAN, float(np.ptp(values))) * 0.6
            plots.append((MARGIN + i * (width + MARGIN), width, middle - half, middle + half))
        return plots

    def _background(self) -> canvas.Pixels:
        image = np.full((self._height, self._width, 3), canvas.BACKGROUND, np.uint8)
        for (left, width, _, _), name in zip(self._plots, self._columns, strict=True):
            image[24 : self._height - MARGIN, left : left + width] = canvas.PANEL
            now = left + round(width * PAST_S / (PAST_S + FUTURE_S))
            image[24 : self._height - MARGIN, now] = canvas.GRID
            canvas.text(image, (left, 3), name.replace("_", " "), 13, canvas.DIM)
        return image

    def draw(self, now_ns: int) -> canvas.Pixels:
        """Return the panel as of a ROS time."""
        image = self._empty.copy()
        first = int(np.searchsorted(self._due, now_ns - round(PAST_S * NS)))
        last = int(np.searchsorted(self._due, now_ns, side="right"))
        newest = int(np.searchsorted(self._arrived, now_ns, side="right")) - 1
        for i, plot in enumerate(self._plots):
            for number, colour in ((newest - 1, canvas.OLD_PLAN), (newest, canvas.PLAN)):
                if number >= 0 and self._chunks[number].end_ns > now_ns - PAST_S * NS:
                    self._draw_chunk(image, plot, self._chunks[number], i, now_ns, colour)
            seconds = (self._due[first:last] - now_ns) / NS
            points = self._points(plot, seconds, self._values[first:last, i])
            canvas.polyline(image, points, canvas.COMMAND, 2)
        return image

    def _draw_chunk(
        self,
        image: canvas.Pixels,
        plot: tuple[int, int, float, float],
        chunk: Chunk,
        column: int,
        now_ns: int,
        colour: canvas.Colour,
    ) -> None:
        name = self._columns[column]
        if name not in chunk.columns:
            return
        values = chunk.values[:, chunk.columns.index(name)]
        seconds = (chunk.start_ns + np.arange(len(values)) * chunk.step_ns - now_ns) / NS
        shown = (seconds > -PAST_S) & (seconds < FUTURE_S)
        canvas.polyline(image, self._points(plot, seconds[shown], values[shown]), colour, 1)

    def _points(
        self, plot: tuple[int, int, float, float], seconds: Floats, values: Floats
    ) -> Floats:
        left, width, low, high = plot
        top, bottom = 24, self._height - MARGIN - 1
        x = left + (seconds + PAST_S) / (PAST_S + FUTURE_S) * width
        y = bottom - (np.clip(values, low, high) - low) / (high - low) * (bottom - top)
        return np.stack([x, y], axis=1)
