"""The NanoVLA network: encoders that never see each other, and a transformer that fuses them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vla_models.nano.config import NanoConfig
from vla_models.nano.text import WordEncoder
from vla_models.nano.vision import Seen, build_vision, position_2d, tokens_per_side


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says, in normalised units."""

    actions: Tensor  # (B, T, A), relative to the measured joints
    auxiliary: Tensor | None = None  # (B, auxiliary)
    heat: Tensor | None = None  # (B, cameras, keypoints, cells + 1), logits
    mean: Tensor | None = None  # (B, latent), CVAE in training only
    log_variance: Tensor | None = None


class NanoVla(nn.Module):
    """Images, state and an encoded instruction to a chunk of relative actions."""

    positions: Tensor

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width, c = config.width, config
        side = tokens_per_side(c)
        self.config = config
        self.text = WordEncoder(len(c.words), c.max_words, width)
        self.cameras = nn.ModuleDict({name: build_vision(c) for name in c.cameras})
        self.camera_embed = nn.Parameter(torch.randn(len(c.cameras), width))
        self.point_embed: nn.Parameter | None = None
        if c.keypoints:
            self.point_embed = nn.Parameter(torch.randn(len(c.cameras), c.keypoints, width))
        self.register_buffer("positions", position_2d(side, width), persistent=False)
        self.text_in = nn.Linear(width, width)
        self.state_in = nn.Linear(len(c.state_entries), width)
        # One learned place for each single token: text, state, reader, latent.
        self.token_embed = nn.Parameter(torch.randn(3 + (c.latent > 0), width))
        self.encoder = nn.ModuleList(_EncoderLayer(c) for _ in range(c.encoder_layers))
        self.encoder_norm = nn.LayerNorm(width)
        self.queries = nn.Parameter(torch.randn(c.horizon // c.rows_per_query, width))
        self.decoder = nn.ModuleList(_DecoderLayer(c) for _ in range(c.decoder_layers))
        self.decoder_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, c.rows_per_query * len(c.columns))
        self.auxiliary = nn.Linear(width, c.auxiliary) if c.auxiliary else None
        self.posterior = _Posterior(c) if c.latent else None
        self.latent_in = nn.Linear(c.latent, width) if c.latent else None

    def encode_text(self, words: Tensor) -> Tensor:
        """(B, L) word indices -> (B, width). The only part worth caching per instruction."""
        feature: Tensor = self.text(words)
        return feature

    def forward(
        self, images: Tensor, state: Tensor, text: Tensor, actions: Tensor | None = None
    ) -> Prediction:
        """Predict a chunk.

        Args:
            images: (B, cameras, P, P, 3) uint8 RGB.
            state: (B, S) normalised.
            text: (B, width) from `encode_text`.
            actions: (B, T, A) normalised; only the CVAE reads it, in training.
        """
        latent, mean, log_variance = self._latent(state, actions)
        seen = [
            encoder(images[:, i].permute(0, 3, 1, 2).to(state.dtype) / 127.5 - 1.0, text)
            for i, encoder in enumerate(self.cameras.values())
        ]
        memory, place = self._fuse(seen, state, text, latent)
        y = torch.zeros_like(self.queries).expand(len(state), -1, -1)
        for layer in self.decoder:
            y = layer(y, self.queries, memory, place)
        auxiliary = None if self.auxiliary is None else self.auxiliary(memory[:, _READER])
        actions = self.head(self.decoder_norm(y))
        actions = actions.reshape(len(state), self.config.horizon, -1)
        heat = [camera.heat for camera in seen if camera.heat is not None]
        return Prediction(
            actions, auxiliary, torch.stack(heat, 1) if heat else None, mean, log_variance
        )

    def _fuse(
        self, seen: list[Seen], state: Tensor, text: Tensor, latent: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the memory (B, N, width) and the place of each token (N, width)."""
        text_token = self.text_in(text)
        singles = [text_token, self.state_in(state), torch.zeros_like(text_token)]
        if latent is not None and self.latent_in is not None:
            singles.append(self.latent_in(latent))
        tokens: list[Tensor] = [torch.stack(singles, 1)]
        places: list[Tensor] = [self.token_embed]
        for i, camera in enumerate(seen):
            tokens.append(camera.tokens)
            places.append(self.positions + self.camera_embed[i])
            if camera.points is not None and self.point_embed is not None:
                tokens.append(camera.points)
                places.append(self.point_embed[i])
        x, place = torch.cat(tokens, 1), torch.cat(places)
        for layer in self.encoder:
            x = layer(x, place)
        return self.encoder_norm(x), place

    def _latent(
        self, state: Tensor, actions: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        if self.posterior is None:
            return None, None, None
        if actions is None:  # the prior's mean: inference is deterministic
            return state.new_zeros(len(state), self.config.latent), None, None
        mean, log_variance = self.posterior(state, actions)
        noise = torch.randn_like(mean)
        return mean + (0.5 * log_variance).exp() * noise, mean, log_variance


_READER = 2  # the token whose output the auxiliary head reads


class _Attention(nn.Module):
    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q = nn.Linear(config.width, config.width)
        self.k = nn.Linear(config.width, config.width)
        self.v = nn.Linear(config.width, config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        q, k, v = (self._split(x) for x in (self.q(query), self.k(key), self.v(value)))
        if self.training:
            # With under a hundred tokens two matrix products have a far cheaper backward pass on
            # a CPU than torch's fused attention (measured: a third of the step).
            mixed = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1).to(v.dtype) @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        heads: Tensor = x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)
        return heads


class _FeedForward(nn.Sequential):
    def __init__(self, config: NanoConfig) -> None:
        super().__init__(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, config.feedforward),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.feedforward, config.width),
        )


class _EncoderLayer(nn.Module):
    """Pre-norm self-attention; places enter at queries and keys of every layer."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.attention = _Attention(config)
        self.feedforward = _FeedForward(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, place: Tensor) -> Tensor:
        y = self.norm(x)
        x = x + self.drop(self.attention(y + place, y + place, y))
        out: Tensor = x + self.drop(self.feedforward(x))
        return out


class _DecoderLayer(nn.Module):
    """Self-attention among the rows, then a look at the memory."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.norm_self = nn.LayerNorm(config.width)
        self.norm_cross = nn.LayerNorm(config.width)
        self.self_attention = _Attention(config)
        self.cross_attention = _Attention(config)
        self.feedforward = _FeedForward(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, queries: Tensor, memory: Tensor, place: Tensor) -> Tensor:
        y = self.norm_self(x) + queries
        x = x + self.drop(self.self_attention(y, y, y - queries))
        y = self.norm_cross(x) + queries
        x = x + self.drop(self.cross_attention(y, memory + place, memory))
        out: Tensor = x + self.drop(self.feedforward(x))
        return out


class _Posterior(nn.Module):
    """CVAE encoder of training: state and actions to mean and log variance of the latent."""

    places: Tensor

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width = config.width
        self.reader = nn.Parameter(torch.randn(width) * 0.02)
        self.state_in = nn.Linear(len(config.state_entries), width)
        self.action_in = nn.Linear(len(config.columns), width)
        self.register_buffer("places", _position_1d(config.horizon + 2, width), persistent=False)
        self.layers = nn.ModuleList(_EncoderLayer(config) for _ in range(config.encoder_layers))
        self.out = nn.Linear(width, 2 * config.latent)

    def forward(self, state: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        reader = self.reader.expand(len(state), 1, -1)
        x = torch.cat([reader, self.state_in(state)[:, None], self.action_in(actions)], 1)
        for layer in self.layers:
            x = layer(x, self.places)
        mean, log_variance = self.out(x[:, 0]).chunk(2, -1)
        return mean, log_variance


def _position_1d(length: int, width: int) -> Tensor:
    exponent = 2 * torch.div(torch.arange(width), 2, rounding_mode="floor") / width
    angle = torch.arange(length)[:, None] / 10000.0**exponent
    return torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos())
