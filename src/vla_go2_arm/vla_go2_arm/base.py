"""The robot's own base: what it tells, what it is told, and who holds its remote."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message

from vla_bridge.bridge import BridgeNode, Floats
from vla_core.contract import Column
from vla_core.errors import ConfigurationError, NotReadyError
from vla_core.types import NS_PER_S
from vla_go2_arm import messages, sport, vendor
from vla_go2_arm.posture import SERVICES, Posture
from vla_go2_arm.remote import sticks_moved, takeover
from vla_go2_arm.services import Service
from vla_go2_arm.telling import Teller
from vla_go2_arm.walker import Walker, WalkerSettings
from vla_ros import qos
from vla_ros.diagnostics import ERROR, OK, WARN, Report
from vla_ros.parameters import param
from vla_ros.quick import QuickGroup
from vla_ros.stamps import now_ns

STATE_WITHIN_S = 5.0  # at start
REST_WITHIN_S = 3.0  # at the end: stops are repeated for so long
LOOK_EVERY_S = 0.02  # meanwhile, for rest
REMOTE_SILENT_NS = NS_PER_S  # after which it counts as switched off
CHECK_MODE = sport.Call(1001, "{}")  # of the service motion_switcher; reads only


@dataclass(frozen=True)
class BaseParams:
    """Parameters of the base."""

    prefix: str = param("", "Put before the robot's own topics; empty on a real robot")
    motion_service: str = param("", "mcf, normal, advanced or ai; empty: the robot is asked")
    watchdog_s: float = param(
        0.5, "Silence after which StopMove is sent in any case [s]", 0.1, 0.5
    )
    state_timeout_s: float = param(0.3, "Without an advance of the state: stop [s]", 0.05, 2.0)
    velocity_frame: str = param("base", "Frame of the robot's velocity: base or odom")


class Base:
    """Speaks with the robot; `Walker` decides what it is told. Any thread.

    Args:
        node: the bridge; stopped where robot or operator demand it.
        params: of the base.
        columns: as Move takes them: forward, left, counter-clockwise.
        teller: told of each new state.

    Raises:
        ConfigurationError: a parameter, or the vendor's messages are not installed.
    """

    def __init__(
        self, node: BridgeNode, params: BaseParams, columns: Sequence[Column], teller: Teller
    ) -> None:
        _check(params)
        self._node, self._params, self._teller = node, params, teller
        self._limits = [column.velocity for column in columns]
        self._vendor = vendor.load()
        self._lock = threading.Lock()  # guards the walker and what it has seen
        self.walker: Walker | None = None
        self._raw: tuple[bytes, int, int] | None = None  # newest state, ROS and steady time
        self._hands_off = False  # the operator has taken over
        self._operator = ""  # what is done with the remote
        self._operator_ns = 0  # when that was heard
        self._battery = (0, 0.0)
        self._open()

    def _open(self) -> None:
        group, at = QuickGroup(), self._params.prefix
        node, words = self._node, self._vendor
        self.sport = Service(node, "sport", at, words, group, self._on_refused)
        self._switcher = Service(node, "motion_switcher", at, words, group)
        for kind, topic, callback, raw in (
            ("SportModeState", "sportmodestate", self._on_state, True),
            ("LowState", "lf/lowstate", self._on_low_state, False),
            ("WirelessController", "wirelesscontroller", self._on_remote, False),
        ):
            node.create_subscription(
                words[kind], f"{at}/{topic}", callback, qos.SENSOR, callback_group=group, raw=raw
            )

    # From connecting to the end.

    def connect(self) -> None:
        """Hear the robot and find out how it is spoken to.

        Raises:
            NotReadyError: it is not there, or a firmware this bridge does not know.
        """
        self._wait_for_state()
        service = self._motion_service()
        walker = self._make_walker(service)
        with self._lock:
            self.walker, self._hands_off = walker, False
        self.see()
        if walker.posture is Posture.UNKNOWN and walker.state is not None:
            raise NotReadyError(
                f"the robot {Posture.UNKNOWN.value} under motion service '{service}': "
                f"{walker.state.describe()}. This bridge knows firmwares up to mcf (V1.1.6)."
            )
        self._node.get_logger().info(
            f"motion service '{service}', the robot {walker.posture.value}"
        )

    def disconnect(self) -> None:
        """Tell it nothing more."""
        with self._lock:
            self.walker = None

    def prepare(self) -> None:
        """Make sure that the base may be moved and listens to us.

        Raises:
            NotReadyError: it does not, or must not be moved; says why.
        """
        walker = self._ready_walker()
        # A request that moves nothing: an answer shows that the sport service listens to us.
        self.sport.ask(sport.call(sport.Api.STOP_MOVE))
        with self._lock:
            walker.halt()

    def write(self, velocity: Floats, age_ns: int | None) -> None:
        """Tell the base a velocity (3,) that was commanded ``age_ns`` ago."""
        node, steady = self._node, time.monotonic_ns()
        with self._lock:
            walker = self.walker
            if walker is None:
                return
            stopped = node.is_stopped
            if self._hands_off and not stopped:
                self._hands_off = False  # reset
            problem = walker.problem(steady)
            if self._remote_is_silent(steady):
                walker.operator(False)  # switched off in the middle of a motion
            call = walker.tick(velocity, None if self._hands_off else age_ns, steady)
        if call is not None:
            self.sport.send(call)
        if problem is not None and node.is_active and not stopped:
            node.stop_everything("bridge", problem)

    def rest(self) -> None:
        """Repeat StopMove until the state shows rest, at most 3 s."""
        end = time.monotonic() + REST_WITHIN_S
        with self._lock:
            walker = self.walker
            if walker is not None:
                walker.halt()
        while walker is not None and time.monotonic() < end:
            self.see()
            self.write(np.zeros(3), None)
            if not walker.is_stopping:
                return
            time.sleep(LOOK_EVERY_S)

    def see(self) -> None:
        """Decode the newest state, if it is new, and publish what it says."""
        with self._lock:
            raw, self._raw = self._raw, None
            if raw is None or self.walker is None:
                return
            data, received, steady = raw
            msg = deserialize_message(data, self._vendor["SportModeState"])
            state = messages.state_from_msg(msg, self._params.velocity_frame == "odom")
            self.walker.see(state, steady)
        self._teller.base(msg, state, received)

    def refuse_if_held(self) -> None:
        """Raise a NotReadyError while the operator does something with the remote."""
        if self._operator and not self._remote_is_silent(time.monotonic_ns()):
            raise NotReadyError(f"the operator holds the remote: {self._operator}")

    def report(self) -> Report:
        """Say how the base is; for diagnostics."""
        with self._lock:
            walker = self.walker
            if walker is None or walker.state is None:
                return Report(WARN, "not connected", {})
            now = time.monotonic_ns()
            problem, settles_s = walker.problem(now), walker.settles_s(now)
            values: dict[str, object] = {
                "posture": walker.posture.name,
                "state": walker.state.describe(),
                "battery_percent": self._battery[0],
                "battery_v": f"{self._battery[1]:.1f}",
                "clamped": walker.clamped,
                "stopping": walker.is_stopping,
            }
        if problem is not None:
            return Report(ERROR if self._node.is_active else WARN, problem, values)
        if settles_s > 0:
            return Report(
                WARN, f"stood up just now, Move is held back for {settles_s:.0f} s", values
            )
        return Report(OK, "ready", values)

    def _ready_walker(self) -> Walker:
        self.see()
        walker, now = self.walker, time.monotonic_ns()
        if walker is None:
            raise NotReadyError("the bridge is not connected to the robot")
        with self._lock:
            problem, settles_s = walker.problem(now), walker.settles_s(now)
        if problem is not None:
            raise NotReadyError(f"{problem}. `~/stand_up` stands it up, or the remote.")
        if settles_s > 0:
            raise NotReadyError(f"the robot stood up just now and is ready in {settles_s:.0f} s")
        self.refuse_if_held()
        return walker

    def _wait_for_state(self) -> None:
        end = time.monotonic() + STATE_WITHIN_S
        while self._raw is None:
            if time.monotonic() > end:
                raise NotReadyError(
                    f"no '{self._params.prefix}/sportmodestate' within {STATE_WITHIN_S:g} s. Is "
                    "the robot on, CYCLONEDDS_URI bound to its network interface, ROS_DOMAIN_ID 0?"
                )
            time.sleep(0.01)

    def _motion_service(self) -> str:
        name = self._params.motion_service
        if not name:
            data = self._switcher.ask(CHECK_MODE)
            try:
                name = str(json.loads(data)["name"])
            except (ValueError, KeyError, TypeError) as error:
                raise NotReadyError(f"motion_switcher answered {data!r}: {error}") from error
        if name not in SERVICES:
            raise NotReadyError(
                f"motion service '{name}' is unknown; known: {sorted(SERVICES)}. An empty name "
                "means that none runs: switch sport mode on with the app."
            )
        return name

    def _make_walker(self, service: str) -> Walker:
        settings = WalkerSettings(
            limits=self._limits,
            watchdog_ns=round(self._params.watchdog_s * NS_PER_S),
            state_timeout_ns=round(self._params.state_timeout_s * NS_PER_S),
        )
        return Walker(settings, service)

    # What the robot and its operator tell.

    def _on_state(self, data: bytes) -> None:
        # 300 times a second: kept as it is, and decoded once per tick.
        self._raw = (data, now_ns(self._node), time.monotonic_ns())

    def _on_low_state(self, msg: Any) -> None:
        self._battery = (int(msg.bms_state.soc), float(msg.power_v))
        self._teller.legs(msg, now_ns(self._node))

    def _on_remote(self, msg: Any) -> None:
        sticks = {name: float(getattr(msg, name)) for name in ("lx", "ly", "rx", "ry")}
        self._operator = takeover(sticks, int(msg.keys)) or ""
        self._operator_ns = time.monotonic_ns()
        node = self._node
        with self._lock:
            walker = self.walker
            if walker is not None:
                walker.operator(sticks_moved(sticks))
            if not self._operator or not node.is_active or node.is_stopped:
                return
            self._hands_off = True
            if walker is not None:
                walker.halt()
            # Under the lock: a tick that finds no stop takes the absence for a reset.
            node.stop_everything("remote", f"the operator has taken over ({self._operator})")

    def _remote_is_silent(self, steady: int) -> bool:
        return steady - self._operator_ns > REMOTE_SILENT_NS

    def _on_refused(self, api_id: int, meaning: str) -> None:
        self._node.get_logger().warning(
            f"the robot refuses {sport.Api(api_id).name}: {meaning}", throttle_duration_sec=5.0
        )


def _check(params: BaseParams) -> None:
    if params.velocity_frame not in ("base", "odom"):
        raise ConfigurationError(
            f"parameter 'velocity_frame': expected base or odom, got '{params.velocity_frame}'"
        )
    if params.motion_service not in ("", *SERVICES):
        raise ConfigurationError(
            f"parameter 'motion_service': expected one of {['', *SERVICES]}, "
            f"got '{params.motion_service}'"
        )
