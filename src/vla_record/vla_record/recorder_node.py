"""Node that records raw messages to bags: subscribes, hands over, decides nothing."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.subscription import Subscription
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError
from vla_data.bag.writer import qos as offered_qos
from vla_interfaces.msg import EmergencyStop, ExecutorState
from vla_record.black_box import BlackBox, Entry
from vla_record.sink import Sink
from vla_record.topics import Topic, topics_of
from vla_ros import qos
from vla_ros.diagnostics import ERROR, OK, WARN, Diagnostics, Report
from vla_ros.parameters import declare, param
from vla_ros.quick import QuickGroup
from vla_ros.run import run_node

# Deep enough for a process that is held up for a second.
DEPTH = {"SENSOR": 200, "EVENT": 200, "STATE": 10}
IMAGE_DEPTH = 50
# Without these, and the commands, a recording is worth little.
NEEDED = ("action_chunk", "inference_request", "executor/state", "policy/state")
# Since rclpy 3.3 a callback may take the message's info: when it arrived, to the microsecond.
WITH_INFO = hasattr(Subscription, "CallbackType")


@dataclass(frozen=True)
class RecorderParams:
    """Parameters of the recorder."""

    contract_files: tuple[str, ...] = param((), "Contract, then what is laid over it")
    policy_files: tuple[str, ...] = param((), "Policy files to embed in each bag")
    directory: str = param("recordings", "Folder that the bags are written to")
    name: str = param("bag", "Name of the bag; _2, _3, ... is added where it exists")
    record_on_start: bool = param(True, "Begin a bag at once")
    images: bool = param(True, "Record camera topics too")
    notes: str = param("", "Text to embed in each bag")
    black_box_s: float = param(5.0, "Seconds kept before a stop; 0: none [s]", low=0.0, high=60.0)
    black_box_after_s: float = param(2.0, "Seconds kept after a stop [s]", low=0.0, high=60.0)
    black_box_mb: int = param(256, "Memory of the black box [MB]", low=1, high=8192)
    queue_mb: int = param(128, "Memory that waits for the disk [MB]", low=1, high=8192)


class RecorderNode(Node):
    """Records one robot. `~/start` and `~/stop` begin and end a bag, `~/save_black_box` saves."""

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", **options)
        self._params = declare(self, RecorderParams)
        self._directory = Path(self._params.directory)
        contract = load_contract(self._params.contract_files)
        topics = topics_of(contract, self._params.images)
        self._embedded = self._texts()
        self._sink = self._new_sink(topics)
        self._box = BlackBox(
            self._params.black_box_s,
            self._params.black_box_after_s,
            frozenset(self._resolve(t) for t in topics if t.qos == "STATE"),
            self._params.black_box_mb,
        )
        self._box_lock = threading.Lock()  # messages come in a thread of their own
        self._mode: int | None = None
        self._quick = QuickGroup()
        self._watched: dict[str, Callable[[bytes], None]] = {
            "executor/state": self._on_executor_state,
            "emergency_stop": self._on_emergency_stop,
        }
        self._ready = self.create_publisher(Bool, "~/ready", qos.STATE)
        self._is_ready = False
        self._inputs = {topic.name: self._subscribe(topic) for topic in topics}
        outputs = [output.topic for output in contract.outputs.values()]
        self._needed = (*outputs, *NEEDED)
        for verb, callback in (
            ("start", self._on_start),
            ("stop", self._on_stop),
            ("save_black_box", self._on_save),
        ):
            self.create_service(Trigger, f"~/{verb}", callback)
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("recording", self._report)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(0.25, self._on_timer, clock=steady)
        if self._params.record_on_start:
            self._begin()

    def destroy_node(self) -> None:
        """Close the bag, then the node."""
        self._sink.end()
        super().destroy_node()

    def _resolve(self, topic: Topic) -> str:
        return self.resolve_topic_name(topic.name)

    def _new_sink(self, topics: tuple[Topic, ...]) -> Sink:
        known = {
            self._resolve(topic): (topic.msgtype, _offered(getattr(qos, topic.qos)))
            for topic in topics
        }
        latched = _offered(qos.STATE)
        known |= {name: ("std_msgs/msg/String", latched) for name, _ in self._embedded}
        return Sink(known, self.get_logger().warning, self._params.queue_mb)

    def _texts(self) -> list[tuple[str, bytes]]:
        """Return what each bag carries of the files it was made with: topic, message."""
        params, here = self._params, self.get_fully_qualified_name()
        try:
            found = [("contract", Path(file).read_text()) for file in params.contract_files]
            found += [("policy", Path(file).read_text()) for file in params.policy_files]
        except OSError as error:
            raise ConfigurationError(f"recorder: cannot embed a file: {error}") from error
        found.append(("notes", params.notes))
        return [(f"{here}/{kind}", serialize_message(String(data=text))) for kind, text in found]

    def _subscribe(self, topic: Topic) -> Subscription:
        profile: QoSProfile = getattr(qos, topic.qos)
        deep = QoSProfile(
            depth=IMAGE_DEPTH if topic.msgtype.endswith("Image") else DEPTH[topic.qos],
            reliability=profile.reliability,
            durability=profile.durability,
        )
        name = self._resolve(topic)
        watcher = self._watched.get(topic.name)
        # Names, not `*args`: rclpy looks at the signature to choose what to pass.
        on_message: Callable[..., None]
        if WITH_INFO:

            def on_message(data: bytes, info: Any) -> None:
                self._on_message(name, watcher, data, info["received_timestamp"])

        else:

            def on_message(data: bytes) -> None:
                self._on_message(name, watcher, data, time.time_ns())

        return self.create_subscription(
            _message_class(topic.msgtype),
            topic.name,
            on_message,
            deep,
            callback_group=self._quick,
            raw=True,
        )

    def _on_message(
        self, name: str, watcher: Callable[[bytes], None] | None, data: bytes, time_ns: int
    ) -> None:
        entry = Entry(name, data, time_ns)
        self._sink.put(entry)
        with self._box_lock:
            self._box.add(entry)
        if watcher is not None:
            watcher(data)

    def _on_executor_state(self, data: bytes) -> None:
        state: ExecutorState = deserialize_message(data, ExecutorState)
        if state.mode == ExecutorState.MODE_STOPPED != self._mode:
            self._trigger(state.reason)
        self._mode = state.mode

    def _on_emergency_stop(self, data: bytes) -> None:
        stop: EmergencyStop = deserialize_message(data, EmergencyStop)
        self._trigger(f"{stop.source}: {stop.reason}")

    def _trigger(self, reason: str) -> None:
        if self._keep():
            self.get_logger().info(f"stop seen ({reason}): keeping the black box")

    def _keep(self) -> bool:
        with self._box_lock:
            return self._box.trigger(time.time_ns())

    def _hears_all(self) -> bool:
        """Whether every needed topic has a publisher, and all of them are connected."""
        for name in self._needed:
            known = self.count_publishers(name)
            # Humble cannot tell what is connected: what is known has to do.
            handle = self._inputs[name].handle
            count = getattr(handle, "get_publisher_count", lambda known=known: known)
            if not known or count() < known:
                return False
        return True

    def _on_timer(self) -> None:
        if not self._is_ready and self._hears_all():
            self._is_ready = True
            self._ready.publish(Bool(data=True))
        with self._box_lock:
            entries = self._box.take(time.time_ns())
        if entries:
            stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
            self._sink.save(self._free(f"black_box_{stamp}"), [*self._first(), *entries])

    def _begin(self) -> Path:
        path = self._free(self._params.name)
        self._sink.open(path, self._first())
        self.get_logger().info(f"recording to {path}")
        return path

    def _first(self) -> list[Entry]:
        now = time.time_ns()
        return [Entry(name, data, now) for name, data in self._embedded]

    def _free(self, name: str) -> Path:
        path, number = self._directory / name, 1
        while path.exists():
            number += 1
            path = self._directory / f"{name}_{number}"
        return path

    def _on_start(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        open_bag = self._sink.path
        response.success = open_bag is None
        response.message = str(self._begin() if open_bag is None else open_bag)
        return response

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        path, dropped = self._sink.path, self._sink.dropped
        response.success = path is not None
        response.message = "nothing was being recorded"
        if path is not None:
            self._sink.close()
            response.message = f"{path}: {self._sink.written} messages, {dropped} dropped"
            self.get_logger().info(f"recorded {response.message}")
        return response

    def _on_save(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._keep()
        response.message = (
            f"will be in {self._directory} in {self._params.black_box_after_s} s"
            if response.success
            else "not kept: black_box_s is 0, or one is being saved already"
        )
        return response

    def _report(self) -> Report:
        sink = self._sink
        values = {"bag": sink.path or "", "written": sink.written, "dropped": sink.dropped}
        if sink.dropped:
            return Report(ERROR, f"{sink.dropped} messages dropped: the disk is too slow", values)
        if sink.path is None:
            return Report(WARN if self._params.record_on_start else OK, "not recording", values)
        return Report(OK, "recording", values)


def _offered(profile: QoSProfile) -> Any:
    return offered_qos(
        depth=profile.depth,
        reliable=profile.reliability == ReliabilityPolicy.RELIABLE,
        latched=profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
    )


def _message_class(msgtype: str) -> Any:
    """Return the class of a message type.

    Raises:
        ConfigurationError: its package is not installed.
    """
    package, _, name = msgtype.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"recorder: message type '{msgtype}' is not installed ({error}). Install package "
            f"'{package}' or take its topic out of the contract."
        ) from error


def main() -> int:
    """Run the recorder until a signal ends it."""
    return run_node(RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
