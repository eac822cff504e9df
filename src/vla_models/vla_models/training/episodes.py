"""Demonstrations on disk as training reads them: one file per episode, whole or not there."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError


@dataclass(frozen=True, eq=False)
class Episode:
    """One demonstration at the network's rate: frame k is one step after frame k - 1.

    Or, if it is no `sequence`, frames that have only the instruction in common.
    """

    instruction: str
    images: NDArray[np.uint8]  # (N, cameras, P, P, 3) RGB, resized by `prepare_image`
    state: NDArray[np.float32]  # (N, S) measured, SI
    targets: NDArray[np.float32]  # (N, T, A) absolute, SI; row i of frame k is due i steps later
    valid: NDArray[np.bool_]  # (N, T) False: not the demonstrator's doing, never learned
    objects: NDArray[np.float32]  # (N, O) for the auxiliary loss; O may be 0
    # (N, cameras, K, 2) where each camera has K things: right and down, shares of the image; NaN
    # where it does not have them. K may be 0.
    pixels: NDArray[np.float32]
    sequence: bool = True

    def __post_init__(self) -> None:
        frames = len(self.images)
        others = (self.state, self.targets, self.valid, self.objects, self.pixels)
        lengths = [len(x) for x in others]
        if any(length != frames for length in lengths):
            raise ConfigurationError(f"episode: {frames} images, but arrays of {lengths} frames")


class EpisodeStore:
    """A folder of numbered episodes. A killed writer leaves no half episode behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def numbers(self) -> list[int]:
        """Return the numbers of the episodes that are there, ascending."""
        return sorted(int(path.stem.split("-")[1]) for path in self.folder.glob("episode-*.npz"))

    def write(self, number: int, episode: Episode) -> None:
        """Store an episode, replacing one of the same number."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(number)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **vars(episode))
        os.replace(part, path)

    def read(self, number: int) -> Episode:
        """Return an episode.

        Raises:
            ConfigurationError: the file is missing or not an episode.
        """
        path = self._path(number)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                values = {name: arrays[name] for name in arrays.files}
            instruction, sequence = str(values.pop("instruction")), bool(values.pop("sequence"))
            return Episode(instruction=instruction, sequence=sequence, **values)
        except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
            raise ConfigurationError(
                f"episode {path}: {error}. Delete it to record it anew."
            ) from error

    def __iter__(self) -> Iterator[Episode]:
        return (self.read(number) for number in self.numbers())

    def __len__(self) -> int:
        return len(self.numbers())

    def _path(self, number: int) -> Path:
        return self.folder / f"episode-{number:06d}.npz"
