"""The flow policy of `rtc.py`: a mixer of four layers with a time for each row, and its training.

Networks and times as in the paper's simulation: noise at time 0, rows at time 1; rows relative to
the observed position.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from rtc_world import Array, demonstrations
from torch import Tensor, nn

from vla_hosting.rtc.torch_flow import TorchFlow

ROWS = 16
WIDTH, HIDDEN, LAYERS = 48, 96, 4
FREQUENCIES = 8


class Layer(nn.Module):
    """Mixes rows, then channels; a condition per row scales and shifts the first."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Sequential(nn.Linear(ROWS, 2 * ROWS), nn.GELU(), nn.Linear(2 * ROWS, ROWS))
        self.norm = nn.LayerNorm(WIDTH)
        self.channels = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH)
        )

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        mixed = self.norm(x) * scale + shift
        x = x + self.rows(mixed.transpose(-1, -2)).transpose(-1, -2)
        result: Tensor = x + self.channels(x)
        return result


class Network(nn.Module):
    """Rows (N, H, 2), times (N, H) and observations (N, 2) to velocities (N, H, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(2, WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(ROWS, WIDTH))
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, WIDTH), nn.SiLU())
        self.seen = nn.Sequential(
            nn.Linear(4 * FREQUENCIES, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, WIDTH)
        )
        self.condition = nn.Linear(WIDTH, 2 * LAYERS * WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, rows: Tensor, times: Tensor, seen: Tensor) -> Tensor:
        condition = self.time(_waves(times[..., None])) + self.seen(_waves(seen))[:, None]
        x = self.embed(rows) + self.place
        conditions = self.condition(condition).chunk(2 * LAYERS, dim=-1)
        for i, layer in enumerate(self.layers):
            x = layer(x, 1 + conditions[2 * i], conditions[2 * i + 1])
        velocity: Tensor = self.head(nn.functional.layer_norm(x, (WIDTH,)))
        return velocity


def _waves(values: Tensor) -> Tensor:
    frequencies = 2.0 ** torch.arange(FREQUENCIES) * (np.pi / 4)
    phases = values[..., None] * frequencies
    return torch.cat([phases.sin(), phases.cos()], dim=-1).flatten(-2)


class Policy:
    """A network with the statistics of its training data."""

    def __init__(self, network: Network, mean: Array, scale: Array) -> None:
        self._network, self._mean, self._scale = network.eval(), mean, scale  # (H, 2) each

    def flow(self, seen: Array) -> TorchFlow:
        """Return the flow for observations (N, 2)."""
        given = torch.as_tensor(seen, dtype=torch.float32)
        return TorchFlow(lambda rows, times: self._network(rows, times, given))

    def encode(self, targets: Array, seen: Array) -> Array:
        """(N, H, 2) targets to what the network says; NaN stays NaN."""
        return np.asarray((targets - seen[:, None] - self._mean) / self._scale)

    def decode(self, rows: Array, seen: Array) -> Array:
        """Undo `encode`."""
        return np.asarray(rows * self._scale + self._mean + seen[:, None])


def train(
    steps: int, tuning: int, largest_delay: int, seed: int, batch: int = 128
) -> tuple[Policy, Policy]:
    """Return a flow policy, and the same one tuned to continue up to ``largest_delay`` rows.

    Args:
        steps: of the first.
        tuning: steps more of the second.
        largest_delay: rows that are given finished, at random from 0 to this.
        seed: of everything.
        batch: samples per step.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    seen, targets = demonstrations(1000, ROWS, rng)
    relative = targets - seen[:, None]
    mean, scale = relative.mean(axis=0), relative.std(axis=0) + 0.01
    rows = torch.as_tensor((relative - mean) / scale, dtype=torch.float32)
    data = rows, torch.as_tensor(seen, dtype=torch.float32)
    base = Network()
    _fit(base, *data, steps, batch, 0, 3e-3)
    tuned = copy.deepcopy(base)
    _fit(tuned, *data, tuning, batch, largest_delay, 1e-3)
    return Policy(base, mean, scale), Policy(tuned, mean, scale)


def _fit(
    network: Network, rows: Tensor, seen: Tensor, steps: int, batch: int, delays: int, rate: float
) -> None:
    """Match the flow; with ``delays``, of the rows after a finished prefix alone."""
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(rows), (batch,))
        wanted, given = rows[chosen], seen[chosen]
        count = torch.randint(delays + 1, (batch, 1))
        is_free = torch.arange(ROWS) >= count  # (batch, H)
        times = torch.where(is_free, torch.rand(batch, 1), 1.0)
        noise = torch.randn_like(wanted)
        mixed = times[..., None] * wanted + (1 - times[..., None]) * noise
        error = (network(mixed, times, given) - (wanted - noise)).square().mean(dim=-1)
        loss = (error * is_free).sum() / is_free.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
