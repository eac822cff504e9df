"""Finds the order of inputs in which the recorded commands come out again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from vla_core.contract import Contract, parse_contract
from vla_data.recording import Recording
from vla_data.replay.outcome import Replay
from vla_data.replay.script import Script, Times
from vla_data.robot import merge_texts

MOVES = (-1, 1, -2, 2, -3, 3, -4, 4)  # half ticks: before which tick, and how long before it
MOST_RUNS = 400
AHEAD = 12  # commands that must agree after a difference before a move is taken for right


def replay(
    recording: Recording | Path, contract: Contract | None = None, tolerance: float = 0.0
) -> Replay:
    """Run the core on a recording.

    Args:
        recording: a bag, or what was read of it.
        contract: another than the recorded one, to see what it changes.
        tolerance: by how much a number may differ; 0: not by a bit. For a bag of another machine,
            whose libm and numpy may round otherwise.

    Raises:
        ConfigurationError: the bag lacks the contract or the policy's file.
    """
    if isinstance(recording, Path):
        recording = Recording(recording)
    if contract is None:
        contract = parse_contract(merge_texts(recording.texts["contract"]), "recorded contract")
    script = Script(recording, contract, tolerance)
    offsets: Times = np.zeros(len(script.inputs), np.int64)
    best = script.run(offsets)
    runs = 1
    while best.difference is not None and runs < MOST_RUNS:
        better, tried, moved = _repaired(script, offsets, best)
        runs += tried
        if better is None:
            break
        best, offsets = better, moved
    return replace(best, moved=int(np.count_nonzero(offsets)))


def _repaired(script: Script, offsets: Times, best: Replay) -> tuple[Replay | None, int, Times]:
    """Return the best run with one input near the difference moved, if it gets further."""
    assert best.difference is not None
    found: tuple[Replay | None, Times] = (None, offsets)
    reached, tried = best.difference.stamp_ns, 0
    for number in script.near(best.difference.stamp_ns, offsets):
        for move in MOVES:
            other = offsets.copy()
            other[number] += move
            outcome = script.run(other, limit=best.compared + AHEAD)
            tried += 1
            if outcome.difference is None:
                return script.run(other), tried + 1, other
            if outcome.difference.stamp_ns > reached:
                reached, found = outcome.difference.stamp_ns, (outcome, other)
    return found[0], tried, found[1]
