from __future__ import annotations

import numpy as np
import pytest

from vla_scenes.kinematics import PAN_X
from vla_scenes.layout import (
    CUBE_TO_CUBE,
    CUBE_TO_PAD,
    EVAL_SEEDS,
    PAD_TO_PAD,
    REACH,
    TRAIN_SEEDS,
    draw_layout,
)


def test_the_same_seed_is_the_same_layout_and_another_is_not() -> None:
    a, b, c = draw_layout(5), draw_layout(5), draw_layout(6)
    assert a.places == b.places != c.places
    assert np.array_equal(a.colours["red_cube"], b.colours["red_cube"])
    assert a.light == b.light


def test_training_and_evaluation_share_no_seed() -> None:
    assert not set(TRAIN_SEEDS[::1000]) & set(EVAL_SEEDS[::1000])
    assert TRAIN_SEEDS.stop <= EVAL_SEEDS.start


@pytest.mark.parametrize("seed", range(0, 200, 7))
def test_everything_is_within_reach_and_nothing_overlaps(seed: int) -> None:
    places = draw_layout(seed).places
    for name, place in places.items():
        assert REACH[0] <= np.hypot(place.x - PAN_X, place.y) <= REACH[1]
        for other, at in places.items():
            if other != name:
                pads = name.endswith("_pad") + other.endswith("_pad")
                needed = (CUBE_TO_CUBE, CUBE_TO_PAD, PAD_TO_PAD)[pads]
                assert np.hypot(place.x - at.x, place.y - at.y) >= needed
