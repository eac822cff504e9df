"""Policies that only tests need, loaded as ``scripted:policies:...`` by the policy node."""

from __future__ import annotations

from dataclasses import replace

from vla_core.ports import ImageSpec, PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_scenes.expert import TabletopExpert


class WatchfulExpert(TabletopExpert):
    """The expert, but like a learned policy it refuses to work without its cameras."""

    @property
    def spec(self) -> PolicySpec:
        size = ImageSpec(240, 320)
        return replace(super().spec, name="watchful", images={"front": size, "wrist": size})

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        blind = replace(observation, images={})
        return TabletopExpert().infer(blind, prefix)
