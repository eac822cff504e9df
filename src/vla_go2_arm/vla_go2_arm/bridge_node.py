"""Bridge to a Unitree Go2 with an SO-101 on its back: one contract, two receivers.

The base is told by requests to the sport service (`walker` decides which), the arm by the driver
of `vla_so101` in a thread of its own. What the robot tells is published in the words of ROS.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.serialization import deserialize_message
from std_srvs.srv import Trigger

from vla_bridge.bridge import BridgeNode, BridgeParams, Floats
from vla_bridge.channels import Channel
from vla_core.contract import Column
from vla_core.errors import ConfigurationError, NotReadyError, VlaError
from vla_core.types import NS_PER_S
from vla_go2_arm import messages, sport, vendor
from vla_go2_arm.arm_loop import Arm, ArmLoop, Reading
from vla_go2_arm.outputs import TWIST_FIELDS, match_outputs
from vla_go2_arm.posture import SERVICES, Posture
from vla_go2_arm.remote import sticks_moved, takeover
from vla_go2_arm.services import Service
from vla_go2_arm.telling import Teller
from vla_go2_arm.walker import Walker, WalkerSettings
from vla_ros import qos
from vla_ros.diagnostics import ERROR, OK, WARN, Report
from vla_ros.parameters import param
from vla_ros.quick import QuickGroup
from vla_ros.run import run_node
from vla_ros.stamps import now_ns
from vla_so101 import matching
from vla_so101.arm import Arm as So101
from vla_so101.device import DeviceParams, arm_settings, wait_for
from vla_so101.follower import Follower

STATE_WITHIN_S = 5.0  # at start
REST_WITHIN_S = 3.0  # at the end: stops are repeated for so long
UNLOCK_WITHIN_S = 10.0  # after StandUp
REMOTE_SILENT_NS = NS_PER_S  # after which it counts as switched off
CHECK_MODE = sport.Call(1001, "{}")  # of the service motion_switcher; reads only


@dataclass(frozen=True)
class Go2ArmParams(DeviceParams, BridgeParams):
    """Parameters of this bridge, beside those of every bridge and of the SO-101."""

    rate_hz: float = param(
        50.0, "Rate of Move and of the arm; the robot takes 10 to 50", 10.0, 50.0
    )
    prefix: str = param("", "Put before the robot's own topics; empty on a real robot")
    motion_service: str = param("", "mcf, normal, advanced or ai; empty: the robot is asked")
    watchdog_s: float = param(
        0.5, "Silence after which StopMove is sent in any case [s]", 0.1, 0.5
    )
    state_timeout_s: float = param(0.3, "Without an advance of the state: stop [s]", 0.05, 2.0)
    velocity_frame: str = param("base", "Frame of the robot's velocity: base or odom")


class Go2ArmNode(BridgeNode):
    """Speaks with the robot; `Walker` decides what the base is told."""

    params_class = Go2ArmParams
    params: Go2ArmParams

    def __init__(self, **options: Any) -> None:
        super().__init__("bridge", **options)
        self._vendor = vendor.load()
        self._check_params()
        self._arm_columns = matching.arm_columns(self.contract)
        joints = [column.name for column in self._arm_columns]
        receivers = match_outputs(self.contract, joints, self.params.watchdog_s)
        by_name = {channel.name: channel for channel in self.channels}
        self._base_channel = by_name[receivers.base]
        self._base_columns = in_order_of_move(self._base_channel)
        # The arm's arrays are in the order of the columns, whatever the output's is.
        self._arm_order = np.array([self.contract.columns.index(name) for name in joints])
        names = [column.name for column in self._base_columns]
        self._base_order = np.array([self.contract.columns.index(name) for name in names])
        self._base_lock = threading.Lock()  # guards the walker and what it has seen
        self._walker: Walker | None = None
        self._raw: tuple[bytes, int, int] | None = None  # newest state, ROS and steady time
        self._hands_off = False  # the operator has taken over
        self._was_stopped = False
        self._operator = ""  # what is done with the remote
        self._operator_ns = 0  # when that was heard
        self._unlock_until_s = 0.0
        self._battery = (0, 0.0)
        self._arm: ArmLoop | None = None
        self._teller = Teller(self, self.contract, joints)
        self.create_service(Trigger, "~/stand_up", self._on_stand_up)
        self.create_service(Trigger, "~/stand_down", self._on_stand_down)
        self._open_robot()
        self._diagnostics.add("base", self._report_base)
        self._diagnostics.add("arm", self._report_arm)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / self.params.rate_hz, self._on_timer, clock=steady)

    def make_arm(self) -> Arm:
        """Return the port to the arm; tests give another one."""
        columns = self._arm_columns
        params, namespace = self.params, self.get_namespace()
        arm = So101(arm_settings(params, params.contract_files, namespace, columns))
        for note in matching.check_reach(columns, *arm.reach):
            self.get_logger().warning(note)
        wait_for(arm.settings.port, self.params.connect_within_s)
        return Follower(arm)

    # The bridge's hooks.

    def connect(self) -> None:
        self._wait_for_state()
        service = self._motion_service()
        walker = self._make_walker(service)
        with self._base_lock:
            self._walker, self._hands_off = walker, False
        self._take_state()
        if walker.posture is Posture.UNKNOWN and walker.state is not None:
            raise NotReadyError(
                f"the robot {Posture.UNKNOWN.value} under motion service '{service}': "
                f"{walker.state.describe()}. This bridge knows firmwares up to mcf (V1.1.6)."
            )
        self._arm = ArmLoop(
            self.make_arm(), 1.0 / self.params.rate_hz, self._on_arm_measured, self._on_arm_trouble
        )
        self._arm.start()
        self.get_logger().info(f"motion service '{service}', the robot {walker.posture.value}")

    def disconnect(self) -> None:
        arm, self._arm = self._arm, None
        if arm is not None:
            arm.stop()
        with self._base_lock:
            self._walker = None

    def on_start(self) -> None:
        walker = self._ready_walker()
        # A request that moves nothing: an answer shows that the sport service listens to us.
        self._sport.ask(sport.call(sport.Api.STOP_MOVE))
        with self._base_lock:
            walker.halt()
        self._healthy_arm().hold()
        super().on_start()

    def read(self) -> Floats | None:
        measured = None if self._arm is None else self._arm.measured()
        if measured is None:
            return None
        positions = np.full(len(self.contract.columns), np.nan)
        positions[self._arm_order] = measured
        return positions

    def reset_refusal(self) -> str:
        arm = self._arm
        return "" if arm is None or arm.measured() is not None else f"the arm: {arm.trouble}"

    def write(self, positions: Floats, velocities: Floats) -> None:
        steady = time.monotonic_ns()
        self._take_state()
        self._write_base(velocities[self._base_order], steady)
        stopped, before = self.is_stopped, self._was_stopped
        self._was_stopped = stopped
        if before and not stopped and self._arm is not None:
            self._arm.recover()
        goal = positions[self._arm_order]
        if self._arm is not None and np.isfinite(goal).any():
            self._arm.command(goal)

    def safe_stop(self) -> None:
        """Repeat StopMove until the state shows rest, at most 3 s."""
        end = time.monotonic() + REST_WITHIN_S
        with self._base_lock:
            walker = self._walker
            if walker is not None:
                walker.halt()
        while walker is not None and time.monotonic() < end:
            self._take_state()
            self._write_base(np.zeros(3), time.monotonic_ns())
            if not walker.is_stopping:
                return
            time.sleep(1.0 / self.params.rate_hz)

    # The base.

    def _write_base(self, velocity: Floats, steady: int) -> None:
        with self._base_lock:
            walker = self._walker
            if walker is None:
                return
            stopped = self.is_stopped
            if self._hands_off and not stopped:
                self._hands_off = False  # reset
            age = None if self._hands_off else self._base_channel.watchdog.age_ns(steady)
            problem = walker.problem(steady)
            if self._remote_is_silent(steady):
                walker.operator(False)  # switched off in the middle of a motion
            call = walker.tick(velocity, age, steady)
        if call is not None:
            self._sport.send(call)
        if problem is not None and self.is_active and not stopped:
            self.stop_everything("bridge", problem)

    def _take_state(self) -> None:
        """Decode the newest state, if it is new, and publish what it says."""
        with self._base_lock:
            raw, self._raw = self._raw, None
            if raw is None or self._walker is None:
                return
            data, received, steady = raw
            msg = deserialize_message(data, self._vendor["SportModeState"])
            state = messages.state_from_msg(msg, self.params.velocity_frame == "odom")
            self._walker.see(state, steady)
        self._teller.base(msg, state, received)

    def _on_timer(self) -> None:
        """See the state and unlock the joints while no tick does it."""
        if self._ticker is not None or self._walker is None:
            return
        self._take_state()
        if time.monotonic() < self._unlock_until_s and self._walker.posture is Posture.LOCKED:
            self._unlock_until_s = 0.0
            self._sport.send(sport.call(sport.Api.BALANCE_STAND))

    def _ready_walker(self) -> Walker:
        self._take_state()
        walker, now = self._walker, time.monotonic_ns()
        if walker is None:
            raise NotReadyError("the bridge is not connected to the robot")
        with self._base_lock:
            problem, settles_s = walker.problem(now), walker.settles_s(now)
        if problem is not None:
            raise NotReadyError(f"{problem}. `~/stand_up` stands it up, or the remote.")
        if settles_s > 0:
            raise NotReadyError(f"the robot stood up just now and is ready in {settles_s:.0f} s")
        self._refuse_if_held()
        return walker

    def _refuse_if_held(self) -> None:
        if self._operator and not self._remote_is_silent(time.monotonic_ns()):
            raise NotReadyError(f"the operator holds the remote: {self._operator}")

    def _remote_is_silent(self, steady: int) -> bool:
        return steady - self._operator_ns > REMOTE_SILENT_NS

    # At start.

    def _wait_for_state(self) -> None:
        end = time.monotonic() + STATE_WITHIN_S
        while self._raw is None:
            if time.monotonic() > end:
                raise NotReadyError(
                    f"no '{self.params.prefix}/sportmodestate' within {STATE_WITHIN_S:g} s. Is "
                    "the robot on, CYCLONEDDS_URI bound to its network interface, ROS_DOMAIN_ID 0?"
                )
            time.sleep(0.01)

    def _motion_service(self) -> str:
        name = self.params.motion_service
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
            limits=[column.velocity for column in self._base_columns],
            watchdog_ns=round(self.params.watchdog_s * NS_PER_S),
            state_timeout_ns=round(self.params.state_timeout_s * NS_PER_S),
        )
        return Walker(settings, service)

    def _check_params(self) -> None:
        if self.params.velocity_frame not in ("base", "odom"):
            raise ConfigurationError(
                f"parameter 'velocity_frame': expected base or odom, "
                f"got '{self.params.velocity_frame}'"
            )
        if self.params.motion_service not in ("", *SERVICES):
            raise ConfigurationError(
                f"parameter 'motion_service': expected one of {['', *SERVICES]}, "
                f"got '{self.params.motion_service}'"
            )

    # The arm.

    def _healthy_arm(self) -> ArmLoop:
        if self._arm is None or self._arm.trouble:
            why = "not connected" if self._arm is None else self._arm.trouble
            raise NotReadyError(f"the arm: {why}")
        return self._arm

    def _on_arm_measured(self, reading: Reading) -> None:
        self._teller.arm(reading, now_ns(self))

    def _on_arm_trouble(self, sentence: str) -> None:
        if self.is_active:
            self.stop_everything("arm", sentence)

    # Topics.

    def _open_robot(self) -> None:
        group, at = QuickGroup(), self.params.prefix
        self._sport = Service(self, "sport", at, self._vendor, group, self._on_refused)
        self._switcher = Service(self, "motion_switcher", at, self._vendor, group)
        for kind, topic, callback, raw in (
            ("SportModeState", "sportmodestate", self._on_state, True),
            ("LowState", "lf/lowstate", self._on_low_state, False),
            ("WirelessController", "wirelesscontroller", self._on_remote, False),
        ):
            self.create_subscription(
                self._vendor[kind], f"{at}/{topic}", callback, qos.SENSOR,
                callback_group=group, raw=raw,
            )  # fmt: skip

    def _on_state(self, data: bytes) -> None:
        # 300 times a second: kept as it is, and decoded once per tick.
        self._raw = (data, now_ns(self), time.monotonic_ns())

    def _on_low_state(self, msg: Any) -> None:
        self._battery = (int(msg.bms_state.soc), float(msg.power_v))
        self._teller.legs(msg, now_ns(self))

    def _on_remote(self, msg: Any) -> None:
        sticks = {name: float(getattr(msg, name)) for name in ("lx", "ly", "rx", "ry")}
        self._operator = takeover(sticks, int(msg.keys)) or ""
        self._operator_ns = time.monotonic_ns()
        with self._base_lock:
            walker = self._walker
            if walker is not None:
                walker.operator(sticks_moved(sticks))
            if not self._operator or not self.is_active or self.is_stopped:
                return
            self._hands_off = True
            if walker is not None:
                walker.halt()
            # Under the lock: a tick that finds no stop takes the absence for a reset.
            self.stop_everything("remote", f"the operator has taken over ({self._operator})")

    def _on_refused(self, api_id: int, meaning: str) -> None:
        self.get_logger().warning(
            f"the robot refuses {sport.Api(api_id).name}: {meaning}", throttle_duration_sec=5.0
        )

    # Standing up and down, by a person, while nobody may command.

    def _on_stand_up(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._posture_service(sport.Api.STAND_UP, response)

    def _on_stand_down(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._posture_service(sport.Api.STAND_DOWN, response)

    def _posture_service(self, api: sport.Api, response: Trigger.Response) -> Trigger.Response:
        try:
            if self.is_active or self._walker is None:
                raise NotReadyError("only while the bridge is configured and inactive")
            self._refuse_if_held()
            self._sport.ask(sport.call(api))
        except VlaError as error:
            response.success, response.message = False, str(error)
            return response
        # StandUp leaves the joints locked; BalanceStand frees them once they are.
        up = api is sport.Api.STAND_UP
        self._unlock_until_s = time.monotonic() + UNLOCK_WITHIN_S if up else 0.0
        response.success, response.message = True, f"{api.name} is accepted"
        return response

    # Diagnostics.

    def _report_base(self) -> Report:
        with self._base_lock:
            walker = self._walker
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
            return Report(ERROR if self.is_active else WARN, problem, values)
        if settles_s > 0:
            return Report(
                WARN, f"stood up just now, Move is held back for {settles_s:.0f} s", values
            )
        return Report(OK, "ready", values)

    def _report_arm(self) -> Report:
        if self._arm is None:
            return Report(WARN, "not connected", {})
        return Report(ERROR, self._arm.trouble, {}) if self._arm.trouble else Report(OK, "ok", {})


def in_order_of_move(channel: Channel) -> list[Column]:
    """Return the base's columns as Move takes them: forward, left, counter-clockwise."""
    columns = {column.name: column for column in channel.columns}
    by_field = dict(zip(channel.output.fields, channel.output.columns, strict=True))
    return [columns[by_field[field]] for field in TWIST_FIELDS]


def main() -> int:
    """Run the node."""
    return run_node(Go2ArmNode)


if __name__ == "__main__":
    sys.exit(main())
