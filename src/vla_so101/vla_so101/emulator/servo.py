"""One STS3215: its memory, what it answers, and how it protects itself."""

from __future__ import annotations

from vla_so101.emulator.memory import LAYOUT, Memory
from vla_so101.emulator.plant import ACCELERATION_UNIT, Drive
from vla_so101.emulator.wire import Code, reply

ERROR_RANGE, ERROR_OVERLOAD, ERROR_VOLTAGE, ERROR_HEAT = 0x10, 0x20, 0x01, 0x04
HEATING_PER_S = 0.8  # of a servo that pulls with all its torque [degC]
COOLING_PER_S = 0.01  # towards the room, per degree
ROOM = 28.0


class Servo:
    """Answers instructions, and says what it does to its joint."""

    def __init__(self, **values: int) -> None:
        self.memory = Memory(**values)
        self.is_powered = True
        self.is_overloaded = False
        self.goals_taken = 0
        self._strained_s = 0.0
        self._heat = ROOM
        self._waiting: bytes | None = None  # of REG_WRITE

    def obey(self, code: int, payload: bytes) -> bytes | None:
        """Do what is asked; returns the status packet, None where nobody answers."""
        if not self.is_powered:
            return None
        if code == Code.PING:
            return self._answer()
        if code == Code.READ and len(payload) == 2:
            return self._answer(self.memory.read(payload[0], payload[1]))
        if code == Code.WRITE and len(payload) > 1:
            return self._answer(fault=0 if self.store(payload) else ERROR_RANGE)
        if code == Code.REG_WRITE and len(payload) > 1:
            self._waiting = payload
            return self._answer()
        if code == Code.ACTION and self._waiting is not None:
            self.store(self._waiting)
            self._waiting = None
        return None

    def store(self, payload: bytes) -> bool:
        """Write an address and its bytes, as one instruction."""
        if not self.memory.write(payload[0], payload[1:]):
            return False
        touched = range(payload[0], payload[0] + len(payload) - 1)
        if LAYOUT["goal"][0] in touched:
            self.goals_taken += 1
        if LAYOUT["torque"][0] in touched:
            self.is_overloaded, self._strained_s = False, 0.0
        return True

    def drive(self) -> Drive:
        """Return what the motor does now."""
        get = self.memory.get
        strength = 0.0
        if self.is_powered and get("torque") and get("mode") == 0:
            strength = min(get("torque_limit"), get("torque_max")) / 1000
            if self.is_overloaded:
                strength = min(strength, get("protective_torque") / 100)
        goal = min(get("highest"), max(get("lowest"), get("goal")))
        return Drive(goal + get("offset"), strength, get("acceleration") * ACCELERATION_UNIT)

    def measure(self, position: float, speed: float, load: float, seconds: float) -> None:
        """Take the sensors' values; watch load and heat."""
        put, get = self.memory.put, self.memory.get
        put("position", round(position) - get("offset"))
        put("speed", max(-32767, min(32767, round(speed))))
        put("load", max(-1000, min(1000, round(load * 1000))))
        put("current", round(abs(load) * 400))
        put("moving", int(abs(speed) > 20))
        self._heat += (abs(load) * HEATING_PER_S - (self._heat - ROOM) * COOLING_PER_S) * seconds
        put("temperature", round(self._heat))
        strained = abs(load) * 100 > get("overload_torque")
        self._strained_s = self._strained_s + seconds if strained else 0.0
        if self._strained_s > get("protection_time") * 0.01:
            self.is_overloaded = True
        put("status", self._fault())

    def restart(self) -> None:
        """Come back after a loss of power, without torque."""
        self.memory.restart()
        self.is_powered, self.is_overloaded, self._strained_s = True, False, 0.0

    def _fault(self) -> int:
        get = self.memory.get
        is_bad_voltage = not get("voltage_min") <= get("voltage") <= get("voltage_max")
        return (
            ERROR_OVERLOAD * self.is_overloaded
            | ERROR_VOLTAGE * is_bad_voltage
            | ERROR_HEAT * (get("temperature") > get("hottest"))
        )

    def _answer(self, data: bytes = b"", fault: int = 0) -> bytes:
        return reply(self.memory.get("id"), fault | self._fault(), data)
