"""A checkpoint comes back as it was, or is refused with a sentence that says why."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vla_core.errors import ConfigurationError
from vla_models.examples import tiny_checkpoint
from vla_models.nano.checkpoint import CONFIG, WEIGHTS, load_checkpoint, save_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoint = tiny_checkpoint()
    save_checkpoint(
        tmp_path, checkpoint.config, checkpoint.network.state_dict(), checkpoint.statistics
    )
    return tmp_path


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as error:
        load_checkpoint(folder)
    return str(error.value)


def test_weights_and_statistics_come_back(folder: Path) -> None:
    original, found = tiny_checkpoint(), load_checkpoint(folder)
    assert found.config == original.config
    for name, tensor in original.network.state_dict().items():
        torch.testing.assert_close(found.network.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)
    for name, array in original.statistics.arrays().items():
        np.testing.assert_array_equal(found.statistics.arrays()[name], array)


def test_weights_are_half_floats(folder: Path) -> None:
    parameters = sum(p.numel() for p in tiny_checkpoint().network.parameters())
    assert (folder / WEIGHTS).stat().st_size < 3 * parameters


def test_missing_files_are_named(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    assert WEIGHTS in refusal(folder)
    assert "./vla train demo" in refusal(folder / "nowhere")


def test_a_truncated_file_says_expected_and_found(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:-100])
    said = refusal(folder)
    assert str(len(data)) in said and str(len(data) - 100) in said and WEIGHTS in said


def test_one_flipped_bit_is_refused(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    assert "sha256" in refusal(folder)


def test_weights_of_another_network_are_refused_by_name_and_shape(folder: Path) -> None:
    path = folder / CONFIG
    description = json.loads(path.read_text())
    description["network"]["feedforward"] = 128
    path.write_text(json.dumps(description))
    said = refusal(folder)
    assert "encoder.0.feedforward.1.weight" in said and "(128, 32)" in said and "(64, 32)" in said


def test_a_config_of_another_kind_is_refused(folder: Path) -> None:
    (folder / CONFIG).write_text('{"format": "somebody-else"}')
    assert "somebody-else" in refusal(folder) and "vla-nano-1" in refusal(folder)
    (folder / CONFIG).write_text("not json")
    assert "JSON" in refusal(folder)


def test_weights_with_nan_are_refused(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint()
    weights = checkpoint.network.state_dict()
    weights["head.bias"] = torch.full_like(weights["head.bias"], torch.nan)
    save_checkpoint(tmp_path, checkpoint.config, weights, checkpoint.statistics)
    assert "head.bias" in refusal(tmp_path) and "NaN" in refusal(tmp_path)


def test_unknown_keys_of_a_config_are_named(folder: Path) -> None:
    path = folder / CONFIG
    description = json.loads(path.read_text())
    description["network"]["depth"] = 3
    path.write_text(json.dumps(description))
    assert "depth" in refusal(folder) and "encoder_layers" in refusal(folder)
