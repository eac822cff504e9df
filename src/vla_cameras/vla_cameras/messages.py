"""A calibration as sensor_msgs/CameraInfo of the picture that is really published."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo

from vla_cameras.calibration import Calibration
from vla_ros.images import middle
from vla_ros.stamps import header


def fits(calibration: Calibration, captured: tuple[int, int]) -> bool:
    """Return whether a picture (H, W) has the aspect at which the camera was calibrated."""
    return captured[0] * calibration.width_px == captured[1] * calibration.height_px


def camera_info_msg(
    calibration: Calibration | None,
    captured: tuple[int, int],
    published: tuple[int, int],
    stamp_ns: int,
    frame_id: str,
) -> CameraInfo:
    """Return the camera_info of a picture cut and resized from one size (H, W) to another.

    A camera without calibration has zeros in ``k``, as sensor_msgs/CameraInfo wants it. One that
    was calibrated at another size of the same aspect is rescaled; at another aspect nobody knows
    which part of the sensor is seen, so it counts as not calibrated.
    """
    msg = CameraInfo(header=header(stamp_ns, frame_id), height=published[0], width=published[1])
    if calibration is None or not fits(calibration, captured):
        return msg
    cut = calibration.resized(*captured).cut(*middle(*captured, *published))
    fitted = cut.resized(*published)
    msg.distortion_model = fitted.model
    msg.d = list(fitted.d)
    msg.k, msg.r, msg.p = fitted.k.ravel(), fitted.r.ravel(), fitted.p.ravel()
    return msg
