"""What the Go2 with an arm can be told: walk to one of three cubes and lift it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vla_scenes.tasks import CUBES, InstructionError

TEMPLATES = (
    "go to the {} cube and lift it",
    "walk to the {} cube and pick it up",
    "approach the {} cube and lift it up",
    "pick up the {} block",
    "lift the {} cube from the table",
)


@dataclass(frozen=True)
class Task:
    """Approach one cube and lift it."""

    cube: str  # colour, one of CUBES

    @property
    def instruction(self) -> str:
        """The plain wording."""
        return self.wordings()[0]

    def wordings(self) -> tuple[str, ...]:
        """Return every way this task is said."""
        return tuple(template.format(self.cube) for template in TEMPLATES)


TASKS = tuple(Task(cube) for cube in CUBES)


def parse(instruction: str) -> Task:
    """Return the task of an instruction in any wording that names one cube.

    Raises:
        InstructionError: none is named, or several.
    """
    words = re.findall(r"[a-z]+", instruction.lower())
    cubes = sorted({word for word in words if word in CUBES})
    if len(cubes) != 1 or not {"cube", "block"} & set(words):
        raise InstructionError(
            f"instruction '{instruction}' must name one cube of {list(CUBES)}; found {cubes}. "
            f"Say for example '{TASKS[0].instruction}'."
        )
    return Task(cubes[0])
