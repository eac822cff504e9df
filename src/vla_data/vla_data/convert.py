"""From a bag to a LeRobot dataset: observations as the live policy would have seen them.

Each frame is assembled by `vla_core.observation` from what had arrived by then: the very function
and rule of the policy node. The action of a frame is what the robot was commanded for that
instant, so row i of a chunk that starts there is the action of frame i.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract, parse_contract
from vla_core.errors import ConfigurationError, ObservationError
from vla_core.observation import ObservationAssembler
from vla_core.types import Observation
from vla_data.images import pixels_of
from vla_data.lerobot import DatasetWriter, Feature, image, vector, video
from vla_data.recording import Recording
from vla_data.records import NS, Task
from vla_data.robot import merge_texts

STATE, ACTION, IMAGES = "observation.state", "action", "observation.images"


@dataclass(frozen=True)
class Converted:
    """What became of a bag."""

    episodes: int
    frames: int
    left_out: tuple[str, ...]  # one sentence per task that is not in the dataset


@dataclass(frozen=True, eq=False)
class Frame:
    """One instant: what was known, and what was commanded for it."""

    observation: Observation
    action: NDArray[np.float64]  # (A,)


def convert(
    recordings: Sequence[Recording],
    output: Path,
    fps: int = 20,
    as_video: bool = True,
    late_ns: int = 0,
    wanted: Callable[[Task], bool] = lambda task: True,
) -> Converted:
    """Write the tasks of some bags of one robot as the episodes of one dataset.

    Args:
        recordings: the bags; the contract of the first one decides about streams and columns.
        output: folder of the dataset, new or empty.
        fps: frames per second.
        as_video: images as H.264, small; else as PNG, exact.
        late_ns: samples that arrived so much after their frame still count. 0 is as live; more
            saves recordings of a machine that was slower than the robot will be.
        wanted: which tasks to take, for example those that succeeded.

    Raises:
        ConfigurationError: no recordings, a bag without a contract, or ``output`` in use.
    """
    if not recordings:
        raise ConfigurationError("convert: expected at least one bag, got none")
    contract = contract_of(recordings[0])
    streams = learned_streams(contract)
    left_out: list[str] = []
    features = features_of(contract, streams, as_video)
    with DatasetWriter(output, fps, features, contract.robot) as dataset:
        for recording in recordings:
            for task in filter(wanted, recording.tasks):
                try:
                    for frame in frames(recording, contract, task, fps, streams, late_ns):
                        dataset.add_frame(_row(contract, frame), task.instruction)
                    dataset.end_episode()
                except ObservationError as error:
                    # A hole in an episode would teach a jump: it is left out as a whole.
                    dataset.drop_episode()
                    left_out.append(f"{recording.path.name}, '{task.instruction}': {error}")
        return Converted(dataset.episodes, dataset.frames, tuple(left_out))


def contract_of(recording: Recording) -> Contract:
    """Return the contract that a bag carries.

    Raises:
        ConfigurationError: it carries none, or a wrong one.
    """
    if not recording.texts["contract"]:
        raise ConfigurationError(f"bag {recording.path} carries no contract")
    return parse_contract(merge_texts(recording.texts["contract"]), "recorded contract")


def learned_streams(contract: Contract) -> tuple[str, ...]:
    """Return what a policy may learn from: cameras, and the states that measure the columns.

    Other streams (true object poses of a simulation) stay out.
    """
    measuring = dict.fromkeys(stream for stream, _ in contract.measurements.values())
    return (*contract.observation.images, *measuring)


def features_of(contract: Contract, streams: Sequence[str], as_video: bool) -> dict[str, Feature]:
    """Return the dataset's features."""
    observation = contract.observation
    entries = [
        entry for name in streams if name in observation.state
        for entry in observation.state[name].entries
    ]  # fmt: skip
    features = {STATE: vector(entries), ACTION: vector(contract.columns)}
    for name in streams:
        if name in observation.images:
            size = observation.images[name].height_px, observation.images[name].width_px
            features[f"{IMAGES}.{name}"] = (video if as_video else image)(*size)
    return features


