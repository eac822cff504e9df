"""The services `stop` and `reset`, for people: the stop is latched in executor and bridges."""

from __future__ import annotations

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from vla_interfaces.msg import EmergencyStop
from vla_ros import qos
from vla_ros.stamps import header, now_ns
from vla_router.deadlines import Deadlines

# Longest wait for the resets of executor and bridge.
RESET_WITHIN_S = 2.0
LATCHED = ("executor", "bridge")


class StopAndReset:
    """Stops everything at once; resets everything that latches a stop."""

    def __init__(self, node: Node, deadlines: Deadlines) -> None:
        self._node, self._deadlines = node, deadlines
        self._emergency_stop = node.create_publisher(EmergencyStop, "emergency_stop", qos.EVENT)
        self._resets = [node.create_client(Trigger, f"{name}/reset") for name in LATCHED]
        node.create_service(Trigger, "stop", self._on_stop)
        # A coroutine keeps its group busy while it awaits, and would not hear the answers.
        own = ReentrantCallbackGroup()
        node.create_service(Trigger, "reset", self._on_reset, callback_group=own)

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._emergency_stop.publish(
            EmergencyStop(
                header=header(now_ns(self._node)),
                source="operator",
                reason="the stop service was called",
            )
        )
        self._node.get_logger().error("stop")
        response.success, response.message = True, "stop sent; call reset to go on"
        return response

    async def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        # Awaited as a coroutine, with a deadline: nothing else waits meanwhile.
        calls = {
            client.srv_name: client.call_async(Trigger.Request())
            for client in self._resets
            if client.service_is_ready()
        }
        missing = [c.srv_name for c in self._resets if c.srv_name not in calls]
        for name, call in calls.items():
            self._deadlines.add(RESET_WITHIN_S, call)
            answer = await call
            if answer is None or not answer.success:
                missing.append(f"{name}: {answer.message}" if answer else name)
        response.success = not missing
        response.message = (
            f"no reset from {missing}" if missing else "executor and bridge are reset"
        )
        return response
