"""Keypoints: places become shares of cells and come back as places."""

from __future__ import annotations

import math

import pytest
import torch

from vla_core.errors import ConfigurationError
from vla_models.examples import tiny_config
from vla_models.nano.keypoints import Keypoints, heat_target
from vla_models.nano.loss import misplaced
from vla_models.nano.network import NanoVla


def found_at(share: torch.Tensor, side: int) -> torch.Tensor:
    """Return the mean place of a heat map without its last cell, as shares of the image."""
    cells = share[..., :-1].reshape(*share.shape[:-1], side, side)
    centres = (torch.arange(side) + 0.5) / side
    return torch.stack([(cells.sum(-2) * centres).sum(-1), (cells.sum(-1) * centres).sum(-1)], -1)


def test_the_mean_of_the_cells_is_the_place_to_a_part_of_a_cell() -> None:
    places = torch.tensor([[0.31, 0.77], [0.5, 0.5], [0.9, 0.1]])
    target = heat_target(places, 8)
    torch.testing.assert_close(target.sum(-1), torch.ones(3))
    torch.testing.assert_close(found_at(target, 8), places)


def test_a_thing_that_the_camera_does_not_have_is_in_the_last_cell_alone() -> None:
    target = heat_target(torch.tensor([[math.nan, math.nan]]), 8)
    assert target[0, -1] == 1 and target[0, :-1].sum() == 0


def test_the_loss_is_zero_when_the_heat_is_the_target_and_grows_with_the_error() -> None:
    place = torch.tensor([[0.31, 0.77]])
    perfect = heat_target(place, 8).clamp(min=1e-9).log()
    assert float(misplaced(perfect, place)) == pytest.approx(0, abs=1e-5)
    assert float(misplaced(perfect, place + 0.2)) > 1


def test_a_bright_cell_is_pointed_out_by_the_token() -> None:
    torch.manual_seed(0)
    points = Keypoints(1, (4, 4), 16).eval()
    maps = [torch.zeros(2, 4, 8, 8), torch.zeros(2, 4, 4, 4)]
    maps[0][0, 0, 2, 5] = maps[0][1, 0, 6, 1] = 1.0
    with torch.no_grad():
        points.heat[0].weight.zero_()
        points.heat[0].weight[0, 0] = 50.0
        tokens, logits = points(maps)
    assert logits.softmax(-1).argmax(-1).flatten().tolist() == [2 * 8 + 5, 6 * 8 + 1]
    assert tokens.shape == (2, 1, 16) and not torch.allclose(tokens[0], tokens[1])


def test_a_network_with_keypoints_gives_a_heat_map_per_camera_and_thing() -> None:
    network = NanoVla(tiny_config(keypoints=2, horizon=6, rows_per_query=3, pool=2)).eval()
    images = torch.zeros(3, 2, 32, 32, 3, dtype=torch.uint8)
    text = network.encode_text(torch.tensor([[4, 5, 0]] * 3))
    prediction = network(images, torch.zeros(3, 3), text)
    assert prediction.actions.shape == (3, 6, 3)
    assert prediction.heat is not None and prediction.heat.shape == (3, 2, 2, 8 * 8 + 1)


def test_impossible_keypoints_and_rows_are_refused_together() -> None:
    with pytest.raises(ConfigurationError, match=r"vision 'small'.*multiple of rows_per_query 3"):
        tiny_config(vision="resnet18", keypoints=2, rows_per_query=3)
