"""From an observation to what the network reads, and from what it says to absolute targets.

Training and the live policy share every function here, so they cannot drift apart. What the way
out needs from the way in (the measured joints) travels with the sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_core.types import Observation
from vla_models.nano.config import NanoConfig

Floats = NDArray[np.float32]


def prepare_image(image: NDArray[np.uint8], px: int) -> NDArray[np.uint8]:
    """Return the image averaged down to (px, px, 3); one that has this size is left alone."""
    if image.shape[:2] == (px, px):
        return image
    small: NDArray[np.uint8] = cv2.resize(image, (px, px), interpolation=cv2.INTER_AREA)
    return small


@dataclass(frozen=True, eq=False)
class Statistics:
    """What normalises state and relative actions; part of the checkpoint."""

    state_mean: Floats  # (S,) SI
    state_scale: Floats  # (S,)
    action_mean: Floats  # (T, A) relative to the anchor, SI
    action_scale: Floats  # (T, A)

    def normalised_state(self, state: NDArray[np.floating]) -> Floats:
        """(..., S) SI to what the network reads."""
        return ((state - self.state_mean) / self.state_scale).astype(np.float32)

    def relative(self, targets: NDArray[np.floating], anchor: NDArray[np.floating]) -> Floats:
        """(..., T, A) absolute targets and (..., A) measured joints to what the network says."""
        moved = targets - anchor[..., None, :]
        return ((moved - self.action_mean) / self.action_scale).astype(np.float32)

    def absolute(
        self, actions: NDArray[np.floating], anchor: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Undo `relative`."""
        moved = actions.astype(np.float64) * self.action_scale + self.action_mean
        return moved + np.asarray(anchor, np.float64)[..., None, :]

    def arrays(self) -> dict[str, Floats]:
        """Return the four arrays by name."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False)
class Sample:
    """One observation on its way through the chain."""

    images: Mapping[str, NDArray[np.uint8]]
    state: NDArray[np.floating]  # (S,)
    anchor: NDArray[np.float64]  # (A,) measured position of each column, SI
    actions: NDArray[np.floating] = field(default_factory=lambda: np.zeros((0, 0)))  # (T, A)


class Transform(Protocol):
    """One idea, applied to a sample."""

    def __call__(self, sample: Sample) -> Sample: ...


@dataclass(frozen=True)
class ResizeImages:
    """Brings every camera to the network's size."""

    px: int

    def __call__(self, sample: Sample) -> Sample:
        small = {name: prepare_image(image, self.px) for name, image in sample.images.items()}
        return replace(sample, images=small)


@dataclass(frozen=True)
class NormaliseState:
    """SI to zero mean, unit scale."""

    statistics: Statistics

    def __call__(self, sample: Sample) -> Sample:
        return replace(sample, state=self.statistics.normalised_state(sample.state))


@dataclass(frozen=True)
class AbsoluteActions:
    """What the network says, to SI targets: scaled, then added to the measured joints."""

    statistics: Statistics

    def __call__(self, sample: Sample) -> Sample:
        return replace(sample, actions=self.statistics.absolute(sample.actions, sample.anchor))


class Processor:
    """The chain of one NanoVLA, in and out."""

    def __init__(self, config: NanoConfig, statistics: Statistics) -> None:
        self._config = config
        self.inputs: tuple[Transform, ...] = (
            ResizeImages(config.image_px),
            NormaliseState(statistics),
        )
        self.outputs: tuple[Transform, ...] = (AbsoluteActions(statistics),)

    def encode(self, observation: Observation) -> Sample:
        """Return the sample of an observation, ready for the network."""
        state = observation.state[self._config.state_stream]
        anchor = np.asarray(state, np.float64)[list(self._config.anchor_indices)]
        images = {name: observation.images[name] for name in self._config.cameras}
        sample = Sample(images, state, anchor)
        for transform in self.inputs:
            sample = transform(sample)
        return sample

    def decode(self, sample: Sample, actions: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return absolute targets (T, A) in SI units."""
        sample = replace(sample, actions=actions)
        for transform in self.outputs:
            sample = transform(sample)
        return sample.actions.astype(np.float64)
