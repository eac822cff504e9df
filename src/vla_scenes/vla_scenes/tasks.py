"""What the tabletop can be told: six tasks, their wordings, and the one place that reads them.

`parse` is what decides success, so a policy and the scene can never disagree about a wording.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vla_core.errors import VlaError

CUBES = ("red", "green", "blue")
PADS = ("yellow", "purple")

TEMPLATES = (
    "put the {cube} cube on the {pad} pad",
    "place the {cube} cube on the {pad} pad",
    "move the {cube} cube to the {pad} pad",
    "pick up the {cube} cube and place it on the {pad} pad",
    "set the {cube} block on the {pad} pad",
    "take the {cube} block and put it on the {pad} square",
    "bring the {cube} cube to the {pad} square",
    "on the {pad} pad, put the {cube} cube",
)


class InstructionError(VlaError):
    """An instruction names no cube and pad of the scene."""


@dataclass(frozen=True)
class Task:
    """Bring one cube onto one pad."""

    cube: str  # colour, one of CUBES
    pad: str  # colour, one of PADS

    @property
    def instruction(self) -> str:
        """The plain wording."""
        return self.wordings()[0]

    def wordings(self) -> tuple[str, ...]:
        """Return every way this task is said in demonstrations."""
        return tuple(t.format(cube=self.cube, pad=self.pad) for t in TEMPLATES)


TASKS = tuple(Task(cube, pad) for cube in CUBES for pad in PADS)


def parse(instruction: str) -> Task:
    """Return the task of an instruction in any wording that names one cube and one pad.

    Raises:
        InstructionError: no colour or several are named for the cube or the pad.
    """
    words = re.findall(r"[a-z]+", instruction.lower())
    cubes = sorted({w for w in words if w in CUBES})
    pads = sorted({w for w in words if w in PADS})
    if len(cubes) != 1 or len(pads) != 1:
        raise InstructionError(
            f"instruction '{instruction}' must name one cube of {list(CUBES)} and one pad of "
            f"{list(PADS)}; found {cubes} and {pads}. Say for example '{TASKS[0].instruction}'."
        )
    return Task(cubes[0], pads[0])
