"""The supervisor beside real lifecycle nodes, in one process over real DDS."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest

rclpy = pytest.importorskip("rclpy")
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

from vla_bringup.bring_up import State  # noqa: E402
from vla_bringup.supervisor import Supervisor  # noqa: E402
from vla_core.errors import VlaError  # noqa: E402
from vla_ros.lifecycle import ManagedNode  # noqa: E402

DEADLINE_S = 20.0
_numbers = itertools.count()


class Recorded(ManagedNode):
    """A lifecycle node that writes down what it was asked."""

    def __init__(
        self, name: str, log: list[str], context: Context, namespace: str, failures: int = 0
    ) -> None:
        super().__init__(name, context=context, namespace=namespace)
        self._log, self._failures = log, failures

    def on_load(self) -> None:
        self._log.append(f"configure {self.get_name()}")
        if self._failures:
            self._failures -= 1
            raise VlaError("not yet")

    def on_start(self) -> None:
        self._log.append(f"activate {self.get_name()}")


class Stage:
    """Nodes that spin in threads of their own until the test ends."""

    def __init__(self) -> None:
        self.context = Context()
        rclpy.init(context=self.context)
        self.log: list[str] = []
        # The endpoints of a test that has ended are visible for a moment, as if they were here.
        self.namespace = f"/stage_{next(_numbers)}"
        self._running: dict[str, tuple[SingleThreadedExecutor, threading.Thread, object]] = {}

    def put(self, node) -> None:  # type: ignore[no-untyped-def]
        executor = SingleThreadedExecutor(context=self.context)
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()
        self._running[node.get_name()] = (executor, thread, node)

    def node(self, name: str, failures: int = 0) -> Recorded:
        node = Recorded(name, self.log, self.context, self.namespace, failures)
        self.put(node)
        return node

    def take(self, name: str) -> None:
        executor, thread, node = self._running.pop(name)
        executor.shutdown(timeout_sec=2.0)
        thread.join(2.0)
        node.destroy_node()  # type: ignore[attr-defined]

    def supervise(self, *names: str) -> Supervisor:
        supervisor = Supervisor(
            context=self.context,
            namespace=self.namespace,
            parameter_overrides=[Parameter("nodes", value=list(names))],
        )
        self.put(supervisor)
        return supervisor

    def close(self) -> None:
        for name in list(self._running):
            self.take(name)
        rclpy.shutdown(context=self.context)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """An empty stage."""
    made = Stage()
    yield made
    made.close()


def within(condition: Callable[[], bool], seconds: float = DEADLINE_S) -> bool:
    """Return whether the condition came true before the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_activates_in_order_though_the_last_was_there_first(stage: Stage) -> None:
    stage.node("executor")
    stage.supervise("bridge", "executor")
    assert within(lambda: "configure executor" in stage.log)
    stage.node("bridge")
    assert within(lambda: "activate executor" in stage.log)
    assert stage.log.index("activate bridge") < stage.log.index("activate executor")


def test_tries_again_when_configuring_failed(stage: Stage) -> None:
    stage.node("policy", failures=1)
    stage.supervise("policy")
    assert within(lambda: "activate policy" in stage.log)
    assert stage.log == ["configure policy", "configure policy", "activate policy"]


def test_brings_up_again_a_node_that_was_restarted(stage: Stage) -> None:
    stage.node("bridge")
    stage.node("executor")
    supervisor = stage.supervise("bridge", "executor")
    assert within(lambda: stage.log[-1:] == ["activate executor"])
    stage.take("executor")
    assert within(lambda: supervisor.state_of("executor") is State.UNKNOWN)
    stage.node("executor")
    again = ["configure executor", "activate executor"]
    assert within(lambda: stage.log[-2:] == again and len(stage.log) == 6), stage.log


def test_leaves_alone_a_node_that_somebody_deactivated(stage: Stage) -> None:
    node = stage.node("bridge")
    stage.node("marker")
    supervisor = stage.supervise("bridge", "marker")
    assert within(lambda: "activate marker" in stage.log)
    node.trigger_deactivate()
    assert within(lambda: supervisor.state_of("bridge") is State.INACTIVE)
    # The marker's restart is noticed and answered; the bridge is looked at just as often.
    stage.take("marker")
    stage.node("marker")
    assert within(lambda: stage.log.count("configure marker") == 2)
    assert stage.log.count("activate bridge") == 1
