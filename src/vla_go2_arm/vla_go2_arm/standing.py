"""Standing up and down, by a person, while nobody may command."""

from __future__ import annotations

import time

from std_srvs.srv import Trigger

from vla_bridge.bridge import BridgeNode
from vla_core.errors import NotReadyError, VlaError
from vla_go2_arm import sport
from vla_go2_arm.base import Base
from vla_go2_arm.posture import Posture

UNLOCK_WITHIN_S = 10.0  # after StandUp


class Standing:
    """The services `~/stand_up` and `~/stand_down` of the bridge."""

    def __init__(self, node: BridgeNode, base: Base) -> None:
        self._node, self._base = node, base
        self._unlock_until_s = 0.0
        node.create_service(Trigger, "~/stand_up", self._on_stand_up)
        node.create_service(Trigger, "~/stand_down", self._on_stand_down)

    def unlock(self) -> None:
        """Free the joints once the robot has stood up: StandUp leaves them locked."""
        walker = self._base.walker
        if walker is None or time.monotonic() > self._unlock_until_s:
            return
        if walker.posture is Posture.LOCKED:
            self._unlock_until_s = 0.0
            self._base.sport.send(sport.call(sport.Api.BALANCE_STAND))

    def _on_stand_up(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response = self._ask(sport.Api.STAND_UP, response)
        if response.success:
            self._unlock_until_s = time.monotonic() + UNLOCK_WITHIN_S
        return response

    def _on_stand_down(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response = self._ask(sport.Api.STAND_DOWN, response)
        if response.success:
            self._unlock_until_s = 0.0
        return response

    def _ask(self, api: sport.Api, response: Trigger.Response) -> Trigger.Response:
        try:
            if self._node.is_active or self._base.walker is None:
                raise NotReadyError("only while the bridge is configured and inactive")
            self._base.refuse_if_held()
            self._base.sport.ask(sport.call(api))
        except VlaError as error:
            response.success, response.message = False, str(error)
            return response
        response.success, response.message = True, f"{api.name} is accepted"
        return response
