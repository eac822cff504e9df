"""What a contract asks of the scene, and every way in which the scene cannot give it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_core.contract import Contract, load_contract
from vla_core.errors import MismatchError
from vla_scenes.tabletop import CAMERAS, OBJECT_ENTRIES, TabletopScene
from vla_sim.streams import Streams, match_streams

SO101 = Path(__file__).resolve().parents[3] / "config" / "robots" / "so101"
JOINTS = TabletopScene.joint_names


@pytest.fixture
def contract() -> Contract:
    """The shipped contract with what only the simulation has."""
    return load_contract([SO101 / "contract.yaml", SO101 / "sim.yaml"])


def match(contract: Contract) -> Streams:
    """Match with the shipped scene."""
    return match_streams(contract, CAMERAS, JOINTS, OBJECT_ENTRIES)


def test_the_shipped_scene_fills_the_shipped_contract(contract: Contract) -> None:
    streams = match(contract)
    assert list(streams.cameras) == ["front", "wrist"]
    assert list(streams.joints) == ["joints"]
    assert streams.objects is not None
    assert streams.size == (240, 320)


def test_columns_in_another_order_reach_their_own_servos(contract: Contract) -> None:
    swapped = contract.model_copy(
        update={
            "action": contract.action.model_copy(update={"columns": contract.action.columns[::-1]})
        }
    )
    servos = match(swapped).servos
    assert [swapped.columns[i] for i in servos] == list(JOINTS)


def test_a_missing_camera_is_refused_by_name(contract: Contract) -> None:
    with pytest.raises(MismatchError, match=r"camera 'wrist', the scene has \['front'\]"):
        match_streams(contract, ["front"], JOINTS, OBJECT_ENTRIES)


def test_other_joints_are_refused(contract: Contract) -> None:
    with pytest.raises(MismatchError, match="expected action columns"):
        match_streams(contract, CAMERAS, JOINTS[:5], OBJECT_ENTRIES)


def test_entries_that_nothing_measures_are_named(contract: Contract) -> None:
    with pytest.raises(MismatchError, match=r"'objects'.*red_cube\.x"):
        match_streams(contract, CAMERAS, JOINTS, OBJECT_ENTRIES[1:])
