"""Which stream of a contract the scene can fill with what, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract, ImageStream, StateStream
from vla_core.errors import MismatchError


class Abilities(Protocol):
    """What a scene can be commanded and asked; every `vla_scenes.scene.Scene` class has it."""

    columns: tuple[str, ...]
    cameras: tuple[str, ...]
    entries: tuple[str, ...]
    object_entries: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Streams:
    """What the simulated robot publishes, and how contract columns become the scene's."""

    cameras: Mapping[str, ImageStream]  # camera -> stream
    measured: Mapping[str, tuple[str, ...]]  # topic -> entries of its joint state
    objects: StateStream | None  # the truth; None: the contract has no such stream
    order: NDArray[np.intp]  # the scene's column -> contract column

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every picture [px]; (240, 320) without a camera."""
        sizes = {(stream.height_px, stream.width_px) for stream in self.cameras.values()}
        return sizes.pop() if sizes else (240, 320)


def match_streams(contract: Contract, scene: Abilities) -> Streams:
    """Return who fills what.

    Raises:
        MismatchError: the scene lacks something that the contract names; lists all of it.
    """
    mistakes = [
        f"the contract has camera '{name}', the scene has {list(scene.cameras)}"
        for name in contract.observation.images
        if name not in scene.cameras
    ]
    sizes = {(s.height_px, s.width_px) for s in contract.observation.images.values()}
    if len(sizes) > 1:
        mistakes.append(f"the scene renders all cameras in one size, the contract has {sizes}")
    if sorted(contract.columns) != sorted(scene.columns):
        mistakes.append(
            f"expected action columns {list(scene.columns)}, found {list(contract.columns)}"
        )
    measured: dict[str, tuple[str, ...]] = {}
    truth = None
    for name, stream in contract.observation.state.items():
        if set(stream.entries) <= set(scene.entries):
            known = measured.get(stream.topic, ())
            measured[stream.topic] = known + tuple(e for e in stream.entries if e not in known)
        elif set(stream.entries) <= set(scene.object_entries):
            truth = stream
        else:
            unknown = [
                e for e in stream.entries if e not in {*scene.entries, *scene.object_entries}
            ]
            mistakes.append(f"state stream '{name}' has entries that nothing measures: {unknown}")
    if mistakes:
        raise MismatchError(f"robot '{contract.robot}' in this scene: " + "; ".join(mistakes))
    order = np.array([contract.columns.index(name) for name in scene.columns])
    return Streams(dict(contract.observation.images), measured, truth, order)
