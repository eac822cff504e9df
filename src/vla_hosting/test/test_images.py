from __future__ import annotations

import numpy as np
import pytest

from vla_hosting.images import resize_area

pytest.importorskip("cv2", reason="a worker that never resizes does without OpenCV")


def test_an_image_of_the_right_size_is_not_copied() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    assert resize_area(image, 4, 6) is image


def test_a_pixel_is_the_mean_of_the_area_it_covers() -> None:
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    expected = image.reshape(2, 2, 2, 2, 3).mean(axis=(1, 3)).round()
    np.testing.assert_allclose(resize_area(image, 2, 2), expected, atol=1)


def test_height_and_width_are_not_swapped() -> None:
    assert resize_area(np.zeros((48, 64, 3), np.uint8), 12, 20).shape == (12, 20, 3)
