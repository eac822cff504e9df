"""One HSR scene for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vla_core.contract import Contract, load_contract
from vla_scenes.hsr.scene import HsrScene

ROBOT = Path(__file__).parents[4] / "config/robots/hsr"


@pytest.fixture(scope="session")
def room() -> Iterator[HsrScene]:
    scene = HsrScene(0)
    yield scene
    scene.close()


@pytest.fixture
def scene(room: HsrScene) -> HsrScene:
    room.reset(0)
    return room


@pytest.fixture(scope="session")
def contract() -> Contract:
    if not ROBOT.exists():
        pytest.skip("tests run outside the repository: no contract of the robot")
    return load_contract([ROBOT / "contract.yaml", ROBOT / "sim.yaml"])
