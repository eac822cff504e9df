"""A policy that can be told to misbehave while it runs: ``scripted:trouble:TroubledExpert``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from policies import WatchfulExpert

from vla_core.errors import InferenceError
from vla_core.types import ActionChunk, Observation, Prefix

# Names a file whose words say what is wrong now; empty or absent: nothing.
TROUBLE = "VLA_TEST_TROUBLE"


class TroubledExpert(WatchfulExpert):
    """The expert with cameras, and with whatever trouble the test asks for."""

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        chunk = super().infer(observation, prefix)
        what, *how_much = _trouble()
        if what == "slow":
            time.sleep(float(how_much[0]))
        elif what == "fail":
            time.sleep(float(how_much[0]))
            raise InferenceError("told to fail")
        elif what == "nan":
            chunk.values[3, 0] = np.nan  # as a network does: after everything was checked
        return chunk


def _trouble() -> list[str]:
    file = Path(os.environ.get(TROUBLE, "/nonexistent"))
    return (file.read_text().split() if file.is_file() else []) or [""]
