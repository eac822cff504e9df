"""MuJoCo worlds with tasks, experts and success detection, without ROS."""

from __future__ import annotations

import ctypes
import os


def _choose_renderer() -> None:
    """Render without a screen; where nothing can render, physics still works.

    MuJoCo reads ``MUJOCO_GL`` when it is imported, and fails there if the library is missing.
    """
    for name, library in (("egl", "libEGL.so.1"), ("osmesa", "libOSMesa.so.8")):
        if os.environ.get("MUJOCO_GL", name) != name:
            continue
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        os.environ["MUJOCO_GL"] = name
        break
    else:
        if os.environ.get("MUJOCO_GL", "egl") in ("egl", "osmesa"):
            os.environ["MUJOCO_GL"] = "disable"
    # Software rendering of a 320x240 image is faster on one thread than on several.
    os.environ.setdefault("LP_NUM_THREADS", "1")


_choose_renderer()
