"""The one error of tools/: a sentence for the person at the terminal, never a traceback."""

from __future__ import annotations


class Refusal(Exception):
    """Why the script cannot go on, and what to install or do about it."""
