"""One Go2 scene for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vla_core.contract import Contract, load_contract
from vla_scenes.go2_arm.scene import Go2ArmScene

ROBOT = Path(__file__).parents[4] / "config/robots/go2_arm"


@pytest.fixture(scope="session")
def meadow() -> Iterator[Go2ArmScene]:
    scene = Go2ArmScene(0)
    yield scene
    scene.close()


@pytest.fixture
def scene(meadow: Go2ArmScene) -> Go2ArmScene:
    meadow.reset(0)
    return meadow


@pytest.fixture(scope="session")
def contract() -> Contract:
    if not ROBOT.exists():
        pytest.skip("tests run outside the repository: no contract of the robot")
    return load_contract([ROBOT / "contract.yaml", ROBOT / "sim.yaml"])
