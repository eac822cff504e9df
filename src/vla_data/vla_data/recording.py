"""What a bag says, in arrays: commands, chunks, requests, the executor's states, the joints.

Two clocks: stamps are ROS time, the bag's own time is the wall clock of the recorder; `/clock`
ties them together where time is simulated. Images stay in the bag until asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vla_core.errors import ConfigurationError
from vla_data import decoding
from vla_data.bag import BagReader, Message, ensure_readable
from vla_data.clock_map import ClockMap
from vla_data.decoding import stamp_ns
from vla_data.records import NS, UNSTAMPED, Command, State, Task
from vla_data.robot import Robot, read_robot
from vla_data.ticks import in_ticks

STATE_NS = NS // 10  # between two states of the executor
STACK_TOPICS = (
    "action_chunk",
    "inference_request",
    "inference_failure",
    "executor/state",
    "emergency_stop",
    "policy/state",
    "/clock",
)


class Recording:
    """One bag, read.

    Raises:
        ConfigurationError: no bag, or no contract in it and none given.
    """

    def __init__(self, path: Path, robot: Robot | None = None) -> None:
        self.path = path
        self.note = ensure_readable(path)  # a sentence if it had to be recovered
        with BagReader(path) as bag:
            self._topics = bag.topics
            self.start_ns, self.end_ns = bag.start_ns, bag.end_ns  # wall clock
            self.texts = {kind: _texts(bag, kind) for kind in ("contract", "policy", "notes")}
            if robot is None and not self.texts["contract"]:
                raise ConfigurationError(
                    f"bag {path} carries no contract, so it is no recording of this stack. It has "
                    f"{self.topics}. check and report take the contract's files by --contract."
                )
            self.robot = robot or read_robot(self.texts["contract"])
            self._read(bag)
        self.tasks = tuple(_tasks(self.states))

    @property
    def topics(self) -> list[str]:
        """Full names of the recorded topics."""
        return sorted(self._topics)

    def topic(self, relative: str) -> str | None:
        """Return the full name of one of the robot's topics, None if it was not recorded."""
        if relative.startswith("/"):
            return relative if relative in self._topics else None
        for name in self._topics:
            parts = name.lstrip("/").split("/", 1)  # namespace, rest
            if name == f"/{relative}" or parts[-1] == relative:
                return name
        return None

    def images(self, *streams: str) -> Iterator[tuple[str, int, Any, int]]:
        """Yield stream, stamp, message and arrival (wall clock) of each image, as they arrived."""
        topics = {self.topic(self.robot.images[name].topic): name for name in streams}
        with BagReader(self.path) as bag:
            for message in bag.messages([topic for topic in topics if topic]):
                decoded = message.decode()
                stamp = stamp_ns(decoded.header.stamp)
                yield topics[message.topic], stamp, decoded, message.time_ns

    def state_at(self, ros_ns: int) -> State | None:
        """Return the newest state of the executor not later than a time."""
        at = int(np.searchsorted(self._state_stamps, ros_ns, side="right"))
        return self.states[at - 1] if at else None

    def _read(self, bag: BagReader) -> None:
        robot = self.robot
        self._messages = self._collect(bag)
        clock = [(m.time_ns, stamp_ns(m.decode().clock)) for m in self._of("/clock")]
        pairs = np.array(clock, np.int64).reshape(-1, 2)
        self.clock = ClockMap(pairs[:, 0], pairs[:, 1])
        self.commands = self._commands()
        chunks = [decoding.chunk(m) for m in self._of("action_chunk")]
        self.chunks = [chunk for chunk in chunks if chunk is not None]
        self.requests = [decoding.request(m) for m in self._of("inference_request")]
        self.failures = [decoding.failure(m) for m in self._of("inference_failure")]
        states = [decoding.state(m) for m in self._of("executor/state")]
        # Before simulated time has begun, stamps are 0.
        self.states = sorted(states, key=lambda state: (state.stamp_ns, state.arrived_ns))
        self._state_stamps = np.array([state.stamp_ns for state in self.states], np.int64)
        self.stops = [decoding.stop(m) for m in self._of("emergency_stop")]
        self.policies = [m.decode() for m in self._of("policy/state")]
        self.series = {
            name: decoding.series(self._of(stream.topic), stream.entries, stream.field)
            for name, stream in robot.states.items()
        }
        self._messages = {}

    def _commands(self) -> dict[str, list[Command]]:
        """Return the commands by receiver; each has the time of its tick."""
        told = {
            name: [
                command
                for message in self._of(receiver.topic)
                if (command := decoding.command(message, receiver.columns, receiver.fields))
            ]
            for name, receiver in self.robot.receivers.items()
        }
        stamped = max(
            ([c for c in commands if c.stamp_ns != UNSTAMPED] for commands in told.values()),
            key=len,
            default=[],
        )
        step_ns, to_ros = self.robot.step_ns, self.clock.to_ros
        return {name: in_ticks(some, stamped, step_ns, to_ros) for name, some in told.items()}

    def _collect(self, bag: BagReader) -> dict[str, list[Message]]:
        """Read all but the pictures in one pass: each pass decompresses the whole bag."""
        robot = self.robot
        wanted = [receiver.topic for receiver in robot.receivers.values()]
        wanted += [stream.topic for stream in robot.states.values()]
        topics = {name for topic in (*wanted, *STACK_TOPICS) if (name := self.topic(topic))}
        found: dict[str, list[Message]] = {name: [] for name in topics}
        for message in bag.messages(topics):
            found[message.topic].append(message)
        return found

    def _of(self, relative: str) -> list[Message]:
        topic = self.topic(relative)
        return self._messages.get(topic, []) if topic is not None else []


def _texts(bag: BagReader, kind: str) -> list[str]:
    topics = [topic for topic in bag.topics if topic.endswith(f"/recorder/{kind}")]
    texts = [message.decode().data for message in bag.messages(topics)] if topics else []
    return list(dict.fromkeys(texts))


def _tasks(states: Sequence[State]) -> Iterator[Task]:
    """Yield each task from its first state to the state after its last, in order.

    A restarted executor goes on with the same task: that is one task.
    """
    of: dict[str, list[int]] = {}
    for i, state in enumerate(states):
        if state.task_id:
            of.setdefault(state.task_id, []).append(i)
    for task_id, found in of.items():
        first, last = states[found[0]], states[found[-1]]
        after = states[found[-1] + 1] if found[-1] + 1 < len(states) else last
        end = after if after.stamp_ns - last.stamp_ns < 2 * STATE_NS else last
        yield Task(task_id, first.instruction, first.policy, first.stamp_ns, end.stamp_ns)
