"""Episodes in memory, and the batches that training draws from them.

A batch depends on seed and step alone, so a resumed training sees what an unbroken one would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vla_core.errors import ConfigurationError
from vla_models.nano.config import NanoConfig
from vla_models.nano.processor import Statistics
from vla_models.nano.text import Vocabulary
from vla_models.training.augment import Augmentation
from vla_models.training.episodes import Episode

# Another wording of an instruction, so that no single sentence is learned by heart.
Reword = Callable[[str, np.random.Generator], str]

# How often each frame of an episode is drawn, relative to others (N,).
Weigh = Callable[[Episode], NDArray[np.floating]]

# Targets that hardly move are not blown up to unit size: below this, errors do not matter [SI].
SMALLEST_SCALE = 0.03


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step sees, normalised."""

    images: Tensor  # (B, cameras, P, P, 3) uint8
    state: Tensor  # (B, S)
    words: Tensor  # (B, L)
    actions: Tensor  # (B, T, A)
    valid: Tensor  # (B, T)
    objects: Tensor  # (B, O)
    pixels: Tensor  # (B, cameras, K, 2) shares of the image, NaN: not there

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        return Batch(*(getattr(self, f.name).to(device) for f in fields(self)))


class Dataset:
    """Frames of some episodes, drawn at random or in order."""

    def __init__(
        self, episodes: Sequence[Episode], config: NanoConfig, weigh: Weigh | None = None
    ) -> None:
        if not episodes:
            raise ConfigurationError("training: there is no episode to learn from")
        self.episodes = tuple(episodes)
        self._config = config
        self._vocabulary = Vocabulary(config.words, config.max_words)
        # Which (episode, frame) the n-th frame is; frames without a valid row teach nothing.
        self._frames = np.array(
            [(e, f) for e, x in enumerate(episodes) for f in np.flatnonzero(x.valid.any(1))]
        )
        weights = [np.ones(len(e.state)) if weigh is None else weigh(e) for e in episodes]
        drawn = np.cumsum([weights[e][f] for e, f in self._frames.tolist()])
        self._shares = drawn / drawn[-1]
        objects = np.concatenate([episode.objects for episode in episodes])
        self._object_mean = objects.mean(0)
        self._object_scale = np.maximum(objects.std(0), 1e-3)

    def __len__(self) -> int:
        return len(self._frames)

    def statistics(self) -> Statistics:
        """Return what normalises state and actions of these episodes."""
        anchors = list(self._config.anchor_indices)
        state = np.concatenate([e.state for e in self.episodes])
        targets = np.concatenate([e.targets for e in self.episodes])
        valid = np.concatenate([e.valid for e in self.episodes])[..., None]
        moved = targets - state[:, None, anchors]
        count = np.maximum(valid.sum(0), 1)
        mean = (moved * valid).sum(0) / count
        variance = ((moved - mean) ** 2 * valid).sum(0) / count
        return Statistics(
            state_mean=state.mean(0).astype(np.float32),
            state_scale=np.maximum(state.std(0), SMALLEST_SCALE).astype(np.float32),
            action_mean=mean.astype(np.float32),
            action_scale=np.maximum(np.sqrt(variance), SMALLEST_SCALE).astype(np.float32),
        )

    def batch(
        self,
        rng: np.random.Generator,
        size: int,
        statistics: Statistics,
        augmentation: Augmentation | None = None,
        reword: Reword | None = None,
    ) -> Batch:
        """Draw a batch; without augmentation frames are taken as they are."""
        drawn = self._frames[np.searchsorted(self._shares, rng.random(size))]
        parts = [self._frame(e, f, rng, augmentation, reword) for e, f in drawn.tolist()]
        images, state, words, targets, valid, objects, pixels = (
            np.stack(part) for part in zip(*parts, strict=True)
        )
        anchors = state[:, list(self._config.anchor_indices)]
        if augmentation is not None:
            images = augmentation.colours(images, rng)
        return Batch(
            images=torch.from_numpy(images),
            state=torch.from_numpy(statistics.normalised_state(state)),
            words=torch.from_numpy(words),
            actions=torch.from_numpy(statistics.relative(targets, anchors)),
            valid=torch.from_numpy(valid),
            objects=torch.from_numpy((objects - self._object_mean) / self._object_scale).float(),
            pixels=torch.from_numpy(pixels).float(),
        )

    def _frame(
        self,
        number: int,
        frame: int,
        rng: np.random.Generator,
        augmentation: Augmentation | None,
        reword: Reword | None,
    ) -> tuple[NDArray, ...]:
        episode = self.episodes[number]
        images, pixels = episode.images[frame], episode.pixels[frame]
        if augmentation is not None:
            images, moved = augmentation.frame(episode, frame, rng)
            pixels = pixels + moved[:, None]
        instruction = episode.instruction if reword is None else reword(episode.instruction, rng)
        words = np.array(self._vocabulary.indices(instruction))
        return (
            images, episode.state[frame], words, episode.targets[frame], episode.valid[frame],
            episode.objects[frame], pixels,
        )  # fmt: skip
