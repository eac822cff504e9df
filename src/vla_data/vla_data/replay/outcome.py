"""What a replay found, and how one tick's commands are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vla_core.contract import Contract
from vla_core.execution import Command
from vla_data.records import Command as Recorded


@dataclass(frozen=True)
class Difference:
    """The first command that came out otherwise."""

    stamp_ns: int
    what: str

    def __str__(self) -> str:
        return f"at {self.stamp_ns / 1e9:.3f} s: {self.what}"


@dataclass(frozen=True, eq=False)
class Replay:
    """What came out."""

    commands: Sequence[Command]
    compared: int  # recorded commands that came out again, up to the first difference
    recorded: int
    difference: Difference | None  # None: every command is the same
    moved: int  # inputs that were moved by a tick or two

    @property
    def is_exact(self) -> bool:
        """Whether every recorded command came out again."""
        return self.difference is None and self.compared == self.recorded


def difference(
    now_ns: int,
    command: Command | None,
    recorded: Mapping[str, Recorded] | None,
    contract: Contract,
    tolerance: float,
) -> Difference | None:
    """Return how a tick's command differs from those recorded, by output; None: not at all."""
    if command is None or recorded is None:
        if command is None and recorded is None:
            return None
        missing = "no command, recorded was one" if command is None else "a command too many"
        return Difference(now_ns, missing)
    for name, other in recorded.items():
        columns = [contract.columns.index(c) for c in contract.outputs[name].columns]
        for field in ("positions", "velocities", "accelerations"):
            ours, theirs = getattr(command, field)[:, columns], getattr(other, field)
            if ours.shape != theirs.shape:
                return Difference(now_ns, f"{len(ours)} rows, recorded were {len(theirs)}")
            # NaN is within no tolerance.
            if not (np.abs(ours - theirs) <= tolerance).all():
                worst = float(np.abs(ours - theirs).max())
                return Difference(now_ns, f"{field} of '{name}' differ by up to {worst:.3g}")
    return None
