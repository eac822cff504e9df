"""One line of progress: redrawn on a terminal, one print per change of mode elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from vla_bringup.cli.common import mode, mode_markup
from vla_bringup.client import Progress


class ProgressLine:
    """Shows mode, seconds and policy of a running task. Use as a context manager."""

    def __init__(self, console: Console, title: str = "") -> None:
        self._console = console
        self._title = f"{title}  " if title else ""
        self._status = Status("waiting for the router", console=console)
        self._last = -1

    def update(self, progress: Progress) -> None:
        """Show the newest feedback."""
        if self._console.is_terminal:
            self._status.update(f"{escape(self._title)}{_line(progress)}")
        elif progress.mode != self._last:
            self._console.print(
                f"{self._title}{progress.elapsed_s:5.1f} s  {mode(progress.mode)}: "
                f"{progress.reason}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        self._last = progress.mode

    def finish(self, text: str) -> None:
        """Replace the line by a last sentence."""
        self._status.stop()
        self._console.print(f"{self._title}{text}", markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> ProgressLine:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()


def _line(progress: Progress) -> str:
    reason = "" if progress.mode == 2 else f"  [dim]{escape(progress.reason)}[/]"
    return (
        f"{progress.elapsed_s:5.1f} s  {mode_markup(progress.mode)}  {escape(progress.policy)}  "
        f"{progress.chunks} chunks{reason}"
    )
