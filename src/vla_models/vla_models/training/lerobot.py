"""Episodes to and from LeRobot v3 datasets, so that any recorded robot can be learned from.

A dataset of ours also carries the expert's chunk and where the objects are; any other gives its
actions: the chunk of a frame is then what was done from it on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError
from vla_core.types import NS_PER_S
from vla_data.lerobot import Dataset, DatasetWriter, Feature, image, vector
from vla_models.nano.config import NanoConfig
from vla_models.nano.processor import prepare_image
from vla_models.training.episodes import Episode

STATE, ACTION, IMAGES = "observation.state", "action", "observation.images."
TARGETS, VALID, OBJECTS = "expert.targets", "expert.valid", "expert.objects"
PIXELS = "expert.pixels"


def write_lerobot(episodes: Iterable[Episode], root: Path, config: NanoConfig) -> int:
    """Write episodes as a dataset of PNG images; returns how many there were.

    Raises:
        ConfigurationError: the folder holds something already.
    """
    count = 0
    writer: DatasetWriter | None = None
    try:
        for episode in episodes:
            writer = writer or DatasetWriter(
                root, round(NS_PER_S / config.step_ns), _features(episode, config), config.robot
            )
            _write(writer, episode, config)
            count += 1
    finally:
        if writer is not None:
            writer.close()
    return count


def read_lerobot(root: Path, config: NanoConfig) -> Iterator[Episode]:
    """Yield the episodes of a dataset, ours or another.

    Raises:
        ConfigurationError: another rate, other joints, or cameras that the network needs missing.
    """
    dataset = Dataset(root)
    _check(dataset, config)
    state, action = dataset.column(STATE), dataset.column(ACTION)
    for index, part in enumerate(dataset.episodes):
        rows = part.rows
        if TARGETS in dataset.features:
            targets: NDArray[np.floating] = dataset.column(TARGETS)[rows]
            targets = targets.reshape(-1, config.horizon, action.shape[1])
            valid = dataset.column(VALID)[rows] > 0.5
            objects = dataset.column(OBJECTS)[rows]
            pixels = dataset.column(PIXELS)[rows].reshape(len(valid), len(config.cameras), -1, 2)
        else:
            targets, valid = chunks_of(action[rows], config.horizon)
            objects = np.zeros((len(targets), config.auxiliary), np.float32)
            pixels = np.zeros((len(targets), len(config.cameras), 0, 2), np.float32)
        yield Episode(
            instruction=part.tasks[0],
            images=_images(dataset, index, config),
            state=state[rows].astype(np.float32),
            targets=targets.astype(np.float32),
            valid=valid,
            objects=objects.astype(np.float32),
            pixels=pixels.astype(np.float32),
        )


def chunks_of(
    actions: NDArray[np.floating], horizon: int
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """(N, A) actions to (N, T, A) what was done from each frame on, and (N, T) what there was."""
    at = np.arange(len(actions))[:, None] + np.arange(horizon)
    valid = at < len(actions)
    return actions[np.minimum(at, len(actions) - 1)], valid


def _features(episode: Episode, config: NanoConfig) -> dict[str, Feature]:
    px = episode.images.shape[2]
    rows = [f"{c}.{row}" for row in range(config.horizon) for c in config.columns]
    return {
        **{IMAGES + camera: image(px, px) for camera in config.cameras},
        STATE: vector(config.state_entries),
        ACTION: vector(config.columns),
        TARGETS: vector(rows),
        VALID: vector([f"row.{row}" for row in range(config.horizon)]),
        OBJECTS: vector([f"object.{i}" for i in range(episode.objects.shape[1])]),
        PIXELS: vector([f"pixel.{i}" for i in range(episode.pixels[0].size)]),
    }


def _write(writer: DatasetWriter, episode: Episode, config: NanoConfig) -> None:
    for k in range(len(episode.state)):
        frame: dict[str, object] = {
            IMAGES + camera: episode.images[k, i] for i, camera in enumerate(config.cameras)
        }
        frame |= {
            STATE: episode.state[k],
            ACTION: episode.targets[k, 0],
            TARGETS: episode.targets[k].reshape(-1),
            VALID: episode.valid[k].astype(np.float32),
            OBJECTS: episode.objects[k],
            PIXELS: episode.pixels[k].reshape(-1),
        }
        writer.add_frame(frame, episode.instruction)
    writer.end_episode()


def _images(dataset: Dataset, index: int, config: NanoConfig) -> NDArray[np.uint8]:
    cameras = [
        np.stack(
            [prepare_image(x, config.image_px) for x in dataset.iterate_images(name, [index])]
        )
        for name in (IMAGES + camera for camera in config.cameras)
    ]
    return np.stack(cameras, axis=1)


def _check(dataset: Dataset, config: NanoConfig) -> None:
    mistakes = []
    if abs(dataset.fps * config.step_ns / NS_PER_S - 1) > 1e-6:
        mistakes.append(f"{dataset.fps:g} frames/s, expected {NS_PER_S / config.step_ns:g}")
    for name, entries in ((STATE, config.state_entries), (ACTION, config.columns)):
        found = dataset.features[name].names if name in dataset.features else None
        if found != tuple(entries):
            mistakes.append(f"'{name}' has {found}, expected {tuple(entries)}")
    missing = [c for c in config.cameras if IMAGES + c not in dataset.features]
    if missing:
        mistakes.append(f"no images of {missing}; it has {sorted(dataset.features)}")
    if config.keypoints and PIXELS not in dataset.features:
        mistakes.append(
            f"nothing says where the {config.keypoints} keypoints are ('{PIXELS}' is missing): "
            "train a network with keypoints 0 on it"
        )
    if mistakes:
        raise ConfigurationError(f"dataset {dataset.root}: " + "; ".join(mistakes))
