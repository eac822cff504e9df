"""What a count of successes allows to claim."""

from __future__ import annotations

import math

Z_95 = 1.959964  # 95 % of a normal distribution lie within so many deviations


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Return the interval of a success rate, 95 % by default; 0 to 1 without a trial.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    if not trials:
        return 0.0, 1.0
    share, scale = successes / trials, 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + (z / trials) ** 2 / 4) / scale
    return max(0.0, centre - half), min(1.0, centre + half)
