"""The arm on its bus, alive in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from vla_so101.emulator.faults import Faults
from vla_so101.emulator.line import Line
from vla_so101.emulator.plant import FirstOrderArm, Plant
from vla_so101.emulator.servo import Servo
from vla_so101.emulator.terminal import Terminal
from vla_so101.emulator.truth import Truth

NAMES = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
# Homing offset, lowest and highest tick of a real arm (legalaspro/so101-ros-physical-ai).
EXAMPLE = ((0, 866, 3231), (-369, 896, 3211), (-98, 866, 3066), (725, 1039, 3121),
           (1704, 123, 3955), (1573, 2027, 3483))  # fmt: skip
# Share of torque that gravity takes from each joint, signed towards where it falls.
WEIGHTS = (0.0, -0.35, 0.25, 0.12, 0.0, 0.0)
# Folded on its rest, where a limp arm stays: share of each joint's range.
FOLDED = (0.5, 0.0, 1.0, 1.0, 0.5, 0.2)
STOP_TICKS = 40  # mechanical ends lie this far inside the recorded range
BAUD = {0: 1_000_000, 1: 500_000, 4: 115_200, 5: 57_600, 6: 38_400}
BITS_PER_BYTE = 10
STEP_S = 0.004
LONGEST_CATCH_UP = 50  # steps
SILENCE_S = 0.001  # after which half a packet is forgotten


def arm(start_shares: Sequence[float] | None = None) -> tuple[list[Servo], FirstOrderArm]:
    """Return the servos of one calibrated arm and its joints.

    Args:
        start_shares: where each joint stands in its range, 0 lowest to 1 highest; None: folded.
    """
    shares = start_shares or FOLDED
    servos, positions, stops = [], [], []
    for number, ((offset, low, high), share) in enumerate(zip(EXAMPLE, shares, strict=True)):
        servos.append(Servo(id=number + 1, offset=offset, lowest=low, highest=high))
        first, last = low + offset + STOP_TICKS, high + offset - STOP_TICKS
        positions.append(first + share * (last - first))
        stops.append((float(first), float(last)))
    return servos, FirstOrderArm(positions, stops, WEIGHTS)


class Emulator:
    """Six servos behind a pseudo-terminal. Use as a context manager; thread-safe.

    Args:
        servos: on the bus; the first ones move the plant's joints, others are only heard.
        plant: what they move.
        link: where the port appears; None: only under the terminal's own name.
    """

    def __init__(
        self,
        servos: Sequence[Servo] | None = None,
        plant: Plant | None = None,
        faults: Faults | None = None,
        link: Path | None = None,
    ) -> None:
        own_servos, own_plant = arm()
        self.servos = list(servos or own_servos)
        self.plant: Plant = plant or own_plant
        self.faults = faults or Faults()
        self.truth = Truth(len(self.plant.positions))
        self._line = Line(self.servos, self.faults)
        self._terminal = Terminal(link)
        self._lock = threading.Lock()
        self._is_running = True
        self._lived_to_ns = time.monotonic_ns()
        self._taken = 0
        self._measure(STEP_S)
        self._thread = threading.Thread(target=self._run, name="emulator", daemon=True)
        self._thread.start()

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> str:
        """Path that the host opens."""
        return self._terminal.path

    def positions(self) -> list[float]:
        """Where the joints are [ticks after the homing offset]."""
        with self._lock:
            return self._positions()

    def unplug(self) -> None:
        """Pull the adapter out of the host; the servos keep their power."""
        with self._lock:
            self._terminal.unplug()

    def plug(self) -> None:
        """Put it back; the path is the same only with a link."""
        with self._lock:
            self._terminal.plug()

    def power(self, is_on: bool) -> None:
        """Switch the servos' supply; they come back without torque."""
        with self._lock:
            for servo in self.servos:
                if is_on:
                    servo.restart()
                servo.is_powered = is_on

    def close(self) -> None:
        """End."""
        self._is_running = False
        self._thread.join(2.0)
        self._terminal.unplug()

    def _run(self) -> None:
        heard_s = time.monotonic()
        while self._is_running:
            if not self._terminal.is_plugged:
                time.sleep(STEP_S)
                with self._lock:
                    self._live()
                continue
            data = self._listen()
            now_s = time.monotonic()
            with self._lock:
                self._live()
                if now_s - heard_s > SILENCE_S:
                    self._line.silence()
                delay_s, answer = self._hear(data)
            if data:
                heard_s = now_s
            self._answer(now_s + delay_s, answer)

    def _listen(self) -> bytes:
        try:
            return self._terminal.read(STEP_S)
        except (OSError, ValueError):
            return b""  # unplugged meanwhile

    def _hear(self, data: bytes) -> tuple[float, bytes]:
        if not data or not self._terminal.is_plugged:
            return 0.0, b""
        if self._terminal.baud_rate != BAUD.get(self.servos[0].memory.get("baud")):
            return 0.0, b""  # noise to the servos
        delay_s, answer = self._line.hear(data)
        self._note_goals()
        on_line_s = (len(data) + len(answer)) * BITS_PER_BYTE / self._terminal.baud_rate
        return delay_s + on_line_s, answer

    def _answer(self, due_s: float, answer: bytes) -> None:
        if not answer:
            return
        time.sleep(max(0.0, due_s - time.monotonic()))
        with self._lock:
            if self._terminal.is_plugged:
                self._terminal.write(answer)

    def _note_goals(self) -> None:
        taken = sum(servo.goals_taken for servo in self.servos)
        if taken != self._taken:
            self._taken = taken
            joints = self.servos[: self.truth.joints]
            self.truth.told(time.monotonic_ns(), [servo.memory.get("goal") for servo in joints])

    def _live(self) -> None:
        """Let the joints move up to now; what a starved machine missed is given up."""
        now_ns, step_ns = time.monotonic_ns(), int(STEP_S * 1e9)
        missed = (now_ns - self._lived_to_ns) // step_ns - LONGEST_CATCH_UP
        if missed > 0:
            self._lived_to_ns += missed * step_ns
        begin_ns = self._lived_to_ns
        joints = self.servos[: self.truth.joints]
        while self._lived_to_ns + step_ns <= now_ns:
            self.plant.step([servo.drive() for servo in joints], STEP_S)
            self._lived_to_ns += step_ns
            self.truth.moved(self._lived_to_ns, self._positions())
        if self._lived_to_ns > begin_ns:
            self._measure((self._lived_to_ns - begin_ns) / 1e9)

    def _measure(self, seconds: float) -> None:
        plant = self.plant
        sensors = zip(self.servos, plant.positions, plant.speeds, plant.loads, strict=False)
        for servo, position, speed, load in sensors:
            servo.measure(position, speed, load, seconds)

    def _positions(self) -> list[float]:
        pairs = zip(self.servos, self.plant.positions, strict=False)
        return [position - servo.memory.get("offset") for servo, position in pairs]
