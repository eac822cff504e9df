"""Disturbances of training images: what may differ on the day without changing what to do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_models.training.episodes import Episode

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Augmentation:
    """How much; zero switches a disturbance off."""

    shift_px: int = 2  # of each camera, both axes
    late: float = 0.2  # chance that a camera shows the frame before, as a late image does
    brightness: float = 0.15
    contrast: float = 0.15
    tint: float = 0.06  # of each colour channel

    def frame(
        self, episode: Episode, frame: int, rng: np.random.Generator
    ) -> tuple[Images, NDArray[np.float64]]:
        """Return the images of a frame (cameras, P, P, 3), late and shifted at random.

        And how far each was shifted right and down (cameras, 2), as a share of the image.
        """
        images = episode.images
        cameras, before = images.shape[1], max(frame - 1, 0) if episode.sequence else frame
        shown = np.where(rng.random(cameras) < self.late, before, frame)
        shifts = rng.integers(-self.shift_px, self.shift_px + 1, size=(cameras, 2))
        moved = np.stack([_shifted(images[shown[c], c], *shifts[c]) for c in range(cameras)])
        return moved, shifts[:, ::-1] / images.shape[2]

    def colours(self, images: Images, rng: np.random.Generator) -> Images:
        """Return a batch (B, cameras, P, P, 3) with other light, the same for all cameras."""
        batch = len(images)
        around = np.float32(127.5)
        contrast = 1 + rng.uniform(-self.contrast, self.contrast, (batch, 1))
        tint = 1 + rng.uniform(-self.tint, self.tint, (batch, 3))
        offset = 255 * rng.uniform(-self.brightness, self.brightness, (batch, 1)) / 2
        gain = (contrast * tint).astype(np.float32)[:, None, None, None]
        shift = (around * (1 - contrast) + offset).astype(np.float32)[:, None, None, None]
        out: Images = np.clip(images * gain + shift, 0, 255).astype(np.uint8)
        return out


def _shifted(image: Images, down: int, right: int) -> Images:
    """Move an image; the edge is repeated."""
    rows = np.clip(np.arange(image.shape[0]) - down, 0, image.shape[0] - 1)
    columns = np.clip(np.arange(image.shape[1]) - right, 0, image.shape[1] - 1)
    return image[rows[:, None], columns[None]]
