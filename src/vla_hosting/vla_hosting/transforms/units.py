"""Units of policies: degrees, and LeRobot's normalised ranges, to SI and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import ACTION_MAX, ACTION_MIN
from vla_core.errors import ConfigurationError, MismatchError
from vla_core.ports import PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting.transforms.chain import Unchanged

DEGREES = {"rad": "deg", "rad/s": "deg/s"}  # SI -> what `deg` means for it


@dataclass(frozen=True)
class Unit:
    """A policy's value is ``scale * si + offset``."""

    name: str  # "deg" or "normalised"
    scale: float
    offset: float = 0.0

    def fits(self, theirs: str, si: str) -> bool:
        """Whether a policy that says ``theirs`` (empty: nothing) gives this unit of ``si``."""
        if self.name == "deg":
            return theirs in ("", "deg", DEGREES.get(si))
        return theirs in ("", self.name)


def parse_unit(value: str | Mapping[str, float]) -> Unit:
    """Read one entry of ``units`` in a policy file.

    Either ``deg``, or a normalised range: ``{low, high}`` are the SI values at ``policy_low``
    (default -100) and ``policy_high`` (default 100).

    Raises:
        ConfigurationError: neither.
    """
    if isinstance(value, str):
        if value != "deg":
            raise ConfigurationError(f"expected 'deg' or {{low, high}} in SI, got {value!r}")
        return Unit("deg", math.degrees(1.0))
    known = {"low", "high", "policy_low", "policy_high"}
    if not {"low", "high"} <= set(value) <= known:
        raise ConfigurationError(
            f"expected low and high [SI], optionally policy_low and policy_high, got {dict(value)}"
        )
    low, high = value["low"], value["high"]
    policy_low, policy_high = value.get("policy_low", -100.0), value.get("policy_high", 100.0)
    if low == high or policy_low == policy_high:
        raise ConfigurationError(f"expected a range that is not empty, got {dict(value)}")
    scale = (policy_high - policy_low) / (high - low)
    return Unit("normalised", scale, policy_low - scale * low)


@dataclass(frozen=True)
class Affine(Unchanged):
    """State entries and columns of these names are in another unit inside."""

    units: Mapping[str, Unit]  # name -> unit
    columns: tuple[str, ...]
    si: tuple[str, ...]  # unit of each column outside
    entries: Mapping[str, tuple[str, ...]]  # state stream -> entries

    def outside(self, spec: PolicySpec) -> PolicySpec:
        for name, theirs, si in zip(spec.columns, spec.units, self.si, strict=True):
            unit = self.units.get(name)
            if unit is not None and not unit.fits(theirs, si):
                raise MismatchError(
                    f"policy '{spec.name}': units.{name} says '{unit.name}', but the policy "
                    f"itself says '{theirs}'. Delete the line, or use another policy."
                )
        units = tuple(
            si if name in self.units else theirs
            for name, theirs, si in zip(spec.columns, spec.units, self.si, strict=True)
        )
        return replace(spec, units=units, metadata=self._statistics(spec.metadata))

    def observation(self, observation: Observation) -> Observation:
        state = {
            name: self._inside(values, self.entries[name]) if name in self.entries else values
            for name, values in observation.state.items()
        }
        return replace(observation, state=state)

    def prefix(self, prefix: Prefix, observation: Observation) -> Prefix:
        return replace(prefix, values=self._inside(prefix.values, self.columns))

    def chunk(self, chunk: ActionChunk, observation: Observation) -> ActionChunk:
        return replace(chunk, values=self._outside(chunk.values, chunk.columns))

    def _inside(self, values: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
        scale, offset = self._factors(names)
        return np.asarray(values * scale + offset, np.float64)

    def _outside(self, values: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
        scale, offset = self._factors(names)
        return np.asarray((values - offset) / scale, np.float64)

    def _factors(self, names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        same = Unit("", 1.0)
        units = [self.units.get(name, same) for name in names]
        return np.array([unit.scale for unit in units]), np.array([unit.offset for unit in units])

    def _statistics(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """Return the metadata with the training data's ranges in SI as well."""
        converted = dict(metadata)
        for key in (ACTION_MIN, ACTION_MAX):
            if key in metadata:
                values = np.array(json.loads(metadata[key]), np.float64)
                converted[key] = json.dumps(self._outside(values, self.columns).tolist())
        return converted
