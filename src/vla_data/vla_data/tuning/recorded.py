"""What a recording knows: the latency, the shape of the answers and how far they disagree."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vla_core.contract import Contract, parse_contract
from vla_core.errors import ConfigurationError
from vla_data.recording import Recording
from vla_data.records import NS
from vla_data.robot import merge_texts
from vla_data.tuning.latency import Latency, measured
from vla_data.tuning.robot import Setting

WARM_UP = 2  # first answers of a recording, as the executor leaves them out
DISAGREEMENT = 2.0  # of two answers, against the offset of each


def setting_from(path: Path, way_s: float) -> Setting:
    """Return the setting of a recorded run.

    Raises:
        ConfigurationError: no bag, no contract in it, or too few answers.
    """
    recording = Recording(path)
    latency = latency_from(recording)
    chunk = recording.chunks[-1]
    gaps = [state.fields.get("seam_gap", np.nan) for state in recording.states]
    known = [gap for gap in gaps if np.isfinite(gap) and gap > 0]
    offset = {"offset": float(np.median(known)) / DISAGREEMENT} if known else {}
    return Setting(
        contract_from(recording), len(chunk.values), chunk.step_ns, latency, way_s, **offset
    )


def latency_from(recording: Recording) -> Latency:
    """Return the times from request to chunk.

    Raises:
        ConfigurationError: fewer than five.
    """
    asked = {(r.epoch, r.request_id): r for r in recording.requests}
    seconds = [
        (chunk.arrived_ns - asked[chunk.epoch, chunk.request_id].arrived_ns) / NS
        for chunk in recording.chunks
        if (chunk.epoch, chunk.request_id) in asked
    ]
    return measured(str(recording.path), np.array(seconds[WARM_UP:], np.float64))


def contract_from(recording: Recording) -> Contract:
    """Return the recorded contract as the executor reads it.

    Raises:
        ConfigurationError: the bag has none.
    """
    texts = recording.texts["contract"]
    if not texts:
        raise ConfigurationError(f"bag {recording.path} carries no contract")
    return parse_contract(merge_texts(texts), str(recording.path))
