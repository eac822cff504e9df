"""Shapes, what reaches what, and that it can learn."""

from __future__ import annotations

import pytest
import torch

from vla_core.errors import ConfigurationError
from vla_models.examples import tiny_config
from vla_models.nano.config import PAPER
from vla_models.nano.loss import losses, masked_l1
from vla_models.nano.network import NanoVla
from vla_models.nano.vision import position_2d


def inputs(batch: int = 2, px: int = 32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    images = torch.randint(0, 255, (batch, 2, px, px, 3), dtype=torch.uint8)
    return images, torch.randn(batch, 3), torch.tensor([[4, 5] + [0] * 22] * batch)


@pytest.mark.parametrize("vision", ["small", "resnet18"])
@pytest.mark.parametrize("latent", [0, 4])
def test_a_chunk_has_one_row_per_query_and_one_value_per_column(vision: str, latent: int) -> None:
    network = NanoVla(tiny_config(vision=vision, latent=latent)).eval()
    images, state, words = inputs()
    prediction = network(images, state, network.encode_text(words))
    assert prediction.actions.shape == (2, 5, 3)
    assert prediction.auxiliary is not None and prediction.auxiliary.shape == (2, 4)


def test_the_text_changes_the_chunk() -> None:
    network = NanoVla(tiny_config()).eval()
    images, state, words = inputs(1)
    other = words.clone()
    other[0, 0] = 1
    first = network(images, state, network.encode_text(words)).actions
    second = network(images, state, network.encode_text(other)).actions
    assert not torch.allclose(first, second)


def test_padding_does_not_change_the_text() -> None:
    network = NanoVla(tiny_config()).eval()
    short = network.encode_text(torch.tensor([[4, 5]]))
    padded = network.encode_text(torch.tensor([[4, 5, 0, 0, 0]]))
    torch.testing.assert_close(short, padded)


def test_training_and_inference_attend_alike() -> None:
    network = NanoVla(tiny_config())
    images, state, words = inputs()
    trained = network.train()(images, state, network.encode_text(words)).actions
    live = network.eval()(images, state, network.encode_text(words)).actions
    torch.testing.assert_close(trained, live, rtol=1e-4, atol=1e-5)


def test_the_latent_is_read_from_the_actions_in_training_only() -> None:
    network = NanoVla(tiny_config(latent=4))
    images, state, words = inputs()
    actions = torch.randn(2, 5, 3)
    text = network.encode_text(words)
    trained = network(images, state, text, actions)
    assert trained.mean is not None and trained.mean.shape == (2, 4)
    first, second = network(images, state, text), network(images, state, text)
    torch.testing.assert_close(first.actions, second.actions)
    parts = losses(
        trained, actions, torch.ones(2, 5, dtype=torch.bool), torch.zeros(2, 4),
        torch.zeros(2, 2, 0, 2), auxiliary_weight=0.0,
    )  # fmt: skip
    torch.testing.assert_close(parts.total, parts.action + 10 * parts.divergence)


def test_masked_rows_do_not_count() -> None:
    predicted, target = torch.zeros(1, 2, 3), torch.ones(1, 2, 3)
    target[0, 1] = 1e6
    assert masked_l1(predicted, target, torch.tensor([[True, False]])) == 1.0
    assert masked_l1(predicted, target, torch.tensor([[False, False]])) == 0.0


def test_learns_one_batch_by_heart() -> None:
    torch.manual_seed(1)
    network = NanoVla(tiny_config())
    images, state, words = inputs(4)
    actions = torch.randn(4, 5, 3)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    for _ in range(100):
        prediction = network(images, state, network.encode_text(words))
        loss = (prediction.actions - actions).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.15


def test_places_differ_along_both_axes() -> None:
    places = position_2d(3, 32)
    assert places.shape == (9, 32)
    assert len({tuple(row.tolist()) for row in places}) == 9


def test_the_papers_sizes_are_a_matter_of_configuration() -> None:
    config = tiny_config(**PAPER)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in NanoVla(config).parameters())
    # Two ResNet18 trunks; lerobot's ACT shares one and has 51.6 million.
    assert 50e6 < parameters < 80e6


def test_impossible_sizes_are_refused_all_at_once() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        tiny_config(width=30, horizon=0, vision="eyes", columns=("pan", "tail"))
    for part in ("width 30", "horizon", "'eyes'", "'tail'", "3 units for 2 columns"):
        assert part in str(refusal.value)
