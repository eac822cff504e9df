"""Vendor's interfaces, imported only where they are used, or refused with what to install."""

from __future__ import annotations

import importlib
from typing import Any

from vla_core.errors import NotReadyError

SOURCES = {
    "control_msgs": "apt install ros-$ROS_DISTRO-control-msgs",
    "tmc_control_msgs": "hsr-project/tmc_realtime_control, or the robot's own installation",
    "hsrb_interface": "the vendor's Python API, part of the robot's own installation",
}


def interface(package: str, module: str, name: str, wanted_for: str) -> Any:
    """Return one class of a vendor's package.

    Raises:
        NotReadyError: the package is not installed; says where it comes from.
    """
    try:
        return getattr(importlib.import_module(f"{package}.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise NotReadyError(
            f"{wanted_for} needs {package}/{module}/{name}, which is not installed ({error}). "
            f"It comes from: {SOURCES[package]}. Then build again."
        ) from error
