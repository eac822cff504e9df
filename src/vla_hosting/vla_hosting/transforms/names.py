"""Other names for the same things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from vla_core.ports import PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.transforms.chain import Unchanged

T = TypeVar("T")


@dataclass(frozen=True)
class Rename(Unchanged):
    """Streams and columns: the policy's name -> the contract's. What is not named keeps its name.

    State entries are renamed like columns, since both are the robot's joints.
    """

    streams: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)

    def outside(self, spec: PolicySpec) -> PolicySpec:
        return replace(
            spec,
            images=self._outside(spec.images),
            state={
                name: self._names(entries) for name, entries in self._outside(spec.state).items()
            },
            columns=self._names(spec.columns),
        )

    def observation(self, observation: Observation) -> Observation:
        return replace(
            observation,
            images=self._inside(observation.images),
            state=self._inside(observation.state),
            ages_ns=self._inside(observation.ages_ns),
        )

    def chunk(self, chunk: ActionChunk, observation: Observation) -> ActionChunk:
        return replace(chunk, columns=self._names(chunk.columns))

    def _outside(self, streams: Mapping[str, T]) -> dict[str, T]:
        return {self.streams.get(name, name): value for name, value in streams.items()}

    def _inside(self, streams: Mapping[str, T]) -> dict[str, T]:
        # One stream of the robot may be two inputs of the policy, hence from the policy's side.
        renamed = {
            theirs: streams[ours] for theirs, ours in self.streams.items() if ours in streams
        }
        kept = {name: streams[name] for name in streams if name not in self.streams.values()}
        return {**kept, **renamed}

    def _names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.columns.get(name, name) for name in names)


@dataclass(frozen=True)
class Reorder(Unchanged):
    """Columns in the contract's order, of a policy that gives them in another."""

    order: tuple[str, ...]  # outside
    inside: tuple[str, ...]

    def outside(self, spec: PolicySpec) -> PolicySpec:
        units = dict(zip(spec.columns, spec.units, strict=True))
        return replace(spec, columns=self.order, units=tuple(units[name] for name in self.order))

    def prefix(self, prefix: Prefix, observation: Observation) -> Prefix:
        index = [self.order.index(name) for name in self.inside]
        return replace(prefix, values=prefix.values[:, index])

    def chunk(self, chunk: ActionChunk, observation: Observation) -> ActionChunk:
        index = [chunk.columns.index(name) for name in self.order]
        return replace(chunk, values=chunk.values[:, index], columns=self.order)


@dataclass(frozen=True)
class Identity(Unchanged):
    """Gives a policy the name of its file, and units where it cannot say them itself."""

    name: str
    units: Mapping[str, str]  # column -> unit of the contract

    def outside(self, spec: PolicySpec) -> PolicySpec:
        units = tuple(
            unit or self.units.get(column, "")
            for column, unit in zip(spec.columns, spec.units, strict=True)
        )
        return replace(spec, name=self.name, units=units)
