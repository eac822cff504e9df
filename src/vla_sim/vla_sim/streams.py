"""Which stream of a contract the scene can fill with what, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract, ImageStream, StateStream
from vla_core.errors import MismatchError


@dataclass(frozen=True, eq=False)
class Streams:
    """What the simulated robot publishes, and how contract columns become servos."""

    cameras: Mapping[str, ImageStream]  # camera -> stream
    joints: Mapping[str, StateStream]  # stream's name -> stream, filled from the encoders
    objects: StateStream | None  # true poses; None: the contract has no such stream
    servos: NDArray[np.intp]  # servo -> contract column

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every picture [px]; (240, 320) without a camera."""
        sizes = {(stream.height_px, stream.width_px) for stream in self.cameras.values()}
        return sizes.pop() if sizes else (240, 320)


def match_streams(
    contract: Contract, cameras: Sequence[str], joints: Sequence[str], objects: Sequence[str]
) -> Streams:
    """Return who fills what.

    Args:
        cameras, joints, objects: names of the scene's cameras, servos and object entries.

    Raises:
        MismatchError: the scene lacks something that the contract names; lists all of it.
    """
    mistakes = [
        f"the contract has camera '{name}', the scene has {list(cameras)}"
        for name in contract.observation.images
        if name not in cameras
    ]
    sizes = {(s.height_px, s.width_px) for s in contract.observation.images.values()}
    if len(sizes) > 1:
        mistakes.append(f"the scene renders all cameras in one size, the contract has {sizes}")
    if sorted(contract.columns) != sorted(joints):
        mistakes.append(f"expected action columns {list(joints)}, found {list(contract.columns)}")
    encoders, poses = {}, None
    for name, stream in contract.observation.state.items():
        if set(stream.entries) <= set(joints):
            encoders[name] = stream
        elif set(stream.entries) <= set(objects):
            poses = stream
        else:
            unknown = [e for e in stream.entries if e not in {*joints, *objects}]
            mistakes.append(f"state stream '{name}' has entries that nothing measures: {unknown}")
    if mistakes:
        raise MismatchError(f"robot '{contract.robot}' in this scene: " + "; ".join(mistakes))
    servos = np.array([contract.columns.index(name) for name in joints])
    return Streams(dict(contract.observation.images), encoders, poses, servos)
