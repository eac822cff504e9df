"""The training loop: AdamW, cosine, averaged weights, and resuming after a kill."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_models.nano.checkpoint import save_checkpoint
from vla_models.nano.config import NanoConfig
from vla_models.nano.loss import Losses, losses, masked_l1
from vla_models.nano.network import NanoVla
from vla_models.nano.processor import Statistics
from vla_models.training.augment import Augmentation
from vla_models.training.dataset import Batch, Dataset, Reword
from vla_models.training.ema import WeightAverage
from vla_models.training.log import LOG, Row, TrainingLog
from vla_models.training.resume import TrainingState, load_state, save_state


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe."""

    steps: int = 3000
    batch: int = 64
    learning_rate: float = 6e-4
    warm_up: int = 100  # steps
    weight_decay: float = 1e-3
    clip: float = 1.0  # of the gradient's norm
    average: float = 0.998  # decay of the weight average
    auxiliary_weight: float = 0.3
    half: bool = True  # bf16 where this processor is fast with it
    seed: int = 0
    log_every: int = 25
    validate_every: int = 250
    checkpoint_every: int = 250


def fast_bf16() -> bool:
    """Return whether bf16 is faster than float here: without AVX-512 it is eight times slower."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


class Trainer:
    """Trains one network in a folder; the same folder continues where it stopped."""

    def __init__(
        self,
        config: NanoConfig,
        settings: TrainingSettings,
        training: Dataset,
        validation: Dataset,
        folder: Path,
        augmentation: Augmentation | None = None,
        reword: Reword | None = None,
        start: dict[str, Tensor] | None = None,
        statistics: Statistics | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.config, self.settings, self.folder = config, settings, folder
        self._training, self._validation = training, validation
        self._augmentation, self._reword = augmentation, reword
        self.statistics = statistics or training.statistics()
        self.network = NanoVla(config)
        if start is not None:
            self.network.load_state_dict(start)
        # As images come: convolutions then need no copy.
        self.network.cameras.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.average = WeightAverage(self.network.state_dict(), settings.average)
        self._half = settings.half and fast_bf16()
        self.step, self._seconds = 0, 0.0
        self._resume()
        self.log = TrainingLog(folder / LOG, self.step)

    @property
    def _state_path(self) -> Path:
        return self.folder / "training_state.safetensors"

    def _resume(self) -> None:
        if not self._state_path.exists():
            return
        state = load_state(self._state_path, self.network, self._optimiser, self.average.weights)
        self.step, self._seconds = state.step, state.seconds

    def run(self, progress: Callable[[int, Row | None], None] = lambda step, row: None) -> None:
        """Train to the last step; ``progress`` is called after each."""
        self.network.train()
        since: list[Losses] = []
        started = time.monotonic() - self._seconds
        for batch in self._batches():
            since.append(self._train_step(batch))
            self._seconds = time.monotonic() - started
            row = None
            if self.step % self.settings.log_every == 0 or self.step == self.settings.steps:
                row = self._row(since)
                self.log.append(row)
                since = []
            if self.step % self.settings.checkpoint_every == 0:
                self.save()
            progress(self.step, row)
        self.save()

    def save(self) -> None:
        """Write what resumes, and the averaged weights as a checkpoint that can be used."""
        state = TrainingState(self.step, self._seconds)
        save_state(self._state_path, state, self.network, self._optimiser, self.average.weights)
        training = {"step": self.step, "settings": asdict(self.settings)}
        save_checkpoint(self.folder, self.config, self.average.weights, self.statistics, training)

    def _batches(self) -> Iterator[Batch]:
        """Yield what is left to learn from; the next batch is made while one is learned."""
        with ThreadPoolExecutor(1, "batches") as maker:
            coming = maker.submit(self._batch, self.step)
            for step in range(self.step, self.settings.steps):
                batch = coming.result()
                coming = maker.submit(self._batch, step + 1)
                yield batch

    def _batch(self, step: int) -> Batch:
        rng = np.random.default_rng([self.settings.seed, step])
        return self._training.batch(
            rng, self.settings.batch, self.statistics, self._augmentation, self._reword
        )

    def _train_step(self, batch: Batch) -> Losses:
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate(self.step)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            text = self.network.encode_text(batch.words)
            prediction = self.network(batch.images, batch.state, text, batch.actions)
        loss = losses(
            prediction, batch.actions, batch.valid, batch.objects, batch.pixels,
            auxiliary_weight=self.settings.auxiliary_weight,
        )  # fmt: skip
        self._optimiser.zero_grad(set_to_none=True)
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self._optimiser.step()
        self.step += 1
        self.average.update(self.network.state_dict(), self.step)
        return loss.detached()

    def _rate(self, step: int) -> float:
        s = self.settings
        if step < s.warm_up:
            return s.learning_rate * (step + 1) / s.warm_up
        share = (step - s.warm_up) / max(s.steps - s.warm_up, 1)
        return s.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))

    def _row(self, since: Sequence[Losses]) -> Row:
        due = self.step % self.settings.validate_every == 0 or self.step == self.settings.steps

        def mean(name: str) -> float:
            return float(np.mean([float(getattr(x, name)) for x in since]))

        return Row(
            step=self.step,
            loss=mean("total"),
            action=mean("action"),
            auxiliary=mean("auxiliary"),
            keypoints=mean("keypoints"),
            divergence=mean("divergence"),
            validation=self.validate() if due else math.nan,
            learning_rate=self._rate(self.step - 1),
            seconds=self._seconds,
        )

    def validate(self, batches: int = 6) -> float:
        """Return the action error of the averaged weights on held-out episodes."""
        network = NanoVla(self.config).eval()
        network.load_state_dict(self.average.weights)
        errors = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, self._half):
            for i in range(batches):
                rng = np.random.default_rng([1, i])
                batch = self._validation.batch(rng, self.settings.batch, self.statistics)
                errors.append(_error(network, batch))
        return float(np.mean(errors))


def _error(network: NanoVla, batch: Batch) -> float:
    prediction = network(batch.images, batch.state, network.encode_text(batch.words))
    return float(masked_l1(prediction.actions.float(), batch.actions, batch.valid))
