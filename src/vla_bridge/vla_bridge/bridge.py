"""Base class of all bridges: between the contract's command topics and one robot.

Derive and override the hooks; everything that must be the same for every robot is here:

    class MyBridge(BridgeNode):
        def connect(self) -> None: ...              # configure: open the device
        def disconnect(self) -> None: ...           # cleanup: close it
        def read(self) -> Floats | None: ...        # measured positions, NaN: not measured
        def write(self, positions, velocities): ... # each tick; NaN: no command for this column

    main = lambda: run_node(MyBridge)

Arrays are (A,) in the order of the contract's columns, SI. `write` is called from the bridge's
tick thread at `rate_hz` while the node is active. A robot with a loop of its own (a simulation)
passes ``own_loop=True`` and calls `targets(now_ns)` from its loop whenever it wants to know where
to go; `read` and `write` are not used then. Values are already safe in the sense of this class:
from the selected source, finite, played by time, braking when commands stop.

Not here: limits of the columns (the executor has applied them), and the topics of the robot's
sensors (each bridge publishes its own).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import String
from std_srvs.srv import Trigger

from vla_bridge.channels import Channel, open_channels
from vla_core.bridge import Authority
from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError, VlaError
from vla_core.types import NS_PER_S
from vla_interfaces.msg import EmergencyStop
from vla_interfaces.srv import SelectSource
from vla_ros import qos
from vla_ros.diagnostics import ERROR, OK, WARN, Diagnostics, Report
from vla_ros.lifecycle import ManagedNode
from vla_ros.parameters import declare, param
from vla_ros.quick import QuickGroup
from vla_ros.stamps import now_ns, time_msg
from vla_ros.ticker import Ticker

Floats = NDArray[np.float64]

SOURCES = (
    SelectSource.Request.SOURCE_POLICY,
    SelectSource.Request.SOURCE_TELEOPERATION,
    SelectSource.Request.SOURCE_HOMING,
)
# Longest time that a deactivation waits for the robot to come to rest; a braking tail is shorter.
REST_WITHIN_S = 2.0


@dataclass(frozen=True)
class BridgeParams:
    """Parameters of every bridge; a bridge with more derives from this class."""

    contract_files: tuple[str, ...] = param((), "Contract, then overlays in order")
    source: str = param("policy", "Source at start: policy, teleoperation, homing or none")
    rate_hz: float = param(100.0, "Rate at which the robot is read and written [Hz]", 1.0, 1000.0)


class BridgeNode(ManagedNode):
    """Watchdog, latched stop, choice of source and playback for one robot.

    Commands come from the contract's output topics (source `policy`) and from the same topics
    under `<source>/`. Each output has its deadline, on the steady clock.
    """

    params_class: type[BridgeParams] = BridgeParams

    def __init__(self, name: str = "bridge", own_loop: bool = False, **options: Any) -> None:
        super().__init__(name, **options)
        self.params = declare(self, self.params_class)
        self.contract = load_contract(self.params.contract_files)
        self._own_loop = own_loop
        self._lock = threading.Lock()  # guards the channels and the authority
        try:
            self._authority = Authority(SOURCES, self.params.source)
        except VlaError as error:
            raise ConfigurationError(f"parameter 'source': {error}") from error
        self.channels = open_channels(self.contract)
        self._silent: set[str] = set()
        self._at_rest = threading.Event()
        self._asked = threading.Event()  # somebody asks for targets
        self._ticker: Ticker | None = None
        self._quick = QuickGroup()

        self._source_topic = self.create_publisher(String, "~/source", qos.STATE)
        self._stop_topic = self.create_publisher(EmergencyStop, "emergency_stop", qos.EVENT)
        self._diagnostics = Diagnostics(self)
        self._diagnostics.add("commands", self._report)
        self._listen()
        # Commands and stops do not wait behind a service.
        self.create_subscription(
            EmergencyStop, "emergency_stop", self._on_stop, qos.EVENT, callback_group=self._quick
        )
        self.create_service(SelectSource, "~/select_source", self._on_select)
        self.create_service(Trigger, "~/stop", self._on_stop_service)
        self.create_service(Trigger, "~/reset", self._on_reset)
        self._tell_source()

    # Hooks of one robot.

    def connect(self) -> None:
        """Open the device; a VlaError refuses with a sentence."""

    def disconnect(self) -> None:
        """Close what `connect` opened; called from any state, also twice."""

    def read(self) -> Floats | None:
        """Return the measured positions (A,), NaN where a column is not measured; None: none."""
        return None

    def reset_refusal(self) -> str:
        """Return why a stop cannot be cleared yet, as a sentence; empty: it can."""
        return ""

    def write(self, positions: Floats, velocities: Floats) -> None:
        """Send targets (A,) to the robot; NaN position: no position target for this column."""
        raise NotImplementedError

    def accepted(self, channel: Channel, msg: Any, now: int) -> None:
        """See a command that was taken over, in the node's thread; for bridges that relay."""

    def safe_stop(self) -> None:
        """Call the robot's own safe stop; after the targets came to rest, or should have."""

    # For robots with a loop of their own.

    def targets(self, now: int) -> tuple[Floats, Floats]:
        """Return where to go at ROS time ``now`` [ns]: positions and velocities (A,).

        NaN positions: no command for these columns yet, leave them alone. Any thread.
        """
        positions = np.full(len(self.contract.columns), np.nan)
        velocities = np.zeros(len(self.contract.columns))
        steady = time.monotonic_ns()
        self._asked.set()
        with self._lock:
            for channel in self.channels:
                fresh = self._is_fresh(channel, steady)
                channel.evaluate(now, fresh, positions, velocities)
            if all(channel.is_at_rest(now) for channel in self.channels):
                self._at_rest.set()
            else:
                self._at_rest.clear()
        return positions, velocities

    def stop(self, source: str, reason: str) -> None:
        """Latch a stop: commands are ignored until `~/reset`; the braking tail is played."""
        with self._lock:
            latched = self._authority.is_stopped
            self._authority.stop(source, reason)
        if not latched:
            self.get_logger().error(f"stopped by {source}: {reason}")
            self._tell_source()

    def stop_everything(self, source: str, reason: str) -> None:
        """Latch a stop here and tell it to all others, for instance for the robot's own button."""
        if not self.is_stopped:
            self.stop(source, reason)
            stop = EmergencyStop(source=source, reason=reason)
            stop.header.stamp = time_msg(now_ns(self))
            self._stop_topic.publish(stop)

    def forget_commands(self) -> None:
        """Forget what was commanded, for instance because the robot was moved by other means."""
        with self._lock:
            for channel in self.channels:
                channel.clear()

    @property
    def is_stopped(self) -> bool:
        """Whether a stop is latched."""
        with self._lock:
            return bool(self._authority.is_stopped)

    # Lifecycle.

    def on_load(self) -> None:
        self.connect()

    def on_start(self) -> None:
        self.forget_commands()
        if not self._own_loop:
            period_ns = round(NS_PER_S / self.params.rate_hz)
            self._ticker = Ticker(self, period_ns, self._on_tick, on_crash=self._on_crash)
            self._ticker.start()

    def on_stop(self) -> None:
        ticker, self._ticker = self._ticker, None
        try:
            if ticker is not None:
                ticker.stop()
                self._tick_to_rest()
            elif self._own_loop and self._asked.is_set():
                # The robot's loop goes on asking for targets; commands are ignored from now on.
                self._at_rest.clear()
                self._at_rest.wait(REST_WITHIN_S)
        finally:
            self.safe_stop()

    def on_release(self) -> None:
        self.disconnect()

    def _tick_to_rest(self) -> None:
        # Paced by the steady clock: a simulated one may stand still, and must not keep us here.
        period_s = 1.0 / self.params.rate_hz
        begin, start = now_ns(self), time.monotonic()
        self._at_rest.clear()
        while not self._at_rest.is_set() and time.monotonic() - start < REST_WITHIN_S:
            self._on_tick(begin + int((time.monotonic() - start) * NS_PER_S), None)
            self._at_rest.wait(period_s)

    def _on_tick(self, now: int, _: int | None) -> None:
        self.write(*self.targets(now))

    def _on_crash(self) -> None:
        self.stop(self.get_name(), "the bridge's own tick failed; see its log")
        self.safe_stop()

    # Commands.

    def _listen(self) -> None:
        for channel in self.channels:
            for source in SOURCES:
                prefix = "" if source == SelectSource.Request.SOURCE_POLICY else f"{source}/"
                self.create_subscription(
                    channel.message_type,
                    prefix + channel.output.topic,
                    partial(self._on_command, channel, source),
                    qos.COMMAND,
                    callback_group=self._quick,
                )

    def _on_command(self, channel: Channel, source: str, msg: Any) -> None:
        if not self.is_active:
            return
        now = now_ns(self)
        with self._lock:
            if not self._authority.accepts(source):
                return
            problem: VlaError | None = None
            try:
                channel.receive(msg, now, self._measured(channel))
                channel.watchdog.feed(time.monotonic_ns())
            except VlaError as error:
                problem = error
        if problem is None:
            self.accepted(channel, msg, now)
            return
        self.get_logger().warning(
            f"command for '{channel.name}' refused: {problem}", throttle_duration_sec=5.0
        )

    def _measured(self, channel: Channel) -> Floats | None:
        # Only the first trajectory needs to know where the robot is.
        measured = None if self._own_loop else self.read()
        if measured is None or not np.isfinite(measured[channel.index]).all():
            return None
        return measured[channel.index]

    def _is_fresh(self, channel: Channel, steady_ns: int) -> bool:
        silent = channel.watchdog.is_expired(steady_ns)
        return not silent and self.is_active and not self._authority.is_stopped

    # Authority.

    def _on_stop(self, msg: EmergencyStop) -> None:
        self.stop(msg.source or "somebody", msg.reason or "no reason given")

    def _on_stop_service(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.stop("operator", "the bridge's stop service was called")
        response.success, response.message = True, "stopped; call ~/reset to go on"
        return response

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        refusal = self.reset_refusal()
        if refusal:
            response.success, response.message = False, f"still stopped: {refusal}"
            return response
        with self._lock:
            self._authority.reset()
        self._tell_source()
        response.success = True
        response.message = f"listens to '{self._authority.selected}'"
        return response

    def _on_select(
        self, request: SelectSource.Request, response: SelectSource.Response
    ) -> SelectSource.Response:
        try:
            with self._lock:
                self._authority.select(request.source)
                for channel in self.channels:
                    channel.watchdog.clear()
        except VlaError as error:
            response.success, response.message = False, str(error)
            return response
        self._tell_source()
        response.success, response.message = True, self._authority.selected
        return response

    def _tell_source(self) -> None:
        authority = self._authority
        stopped = f"stopped: {authority.reason}" if authority.is_stopped else authority.selected
        self._source_topic.publish(String(data=stopped))

    def _report(self) -> Report:
        """Say who commands, and since when which output is silent; called once a second."""
        steady = time.monotonic_ns()
        with self._lock:
            values: dict[str, object] = {"source": self._authority.selected}
            silent = {c.name for c in self.channels if not self._is_fresh(c, steady)}
            for channel in self.channels:
                age = channel.watchdog.age_ns(steady)
                values[f"{channel.name}_age_s"] = "nan" if age is None else f"{age / NS_PER_S:.3f}"
            stopped, reason = self._authority.is_stopped, self._authority.reason
        self._log_silence(silent)
        if stopped:
            return Report(ERROR, f"stopped: {reason}", values)
        if silent and self.is_active:
            return Report(WARN, f"no commands for {sorted(silent)}", values)
        return Report(OK, f"listens to '{values['source']}'", values)

    def _log_silence(self, silent: set[str]) -> None:
        for name in sorted(silent - self._silent):
            self.get_logger().info(f"no commands for '{name}': at rest")
        for name in sorted(self._silent - silent):
            self.get_logger().info(f"commands for '{name}' arrive")
        self._silent = silent
