from __future__ import annotations

import numpy as np
import pytest

from vla_core.types import ActionChunk
from vla_scenes.episode import Kicks, record_demonstration, resize_area, row_at
from vla_scenes.expert import STEP_NS
from vla_scenes.kinematics import JOINTS
from vla_scenes.tabletop import OBJECT_ENTRIES, TabletopScene
from vla_scenes.tasks import TASKS


def test_rows_are_played_by_time_and_held_at_both_ends() -> None:
    values = np.arange(18.0).reshape(3, 6)
    chunk = ActionChunk(values, 100, 10, JOINTS)
    assert row_at(chunk, 0) == pytest.approx(values[0])
    assert row_at(chunk, 115) == pytest.approx(values[1] + 3.0)
    assert row_at(chunk, 999) == pytest.approx(values[2])


def test_area_resize_keeps_the_mean_colour() -> None:
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    small = resize_area(image)
    assert small.shape == (96, 96, 3)
    assert small.mean(axis=(0, 1)) == pytest.approx(image.mean(axis=(0, 1)), abs=1.0)


def test_a_demonstration_holds_one_entry_per_step(renderable: TabletopScene) -> None:
    rng = np.random.default_rng(0)
    demo = record_demonstration(3, TASKS[3].instruction, rng, scene=renderable)
    steps = len(demo.joints)
    assert demo.succeeded and 80 < steps < 160
    assert {k: v.shape for k, v in demo.images.items()} == {
        "front": (steps, 96, 96, 3),
        "wrist": (steps, 96, 96, 3),
    }
    assert demo.actions.shape == (steps, 6) and demo.rows.shape == (steps, 32, 6)
    assert demo.objects.shape == (steps, len(OBJECT_ENTRIES))
    assert not demo.masked.any()
    assert np.array_equal(demo.rows[:, 0], demo.actions)


def test_without_kicks_what_was_announced_is_what_was_done(renderable: TabletopScene) -> None:
    rng = np.random.default_rng(0)
    demo = record_demonstration(4, TASKS[0].instruction, rng, scene=renderable)
    off = [
        np.abs(demo.rows[k, 1:9, :5] - demo.actions[k + 1 : k + 9, :5]).max()
        for k in range(len(demo.actions) - 9)
    ]
    assert np.median(off) < 1e-3


def test_kicks_are_masked_and_survived(renderable: TabletopScene) -> None:
    rng = np.random.default_rng(1)
    often = Kicks(per_step=0.03)
    demo = record_demonstration(5, TASKS[4].instruction, rng, scene=renderable, kicks=often)
    assert demo.succeeded
    assert 0.05 < demo.masked.mean() < 0.6
    # A kick's own step leads elsewhere than the expert says; an unmasked one does not.
    done, said = demo.actions[1:], demo.rows[:-1, 1]
    off = np.abs(done - said)[:, :5].max(axis=1)
    assert off[demo.masked[:-1]].max() > 1e-3
    assert off[~demo.masked[:-1]].max() < 1e-6


def test_a_demonstration_is_the_same_for_the_same_seeds(renderable: TabletopScene) -> None:
    a, b = (
        record_demonstration(
            6, TASKS[1].instruction, np.random.default_rng(2), scene=renderable, kicks=Kicks(),
            max_s=2.0,
        )
        for _ in range(2)
    )  # fmt: skip
    assert np.array_equal(a.actions, b.actions)
    assert np.array_equal(a.images["wrist"], b.images["wrist"])
    assert len(a.actions) * STEP_NS <= 2_050_000_000
