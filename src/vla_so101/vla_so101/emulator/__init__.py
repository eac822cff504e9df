"""Six STS3215 servos on a pseudo-terminal, written from the datasheet's facts.

Shares no code with the driver, so that a wrong address or sign in one is seen by the other; a
test looks at the imports. Needs neither ROS nor pyserial.
"""

from vla_so101.emulator.emulator import Emulator
from vla_so101.emulator.faults import Faults

__all__ = ["Emulator", "Faults"]
