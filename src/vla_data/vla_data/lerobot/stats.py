"""Statistics of a dataset's columns, per episode and joined over episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Stats = dict[str, NDArray[np.float64]]  # "min" ... "q99", "count" -> (entries,)

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}


def of_vectors(values: NDArray[Any]) -> Stats:
    """Return the statistics of one episode's numbers, (T, entries)."""
    x = values.astype(np.float64)
    stats = {
        "min": x.min(axis=0),
        "max": x.max(axis=0),
        "mean": x.mean(axis=0),
        "std": x.std(axis=0),
        "count": np.array([len(x)]),
    }
    quantiles = np.quantile(x, list(QUANTILES.values()), axis=0)
    return stats | dict(zip(QUANTILES, quantiles, strict=True))


def of_images(images: Sequence[NDArray[np.uint8]]) -> Stats:
    """Return the statistics per colour channel, in 0..1, shaped (3, 1, 1) as lerobot wants."""
    counts = np.stack(
        [
            sum(np.bincount(image[..., channel].ravel(), minlength=256) for image in images)
            for channel in range(3)
        ]
    ).astype(np.float64)
    levels = np.arange(256) / 255.0
    total = counts.sum(axis=1)
    mean = counts @ levels / total
    cumulative = counts.cumsum(axis=1)
    stats = {
        "min": np.array([levels[np.flatnonzero(row)[0]] for row in counts]),
        "max": np.array([levels[np.flatnonzero(row)[-1]] for row in counts]),
        "mean": mean,
        "std": np.sqrt(np.maximum(counts @ levels**2 / total - mean**2, 0.0)),
    }
    for name, share in QUANTILES.items():
        stats[name] = levels[(cumulative < share * total[:, None]).sum(axis=1)]
    shaped: Stats = {name: value.reshape(3, 1, 1) for name, value in stats.items()}
    return shaped | {"count": np.array([len(images)])}


def join(parts: Sequence[Stats]) -> Stats:
    """Return the statistics of several episodes together.

    Exact, except for quantiles: the mean of the episodes' quantiles by weight, as in lerobot.

    Source: huggingface/lerobot `datasets/compute_stats.py:aggregate_feature_stats`.
    """
    weight = np.array([float(part["count"][0]) for part in parts])
    total = weight.sum()

    def mean_of(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.asarray(np.tensordot(weight, np.stack(values), axes=1) / total)

    mean = mean_of([part["mean"] for part in parts])
    variance = mean_of([part["std"] ** 2 + (part["mean"] - mean) ** 2 for part in parts])
    joined = {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": np.array([int(total)]),
    }
    return joined | {name: mean_of([part[name] for part in parts]) for name in QUANTILES}


def to_json(stats: Mapping[str, Stats]) -> dict[str, dict[str, Any]]:
    """Return what `meta/stats.json` holds."""
    return {key: {name: v.tolist() for name, v in value.items()} for key, value in stats.items()}
