"""Requests to the robot's services over DDS, and the responses that belong to them."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from vla_core.errors import NotReadyError
from vla_go2_arm.messages import fill_request, is_ours
from vla_go2_arm.sport import Call, explain
from vla_ros import qos

# As the vendor's own clients.
ANSWER_WITHIN_S = 1.0
ATTEMPTS = 3


class Service:
    """One service of the robot, for instance `sport`; any thread.

    Args:
        node: publishes and hears; ``group`` must be served while `ask` waits.
        name: as in the topic `/api/<name>/request`.
        vendor: the message classes, see `vendor.load`.
        on_refused: called with the function's id and what its code means.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        prefix: str,
        vendor: dict[str, Any],
        group: Any,
        on_refused: Callable[[int, str], None] = lambda *_: None,
    ) -> None:
        self._name, self._make, self._on_refused = name, vendor["Request"], on_refused
        # Ids are unique also after a restart, as those of the vendor's clients.
        self._numbers = itertools.count(time.monotonic_ns() // 1000)
        self._lock = threading.Lock()
        self._waiting: dict[int, threading.Event] = {}
        self._responses: dict[int, Any] = {}
        self._publisher = node.create_publisher(
            self._make, f"{prefix}/api/{name}/request", qos.EVENT
        )
        node.create_subscription(
            vendor["Response"],
            f"{prefix}/api/{name}/response",
            self._on_response,
            qos.EVENT,
            callback_group=group,
        )

    def send(self, call: Call) -> int:
        """Send a request and return its id; the answer is only looked at for refusals."""
        request = fill_request(self._make(), call, next(self._numbers))
        self._publisher.publish(request)
        return int(request.header.identity.id)

    def ask(self, call: Call) -> str:
        """Send a request until it is answered; return the data of the response.

        Raises:
            NotReadyError: no answer to any attempt, or a refusal.
        """
        for _ in range(ATTEMPTS):
            response = self._attempt(call)
            if response is None:
                continue
            code = int(response.header.status.code)
            if code:
                raise NotReadyError(
                    f"service '{self._name}' refuses function {call.api_id}: {explain(code)}"
                )
            return str(response.data)
        raise NotReadyError(
            f"service '{self._name}' of the robot did not answer function {call.api_id} within "
            f"{ATTEMPTS} x {ANSWER_WITHIN_S:g} s. Is the robot on, and CYCLONEDDS_URI bound to "
            "the network interface of the robot (RMW_IMPLEMENTATION=rmw_cyclonedds_cpp)?"
        )

    def _attempt(self, call: Call) -> Any | None:
        number = next(self._numbers)
        request = fill_request(self._make(), call, number)
        answered, request_id = threading.Event(), int(request.header.identity.id)
        with self._lock:
            self._waiting[request_id] = answered
        self._publisher.publish(request)
        answered.wait(ANSWER_WITHIN_S)
        with self._lock:
            self._waiting.pop(request_id, None)
            return self._responses.pop(request_id, None)

    def _on_response(self, msg: Any) -> None:
        """Take an answer; those to other clients of the same robot are not ours."""
        request_id = int(msg.header.identity.id)
        if not is_ours(request_id):
            return
        with self._lock:
            waiting = self._waiting.get(request_id)
            if waiting is not None:
                self._responses[request_id] = msg
                waiting.set()
        if waiting is None and msg.header.status.code:
            self._on_refused(int(msg.header.identity.api_id), explain(msg.header.status.code))
