"""A world for node tests: real rclpy in one process, waiting with deadlines, matched endpoints."""

from __future__ import annotations

import gc
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile

from vla_ros.lifecycle import ManagedNode

DEADLINE_S = 20.0


def parameters(**values: object) -> list[Parameter]:
    """Return parameter overrides for a node's constructor."""
    return [
        Parameter(name, value=list(value) if isinstance(value, tuple) else value)
        for name, value in values.items()
    ]


class World:
    """Nodes under test and one node `tester` that talks with them; all spun by `until`."""

    def __init__(self) -> None:
        self._executor = SingleThreadedExecutor()
        self.tester = Node("tester")
        self._executor.add_node(self.tester)
        self.heard: dict[str, list[Any]] = defaultdict(list)

    def add(self, node: Node) -> Any:
        """Spin a node from now on."""
        self._executor.add_node(node)
        return node

    def until(self, reached: Callable[[], object], what: str) -> None:
        """Spin until ``reached`` holds; fail with ``what`` after the deadline."""
        end = time.monotonic() + DEADLINE_S
        while not reached():
            assert time.monotonic() < end, f"not within {DEADLINE_S:g} s: {what}"
            self._executor.spin_once(timeout_sec=0.01)

    def listen(self, message_type: type, topic: str, qos: QoSProfile) -> list[Any]:
        """Collect a topic's messages in the returned list, once a publisher is matched."""
        heard = self.heard[topic]
        self.tester.create_subscription(message_type, topic, heard.append, qos)
        self.until(lambda: self.tester.count_publishers(topic), f"somebody publishes '{topic}'")
        return heard

    def talk(self, message_type: type, topic: str, qos: QoSProfile) -> Callable[[Any], None]:
        """Return a function that publishes; a subscription is matched already."""
        publisher = self.tester.create_publisher(message_type, topic, qos)
        self.until(publisher.get_subscription_count, f"somebody listens to '{topic}'")
        return lambda message: publisher.publish(message)

    def call(self, service_type: Any, name: str, request: Any = None) -> Any:
        """Call a service and return its response."""
        client = self.tester.create_client(service_type, name)
        self.until(client.service_is_ready, f"service '{name}' is there")
        return self.ask(lambda: client.call_async(request or service_type.Request()), name)

    def ask(self, send: Callable[[], Any], name: str) -> Any:
        """Return the result of the future that ``send`` returns.

        It is sent again each second: DDS may lose a request to a server that it has discovered
        only just now.
        """
        futures, sent = [send()], time.monotonic()

        def done() -> bool:
            nonlocal sent
            if time.monotonic() - sent > 1.0:
                futures.append(send())
                sent = time.monotonic()
            return any(future.done() for future in futures)

        self.until(done, f"'{name}' answers")
        return next(future.result() for future in futures if future.done())

    def activate(self, node: ManagedNode) -> None:
        """Bring a lifecycle node up, or fail."""
        node.trigger_configure()
        assert node.state_label == "inactive", f"{node.get_name()} did not configure"
        node.trigger_activate()
        assert node.state_label == "active", f"{node.get_name()} did not activate"

    def close(self) -> None:
        """Take everything down."""
        for node in self._executor.get_nodes():
            if isinstance(node, ManagedNode):
                node.take_down()
            node.destroy_node()
        self._executor.shutdown(timeout_sec=1.0)


@contextmanager
def ros_world() -> Iterator[World]:
    """Give a world to one test: `with ros_world() as world`, or from a fixture."""
    # What the test before left behind still takes part in DDS, until it is collected.
    gc.collect()
    rclpy.init()
    world = World()
    try:
        yield world
    finally:
        world.close()
        rclpy.try_shutdown()
