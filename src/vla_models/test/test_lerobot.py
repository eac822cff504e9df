"""Episodes survive the way through a LeRobot dataset, and foreign datasets can be learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vla_core.errors import ConfigurationError
from vla_data.lerobot import DatasetWriter, image, vector
from vla_models.examples import JOINTS, episode, tiny_config
from vla_models.training.lerobot import chunks_of, read_lerobot, write_lerobot


def test_our_episodes_come_back_exactly(tmp_path: Path) -> None:
    written = [episode("put the red cube"), episode("put the blue cube", frames=4, seed=1)]
    assert write_lerobot(written, tmp_path / "set", tiny_config()) == 2
    read = list(read_lerobot(tmp_path / "set", tiny_config()))
    assert [e.instruction for e in read] == ["put the red cube", "put the blue cube"]
    for before, after in zip(written, read, strict=True):
        for name in ("images", "state", "targets", "valid", "objects", "pixels"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def foreign(root: Path, fps: int = 20) -> Path:
    features = {
        "observation.images.front": image(48, 64),
        "observation.images.wrist": image(48, 64),
        "observation.state": vector(JOINTS),
        "action": vector(JOINTS),
    }
    with DatasetWriter(root, fps, features) as writer:
        for k in range(3):
            frame = {name: np.zeros(f.shape, np.uint8) for name, f in features.items()}
            joints = np.full(3, float(k), np.float32)
            writer.add_frame(
                frame | {"observation.state": joints, "action": joints + 10}, "put it there"
            )
        writer.end_episode()
    return root


def test_actions_of_another_dataset_become_chunks(tmp_path: Path) -> None:
    (found,) = read_lerobot(foreign(tmp_path / "set"), tiny_config())
    assert found.images.shape == (3, 2, 32, 32, 3) and found.objects.shape == (3, 4)
    np.testing.assert_array_equal(found.targets[1, :, 0], [11, 12, 12, 12, 12])
    np.testing.assert_array_equal(found.valid[1], [True, True, False, False, False])


def test_a_dataset_that_does_not_fit_says_all_that_is_wrong(tmp_path: Path) -> None:
    root = foreign(tmp_path / "set", fps=10)
    config = tiny_config(
        keypoints=2,
        cameras=("front", "top"),
        state_entries=("a", "b", "c"),
        columns=("a", "b", "c"),
    )
    with pytest.raises(ConfigurationError) as refusal:
        list(read_lerobot(root, config))
    for part in (
        "10 frames/s, expected 20",
        "observation.state",
        "'action'",
        "'top'",
        "keypoints 0",
    ):
        assert part in str(refusal.value)


def test_chunks_end_with_the_recording() -> None:
    targets, valid = chunks_of(np.arange(4.0)[:, None], 3)
    np.testing.assert_array_equal(targets[..., 0], [[0, 1, 2], [1, 2, 3], [2, 3, 3], [3, 3, 3]])
    assert valid.sum(1).tolist() == [3, 3, 2, 1]
