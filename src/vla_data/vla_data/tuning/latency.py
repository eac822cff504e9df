"""How long answers take: given by name, read from a file, or measured. Numpy alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError

Floats = NDArray[np.float64]
FORMS = "constant:0.2, lognormal:0.2,0.3 (median, sigma of the logarithm) or a file of seconds"


@dataclass(frozen=True, eq=False)
class Latency:
    """A distribution of seconds."""

    name: str
    median_s: float
    sigma: float = 0.0  # of the logarithm
    samples_s: Floats | None = None  # drawn from instead, with replacement

    def draw(self, rng: np.random.Generator) -> float:
        """Return how long the next answer takes [s]."""
        if self.samples_s is not None:
            return float(rng.choice(self.samples_s))
        return self.median_s * float(np.exp(rng.normal(0.0, self.sigma)))

    def quantile(self, share: float) -> float:
        """Return the time that a share of the answers does not exceed [s]."""
        if self.samples_s is not None:
            return float(np.quantile(self.samples_s, share))
        rng = np.random.default_rng(0)
        spread = np.quantile(rng.standard_normal(100_000), share)
        return self.median_s * float(np.exp(self.sigma * spread))

    @property
    def mean_s(self) -> float:
        """The mean [s]."""
        if self.samples_s is not None:
            return float(self.samples_s.mean())
        return self.median_s * float(np.exp(self.sigma**2 / 2))


def parse(text: str) -> Latency:
    """Return the distribution that a person named.

    Raises:
        ConfigurationError: neither a known form nor a file of positive numbers.
    """
    kind, _, numbers = text.partition(":")
    if kind == "constant":
        (median,) = _numbers(text, numbers, 1)
        return Latency(text, median)
    if kind == "lognormal":
        median, sigma = _numbers(text, numbers, 2)
        return Latency(text, median, sigma)
    if Path(text).is_file():
        return measured(text, _from_file(Path(text)))
    raise ConfigurationError(f"latency '{text}': expected {FORMS}; no file has this name")


def measured(name: str, seconds: Floats) -> Latency:
    """Return the distribution of measured latencies.

    Raises:
        ConfigurationError: fewer than 5, or one of them is not a time.
    """
    if len(seconds) < 5:
        raise ConfigurationError(
            f"latency '{name}': expected at least 5 times, got {len(seconds)}"
        )
    if not np.isfinite(seconds).all() or (seconds < 0).any() or (seconds > 120).any():
        raise ConfigurationError(f"latency '{name}': expected seconds between 0 and 120")
    return Latency(name, float(np.median(seconds)), samples_s=seconds)


def _numbers(text: str, numbers: str, count: int) -> list[float]:
    try:
        found = [float(number) for number in numbers.split(",")]
    except ValueError:
        found = []
    if len(found) != count or not all(0 <= number <= 120 for number in found):
        raise ConfigurationError(f"latency '{text}': expected {FORMS}")
    return found


def _from_file(path: Path) -> Floats:
    text = path.read_text(errors="replace")
    try:
        if path.suffix == ".json":
            return np.array(json.loads(text), np.float64).ravel()
        return np.array(text.replace(",", " ").split(), np.float64)
    except ValueError as error:
        raise ConfigurationError(
            f"latency file {path}: expected seconds, one a line, or a JSON list: {error}"
        ) from error
