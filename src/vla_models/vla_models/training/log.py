"""The training's log: one CSV that a resumed training continues, and its picture."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

LOG = "training_log.csv"


@dataclass(frozen=True)
class Row:
    """One line of the log: means since the line before."""

    step: int
    loss: float
    action: float  # mean absolute error, in scales of the actions
    auxiliary: float
    keypoints: float  # cross entropy of the heat maps, 0 is perfect
    divergence: float
    validation: float  # action error of the averaged weights on held-out episodes; NaN: not now
    learning_rate: float
    seconds: float  # of training so far


class TrainingLog:
    """Appends rows; opened again at a step, it drops what came after."""

    def __init__(self, path: Path, resume_at: int = 0) -> None:
        self._path = path
        self.rows = [row for row in read_log(path) if row.step <= resume_at]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            csv.writer(file).writerow([f.name for f in fields(Row)])
        for row in self.rows:
            self._write(row)

    def append(self, row: Row) -> None:
        """Add a row, at once on disk."""
        self.rows.append(row)
        self._write(row)

    def _write(self, row: Row) -> None:
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerow([f"{value:.6g}" for value in asdict(row).values()])


def read_log(path: Path) -> list[Row]:
    """Return the rows of a log; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    return [Row(step=int(x.pop("step")), **{k: float(v) for k, v in x.items()}) for x in lines]


def plot_log(rows: list[Row], path: Path) -> None:
    """Draw action error, validation error and learning rate over the steps."""
    from matplotlib.figure import Figure  # slow to import, and only needed at the end

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    steps = [row.step for row in rows]
    axes.plot(steps, [row.action for row in rows], label="actions, training", linewidth=1)
    axes.plot(steps, [row.auxiliary for row in rows], label="objects, training", linewidth=1)
    if any(row.keypoints for row in rows):
        axes.plot(steps, [r.keypoints for r in rows], label="keypoints [nat]", linewidth=1)
    checked = [row for row in rows if row.validation == row.validation]
    axes.plot(
        [r.step for r in checked], [r.validation for r in checked], "o-",
        label="actions, held-out episodes (averaged weights)",
    )  # fmt: skip
    axes.set(xlabel="step", ylabel="mean absolute error [scales]", yscale="log")
    axes.grid(alpha=0.3, which="both")
    rate = axes.twinx()
    rate.plot(steps, [row.learning_rate for row in rows], color="0.7", linewidth=1)
    rate.set_ylabel("learning rate", color="0.5")
    axes.legend()
    figure.savefig(path, dpi=110)
