"""Our wire against the real openpi-client, in both directions.

The client needs numpy below 2 and so lives in an environment of its own, which ./vla test makes.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.errors import InferenceError
from vla_hosting.keys import ObservationKeys
from vla_hosting.loading import load_policy

PEER = Path(__file__).with_name("openpi_peer.py")
DEADLINE_S = 60.0
KEYS = ObservationKeys({"front": "observation/image"}, {"joints": "observation/state"})


@pytest.fixture(scope="module")
def python(root: Path) -> str:
    """The interpreter that has openpi-client."""
    given = os.environ.get("VLA_OPENPI_PYTHON")
    path = Path(given) if given else root / ".vla" / "envs" / "openpi" / "bin" / "python"
    if not path.exists():
        pytest.skip("no .vla/envs/openpi: ./vla test makes it; or name VLA_OPENPI_PYTHON")
    return str(path)


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def test_the_real_client_talks_to_our_server(
    python: str, contract: Contract, configure: Any, serve: Any
) -> None:
    config = configure("scripted:vla_testing.policies:HoldPolicy")
    address = serve(load_policy(config, contract, Path()), KEYS)
    host, _, port = address.removeprefix("ws://").rpartition(":")
    said = subprocess.run(
        [python, str(PEER), "client", host, port],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    seen = json.loads(said.stdout)
    np.testing.assert_allclose(seen["actions"], np.tile([0.1, 0.2, 0.3], (8, 1)), rtol=1e-6)
    assert seen["dtype"] == "float64"
    assert seen["timing"] == ["infer_ms", "prev_total_ms"]
    assert "field 'observation/state': expected 3 numbers ['pan', 'lift'" in seen["error"]
    assert "got (7,) float64" in seen["error"]
    assert seen["again"] == [8, 3]


@pytest.fixture
def real_server(python: str) -> Iterator[str]:
    process = subprocess.Popen(
        [python, str(PEER), "server"], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"ws://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        process.stdout.close()


def test_our_client_talks_to_a_server_with_the_real_encoding(
    real_server: str, contract: Contract, configure: Any
) -> None:
    openpi = {
        "images": {"front": "observation/image"},
        "state": "observation/state",
        "prompt": "prompt",
    }
    config = configure(real_server, rate_hz=20.0, openpi=openpi)
    policy = load_policy(config, contract, Path())
    assert policy.spec.horizon == 5
    example = policy.spec.example()
    image = np.zeros((24, 32, 3), np.uint8)
    image[3, 4, 1] = 2
    seen = replace(example, images={"front": image}, state={"joints": np.array([0.5, -0.5, 0.0])})
    np.testing.assert_allclose(policy.infer(seen).values, np.tile([0.5, -0.5, 2.0], (5, 1)))
    with pytest.raises(InferenceError, match="ValueError: the real encoding carried this"):
        policy.infer(replace(seen, instruction="fail"))
    assert policy.infer(seen).horizon == 5
    policy.close()
