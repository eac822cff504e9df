"""The executor's forward kinematics, for the SO-101, against this package's own."""

from __future__ import annotations

from math import cos, sin

import numpy as np
import pytest

from vla_core.contract.model import Link
from vla_core.execution.kinematics import SerialChain
from vla_scenes.kinematics import (
    JOINTS,
    LOWER,
    PAN_X,
    SHOULDER_R,
    SHOULDER_Z,
    TOOL,
    UPPER,
    forward,
)

CHAIN = (
    Link(origin=(PAN_X, 0.0, 0.0), axis=(0.0, 0.0, -1.0), column="shoulder_pan"),
    Link(origin=(SHOULDER_R, 0.0, SHOULDER_Z), axis=(0.0, 1.0, 0.0), column="shoulder_lift"),
    Link(origin=(0.028, 0.0, 0.11257), axis=(0.0, 1.0, 0.0), column="elbow_flex"),
    Link(origin=(0.1349, 0.0, 0.0052), axis=(0.0, 1.0, 0.0), column="wrist_flex"),
    Link(origin=(0.0, 0.0, 0.0), axis=(1.0, 0.0, 0.0), column="wrist_roll"),
    Link(origin=(TOOL, 0.0, 0.0)),
)


def test_the_executors_chain_of_the_so101_ends_where_the_scenes_arm_does() -> None:
    joints = np.random.default_rng(7).uniform(LOWER, UPPER, (200, 6))
    tips = SerialChain(CHAIN, JOINTS)(joints)
    for row, tip in zip(joints, tips, strict=True):
        azimuth, reach, height = forward(row)[:3]
        expected = [PAN_X + reach * cos(azimuth), reach * sin(azimuth), height]
        assert tip == pytest.approx(expected, abs=1e-12)
