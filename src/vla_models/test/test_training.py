"""Training: batches that repeat, masks that hold, a resume that changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vla_core.errors import ConfigurationError
from vla_models.examples import episode, tiny_config
from vla_models.nano.checkpoint import load_checkpoint
from vla_models.training.augment import Augmentation
from vla_models.training.dataset import Dataset
from vla_models.training.ema import WeightAverage
from vla_models.training.log import Row, TrainingLog, plot_log, read_log
from vla_models.training.trainer import Trainer, TrainingSettings

FEW = TrainingSettings(
    steps=6, batch=4, warm_up=2, log_every=2, validate_every=4, checkpoint_every=3, half=False
)


def trainer(folder: Path, settings: TrainingSettings = FEW, **more: object) -> Trainer:
    config = tiny_config()
    dataset = Dataset([episode(), episode("put the blue cube", seed=1)], config)
    held_out = Dataset([episode(seed=2)], config)
    return Trainer(config, settings, dataset, held_out, folder, Augmentation(), **more)  # type: ignore[arg-type]


def test_the_same_seed_and_step_draw_the_same_batch() -> None:
    dataset = Dataset([episode()], tiny_config())
    statistics = dataset.statistics()
    first, second = (
        dataset.batch(np.random.default_rng([0, 3]), 4, statistics, Augmentation())
        for _ in range(2)
    )
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.actions, second.actions)


def test_statistics_bring_the_actions_to_unit_scale() -> None:
    dataset = Dataset([episode(frames=200)], tiny_config())
    batch = dataset.batch(np.random.default_rng(0), 400, dataset.statistics())
    np.testing.assert_allclose(batch.actions.mean(0), 0, atol=0.25)
    np.testing.assert_allclose(batch.actions.std(0), 1, atol=0.25)


def test_invalid_rows_change_neither_statistics_nor_batches() -> None:
    clean = episode()
    valid = clean.valid.copy()
    valid[:, 3:] = False
    valid[2] = False
    targets = clean.targets.copy()
    targets[~valid] = 1e6
    dataset = Dataset([replace(clean, targets=targets, valid=valid)], tiny_config())
    assert len(dataset) == len(clean.state) - 1
    scale = dataset.statistics().action_scale
    assert scale[:3].max() < 10 and scale.shape == (5, 3)
    assert not dataset.batch(np.random.default_rng(0), 32, dataset.statistics()).valid[:, 3:].any()


def test_frames_without_weight_are_never_drawn() -> None:
    demonstration = episode()

    def only_the_third(_: object) -> np.ndarray:
        return (np.arange(6) == 2).astype(float)

    dataset = Dataset([demonstration], tiny_config(), only_the_third)
    batch = dataset.batch(np.random.default_rng(0), 16, dataset.statistics())
    assert all(np.array_equal(image, demonstration.images[2]) for image in batch.images.numpy())


def test_a_reworded_instruction_is_what_the_network_reads() -> None:
    dataset = Dataset([episode("put the red cube")], tiny_config())
    batch = dataset.batch(
        np.random.default_rng(0), 2, dataset.statistics(), reword=lambda text, rng: "blue"
    )
    assert batch.words[:, :2].tolist() == [[1, 0], [1, 0]]


def test_no_episode_is_a_refusal() -> None:
    with pytest.raises(ConfigurationError, match="no episode"):
        Dataset([], tiny_config())


def test_a_shift_moves_each_camera_and_repeats_the_edge() -> None:
    images = np.arange(2 * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(1, 2, 32, 32, 3)
    shown = replace(episode(frames=1), images=images)
    still = Augmentation(shift_px=0, late=0)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(still.frame(shown, 0, rng)[0], images[0])
    moved, by = Augmentation(shift_px=3, late=0).frame(shown, 0, rng)
    assert moved.shape == images[0].shape and not np.array_equal(moved, images[0])
    for camera, (right, down) in enumerate((32 * by).round().astype(int).tolist()):
        np.testing.assert_array_equal(
            moved[camera, 16 + down, 16 + right], images[0, camera, 16, 16]
        )


def test_a_late_camera_shows_the_frame_before() -> None:
    images = np.stack([np.full((2, 8, 8, 3), value, np.uint8) for value in (10, 20)])
    shown = replace(episode(frames=2), images=images)
    always = Augmentation(shift_px=0, late=1.0)
    assert np.all(always.frame(shown, 1, np.random.default_rng(0))[0] == 10)
    assert np.all(always.frame(shown, 0, np.random.default_rng(0))[0] == 10)


def test_a_snapshot_has_no_frame_before() -> None:
    images = np.stack([np.full((2, 8, 8, 3), value, np.uint8) for value in (10, 20)])
    shown = replace(episode(frames=2), images=images, sequence=False)
    always = Augmentation(shift_px=0, late=1.0)
    assert np.all(always.frame(shown, 1, np.random.default_rng(0))[0] == 20)


def test_colours_change_by_sample_and_stay_in_range() -> None:
    images = np.full((8, 2, 4, 4, 3), 250, np.uint8)
    changed = Augmentation().colours(images, np.random.default_rng(0))
    assert changed.dtype == np.uint8 and len(np.unique(changed[:, 0, 0, 0, 0])) > 3
    np.testing.assert_array_equal(changed[:, 0], changed[:, 1])


def test_the_average_forgets_its_random_start() -> None:
    average = WeightAverage({"w": torch.zeros(1)}, decay=0.9)
    for step in range(1, 60):
        average.update({"w": torch.ones(1)}, step)
    assert float(average.weights["w"]) > 0.95


def test_a_killed_training_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    trainer(tmp_path / "whole").run()

    class Killed(Exception):
        pass

    def kill(step: int, row: Row | None) -> None:
        if step == 4:
            raise Killed

    with pytest.raises(Killed):
        trainer(tmp_path / "broken").run(kill)
    resumed = trainer(tmp_path / "broken")
    assert resumed.step == 3
    resumed.run()
    whole, broken = (load_checkpoint(tmp_path / n).network for n in ("whole", "broken"))
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(broken.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)
    logs = [read_log(tmp_path / n / "training_log.csv") for n in ("whole", "broken")]
    assert [row.step for row in logs[0]] == [row.step for row in logs[1]] == [2, 4, 6]


def test_a_damaged_training_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "training_state.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0nonsense")
    with pytest.raises(ConfigurationError, match="cannot resume"):
        trainer(tmp_path)


def test_training_continues_from_given_weights(tmp_path: Path) -> None:
    trainer(tmp_path / "first").run()
    first = load_checkpoint(tmp_path / "first")
    second = trainer(
        tmp_path / "second", start=first.network.state_dict(), statistics=first.statistics
    )
    torch.testing.assert_close(second.network.head.weight, first.network.head.weight)
    assert second.statistics is first.statistics


def test_the_log_is_a_table_and_a_picture(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.csv")
    for step in (10, 20, 30):
        log.append(Row(step, 1.0, 0.5, 0.2, 0.3, 0.0, float("nan"), 1e-4, 2.0))
    assert [row.step for row in TrainingLog(tmp_path / "log.csv", resume_at=20).rows] == [10, 20]
    plot_log(log.rows, tmp_path / "log.png")
    assert (tmp_path / "log.png").read_bytes().startswith(b"\x89PNG")
