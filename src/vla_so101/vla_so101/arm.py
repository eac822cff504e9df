"""Six servos as one arm: connected with checks, read and written in radians, never dropped.

Torque is switched on only after the goal was set to where the joint is, and it is never switched
off by itself: an arm without torque falls. Thread-safe. No ROS.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from vla_core.errors import NotReadyError
from vla_so101 import handshake
from vla_so101 import registers as reg
from vla_so101.bus import Bus, Counters
from vla_so101.calibration import JOINTS, Calibration, MotorCalibration
from vla_so101.handshake import OpenPort
from vla_so101.port import SerialPort
from vla_so101.registers import Register
from vla_so101.state import ArmState, Floats, decode
from vla_so101.units import GRIPPER, Unit, scale

# What every servo is set to: LeRobot's values, with which its checkpoints were recorded.
# Source: lerobot:src/lerobot/robots/so_follower/so_follower.py (configure).
KEPT: Mapping[Register, int] = {reg.RETURN_DELAY: 0, reg.P_GAIN: 16, reg.I_GAIN: 0, reg.D_GAIN: 32}
# The gripper closes on things: half of its torque and current, a quarter when overloaded.
KEPT_GRIPPER: Mapping[Register, int] = {
    reg.MAX_TORQUE: 500,
    reg.PROTECTION_CURRENT: 250,
    reg.OVERLOAD_TORQUE: 25,
}
# Our trajectories are limited already: the servo shall follow, not plan.
VOLATILE: Mapping[Register, int] = {
    reg.LARGEST_ACCELERATION: 254,
    reg.ACCELERATION: 254,
    reg.GOAL_TIME: 0,
    reg.GOAL_VELOCITY: 0,
}
# In motion a late answer is a lost one: two attempts fit into a tick of 20 ms.
TICK_TIMEOUT_S, TICK_ATTEMPTS = 0.006, 2


@dataclass(frozen=True)
class ArmSettings:
    """How one arm is connected."""

    port: str
    calibration: Calibration
    gripper_range: tuple[float, float]  # closed, open [rad]
    baud_rate: int = 1_000_000
    offsets: Mapping[str, float] = field(default_factory=dict)  # see `units.scale`
    joints: Sequence[str] = JOINTS  # order of all arrays
    reply_timeout_s: float = TICK_TIMEOUT_S


class Arm:
    """One arm on one port.

    Args:
        settings: what to connect.
        open_port: opens a path at a baud rate.
    """

    def __init__(self, settings: ArmSettings, open_port: OpenPort = SerialPort) -> None:
        self.settings = settings
        self._open_port = open_port
        calibration = settings.calibration
        self._motors = [calibration[joint] for joint in settings.joints]
        self.ids = [motor.id for motor in self._motors]
        self._scale = scale(
            calibration, settings.joints, Unit.RADIANS, settings.gripper_range, settings.offsets
        )
        self._low = np.array([motor.range_min for motor in self._motors])
        self._high = np.array([motor.range_max for motor in self._motors])
        self._lock = threading.Lock()
        self._bus: Bus | None = None
        self.notes: list[str] = []  # of the last `connect`
        self.unheard = 0  # goals that a servo had not taken over when it was read back

    @property
    def reach(self) -> tuple[Floats, Floats]:
        """Lowest and highest position of each joint that its calibration allows [rad] (J,)."""
        ends = self._scale.values(np.array([self._low, self._high]))
        return ends.min(axis=0), ends.max(axis=0)

    @property
    def counters(self) -> Counters:
        """What happened on the bus since `connect`; zeros before."""
        bus = self._bus
        return Counters() if bus is None else bus.counters.copy()

    def connect(self) -> None:
        """Open the port and check everything; the arm does not move and keeps its torque.

        Raises:
            NotReadyError: port or servos are not there.
            MismatchError: it is not the arm of this calibration.
        """
        self.close()
        with self._lock:
            bus = Bus(self._open_port(self.settings.port, self.settings.baud_rate))
            try:
                by_joint = dict(zip(self.settings.joints, self._motors, strict=True))
                handshake.find_servos(bus, by_joint, self._open_port)
                handshake.check_memory(bus, by_joint)
                self.notes = self._configure(bus, by_joint)
            except BaseException:
                bus.port.close()
                raise
            bus.reply_timeout_s, bus.attempts = self.settings.reply_timeout_s, TICK_ATTEMPTS
            self._bus = bus

    def hold(self, again: Collection[str] = ()) -> None:
        """Switch torque on where it is off, at the present position; raises NotReadyError.

        Args:
            again: joints to switch on anew though they are on: that clears an overload.
        """
        with self._patient() as bus:
            for joint, motor in zip(self.settings.joints, self._motors, strict=True):
                if joint not in again and bus.read(motor.id, reg.TORQUE_ENABLE):
                    continue  # it holds already, perhaps an object: its goal stays
                tick = bus.read(motor.id, reg.PRESENT_POSITION)
                goal = int(np.clip(tick, motor.range_min, motor.range_max))
                bus.write(motor.id, reg.GOAL_POSITION, goal)
                bus.write(motor.id, reg.TORQUE_ENABLE, 1)

    def relax(self) -> None:
        """Switch torque off: the arm FALLS unless somebody or something carries it."""
        with self._patient() as bus:
            for motor in self._motors:
                bus.write(motor.id, reg.TORQUE_ENABLE, 0)

    def exchange(self, positions: Floats | None = None) -> ArmState:
        """Write goals (J,) [rad], NaN: none for this joint; then read all servos.

        A servo whose goal reads back differently is written once more.

        Raises:
            NotReadyError: not connected, or the port is lost.
        """
        with self._lock:
            bus = self._connected()
            goals = {} if positions is None else self._goals(positions)
            self._send(bus, goals)
            state = self._read(bus)
            wrong = self._unheard(goals, state)
            self.unheard += len(wrong)
            self._send(bus, wrong)
            return state

    def positions(self, state: ArmState) -> Floats:
        """Return the measured positions (J,) [rad], NaN where a servo did not answer."""
        return self._scale.values(state.ticks)

    def goals(self, state: ArmState) -> Floats:
        """Return where the servos are told to be (J,) [rad]."""
        return self._scale.values(state.goal_ticks)

    def velocities(self, state: ArmState) -> Floats:
        """Return the measured velocities (J,) [rad/s]."""
        return state.tick_rates * self._scale.per_tick

    def complaints(self) -> dict[str, list[str]]:
        """Return what each servo's newest status complained of, by joint; empty: of nothing."""
        bus = self._bus
        bits = {} if bus is None else dict(bus.errors)
        named = zip(self.settings.joints, self.ids, strict=True)
        return {joint: reg.error_names(bits[id_]) for joint, id_ in named if bits.get(id_)}

    def close(self) -> None:
        """Let go of the port; the servos go on holding. Also twice."""
        with self._lock:
            bus, self._bus = self._bus, None
            if bus is not None:
                bus.port.close()

    def _connected(self) -> Bus:
        if self._bus is None:
            raise NotReadyError(f"the arm on {self.settings.port} is not connected")
        return self._bus

    @contextmanager
    def _patient(self) -> Iterator[Bus]:
        """Give the bus with the time-outs of the handshake: what is written now must arrive."""
        with self._lock:
            bus = self._connected()
            usual = bus.reply_timeout_s, bus.attempts
            bus.reply_timeout_s, bus.attempts = Bus.reply_timeout_s, Bus.attempts
            try:
                yield bus
            finally:
                bus.reply_timeout_s, bus.attempts = usual

    def ticks(self, positions: Floats) -> Floats:
        """Return the goals (J,) that positions [rad] become: whole, inside the range."""
        return np.clip(np.round(self._scale.ticks(positions)), self._low, self._high)

    def _goals(self, positions: Floats) -> dict[int, int]:
        ticks = self.ticks(positions)
        return {i: int(t) for i, t in zip(self.ids, ticks, strict=True) if np.isfinite(t)}

    def _send(self, bus: Bus, goals: Mapping[int, int]) -> None:
        if goals:
            data = {id_: reg.GOAL_POSITION.encode(tick) for id_, tick in goals.items()}
            bus.sync_write(reg.GOAL_POSITION.address, data)

    def _read(self, bus: Bus) -> ArmState:
        return decode(bus.sync_read(self.ids, reg.STATE_BEGIN, reg.STATE_SIZE), self.ids)

    def _unheard(self, goals: Mapping[int, int], state: ArmState) -> dict[int, int]:
        found = dict(zip(self.ids, state.goal_ticks, strict=True))
        return {i: t for i, t in goals.items() if np.isfinite(found[i]) and found[i] != t}

    def _configure(self, bus: Bus, motors: Mapping[str, MotorCalibration]) -> list[str]:
        """Set gains and limits; returns what was left because the servo holds something."""
        notes = []
        for joint, motor in motors.items():
            wanted = {**KEPT, **(KEPT_GRIPPER if joint == GRIPPER else {})}
            found = {register: bus.read(motor.id, register) for register in wanted}
            wrong = {register: v for register, v in wanted.items() if found[register] != v}
            if wrong and bus.read(motor.id, reg.TORQUE_ENABLE):
                values = [f"{r.name} {found[r]} instead of {v}" for r, v in wrong.items()]
                notes.append(f"'{joint}' holds torque and keeps {', '.join(values)}")
            elif wrong:
                write_kept(bus, motor.id, wrong)
            for register, value in VOLATILE.items():
                bus.write(motor.id, register, value)
            if joint == GRIPPER:
                bus.write(motor.id, reg.TORQUE_LIMIT, KEPT_GRIPPER[reg.MAX_TORQUE])
        return notes


def write_kept(bus: Bus, id_: int, values: Mapping[Register, int]) -> None:
    """Write registers that a servo shall keep without power; raises NotReadyError."""
    bus.write(id_, reg.LOCK, 0)
    try:
        for register, value in values.items():
            bus.write(id_, register, value)
    finally:
        bus.write(id_, reg.LOCK, 1)
