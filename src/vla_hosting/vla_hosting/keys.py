"""Under which keys of openpi's flat observation a policy's streams travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vla_core.errors import ConfigurationError
from vla_core.ports import PolicySpec

PROMPT = "prompt"


@dataclass(frozen=True)
class ObservationKeys:
    """Stream -> key of the flat observation dict.

    Several state streams under one key are joined there, in the order of ``state``.
    """

    images: Mapping[str, str]
    state: Mapping[str, str]
    prompt: str = PROMPT

    @classmethod
    def of(cls, spec: PolicySpec) -> ObservationKeys:
        """Return the keys used where nobody asks for others."""
        return cls(
            images={name: f"observation/images/{name}" for name in spec.images},
            state={name: f"observation/state/{name}" for name in spec.state},
        )

    @classmethod
    def from_wire(cls, value: Mapping[str, Any]) -> ObservationKeys:
        """Read what `to_wire` wrote."""
        return cls(dict(value["images"]), dict(value["state"]), str(value["prompt"]))

    def to_wire(self) -> dict[str, Any]:
        """Return the keys as a dict of plain values."""
        return {"images": dict(self.images), "state": dict(self.state), "prompt": self.prompt}

    def check(self, spec: PolicySpec) -> None:
        """Check that each stream the policy takes has a key.

        Raises:
            ConfigurationError: a stream has none; all of them at once.
        """
        missing = [
            f"{kind} '{name}'"
            for kind, taken, known in (
                ("image", spec.images, self.images),
                ("state", spec.state, self.state),
            )
            for name in taken
            if name not in known
        ]
        if missing:
            raise ConfigurationError(
                f"policy '{spec.name}': no key of the openpi observation for "
                f"{', '.join(missing)}. Add it under 'openpi' in the policy file."
            )
