"""What a contract asks of the scene, and every way in which the scene cannot give it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from vla_core.contract import Contract, load_contract
from vla_core.errors import MismatchError, VlaError
from vla_scenes.scene import scene_class
from vla_scenes.tabletop import TabletopScene
from vla_sim.streams import match_streams

SO101 = Path(__file__).resolve().parents[3] / "config" / "robots" / "so101"


@dataclass(frozen=True)
class Lacking:
    """A scene that may lack what the tabletop has."""

    columns: tuple[str, ...] = TabletopScene.columns
    cameras: tuple[str, ...] = TabletopScene.cameras
    entries: tuple[str, ...] = TabletopScene.entries
    object_entries: tuple[str, ...] = TabletopScene.object_entries


@pytest.fixture
def contract() -> Contract:
    """The shipped contract with what only the simulation has."""
    return load_contract([SO101 / "contract.yaml", SO101 / "sim.yaml"])


def test_the_shipped_scene_fills_the_shipped_contract(contract: Contract) -> None:
    streams = match_streams(contract, TabletopScene)
    assert list(streams.cameras) == ["front", "wrist"]
    assert streams.measured == {"observation/joints": TabletopScene.entries}
    assert streams.objects is not None
    assert streams.size == (240, 320)


def test_columns_in_another_order_reach_their_own_joints(contract: Contract) -> None:
    swapped = contract.model_copy(
        update={
            "action": contract.action.model_copy(update={"columns": contract.action.columns[::-1]})
        }
    )
    order = match_streams(swapped, TabletopScene).order
    assert [swapped.columns[i] for i in order] == list(TabletopScene.columns)


def test_a_missing_camera_is_refused_by_name(contract: Contract) -> None:
    with pytest.raises(MismatchError, match=r"camera 'wrist', the scene has \['front'\]"):
        match_streams(contract, Lacking(cameras=("front",)))


def test_other_joints_are_refused(contract: Contract) -> None:
    with pytest.raises(MismatchError, match="expected action columns"):
        match_streams(contract, Lacking(columns=TabletopScene.columns[:5]))


def test_entries_that_nothing_measures_are_named(contract: Contract) -> None:
    with pytest.raises(MismatchError, match=r"'objects'.*red_cube\.x"):
        match_streams(contract, Lacking(object_entries=TabletopScene.object_entries[1:]))


@pytest.mark.parametrize(
    ("robot", "scene", "topics"),
    [
        ("hsr", "hsr_room", {"observation/joints": 8}),
        (
            "go2_arm",
            "go2_arm_table",
            {"observation/joints": 6, "observation/base": 3, "observation/attitude": 2},
        ),
    ],
)
def test_the_other_scenes_fill_their_contracts(
    robot: str, scene: str, topics: dict[str, int]
) -> None:
    folder = SO101.parent / robot
    shipped = load_contract([folder / "contract.yaml", folder / "sim.yaml"])
    streams = match_streams(shipped, scene_class(scene))
    assert {topic: len(entries) for topic, entries in streams.measured.items()} == topics
    assert streams.objects is not None and streams.size == (240, 320)


def test_an_unknown_scene_is_refused_with_the_known_ones() -> None:
    with pytest.raises(VlaError, match=r"unknown scene 'moon'.*hsr_room"):
        scene_class("moon")
