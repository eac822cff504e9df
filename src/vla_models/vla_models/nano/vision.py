"""Image encoders: one per camera, blind to the other camera, tokens out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vla_models.nano.config import NanoConfig
from vla_models.nano.keypoints import Keypoints

STRIDE = {"small": 16, "resnet18": 32}


def tokens_per_side(config: NanoConfig) -> int:
    """Return how many tokens one side of an image gives."""
    return -(-config.image_px // STRIDE[config.vision]) // config.pool


@dataclass(frozen=True, eq=False)
class Seen:
    """What one camera gives."""

    tokens: Tensor  # (B, N, W), by rows
    points: Tensor | None = None  # (B, K, W), one token per keypoint
    heat: Tensor | None = None  # (B, K, cells + 1), logits; for the loss


class SmallCnn(nn.Module):
    """Five convolutions; knows where each pixel is, and (FiLM) what to look for.

    (B, 3, P, P) in -1..1 and the text (B, W) -> tokens of the map of P/16, and one per
    keypoint, found in maps from P/4 on.
    """

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        first, *channels = config.channels
        width = config.width
        # RGB and two coordinates. No norm here: on the largest map it costs most and gives least.
        self.first = nn.Conv2d(5, first, 5, 2, 2)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride, 1, bias=False)
            for before, after, stride in zip(config.channels, channels, (2, 2, 2, 1), strict=False)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(8, c) for c in channels)
        self.films = nn.ModuleList(_film(width, c) for c in channels if config.film)
        self.out = nn.Conv2d(channels[-1], width, config.pool, config.pool)
        self.points: Keypoints | None = None
        if config.keypoints:
            self.points = Keypoints(
                config.keypoints, (channels[0], channels[1], channels[3]), width
            )

    def forward(self, image: Tensor, text: Tensor) -> Seen:
        x = F.relu(self.first(torch.cat([image, _coordinates(image)], 1)))
        maps: list[Tensor] = []
        last = len(self.convs) - 1
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(conv(x))
            if len(self.films):
                scale, shift = self.films[i](text)[:, :, None, None].chunk(2, 1)
                y = y * (1 + scale) + shift
            x = F.relu(x + y) if i == last else F.relu(y)
            maps.append(x)
        tokens = self.out(x).flatten(2).transpose(1, 2)
        if self.points is None:
            return Seen(tokens)
        return Seen(tokens, *self.points([maps[0], maps[1], maps[3]]))


def _film(width: int, channels: int) -> nn.Linear:
    """Return text to scale and shift; it starts as if there were no text."""
    layer = nn.Linear(width, 2 * channels)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _coordinates(image: Tensor) -> Tensor:
    """Return (B, 2, P, P): x and y of each pixel in -1..1."""
    batch, _, height, width = image.shape
    y = torch.linspace(-1, 1, height, device=image.device, dtype=image.dtype)
    x = torch.linspace(-1, 1, width, device=image.device, dtype=image.dtype)
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1])
    return grid.expand(batch, -1, -1, -1)


class FrozenBatchNorm(nn.Module):
    """Batch normalisation with fixed statistics, as in DETR and ACT."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = FrozenBatchNorm(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = FrozenBatchNorm(after)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), FrozenBatchNorm(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ResNet18(nn.Module):
    """ResNet18 up to layer4 with the names of torchvision's weights, then 1x1 to ``width``.

    The text is not looked at. Source: torchvision models/resnet.py; lerobot ACT.
    """

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = FrozenBatchNorm(64)
        self.layer1 = nn.Sequential(_Block(64, 64, 1), _Block(64, 64, 1))
        self.layer2 = nn.Sequential(_Block(64, 128, 2), _Block(128, 128, 1))
        self.layer3 = nn.Sequential(_Block(128, 256, 2), _Block(256, 256, 1))
        self.layer4 = nn.Sequential(_Block(256, 512, 2), _Block(512, 512, 1))
        self.out = nn.Conv2d(512, config.width, config.pool, config.pool)

    def forward(self, image: Tensor, text: Tensor) -> Seen:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return Seen(self.out(x).flatten(2).transpose(1, 2))


def build_vision(config: NanoConfig) -> nn.Module:
    """Return the encoder of one camera."""
    return ResNet18(config) if config.vision == "resnet18" else SmallCnn(config)


def position_2d(side: int, width: int) -> Tensor:
    """Return the sinusoidal position (side * side, width): half for y, half for x.

    Source: lerobot ACT (index from 1, scaled to one turn), as DETR.
    """
    half = width // 2
    turn = 2 * torch.pi * torch.arange(1, side + 1) / (side + 1e-6)
    exponent = 2 * torch.div(torch.arange(half), 2, rounding_mode="floor") / half
    angle = turn[:, None] / 10000.0**exponent
    wave = torch.where(torch.arange(half) % 2 == 0, angle.sin(), angle.cos())  # (side, half)
    y = wave[:, None].expand(side, side, half)
    x = wave[None].expand(side, side, half)
    return torch.cat([y, x], -1).reshape(side * side, width)
