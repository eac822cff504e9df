"""``replay:<bag or folder>``: answers with recorded chunks, by task time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vla_core.contract import Contract, PolicyConfig
from vla_core.errors import ConfigurationError, InferenceError
from vla_core.ports import PolicySpec
from vla_core.types import NS_PER_S, ActionChunk, Observation, Prefix
from vla_hosting.options import read_options
from vla_hosting.recording import DESCRIPTION, Recording, Run, read_bag, read_folder


@dataclass(frozen=True)
class ReplayOptions:
    """What a policy file may say under ``options``."""

    run: int = 0  # which of the recorded tasks


class ReplayPolicy:
    """Answers with the chunk whose observation is nearest in task time.

    Task time runs from the first observation after a reset, there as here. What is observed does
    not matter; after the end of the recording there is no answer.
    """

    def __init__(self, spec: PolicySpec, run: Run) -> None:
        self._spec, self._run = spec, run
        self._task_ns = run.start_ns - run.start_ns[0]
        self._began_ns: int | None = None

    @property
    def spec(self) -> PolicySpec:
        """That of the recorded policy; it continues no prefix."""
        return self._spec

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Return a recorded chunk, as if it were computed now.

        Raises:
            InferenceError: the recording is over.
        """
        if self._began_ns is None:
            self._began_ns = observation.as_of_ns
        task_ns = observation.as_of_ns - self._began_ns
        nearest = int(np.argmin(np.abs(self._task_ns - task_ns)))
        values = self._run.values[nearest]
        end_ns = int(self._task_ns[-1]) + len(self._run.values[-1]) * self._spec.step_ns
        if not 0 <= task_ns <= end_ns:
            raise InferenceError(
                f"policy '{self._spec.name}': the recording lasts {end_ns / NS_PER_S:.2f} s, "
                f"asked for {task_ns / NS_PER_S:.2f} s"
            )
        return ActionChunk(
            values=values.copy(),
            start_ns=observation.as_of_ns,
            step_ns=self._spec.step_ns,
            columns=self._spec.columns,
            ages_ns=dict(observation.ages_ns),
        )

    def reset(self) -> None:
        """Begin the task again."""
        self._began_ns = None

    def close(self) -> None:
        """Nothing is held."""


def open_policy(
    address: str, config: PolicyConfig, contract: Contract, root: Path
) -> ReplayPolicy:
    """Open ``replay:`` uris; see `vla_hosting.loading.Adapter`."""
    options = read_options(ReplayOptions, config.options, config.name)
    path = root / address
    recording = _read(path, config, contract)
    if not 0 <= options.run < len(recording.runs):
        raise ConfigurationError(
            f"policy '{config.name}': options.run: expected 0 to {len(recording.runs) - 1}, "
            f"got {options.run}"
        )
    spec = replace(recording.spec, accepts_prefix=False, has_correction=False)
    return ReplayPolicy(spec, recording.runs[options.run])


def _read(path: Path, config: PolicyConfig, contract: Contract) -> Recording:
    if not path.exists():
        raise ConfigurationError(f"policy '{config.name}': no bag or recording at {path}")
    if (path / DESCRIPTION).exists():
        return read_folder(path)
    return read_bag(path, config, contract)
