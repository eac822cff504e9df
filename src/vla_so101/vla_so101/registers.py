"""Registers of the STS3215: where they are, how wide, how signed.

Signed values are sign and magnitude, not two's complement: one bit says negative. Only what the
driver uses is listed.

Source: memory table of the STS3215 (protocol 0), lerobot:src/lerobot/motors/feetech/tables.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from vla_core.errors import ConfigurationError

MODEL_NUMBER_STS3215 = 777
TICKS_PER_TURN = 4096
EEPROM_END = 40  # addresses below keep their values without power
VOLT_PER_UNIT = 0.1
AMPERE_PER_UNIT = 0.0065
LOAD_PER_UNIT = 0.001  # share of the largest torque
BAUD_RATES = {0: 1_000_000, 1: 500_000, 2: 250_000, 3: 128_000, 4: 115_200, 5: 57_600, 6: 38_400}


@dataclass(frozen=True)
class Register:
    """One value in a servo's memory, little-endian."""

    name: str
    address: int
    size: int
    sign_bit: int | None = None

    @property
    def end(self) -> int:
        """First address after it."""
        return self.address + self.size

    def encode(self, value: int) -> bytes:
        """Return the bytes to write.

        Raises:
            ConfigurationError: the value does not fit.
        """
        bits = 8 * self.size if self.sign_bit is None else self.sign_bit
        magnitude = abs(value)
        if magnitude >= 1 << bits or (value < 0 and self.sign_bit is None):
            low = 0 if self.sign_bit is None else -((1 << bits) - 1)
            raise ConfigurationError(
                f"register '{self.name}': expected {low} to {(1 << bits) - 1}, got {value}"
            )
        sign = 1 << bits if value < 0 else 0
        return (magnitude | sign).to_bytes(self.size, "little")

    def decode(self, data: bytes) -> int:
        """Return the value of its bytes."""
        raw = int.from_bytes(data, "little")
        if self.sign_bit is None:
            return raw
        magnitude = raw & ((1 << self.sign_bit) - 1)
        return -magnitude if raw >> self.sign_bit & 1 else magnitude

    def pick(self, block: bytes, begin: int) -> int:
        """Return the value out of a block of memory that begins at address ``begin``."""
        return self.decode(block[self.address - begin : self.end - begin])


# Kept without power.
FIRMWARE = Register("Firmware_Version", 0, 2)
MODEL_NUMBER = Register("Model_Number", 3, 2)
ID = Register("ID", 5, 1)
BAUD_RATE = Register("Baud_Rate", 6, 1)
RETURN_DELAY = Register("Return_Delay_Time", 7, 1)  # [2 us]
MIN_POSITION = Register("Min_Position_Limit", 9, 2)
MAX_POSITION = Register("Max_Position_Limit", 11, 2)
MAX_TORQUE = Register("Max_Torque_Limit", 16, 2)
P_GAIN = Register("P_Coefficient", 21, 1)
D_GAIN = Register("D_Coefficient", 22, 1)
I_GAIN = Register("I_Coefficient", 23, 1)
PROTECTION_CURRENT = Register("Protection_Current", 28, 2)
HOMING_OFFSET = Register("Homing_Offset", 31, 2, sign_bit=11)
OPERATING_MODE = Register("Operating_Mode", 33, 1)
OVERLOAD_TORQUE = Register("Overload_Torque", 36, 1)

# Lost without power.
TORQUE_ENABLE = Register("Torque_Enable", 40, 1)
ACCELERATION = Register("Acceleration", 41, 1)
GOAL_POSITION = Register("Goal_Position", 42, 2, sign_bit=15)
GOAL_TIME = Register("Goal_Time", 44, 2)
GOAL_VELOCITY = Register("Goal_Velocity", 46, 2, sign_bit=15)
TORQUE_LIMIT = Register("Torque_Limit", 48, 2)
LOCK = Register("Lock", 55, 1)  # 0: what is written below EEPROM_END is kept without power
PRESENT_POSITION = Register("Present_Position", 56, 2, sign_bit=15)
PRESENT_VELOCITY = Register("Present_Velocity", 58, 2, sign_bit=15)  # [ticks/s]
PRESENT_LOAD = Register("Present_Load", 60, 2, sign_bit=10)
PRESENT_VOLTAGE = Register("Present_Voltage", 62, 1)
PRESENT_TEMPERATURE = Register("Present_Temperature", 63, 1)  # [degC]
PRESENT_CURRENT = Register("Present_Current", 69, 2, sign_bit=15)
LARGEST_ACCELERATION = Register("Maximum_Acceleration", 85, 1)

# All that changes, in one read: torque, goal, position, velocity, load, voltage, temperature.
STATE_BEGIN, STATE_SIZE = TORQUE_ENABLE.address, PRESENT_CURRENT.end - TORQUE_ENABLE.address

# Error bits of a status packet.
ERRORS = {
    0x01: "voltage",
    0x02: "angle sensor",
    0x04: "overheat",
    0x08: "overcurrent",
    0x20: "overload",
}


def error_names(bits: int) -> list[str]:
    """Return what a status packet's error byte complains of."""
    return [name for bit, name in ERRORS.items() if bits & bit]
