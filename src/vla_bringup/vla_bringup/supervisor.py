"""The supervisor node: brings up the lifecycle nodes in order, and again what was restarted.

It decides nothing about motion and publishes nothing; `bring_up` decides what comes next.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lifecycle_msgs.msg import State as StateMsg
from lifecycle_msgs.msg import Transition as TransitionMsg
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from vla_bringup.bring_up import BringUp, Request, State, Transition
from vla_core.errors import ConfigurationError
from vla_ros.parameters import declare, param
from vla_ros.run import run_node

STATES = {
    StateMsg.PRIMARY_STATE_UNCONFIGURED: State.UNCONFIGURED,
    StateMsg.PRIMARY_STATE_INACTIVE: State.INACTIVE,
    StateMsg.PRIMARY_STATE_ACTIVE: State.ACTIVE,
    StateMsg.PRIMARY_STATE_FINALIZED: State.FINALIZED,
}
TRANSITIONS = {
    Transition.CONFIGURE: TransitionMsg.TRANSITION_CONFIGURE,
    Transition.ACTIVATE: TransitionMsg.TRANSITION_ACTIVATE,
}


@dataclass(frozen=True)
class SupervisorParams:
    """Parameters of the node `supervisor`."""

    nodes: tuple[str, ...] = param((), "Lifecycle nodes in the order in which they are activated")
    poll_s: float = param(0.5, "Pause between looks at the nodes [s]", low=0.05, high=10.0)
    answer_timeout_s: float = param(2.0, "Wait for a node's state [s]", low=0.1, high=60.0)
    configure_timeout_s: float = param(90.0, "Wait for loading [s]", low=1.0, high=3600.0)
    activate_timeout_s: float = param(30.0, "Wait for activation [s]", low=1.0, high=3600.0)


@dataclass
class _Call:
    """A service call that has not been answered yet."""

    client: Any
    future: Any
    deadline_s: float
    on_answer: Callable[[Any], None]  # gets None after the deadline


class Supervisor(Node):
    """Asks each lifecycle node for its state and for the transition that is due."""

    def __init__(self, **options: Any) -> None:
        super().__init__("supervisor", **options)
        self._params = declare(self, SupervisorParams)
        if not self._params.nodes:
            raise ConfigurationError("supervisor: parameter 'nodes' is empty: nothing to bring up")
        self._bring_up = BringUp(self._params.nodes)
        self._calls: dict[tuple[str, str], _Call] = {}  # (node, "state" or "transition")
        self._began_s = time.monotonic()
        self._next_look_s = 0.0
        self._said_late_s = self._began_s
        self._was_complete = False
        self._get = {n: self.create_client(GetState, f"{n}/get_state") for n in self._params.nodes}
        self._change = {
            n: self.create_client(ChangeState, f"{n}/change_state") for n in self._params.nodes
        }
        # Deadlines must run though simulated time stands still.
        self.create_timer(0.05, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def state_of(self, name: str) -> State:
        """Return the newest known state of a node."""
        return self._bring_up.state_of(name)

    def _on_timer(self) -> None:
        now = time.monotonic()
        self._expire(now)
        if now >= self._next_look_s:
            # Quickly while something is missing, then calmly.
            self._next_look_s = now + (self._params.poll_s if self._was_complete else 0.1)
            for name in self._params.nodes:
                self._look(name, now)
        for request in self._bring_up.requests(now):
            self._request(request, now)
        self._report(now)

    def _look(self, name: str, now: float) -> None:
        self._see_lives(name)
        # While a transition runs the node answers nothing else.
        if (name, "transition") in self._calls or (name, "state") in self._calls:
            return
        if not self._get[name].service_is_ready():
            self._see(name, State.UNKNOWN)
            return

        def on_answer(answer: Any) -> None:
            state = State.UNKNOWN
            if answer is not None:
                state = STATES.get(answer.current_state.id, State.BUSY)
            self._see(name, state)

        self._call(
            (name, "state"),
            self._get[name],
            GetState.Request(),
            now + self._params.answer_timeout_s,
            on_answer,
        )

    def _request(self, request: Request, now: float) -> None:
        wanted = request.transition
        timeout_s = (
            self._params.configure_timeout_s
            if wanted is Transition.CONFIGURE
            else self._params.activate_timeout_s
        )
        self.get_logger().info(f"{wanted.value} {request.node}")
        # An answer to a question from before would describe a state that is over.
        self._drop((request.node, "state"))

        def on_answer(answer: Any) -> None:
            success = answer is not None and answer.success
            self._bring_up.answered(request, success, time.monotonic())
            if not success:
                why = "refused; its log says why" if answer else f"no answer in {timeout_s:g} s"
                self.get_logger().error(f"cannot {wanted.value} {request.node}: {why}")
            self._next_look_s = 0.0

        message = ChangeState.Request()
        message.transition.id = TRANSITIONS[wanted]
        self._call(
            (request.node, "transition"),
            self._change[request.node],
            message,
            now + timeout_s,
            on_answer,
        )

    def _see(self, name: str, state: State) -> None:
        if not self._bring_up.see(name, state):
            return
        text = f"{name} is {state.value}"
        if state is State.UNKNOWN:
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)

    def _see_lives(self, name: str) -> None:
        # Each life of a process has its own endpoint on this topic.
        topic = self.resolve_topic_name(f"{name}/transition_event")
        lives = {bytes(p.endpoint_gid).hex() for p in self.get_publishers_info_by_topic(topic)}
        if self._bring_up.see_lives(name, frozenset(lives)):
            self.get_logger().warning(f"{name} was restarted")
            # What was asked of the earlier life is never answered.
            self._drop((name, "state"))
            self._drop((name, "transition"))

    def _call(
        self,
        key: tuple[str, str],
        client: Any,
        request: Any,
        deadline_s: float,
        on_answer: Callable[[Any], None],
    ) -> None:
        future = client.call_async(request)
        self._calls[key] = _Call(client, future, deadline_s, on_answer)
        future.add_done_callback(lambda done: self._answered(key, done))

    def _answered(self, key: tuple[str, str], future: Any) -> None:
        call = self._calls.get(key)
        if call is not None and call.future is future:
            del self._calls[key]
            call.on_answer(future.result())

    def _expire(self, now: float) -> None:
        for key, call in list(self._calls.items()):
            if now > call.deadline_s or self._is_gone(key):
                del self._calls[key]
                call.client.remove_pending_request(call.future)
                call.on_answer(None)

    def _drop(self, key: tuple[str, str]) -> None:
        """Wait no longer for an answer."""
        if call := self._calls.pop(key, None):
            call.client.remove_pending_request(call.future)

    def _is_gone(self, key: tuple[str, str]) -> bool:
        """Return whether the node of a running transition is gone, so that no answer can come."""
        name, kind = key
        return kind == "transition" and not self._get[name].service_is_ready()

    def _report(self, now: float) -> None:
        complete = self._bring_up.complete()
        if complete and not self._was_complete:
            self.get_logger().info(f"all nodes active after {now - self._began_s:.1f} s")
        elif not complete and now - self._said_late_s > 10.0:
            self._said_late_s = now
            self.get_logger().warning(f"still waiting for {self._bring_up.waiting_for()}")
        self._was_complete = complete


def main() -> int:
    """Run the node."""
    return run_node(Supervisor)


if __name__ == "__main__":
    sys.exit(main())
