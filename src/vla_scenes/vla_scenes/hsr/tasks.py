"""What the HSR can be told: fetch one of three cans, or open one of two drawers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vla_scenes.tasks import InstructionError

CANS = ("red", "green", "blue")
DRAWERS = ("top", "bottom")
_COLOURS = {"red": CANS[0], "green": CANS[1], "blue": CANS[2]}
_HEIGHTS = {"top": DRAWERS[0], "upper": DRAWERS[0], "bottom": DRAWERS[1], "lower": DRAWERS[1]}

FETCH = (
    "fetch the {} can",
    "bring me the {} can",
    "take the {} can from the table",
    "pick up the {} can and bring it here",
)
OPEN = (
    "open the {} drawer",
    "pull the {} drawer open",
    "please open the {} drawer of the cabinet",
)


@dataclass(frozen=True)
class Task:
    """Fetch a can (``can`` is its colour) or open a drawer; the other is empty."""

    can: str = ""
    drawer: str = ""

    @property
    def instruction(self) -> str:
        """The plain wording."""
        return self.wordings()[0]

    def wordings(self) -> tuple[str, ...]:
        """Return every way this task is said."""
        return tuple(t.format(self.can or self.drawer) for t in (FETCH if self.can else OPEN))


TASKS = tuple(Task(can=can) for can in CANS) + tuple(Task(drawer=drawer) for drawer in DRAWERS)


def parse(instruction: str) -> Task:
    """Return the task of an instruction in any wording that names one can or one drawer.

    Raises:
        InstructionError: none is named, or several.
    """
    words = re.findall(r"[a-z]+", instruction.lower())
    cans = sorted({_COLOURS[word] for word in words if word in _COLOURS})
    drawers = sorted({_HEIGHTS[word] for word in words if word in _HEIGHTS})
    if len(cans) == 1 and not drawers and "can" in words and "drawer" not in words:
        return Task(can=cans[0])
    if len(drawers) == 1 and not cans and "drawer" in words and "can" not in words:
        return Task(drawer=drawers[0])
    raise InstructionError(
        f"instruction '{instruction}' must name one can of {list(CANS)} or one drawer of "
        f"{list(DRAWERS)}; found {cans} and {drawers}. Say for example '{TASKS[0].instruction}' "
        f"or '{TASKS[-1].instruction}'."
    )
