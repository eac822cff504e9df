"""What six servos say of themselves, out of one read of their memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_so101 import registers as reg
from vla_so101.registers import Register

Floats = NDArray[np.float64]

# Register -> how much one unit is, in the order of `ArmState`.
_PARTS: tuple[tuple[Register, float], ...] = (
    (reg.PRESENT_POSITION, 1.0),
    (reg.PRESENT_VELOCITY, 1.0),
    (reg.GOAL_POSITION, 1.0),
    (reg.TORQUE_ENABLE, 1.0),
    (reg.PRESENT_LOAD, reg.LOAD_PER_UNIT),
    (reg.PRESENT_VOLTAGE, reg.VOLT_PER_UNIT),
    (reg.PRESENT_TEMPERATURE, 1.0),
    (reg.PRESENT_CURRENT, reg.AMPERE_PER_UNIT),
)


@dataclass(frozen=True, eq=False)
class ArmState:
    """One reading; arrays (J,) in the arm's order, NaN where a servo did not answer."""

    ticks: Floats  # after the homing offset
    tick_rates: Floats  # [ticks/s]
    goal_ticks: Floats
    torque: Floats  # 1: on
    loads: Floats  # share of the largest torque, signed
    voltages: Floats  # [V]
    temperatures: Floats  # [degC]
    currents: Floats  # [A]

    @property
    def is_complete(self) -> bool:
        """Whether every servo answered."""
        return bool(np.isfinite(self.ticks).all())


def decode(blocks: Mapping[int, bytes], ids: Sequence[int]) -> ArmState:
    """Return the state out of the memory blocks that the servos sent."""
    values = np.full((len(_PARTS), len(ids)), np.nan)
    for column, id_ in enumerate(ids):
        if id_ in blocks:
            values[:, column] = [
                register.pick(blocks[id_], reg.STATE_BEGIN) * unit for register, unit in _PARTS
            ]
    return ArmState(*values)
