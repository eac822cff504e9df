"""What every bridge decides: who commands, how long silence may last, where to be now."""

from vla_core.bridge.authority import Authority
from vla_core.bridge.playback import TrajectoryPlayer
from vla_core.bridge.watchdog import Watchdog

__all__ = ["Authority", "TrajectoryPlayer", "Watchdog"]
