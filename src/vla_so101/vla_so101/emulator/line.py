"""The half-duplex bus: who hears an instruction, who answers, what of it arrives."""

from __future__ import annotations

from collections.abc import Sequence

from vla_so101.emulator.faults import Faults
from vla_so101.emulator.servo import Servo
from vla_so101.emulator.wire import EVERYBODY, Code, Instruction, Listener

SECONDS_PER_DELAY_UNIT = 2e-6


class Line:
    """Servos on one pair of wires; two may have the same id."""

    def __init__(self, servos: Sequence[Servo], faults: Faults) -> None:
        self.servos, self.faults = servos, faults
        self._listener = Listener()

    def silence(self) -> None:
        """The host sent nothing for a while."""
        self._listener.silence()

    def hear(self, data: bytes) -> tuple[float, bytes]:
        """Take what the host sent; returns after how long which bytes come back."""
        delay_s, answer = self.faults.latency_s, b""
        for instruction in self._listener.hear(self.faults.carry(data)):
            for packet, servo_delay_s in self._answers(instruction):
                delay_s += servo_delay_s
                answer += self.faults.carry(packet)
        return delay_s, answer

    def _answers(self, instruction: Instruction) -> list[tuple[bytes, float]]:
        code, payload = instruction.code, instruction.payload
        if code == Code.SYNC_WRITE and len(payload) > 2:
            self._sync_write(payload)
            return []
        if code == Code.SYNC_READ and len(payload) > 2:
            asked = [(target, int(Code.READ), payload[:2]) for target in payload[2:]]
        elif instruction.target == EVERYBODY:
            everybody = sorted({servo.memory.get("id") for servo in self.servos})
            asked = [(target, code, payload) for target in everybody]
        else:
            asked = [(instruction.target, code, payload)]
        found = [self._ask(*question) for question in asked]
        is_mute = instruction.target == EVERYBODY and code not in (Code.PING, Code.SYNC_READ)
        return [] if is_mute else [answer for answer in found if answer is not None]

    def _ask(self, target: int, code: int, payload: bytes) -> tuple[bytes, float] | None:
        packets, delay_s = [], 0.0
        for servo in self.servos:
            if servo.memory.get("id") == target:
                packet = servo.obey(code, payload)
                if packet is not None:
                    packets.append(packet)
                    delay_s = servo.memory.get("return_delay") * SECONDS_PER_DELAY_UNIT
        if not packets:
            return None
        return (packets[0] if len(packets) == 1 else self.faults.collide(packets)), delay_s

    def _sync_write(self, payload: bytes) -> None:
        begin, width = payload[:2]
        rows = payload[2:]
        for at in range(0, len(rows) - width, width + 1):
            for servo in self.servos:
                if servo.is_powered and servo.memory.get("id") == rows[at]:
                    servo.store(bytes((begin,)) + rows[at + 1 : at + 1 + width])
