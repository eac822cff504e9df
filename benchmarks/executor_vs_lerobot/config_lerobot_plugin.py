"""The configuration of our robot, in a module of the name by which LeRobot finds the robot's own.

Import this before anything else of LeRobot.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

# The wheel of torchvision from PyPI lacks these operators on a CPU build of torch; nothing here
# calls them, but torchvision's import declares things about them.
OPERATORS = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    with contextlib.suppress(RuntimeError):
        OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from lerobot.robots import RobotConfig  # noqa: E402  (after the operators)


@RobotConfig.register_subclass("vla_six")
@dataclass(kw_only=True)
class SixJointsConfig(RobotConfig):
    """A simulated arm with two cameras."""
