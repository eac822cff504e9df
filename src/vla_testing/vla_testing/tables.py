"""Tables in pages of ``docs/`` that tests and benchmarks write, each between two marks.

A page holds ``<!-- made by MAKER -->`` and, later, ``<!-- end -->``; what stands between them is
replaced. Everything around them is written by people.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from vla_core.errors import ConfigurationError

END = "<!-- end -->"
# Names the page to which tests of safe stops write; relative to the root of the checkout.
STOPS_TABLE = "VLA_STOPS_TABLE"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; a bar inside a cell becomes a slash."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(c.replace('|', '/') for c in line)} |" for line in lines)


def has_place(page: Path, maker: str) -> bool:
    """Return whether a page has the marks of a maker."""
    _, mark, after = page.read_text().partition(_mark(maker)) if page.is_file() else ("", "", "")
    return bool(mark) and END in after


def write_table(page: Path, maker: str, text: str) -> None:
    """Put a table into its page, between the marks of its maker, with date and machine.

    Raises:
        ConfigurationError: the page has no such marks.
    """
    if not has_place(page, maker):
        raise ConfigurationError(
            f"{page}: expected the lines '{_mark(maker)}' and '{END}', where the table goes"
        )
    before, mark, rest = page.read_text().partition(_mark(maker))
    _, end, after = rest.partition(END)
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    where = f"Made {made} on {platform.machine()}, Python {platform.python_version()}."
    page.write_text(f"{before}{mark}\n{where}\n\n{text}\n{end}{after}")


def _mark(maker: str) -> str:
    return f"<!-- made by {maker} -->"


@dataclass
class SafeStops:
    """How long after each event a robot was at rest, and how long it may take [s].

    Made once per test file; ``maker`` is that file, and the mark of its table. Of an event that
    happens several times the slowest counts.
    """

    maker: str
    figures: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def judge(self, event: str, part: str, took_s: float, allowed_s: float) -> None:
        """Note one figure, print it, and assert that it is allowed."""
        slowest = self.figures.get((event, part))
        if slowest is None or not took_s <= slowest[0]:  # NaN: never at rest
            self.figures[event, part] = took_s, allowed_s
        said = f"{event}: {part} at rest after {took_s:.2f} s, allowed {allowed_s:.2f} s"
        print(said)
        assert took_s <= allowed_s, said

    def write(self, root: Path) -> None:
        """Write the table if `STOPS_TABLE` in the environment names its page."""
        page = os.environ.get(STOPS_TABLE)
        if page and self.figures:
            head = ("What happens", "Part", "At rest after [s]", "Allowed [s]", "In time")
            rows = [
                (*key, f"{took:.2f}", f"{allowed:.2f}", "yes" if took <= allowed else "**no**")
                for key, (took, allowed) in self.figures.items()
            ]
            write_table(root / page, self.maker, table(head, rows))
