"""``vla doctor``: checks this machine; each line is ok or a problem with what to do."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.markup import escape

from vla_bringup import checks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""


def main(arguments: argparse.Namespace) -> int:
    """Run every check, whatever the others found; 0 if all is well."""
    console = Console(highlight=False)
    problems = 0
    for check in checks.ALL:
        try:
            for finding in check():
                problems += not finding.is_ok
                _show(console, finding)
        except Exception as error:  # a check that fails must not hide the ones after it
            problems += 1
            _show(console, checks.Finding(check.__name__, False, f"{error}", "see above"))
    console.print("all is well" if not problems else f"[red]{problems} problem(s)[/]")
    return 0 if not problems else 1


def _show(console: Console, finding: checks.Finding) -> None:
    sign = "[green]ok     [/]" if finding.is_ok else "[red]problem[/]"
    console.print(f"{sign}  {finding.what:<24} {escape(finding.text)}", soft_wrap=True)
    if not finding.is_ok and finding.advice:
        console.print(f"{'':9}{'':<24} [yellow]{escape(finding.advice)}[/]", soft_wrap=True)