def frames(
    recording: Recording,
    contract: Contract,
    task: Task,
    fps: int,
    streams: Sequence[str],
    late_ns: int = 0,
) -> Iterator[Frame]:
    """Yield the frames of one task, from its first to its last command.

    Raises:
        ObservationError: at some instant a stream was missing, old, frozen or skewed.
    """
    commanded = _Commanded(recording, contract, task)
    first, last = commanded.span
    instants = range(first, last, NS // fps)
    words = task.instruction
    for observation in observations(recording, contract, instants, streams, words, late_ns):
        yield Frame(observation, commanded.at(observation.as_of_ns))


def observations(
    recording: Recording,
    contract: Contract,
    instants: Sequence[int],
    streams: Sequence[str],
    instruction: str,
    late_ns: int = 0,
) -> Iterator[Observation]:
    """Yield the observation as of each instant (ROS time, rising), as it would have been live.

    With ``late_ns``, samples that arrived so much later count as well; the rule stays the same.

    Raises:
        ObservationError: there is none at some instant; says which stream is the reason.
    """
    assembler = ObservationAssembler(contract, streams)
    samples = _samples(recording, streams)
    following = next(samples, None)
    for at in instants:
        while following is not None and following[0] <= at + late_ns:
            _, name, stamp, payload = following
            assembler.add(name, stamp, payload)
            following = next(samples, None)
        yield assembler.assemble(at, instruction)


def _samples(recording: Recording, streams: Sequence[str]) -> Iterator[tuple[int, str, int, Any]]:
    """Yield arrival (ROS time), stream, stamp and payload of every sample, as they arrived."""
    states = sorted(
        (
            (int(arrived), name, int(stamp), row)
            for name in streams
            if (series := recording.series.get(name)) is not None
            for arrived, stamp, row in zip(
                series.arrived_ns, series.stamps_ns, series.values, strict=True
            )
        ),
        key=lambda sample: sample[0],
    )
    cameras = [name for name in streams if name in recording.robot.images]
    following = 0
    for name, stamp, message, arrived in recording.images(*cameras):
        while following < len(states) and states[following][0] <= arrived:
            yield _in_ros_time(recording, states[following])
            following += 1
        yield _in_ros_time(recording, (arrived, name, stamp, lambda m=message: pixels_of(m)))
    for state in states[following:]:
        yield _in_ros_time(recording, state)


def _in_ros_time(
    recording: Recording, sample: tuple[int, str, int, Any]
) -> tuple[int, str, int, Any]:
    return recording.clock.to_ros(sample[0]), *sample[1:]


class _Commanded:
    """What the robot was told to be at, of all receivers together, in the contract's order."""

    def __init__(self, recording: Recording, contract: Contract, task: Task) -> None:
        self._columns: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
        for name, output in contract.outputs.items():
            commands = [
                c for c in recording.commands[name] if task.start_ns <= c.stamp_ns <= task.end_ns
            ]
            if not commands:
                raise ObservationError(f"no command for output '{name}'")
            due = np.array([c.stamp_ns + int(c.times_ns[0]) for c in commands], np.int64)
            for i, column in enumerate(output.columns):
                kind = contract.action.columns[contract.columns.index(column)]
                rows = [c.positions if kind.is_position else c.velocities for c in commands]
                self._columns[column] = due, np.array([row[0, i] for row in rows])
        self._order = contract.columns

    @property
    def span(self) -> tuple[int, int]:
        """First and last instant for which every column has a command."""
        ends = [(int(due[0]), int(due[-1])) for due, _ in self._columns.values()]
        return max(first for first, _ in ends), min(last for _, last in ends)

    def at(self, now_ns: int) -> NDArray[np.float64]:
        """Return what was commanded for an instant, (A,), straight between two ticks."""
        origin = {name: due[0] for name, (due, _) in self._columns.items()}
        return np.array(
            [
                np.interp(now_ns - origin[name], due - origin[name], values)
                for name in self._order
                for due, values in [self._columns[name]]
            ]
        )


def _row(contract: Contract, frame: Frame) -> dict[str, object]:
    observation = frame.observation
    state = np.concatenate(list(observation.state.values()))
    pictures = {f"{IMAGES}.{name}": pixels for name, pixels in observation.images.items()}
    return {STATE: state, ACTION: frame.action, **pictures}
