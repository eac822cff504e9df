"""A picture for cameras that see nothing: stripes, as a JPEG made once."""

from __future__ import annotations

from array import array

import cv2
import numpy as np


def test_picture(height: int, width: int) -> array[int]:
    """Return a JPEG of this size."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=2)
    _, jpeg = cv2.imencode(".jpg", pixels.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 60])
    data = array("B")
    data.frombytes(np.asarray(jpeg).tobytes())
    return data
