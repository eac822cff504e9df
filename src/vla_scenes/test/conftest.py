"""Scenes shared by the tests of this package: building one costs a tenth of a second."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from vla_scenes.tabletop import TabletopScene


@pytest.fixture(scope="session")
def tabletop() -> Iterator[TabletopScene]:
    scene = TabletopScene(0)
    yield scene
    scene.close()


@pytest.fixture
def scene(tabletop: TabletopScene) -> TabletopScene:
    tabletop.reset(0)
    return tabletop


@pytest.fixture
def renderable(scene: TabletopScene) -> TabletopScene:
    if os.environ.get("MUJOCO_GL") == "disable":
        pytest.skip("no EGL or OSMesa library on this machine: nothing can be rendered")
    return scene
