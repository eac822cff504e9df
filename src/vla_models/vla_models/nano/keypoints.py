"""Where in an image the named things are: one token each, learned from pixels.

A softmax over the cells of a feature map says where a thing is, finer than a cell, since its mean
moves smoothly between them; one more cell says that the camera does not have it. In training it is
compared with where the thing is. Source: spatial softmax, Levine et al., arXiv 1504.00702, 4.2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_OCTAVES = (1, 2, 4, 8)  # of the waves by which a place is told to the transformer


class Keypoints(nn.Module):
    """Feature maps, finest first, to K tokens and K heat maps.

    [(B, C0, S, S), (B, C1, S/2, S/2), ...] -> (B, K, W), (B, K, S * S + 1) logits, the last
    one for "not in this image".
    """

    def __init__(self, count: int, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.heat = nn.ModuleList(nn.Conv2d(c, count, 1) for c in channels)
        self.absent = nn.Linear(channels[-1], count)
        self.out = nn.Linear(3 + 4 * len(_OCTAVES) + channels[0], width)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        side = maps[0].shape[-2:]
        heat = self.heat[0](maps[0])
        for layer, features in zip(list(self.heat)[1:], maps[1:], strict=True):
            heat = heat + F.interpolate(
                layer(features), size=side, mode="bilinear", align_corners=False
            )
        absent = self.absent(maps[-1].mean((2, 3)))
        logits = torch.cat([heat.flatten(2), absent[..., None]], -1).float()
        share = logits.softmax(-1)[..., :-1]  # (B, K, S * S)
        there = share.sum(-1, keepdim=True)
        mean = share / (there + 1e-3)
        places = mean @ _centres(side[0], side[1], share)
        look = mean @ maps[0].flatten(2).transpose(1, 2).float()
        waves = [f(torch.pi * k * places) for k in _OCTAVES for f in (torch.sin, torch.cos)]
        tokens: Tensor = self.out(torch.cat([there, places, *waves, look], -1).to(maps[0].dtype))
        return tokens, logits


def heat_target(pixels: Tensor, side: int) -> Tensor:
    """Return what the softmax should be (..., S * S + 1) for places (..., 2), NaN: not there.

    The four cells around a place share it, so that their mean is the place itself.
    """
    there = torch.isfinite(pixels).all(-1)
    at = torch.nan_to_num(pixels).clamp(0, 1) * side - 0.5
    at = at.clamp(0, side - 1)
    low = at.floor().clamp(max=side - 2)
    part = at - low
    target = pixels.new_zeros(*pixels.shape[:-1], side * side + 1)
    for right, down in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (part[..., 0] if right else 1 - part[..., 0]) * (
            part[..., 1] if down else 1 - part[..., 1]
        )
        cell = (low[..., 1] + down) * side + low[..., 0] + right
        target.scatter_add_(-1, cell.long()[..., None], (weight * there)[..., None])
    target[..., -1] = (~there).to(target.dtype)
    return target


def _centres(height: int, width: int, like: Tensor) -> Tensor:
    """Return right and down of each cell's centre (S * S, 2) in -1..1."""
    y = (torch.arange(height, device=like.device) + 0.5) / height * 2 - 1
    x = (torch.arange(width, device=like.device) + 0.5) / width * 2 - 1
    down, right = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([right.flatten(), down.flatten()], -1).to(like.dtype)
