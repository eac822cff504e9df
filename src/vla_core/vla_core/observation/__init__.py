"""What the robot knows as of one instant: one rule for live, recording, training and replay."""

from vla_core.observation.assembler import ObservationAssembler

__all__ = ["ObservationAssembler"]
