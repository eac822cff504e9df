"""The lifecycle base class that knows what rclpy's does not do.

rclpy swallows exceptions of transitions without a log, dies on a transition that is not possible
in the present state, and drops what an inactive lifecycle publisher is given. Here an exception is
logged with its traceback and ends the transition cleanly, an impossible transition is refused with
a sentence, and `on_stop` runs before publishers go inactive.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from vla_core.errors import VlaError

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR


class ManagedNode(LifecycleNode):
    """A lifecycle node with four steps to override; each may raise, none returns a code.

    `on_load` (configure) loads and connects, `on_start` (activate) permits motion, `on_stop`
    (deactivate, shutdown, errors) brings to rest, `on_release` (cleanup, shutdown, errors) lets
    go of what `on_load` took. `on_stop` and `on_release` are the only way down; they must work
    from any half-finished state and more than once.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.is_active = False
        # rclpy lets the error of an impossible transition escape from the service, which ends
        # the process.
        service = self._service_change_state
        self._change_state = service.callback
        service.callback = self._on_change_state

    def on_load(self) -> None:
        """Load and connect. A VlaError is a refusal with a sentence."""

    def on_start(self) -> None:
        """Permit motion. Lifecycle publishers are active already."""

    def on_stop(self) -> None:
        """Bring to rest. Lifecycle publishers are still active."""

    def on_release(self) -> None:
        """Let go of what `on_load` took."""

    @property
    def state_label(self) -> str:
        """Return 'unconfigured', 'inactive', 'active' or 'finalized'."""
        return str(self._state_machine.current_state[1])

    def take_down(self) -> None:
        """Stop and release from any state, before the process ends."""
        self._guarded("stop", self._halt)
        self._guarded("release", self.on_release)

    # What rclpy calls.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self._guarded("configure", self.on_load):
            return super().on_configure(state)
        self._guarded("release", self.on_release)
        return FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_activate(state)
        self.is_active = True
        if self._guarded("activate", self.on_start):
            self.get_logger().info("active")
            return SUCCESS
        self._guarded("stop", self._halt)
        super().on_deactivate(state)
        return FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        stopped = self._guarded("deactivate", self._halt)
        super().on_deactivate(state)
        self.get_logger().info("inactive")
        return SUCCESS if stopped else ERROR

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return SUCCESS if self._guarded("cleanup", self.on_release) else ERROR

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.take_down()
        super().on_deactivate(state)
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        # SUCCESS leads to unconfigured, from where the supervisor may try again.
        self.take_down()
        super().on_deactivate(state)
        return SUCCESS

    def _halt(self) -> None:
        self.is_active = False
        self.on_stop()

    def _guarded(self, what: str, step: Callable[[], None]) -> bool:
        try:
            step()
        except VlaError as error:
            self.get_logger().error(f"cannot {what}: {error}")
            return False
        except Exception:
            self.get_logger().error(f"cannot {what}:\n{traceback.format_exc()}")
            return False
        return True

    def _on_change_state(self, request: Any, response: Any) -> Any:
        label, wanted = request.transition.label, request.transition.id
        possible = {t[0]: t[1] for t in self._state_machine.available_transitions}
        if (label and label not in possible.values()) or (not label and wanted not in possible):
            self.get_logger().warning(
                f"transition '{label or wanted}' refused: the node is {self.state_label}, "
                f"possible: {sorted(set(possible.values()))}"
            )
            response.success = False
            return response
        return self._change_state(request, response)
