"""Hears a node's frequent topics in a thread of their own.

rclpy's executor builds its wait set anew for each message, over everything a node has: 0.7 ms of
Python for a node with twenty services and topics. With `/clock` at 100 Hz and joints at 50 Hz that
alone is a tenth of a core per node. Here a wait set holds the frequent topics and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.node import Node
from rclpy.subscription import Subscription

from vla_core.types import NS_PER_S

# How long it takes to notice a new subscription or the end.
_TIMEOUT_NS = NS_PER_S // 5


class QuickGroup(MutuallyExclusiveCallbackGroup):
    """Callback group of subscriptions that `QuickTopics` may take over from the executor.

    Their callbacks then run in its thread; until then, and without one, in the executor's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_taken = False

    def can_execute(self, entity: Any) -> bool:
        """Return whether the executor may serve this group."""
        return not self.is_taken and bool(super().can_execute(entity))


class QuickTopics:
    """Serves `/clock` and the subscriptions in a `QuickGroup` of one node, also later ones.

    Args:
        node: whose subscriptions.
        on_crash: called with the exception that escaped from a callback; nothing is heard then.
    """

    def __init__(self, node: Node, on_crash: Callable[[BaseException], None]) -> None:
        self._node, self._on_crash = node, on_crash
        self._ended = threading.Event()
        for subscription in node.subscriptions:
            # The node's own clock; a recorder's raw subscription takes more than the message.
            if subscription.topic_name == "/clock" and not subscription.raw:
                _regroup(subscription, QuickGroup())
        self._thread = threading.Thread(target=self._run, name="topics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; subscriptions are not served any more."""
        self._ended.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        try:
            while self._is_running():
                self._serve(list(self._node.subscriptions))
        except Exception as error:
            if not self._ended.is_set():
                self._on_crash(error)

    def _is_running(self) -> bool:
        return not self._ended.is_set() and bool(self._node.context.ok())

    def _serve(self, known: list[Subscription]) -> None:
        """Serve the quick ones until the node has other subscriptions than the known ones."""
        quick = [s for s in known if isinstance(s.callback_group, QuickGroup)]
        for subscription in quick:
            subscription.callback_group.is_taken = True
        with ExitStack() as held:
            alive = [subscription for subscription in quick if _hold(held, subscription)]
            if not alive:
                self._ended.wait(_TIMEOUT_NS / NS_PER_S)
                return
            context = self._node.context.handle
            held.enter_context(context)
            wait_set = _rclpy.WaitSet(len(alive), 0, 0, 0, 0, 0, context)
            while self._is_running() and list(self._node.subscriptions) == known:
                _wait_and_call(wait_set, alive)


def _wait_and_call(wait_set: Any, subscriptions: list[Subscription]) -> None:
    wait_set.clear_entities()
    for subscription in subscriptions:
        wait_set.add_subscription(subscription.handle)
    wait_set.wait(_TIMEOUT_NS)
    ready = wait_set.get_ready_entities("subscription")
    for subscription in subscriptions:
        if subscription.handle.pointer in ready:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
            if taken is not None:
                _call(subscription, taken)


def _call(subscription: Subscription, taken: tuple[Any, Any]) -> None:
    """Call back with the message, and with its info where the callback takes that."""
    kinds = getattr(Subscription, "CallbackType", None)  # since rclpy 3.3
    wanted = getattr(subscription, "_callback_type", None)
    if kinds is not None and wanted is kinds.WithMessageInfo:
        subscription.callback(*taken)
    else:
        subscription.callback(taken[0])


def _regroup(subscription: Subscription, group: QuickGroup) -> None:
    """Move a subscription with its events, whose waiting would else wake up for its data."""
    for entity in (subscription, *subscription.event_handlers):
        group.add_entity(entity)  # the executor asks for it until the thread has taken over
        entity.callback_group = group


def _hold(held: ExitStack, subscription: Subscription) -> bool:
    """Keep a subscription from being destroyed while it is waited for."""
    try:
        held.enter_context(subscription.handle)
    except _rclpy.InvalidHandle:
        return False
    return True
