"""Scripted policies of the mocks that refuse to work without a camera, as learned ones do."""

from __future__ import annotations

from dataclasses import replace

from vla_core.ports import ImageSpec, PolicySpec
from vla_go2_arm.patrol import PatrolPolicy
from vla_hsr.sway import Sway


class WatchfulSway(Sway):
    """The HSR's sway, with an eye on the hand's camera."""

    @property
    def spec(self) -> PolicySpec:
        return replace(super().spec, images={"hand": ImageSpec(480, 640)})


class WatchfulPatrol(PatrolPolicy):
    """The Go2's patrol, with an eye on the front camera."""

    @property
    def spec(self) -> PolicySpec:
        return replace(super().spec, name="watchful", images={"front": ImageSpec(240, 320)})
