"""How much each row of a plan counts, and how hard a sampler is pulled towards it.

Source: Black et al., Real-Time Execution of Action Chunking Flow Policies, arXiv 2506.07339,
equations 2 and 5; prior variance: Soare, after Song et al., Pseudoinverse-Guided Diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError
from vla_hosting.rtc.rows import PrefixRows

Array = NDArray[np.float64]


def _exponential(share: Array) -> Array:
    return np.asarray(share * np.expm1(share) / math.expm1(1.0))


# Weight over the share of the way that is left from the committed rows (1) to the end (0).
SCHEDULES: Mapping[str, Callable[[Array], Array]] = {
    "exponential": _exponential,
    "linear": lambda share: share,
    "ones": np.ones_like,  # every row of the plan counts in full
    "zeros": np.zeros_like,  # only what is committed counts
}


def soft_mask(rows: PrefixRows, schedule: str = "exponential", until: int | None = None) -> Array:
    """Return the weight of each row (H,): 1 where committed, falling to 0 where the plan ends.

    Args:
        rows: the plan; rows that it does not have weigh 0.
        schedule: how the weight falls after the committed rows.
        until: rows from this one on weigh 0 unless committed, even where the plan has them.

    Raises:
        ConfigurationError: no such schedule; lists the known ones.
    """
    if schedule not in SCHEDULES:
        raise ConfigurationError(
            f"soft mask: expected a schedule among {sorted(SCHEDULES)}, got '{schedule}'"
        )
    horizon = len(rows.values)
    end = rows.end if until is None else min(rows.end, until)
    index = np.arange(horizon)
    left = (end - index) / max(1, end - rows.committed + 1)
    soft = SCHEDULES[schedule](np.clip(left, 0.0, 1.0))
    weights = np.where(index < rows.committed, 1.0, np.where(index < end, soft, 0.0))
    return np.where(rows.exists, weights, 0.0)


def guidance_weight(time: float, most: float, prior_sd: float = 1.0) -> float:
    """Return the factor of the correction at a time of the flow (0 noise, 1 rows).

    ``(1 - t) / (t r²)`` with ``r² = sd² (1 - t)² / ((1 - t)² + t² sd²)``, the variance of the rows
    given the noisy ones if rows had standard deviation ``sd`` around their mean; never above
    ``most``, which it would be at both ends.
    """
    noise = (1.0 - time) ** 2
    below = time * (1.0 - time) * prior_sd**2
    return most if below <= 0.0 else min(most, (noise + time**2 * prior_sd**2) / below)
