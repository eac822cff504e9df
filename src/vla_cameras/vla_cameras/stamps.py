"""When a picture was taken: the driver's own time where it can be believed, else its arrival."""

from __future__ import annotations

from vla_core.types import NS_PER_S

# A buffer older than this was stamped by another clock.
OLDEST_NS = NS_PER_S


def taken_ns(arrived_ns: int, driver_ms: float) -> int:
    """Return when a picture was taken, on the steady clock [ns].

    Args:
        arrived_ns: steady clock when the picture was handed out.
        driver_ms: the driver's time of the buffer; V4L2 stamps with the steady clock, other
            drivers with 0, or with a clock of their own.

    Source: Linux media API, struct v4l2_buffer, V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC.
    """
    driver_ns = round(driver_ms * 1e6)
    is_believable = 0 <= arrived_ns - driver_ns <= OLDEST_NS
    return driver_ns if driver_ns > 0 and is_believable else arrived_ns


def stamp_ns(ros_ns: int, steady_ns: int, taken: int, delay_ns: int) -> int:
    """Return a picture's stamp in ROS time, never negative.

    Args:
        ros_ns, steady_ns: both clocks, read at one instant.
        taken: when the picture was taken, on the steady clock.
        delay_ns: from exposure to the driver's time, which no driver tells.
    """
    return max(0, ros_ns - (steady_ns - taken) - delay_ns)
