"""The chain in and out, and that training and the live policy do the same to the same data."""

from __future__ import annotations

import numpy as np

from vla_models.examples import episode, observation, tiny_config, tiny_statistics
from vla_models.nano.processor import Processor, prepare_image
from vla_models.training.dataset import Dataset
from vla_models.training.episodes import Episode


def test_what_goes_out_undoes_what_came_in() -> None:
    statistics = tiny_statistics(tiny_config())
    targets = np.random.default_rng(0).normal(size=(5, 3))
    anchor = np.array([0.1, 0.2, 0.3])
    again = statistics.absolute(statistics.relative(targets, anchor), anchor)
    np.testing.assert_allclose(again, targets, atol=1e-5)


def test_the_anchor_travels_with_the_sample() -> None:
    config = tiny_config(columns=("gripper", "pan"), units=("rad", "rad"))
    processor = Processor(config, tiny_statistics(config))
    first, second = processor.encode(observation()), processor.encode(observation())
    np.testing.assert_array_equal(first.anchor, [0.3, 0.1])
    actions = np.zeros((5, 2), np.float32)
    np.testing.assert_array_equal(
        processor.decode(first, actions), processor.decode(second, actions)
    )


def test_images_are_averaged_not_sampled() -> None:
    board = np.zeros((64, 64, 3), np.uint8)
    board[::2] = 200
    assert np.all(prepare_image(board, 32) == 100)
    small = np.zeros((32, 32, 3), np.uint8)
    assert prepare_image(small, 32) is small


def test_live_and_training_see_the_same_sample() -> None:
    config = tiny_config()
    statistics = tiny_statistics(config)
    live, demonstration = observation(), episode(frames=1)
    images = np.stack([prepare_image(live.images[n], 32) for n in config.cameras])[None]
    joints = live.state["joints"].astype(np.float32)[None]
    recorded = Episode(
        live.instruction, images, joints, demonstration.targets, demonstration.valid,
        demonstration.objects, demonstration.pixels,
    )  # fmt: skip
    batch = Dataset([recorded], config).batch(np.random.default_rng(0), 1, statistics)
    sample = Processor(config, statistics).encode(live)
    np.testing.assert_array_equal(
        batch.images[0].numpy(), np.stack([sample.images[n] for n in config.cameras])
    )
    np.testing.assert_allclose(batch.state[0].numpy(), sample.state, atol=1e-6)
    back = Processor(config, statistics).decode(sample, batch.actions[0].numpy())
    np.testing.assert_allclose(back, demonstration.targets[0], atol=1e-5)
