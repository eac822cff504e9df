"""Steps that concern the way in alone: images, the choice of state entries, the instruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vla_core.ports import ImageSpec, PolicySpec
from vla_core.types import Observation
from vla_hosting.images import resize_area
from vla_hosting.text import normalise
from vla_hosting.transforms.chain import Unchanged


@dataclass(frozen=True)
class Resize(Unchanged):
    """Gives the policy its images in its own size, whatever the cameras deliver."""

    sizes: Mapping[str, ImageSpec]  # stream -> size inside

    def outside(self, spec: PolicySpec) -> PolicySpec:
        images = {
            name: ImageSpec(0, 0) if name in self.sizes else size
            for name, size in spec.images.items()
        }
        return replace(spec, images=images)

    def observation(self, observation: Observation) -> Observation:
        return replace(
            observation,
            images={
                name: self._resized(name, image) for name, image in observation.images.items()
            },
        )

    def _resized(self, name: str, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        size = self.sizes.get(name)
        return image if size is None else resize_area(image, size.height, size.width)


@dataclass(frozen=True)
class Select(Unchanged):
    """Gives the policy some entries of a state stream, in its own order."""

    stream: str
    entries: tuple[str, ...]  # all of the robot's, in the contract's order
    chosen: tuple[str, ...]  # the policy's

    def outside(self, spec: PolicySpec) -> PolicySpec:
        return replace(spec, state={**spec.state, self.stream: self.entries})

    def observation(self, observation: Observation) -> Observation:
        values = observation.state[self.stream]
        index = [self.entries.index(name) for name in self.chosen]
        return replace(observation, state={**observation.state, self.stream: values[index]})


@dataclass(frozen=True)
class Instruction(Unchanged):
    """Gives the policy the instruction as it was trained: normalised, inside a template."""

    template: str = "{instruction}"
    normalised: bool = True

    def observation(self, observation: Observation) -> Observation:
        text = observation.instruction
        text = normalise(text) if self.normalised else text
        return replace(observation, instruction=self.template.replace("{instruction}", text))
