"""Runs the core's executor again on what a bag recorded, and compares the commands.

Inputs are the recorded measurements, chunks, failures and stops at the recorded ticks. A
bag tells when a message arrived at the recorder, not between which two ticks it reached the
executor: where the commands differ, inputs nearby are moved by a tick or two until they agree. So
a faithful core gives every command again, to the last bit; one that decides otherwise cannot.
"""

from vla_data.replay.outcome import Difference, Replay
from vla_data.replay.search import replay

__all__ = ["Difference", "Replay", "replay"]
