"""When the robot itself came to rest, by its own joint positions."""

from __future__ import annotations

import numpy as np

from vla_data.records import NS, Series

WINDOW_S = 0.04  # over which speed is measured: encoders step
QUIET_S = 0.3  # rest must last this long


def time_to_rest(series: Series, event_ns: int, speed: float = 0.05) -> float:
    """Return how long after an event the last entry fell below a speed for good [s].

    0: it was at rest already. NaN: it never came to rest, or the recording ends too early to say.

    Args:
        series: joint positions as the robot reported them.
        event_ns: ROS time of the event.
        speed: what counts as rest [rad/s or m/s].
    """
    after = series.stamps_ns >= event_ns - round(WINDOW_S * NS)
    t, x = series.stamps_ns[after], series.values[after]
    if len(t) < 3:
        return float("nan")
    later = np.searchsorted(t, t + round(WINDOW_S * NS))
    inside = later < len(t)
    at, then = np.flatnonzero(inside), later[inside]
    rate = np.abs(x[then] - x[at]) / ((t[then] - t[at]) / NS)[:, None]
    moving = np.flatnonzero(rate.max(axis=1) > speed)
    last = int(t[then[moving[-1]]]) if len(moving) else event_ns
    if t[-1] - last < QUIET_S * NS:
        return float("nan")
    return max(0.0, (last - event_ns) / NS)
