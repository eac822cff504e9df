"""A trained NanoVLA as a policy of the stack: ``nano:<folder>``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import torch
from torch import Tensor

from vla_core.contract import Contract, PolicyConfig
from vla_core.errors import InferenceError
from vla_core.ports import ImageSpec, PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.options import read_options
from vla_hosting.text import TextCache
from vla_models.nano.checkpoint import Checkpoint, load_checkpoint
from vla_models.nano.processor import Processor, Sample
from vla_models.nano.text import Vocabulary, split


class NanoPolicy:
    """Looks, reads once, answers with absolute joint targets.

    Args:
        checkpoint: network, statistics, names.
        threads: of torch in this process; 0: the cores minus one, so that the control tick,
            which runs beside it, keeps a core.
    """

    def __init__(self, checkpoint: Checkpoint, threads: int = 0) -> None:
        torch.set_num_threads(threads or max(1, (os.cpu_count() or 2) - 1))
        self._config = checkpoint.config
        self._network = checkpoint.network
        self._processor = Processor(checkpoint.config, checkpoint.statistics)
        self._vocabulary = Vocabulary(checkpoint.config.words, checkpoint.config.max_words)
        self._texts = TextCache()
        self._spec = _spec(checkpoint)

    @property
    def spec(self) -> PolicySpec:
        """Images, joints and text in; joint targets out."""
        return self._spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Return the next chunk.

        Words that the network never saw are dropped; with none left it still answers, and moves
        to whatever it believes likely.

        Raises:
            InferenceError: the instruction is empty.
            MismatchError: a stream is missing or of another size.
        """
        if not split(observation.instruction):
            raise InferenceError(
                f"policy '{self._spec.name}': the instruction is empty. Say what to do, "
                "for example 'put the red cube on the yellow pad'."
            )
        self._spec.validate(observation)
        started = perf_counter_ns()
        with torch.inference_mode():
            text = torch.tensor(
                self._texts.encode(self._spec.name, observation.instruction, self._encode_text)
            )
            read = perf_counter_ns()
            sample = self._processor.encode(observation)
            prepared = perf_counter_ns()
            actions = self._predict(sample, text)
        values = self._processor.decode(sample, actions)
        if not np.isfinite(values).all():
            raise InferenceError(f"policy '{self._spec.name}': the network answered NaN")
        return ActionChunk(
            values=values,
            start_ns=observation.as_of_ns,
            step_ns=self._config.step_ns,
            columns=self._config.columns,
            ages_ns=observation.ages_ns,
            stages_ns={
                "text": read - started,
                "preprocess": prepared - read,
                "infer": perf_counter_ns() - prepared,
            },
        )

    def reset(self) -> None:
        """Nothing of an episode is remembered; read instructions stay read."""

    def close(self) -> None:
        """Nothing is held but memory."""

    def _predict(self, sample: Sample, text: Tensor) -> np.ndarray:
        images = np.stack([sample.images[name] for name in self._config.cameras])
        prediction = self._network(
            torch.from_numpy(images)[None], torch.from_numpy(sample.state)[None], text
        )
        actions: np.ndarray = prediction.actions[0].numpy()
        return actions

    def _encode_text(self, instruction: str) -> np.ndarray:
        words = torch.tensor([self._vocabulary.indices(instruction)])
        feature: np.ndarray = self._network.encode_text(words).numpy()
        return feature


@dataclass(frozen=True)
class NanoOptions:
    """What a policy file may set under ``options``."""

    threads: int = 0  # of torch; 0: the cores minus one


def open_policy(address: str, config: PolicyConfig, contract: Contract, root: Path) -> NanoPolicy:
    """Open ``nano:<folder>``, relative to the root. Entry point of `vla.policies`.

    Raises:
        ConfigurationError: a file is missing, damaged, or does not fit the other.
    """
    options = read_options(NanoOptions, config.options, config.name)
    return load(root / address, options.threads)


def load(folder: Path, threads: int = 0) -> NanoPolicy:
    """Return the policy of a checkpoint folder.

    Raises:
        ConfigurationError: a file is missing, damaged, or does not fit the other.
    """
    return NanoPolicy(load_checkpoint(folder), threads)


def _spec(checkpoint: Checkpoint) -> PolicySpec:
    config = checkpoint.config
    return PolicySpec(
        name=config.name,
        images={name: ImageSpec(0, 0) for name in config.cameras},
        state={config.state_stream: config.state_entries},
        columns=config.columns,
        units=config.units,
        horizon=config.horizon,
        step_ns=config.step_ns,
        robot=config.robot,
        parameters=sum(p.numel() for p in checkpoint.network.parameters()),
    )
