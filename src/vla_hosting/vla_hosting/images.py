"""Resizing of images: one function for recording, training and live, so that pixels agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def resize_area(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return an (H, W, 3) image in another size, each pixel the mean of the area it covers."""
    if image.shape[:2] == (height, width):
        return image
    import cv2  # a worker that never resizes does without

    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)
