"""Small networks, observations and episodes, for tests here and in packages above."""

from __future__ import annotations

import numpy as np
import torch

from vla_core.types import Observation
from vla_models.nano.checkpoint import Checkpoint
from vla_models.nano.config import NanoConfig
from vla_models.nano.network import NanoVla
from vla_models.nano.processor import Statistics
from vla_models.training.episodes import Episode

JOINTS = ("pan", "lift", "gripper")
WORDS = ("blue", "cube", "green", "put", "red", "the")


def tiny_config(**changes: object) -> NanoConfig:
    """Return a network for three joints that answers in a millisecond."""
    values = {
        "name": "tiny", "robot": "arm", "cameras": ("front", "wrist"), "state_stream": "joints",
        "state_entries": JOINTS, "columns": JOINTS, "units": ("rad",) * 3, "words": WORDS,
        "image_px": 32, "horizon": 5, "width": 32, "heads": 2, "feedforward": 64,
        "encoder_layers": 1, "decoder_layers": 1, "auxiliary": 4,
    }  # fmt: skip
    return NanoConfig(**(values | changes))  # type: ignore[arg-type]


def tiny_statistics(config: NanoConfig) -> Statistics:
    """Return statistics that leave nothing at zero mean and unit scale."""
    state, chunk = len(config.state_entries), (config.horizon, len(config.columns))
    rng = np.random.default_rng(5)
    return Statistics(
        state_mean=rng.normal(size=state).astype(np.float32),
        state_scale=np.full(state, 0.5, np.float32),
        action_mean=rng.normal(size=chunk).astype(np.float32),
        action_scale=np.full(chunk, 0.1, np.float32),
    )


def tiny_checkpoint(**changes: object) -> Checkpoint:
    """Return an untrained network with random but fixed weights."""
    torch.manual_seed(0)
    config = tiny_config(**changes)
    return Checkpoint(config, NanoVla(config).eval(), tiny_statistics(config), {})


def observation(instruction: str = "put the red cube") -> Observation:
    """Return what the tiny network takes, in camera size."""
    rng = np.random.default_rng(3)
    images = {n: rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for n in ("front", "wrist")}
    return Observation(7_000_000, images, {"joints": np.array([0.1, -0.2, 0.3])}, instruction)


def episode(instruction: str = "put the red cube", frames: int = 6, seed: int = 0) -> Episode:
    """Return a demonstration of noise."""
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(frames, 3)).astype(np.float32)
    return Episode(
        instruction=instruction,
        images=rng.integers(0, 255, (frames, 2, 32, 32, 3), dtype=np.uint8),
        state=state,
        targets=state[:, None] + rng.normal(size=(frames, 5, 3)).astype(np.float32),
        valid=np.ones((frames, 5), np.bool_),
        objects=rng.normal(size=(frames, 4)).astype(np.float32),
        pixels=rng.uniform(size=(frames, 2, 2, 2)).astype(np.float32),
    )
