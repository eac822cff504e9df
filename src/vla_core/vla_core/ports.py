"""What the stack asks of a policy. Implemented by the adapters of `vla_hosting`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from vla_core.errors import MismatchError
from vla_core.types import ActionChunk, Observation, Prefix

# Key of PolicySpec.metadata: an instruction that the policy understands, for its example.
EXAMPLE_INSTRUCTION = "example_instruction"


@dataclass(frozen=True)
class ImageSpec:
    """An image that a policy takes, as the robot delivers it: the policy resizes by itself."""

    height: int  # 0: any
    width: int  # 0: any


@dataclass(frozen=True)
class PolicySpec:
    """What a policy takes and gives, in the words of the robot's contract.

    Columns, units and streams are those after the policy's own conversions: absolute, SI, named
    as in the contract of the robot it is configured for.
    """

    name: str
    images: Mapping[str, ImageSpec]  # stream -> size
    state: Mapping[str, tuple[str, ...]]  # stream -> entries in order
    columns: tuple[str, ...]
    units: tuple[str, ...]  # one per column: "rad", "m", "rad/s", "m/s"
    horizon: int  # rows per chunk, T
    step_ns: int  # time between rows
    robot: str = ""  # robot it was trained for; empty: any that fits
    accepts_prefix: bool = False
    has_correction: bool = False
    parameters: int = 0  # 0: not known
    metadata: Mapping[str, str] = field(default_factory=dict)

    def example(self) -> Observation:
        """Return an observation of the right shape, for warm-up."""
        return Observation(
            as_of_ns=0,
            images={
                name: np.zeros((spec.height or 240, spec.width or 320, 3), np.uint8)
                for name, spec in self.images.items()
            },
            state={name: np.zeros(len(entries)) for name, entries in self.state.items()},
            instruction=self.metadata.get(EXAMPLE_INSTRUCTION, "warm up"),
        )

    def validate(self, observation: Observation) -> None:
        """Check that an observation has what the policy takes.

        Raises:
            MismatchError: a stream is missing or has another size.
        """
        for name, spec in self.images.items():
            image = observation.images.get(name)
            if image is None:
                raise MismatchError(
                    f"policy '{self.name}' expects image '{name}', "
                    f"the observation has {sorted(observation.images)}"
                )
            expected = (spec.height or image.shape[0], spec.width or image.shape[1], 3)
            if image.shape != expected or image.dtype != np.uint8:
                raise MismatchError(
                    f"policy '{self.name}': image '{name}' expected {expected} uint8, "
                    f"got {image.shape} {image.dtype}"
                )
        for name, entries in self.state.items():
            values = observation.state.get(name)
            if values is None or values.shape != (len(entries),):
                found = "nothing" if values is None else f"shape {values.shape}"
                raise MismatchError(
                    f"policy '{self.name}': state '{name}' expected {len(entries)} entries "
                    f"{list(entries)}, got {found}"
                )


@runtime_checkable
class Policy(Protocol):
    """Turns observations into chunks; knows no ROS and no executor.

    ``infer`` and ``reset`` are called from one thread only, the one that hosts the policy.
    """

    @property
    def spec(self) -> PolicySpec:
        """What this policy takes and gives."""
        ...

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        """Return the chunk for one observation; ``start_ns`` is ``observation.as_of_ns``.

        Raises:
            InferenceError: no chunk can be given, with the reason.
        """
        ...

    def reset(self) -> None:
        """Forget the running episode."""
        ...

    def close(self) -> None:
        """Release what the policy holds (process, connection, device)."""
        ...
