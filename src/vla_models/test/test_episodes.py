"""Episodes on disk: whole, or not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_core.errors import ConfigurationError
from vla_models.examples import episode
from vla_models.training.episodes import EpisodeStore


def test_an_episode_comes_back_as_it_was(tmp_path: Path) -> None:
    store, written = EpisodeStore(tmp_path / "new"), episode("put the red cube")
    store.write(7, written)
    read = store.read(7)
    assert store.numbers() == [7] and read.instruction == "put the red cube"
    for name in ("images", "state", "targets", "valid", "objects"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))


def test_half_an_episode_does_not_count(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    (tmp_path / "episode-000003.part").write_bytes(b"half")
    assert store.numbers() == []


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    (tmp_path / "episode-000003.npz").write_bytes(b"not a zip file")
    with pytest.raises(ConfigurationError, match="episode-000003"):
        store.read(3)


def test_arrays_of_different_lengths_are_refused() -> None:
    whole = episode()
    with pytest.raises(ConfigurationError, match="6 images"):
        replace(whole, state=whole.state[:4])
