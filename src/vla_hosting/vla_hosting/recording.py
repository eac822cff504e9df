"""Chunks of a policy kept for later: a folder of JSON and npz, or the chunks of a bag."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract, PolicyConfig
from vla_core.errors import ConfigurationError
from vla_core.ports import Policy, PolicySpec
from vla_core.types import NS_PER_S, ActionChunk, Observation, Prefix
from vla_hosting.messages import spec_from_wire, spec_to_wire
from vla_hosting.wrappers import Wrapper

DESCRIPTION, CHUNKS = "replay.json", "chunks.npz"
CHUNK_TYPE = "vla_interfaces/msg/ActionChunk"


@dataclass(frozen=True, eq=False)
class Run:
    """The chunks of one task, oldest first."""

    start_ns: NDArray[np.int64]  # (N,) as recorded
    values: tuple[NDArray[np.float64], ...]  # N times (T, A)


@dataclass(frozen=True)
class Recording:
    """The runs of one policy."""

    spec: PolicySpec
    runs: tuple[Run, ...]


class RecordedPolicy(Wrapper):
    """Keeps the chunks of the policy inside and writes them to a folder when it is closed."""

    def __init__(self, policy: Policy, folder: Path) -> None:
        super().__init__(policy)
        self._folder = folder
        self._runs: list[list[ActionChunk]] = [[]]

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Ask the policy inside and keep the answer."""
        chunk = super().infer(observation, prefix)
        self._runs[-1].append(chunk)
        return chunk

    def reset(self) -> None:
        """Begin another run."""
        super().reset()
        if self._runs[-1]:
            self._runs.append([])

    def close(self) -> None:
        """Write the recording, if there is anything in it."""
        super().close()
        runs = tuple(_run((c.start_ns, c.values) for c in run) for run in self._runs if run)
        if runs:
            write_folder(Recording(self.spec, runs), self._folder)


def write_folder(recording: Recording, folder: Path) -> None:
    """Write a recording as ``replay.json`` and ``chunks.npz``."""
    folder.mkdir(parents=True, exist_ok=True)
    chunks = [(i, chunk) for i, run in enumerate(recording.runs) for chunk in run.values]
    np.savez(
        folder / CHUNKS,
        start_ns=np.concatenate([run.start_ns for run in recording.runs]),
        run=np.array([i for i, _ in chunks], np.int64),
        rows=np.array([len(values) for _, values in chunks], np.int64),
        values=np.concatenate([values for _, values in chunks]),
    )
    text = json.dumps({"format": 1, "spec": spec_to_wire(recording.spec)}, indent=2)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def read_folder(folder: Path) -> Recording:
    """Read what `write_folder` wrote.

    Raises:
        ConfigurationError: a file is missing, damaged, or of another format.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if description["format"] != 1:
            raise ValueError(f"format 1 expected, got {description['format']!r}")
        with np.load(folder / CHUNKS, allow_pickle=False) as arrays:
            return Recording(spec_from_wire(description["spec"]), _runs(arrays))
    except (OSError, ValueError, KeyError, TypeError, BadZipFile, EOFError) as error:
        raise ConfigurationError(f"recording {folder}: cannot be read: {error!r}") from error


def read_bag(path: Path, config: PolicyConfig, contract: Contract) -> Recording:
    """Read the chunks of a bag; each epoch of the executor is a run.

    Raises:
        ConfigurationError: the bag cannot be read, or has no chunks of this robot.
    """
    from vla_data.bag import BagReader  # reading bags needs packages that a worker does without

    epochs: dict[tuple[int, int], list[tuple[int, NDArray[np.float64]]]] = {}
    step_ns, names = 0, contract.columns
    with BagReader(path) as reader:
        topics = [topic for topic, kind in reader.topics.items() if kind == CHUNK_TYPE]
        for message in (message.decode() for message in reader.messages(topics)):
            names, step_ns = tuple(message.names), _ns(message.step)
            if names != contract.columns:
                raise ConfigurationError(
                    f"bag {path}: a chunk with columns {list(names)}, expected those of "
                    f"robot '{contract.robot}': {list(contract.columns)}"
                )
            values = np.array(message.values, np.float64).reshape(-1, len(names))
            epoch = (int(message.epoch.boot_id), int(message.epoch.counter))
            epochs.setdefault(epoch, []).append((_ns(message.header.stamp), values))
    if not epochs:
        raise ConfigurationError(f"bag {path}: no {CHUNK_TYPE} in it, nothing to replay")
    runs = tuple(_run(chunks) for chunks in epochs.values())
    return Recording(_bag_spec(config, contract, step_ns, runs), runs)


def _bag_spec(
    config: PolicyConfig, contract: Contract, step_ns: int, runs: Sequence[Run]
) -> PolicySpec:
    """Return the spec of a policy that looks at nothing: a bag keeps what came out, not how."""
    return PolicySpec(
        name=config.name,
        images={},
        state={},
        columns=contract.columns,
        units=contract.units,
        horizon=max(len(values) for run in runs for values in run.values),
        step_ns=step_ns,
        robot=contract.robot,
    )


def _runs(arrays: Any) -> tuple[Run, ...]:
    values = np.split(arrays["values"], np.cumsum(arrays["rows"])[:-1])
    chunks = list(zip(arrays["start_ns"], values, strict=True))
    return tuple(
        _run(chunks[i] for i in np.flatnonzero(arrays["run"] == run))
        for run in np.unique(arrays["run"])
    )


def _run(chunks: Iterable[tuple[int, NDArray[np.float64]]]) -> Run:
    ordered = sorted(chunks, key=lambda chunk: chunk[0])
    return Run(
        start_ns=np.array([start for start, _ in ordered], np.int64),
        values=tuple(values for _, values in ordered),
    )


def _ns(time: Any) -> int:
    return int(time.sec) * NS_PER_S + int(time.nanosec)
