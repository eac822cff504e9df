"""A small chart as SVG text: axes with round ticks, lines, bars, dots. Colours come from CSS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEFT, RIGHT, TOP, BOTTOM = 46, 10, 22, 24  # margins [px]


class Chart:
    """One chart; what is drawn first lies below."""

    def __init__(
        self,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        size: tuple[int, int] = (400, 170),
        x_unit: str = "s",
        y_unit: str = "",
        kind: str = "",
        y_ticks: int = 4,
    ) -> None:
        self._title, self._size, self._kind, self._y_ticks = title, size, kind, y_ticks
        self._x, self._y = _widened(x), _widened(y)
        self._units = (x_unit, y_unit)
        self._parts: list[str] = []

    def line(self, x: Floats, y: Floats, style: str) -> None:
        """Draw a line through points; gaps where a value is not finite."""
        for run in _finite_runs(x, y):
            if len(run) > 1:
                points = " ".join(f"{a:.1f},{b:.1f}" for a, b in self._pixels(x[run], y[run]))
                self._parts.append(f'<polyline class="{style}" points="{points}"/>')

    def dots(self, x: Floats, y: Floats, style: str, radius: float = 2.5) -> None:
        """Draw one dot per point."""
        for run in _finite_runs(x, y):
            for a, b in self._pixels(x[run], y[run]):
                self._parts.append(
                    f'<circle class="{style}" cx="{a:.1f}" cy="{b:.1f}" r="{radius}"/>'
                )

    def box(
        self, x: tuple[float, float], y: tuple[float, float], style: str, tip: str = ""
    ) -> None:
        """Draw a filled box."""
        (a, b), (c, d) = self._pixels(np.array(x), np.array(y))
        left, top = min(a, c), min(b, d)
        width, height = max(0.8, abs(c - a)), max(0.8, abs(d - b))
        tooltip = f"<title>{escape(tip)}</title>" if tip else ""
        self._parts.append(
            f'<rect class="{style}" x="{left:.1f}" y="{top:.1f}" '
            f'width="{width:.1f}" height="{height:.1f}">{tooltip}</rect>'
        )

    def words(self, x: float, y: float, text: str) -> None:
        """Write a word, centred at a point."""
        a, b = self._pixels(np.array([x]), np.array([y]))[0]
        self._parts.append(f'<text class="x" x="{a:.1f}" y="{b:.1f}">{escape(text)}</text>')

    def level(self, y: float, style: str) -> None:
        """Draw a level line, if it is in sight."""
        if self._y[0] <= y <= self._y[1]:
            self.line(np.array(self._x), np.array([y, y]), style)

    def marks(self, xs: Sequence[float], style: str) -> None:
        """Draw a short stroke at the bottom for each instant."""
        height = self._size[1] - BOTTOM
        for x in xs:
            at = self._pixels(np.array([x]), np.array([0.0]))[0][0]
            self._parts.append(
                f'<line class="{style}" x1="{at:.1f}" x2="{at:.1f}" '
                f'y1="{height}" y2="{height - 7}"/>'
            )

    def render(self) -> str:
        """Return the SVG element."""
        width, height = self._size
        data = f'data-x0="{self._x[0]:.6g}" data-x1="{self._x[1]:.6g}"'
        inner = "".join(self._parts)
        return (
            f'<svg class="chart {self._kind}" viewBox="0 0 {width} {height}" {data}>'
            f"{self._axes()}"
            f'<svg x="{LEFT}" y="{TOP}" width="{width - LEFT - RIGHT}" '
            f'height="{height - TOP - BOTTOM}" viewBox="{LEFT} {TOP} {width - LEFT - RIGHT} '
            f'{height - TOP - BOTTOM}">{inner}</svg>'
            f'<line class="cursor" y1="{TOP}" y2="{height - BOTTOM}"/></svg>'
        )

    def _pixels(self, x: Floats, y: Floats) -> list[tuple[float, float]]:
        width, height = self._size
        (x0, x1), (y0, y1) = self._x, self._y
        across = LEFT + (x - x0) / (x1 - x0) * (width - LEFT - RIGHT)
        down = height - BOTTOM - (y - y0) / (y1 - y0) * (height - TOP - BOTTOM)
        return list(zip(across.tolist(), down.tolist(), strict=True))

    def _axes(self) -> str:
        width, height = self._size
        parts = [f'<text class="title" x="{LEFT}" y="14">{escape(self._title)}</text>']
        unit = escape(self._units[1])
        parts.append(f'<text class="unit" x="{width - RIGHT}" y="14">{unit}</text>')
        for value in ticks(*self._y, self._y_ticks) if self._y_ticks else ():
            y = self._pixels(np.array([self._x[0]]), np.array([value]))[0][1]
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            parts.append(f'<text class="y" x="{LEFT - 5}" y="{y + 3.5:.1f}">{value:g}</text>')
        marks = ticks(*self._x, 6)
        for value in marks:
            x = self._pixels(np.array([value]), np.array([self._y[0]]))[0][0]
            last = f" {escape(self._units[0])}" if value == marks[-1] else ""
            parts.append(f'<text class="x" x="{x:.1f}" y="{height - 8}">{value:g}{last}</text>')
        return "".join(parts)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about ``count`` round numbers inside a range."""
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def histogram(title: str, values: Floats, unit: str, bins: int = 40, **options: Any) -> str:
    """Return the chart of a distribution, with its median and 95th percentile marked."""
    known = values[np.isfinite(values)]
    if not len(known):
        return ""
    high = float(np.quantile(known, 0.995)) * 1.05 or 1.0
    counts, edges = np.histogram(known, bins=bins, range=(min(0.0, float(known.min())), high))
    chart = Chart(title, (edges[0], edges[-1]), (0.0, float(counts.max())), x_unit=unit, **options)
    for count, left, right in zip(counts, edges, edges[1:], strict=False):
        if count:
            chart.box(
                (left, right), (0.0, float(count)), "bar", f"{left:.4g} to {right:.4g}: {count}"
            )
    for q, style in ((0.5, "median"), (0.95, "high")):
        at = float(np.quantile(known, q))
        chart.line(np.array([at, at]), np.array([0.0, float(counts.max())]), style)
    return chart.render()


def _finite_runs(x: Floats, y: Floats) -> list[NDArray[np.intp]]:
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if not len(known):
        return []
    return np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)


def _widened(span: tuple[float, float]) -> tuple[float, float]:
    low, high = float(span[0]), float(span[1])
    return (low, high) if high > low else (low - 0.5, high + 0.5)
