"""Writes the golden frames with the real openpi-client: run it in an environment that has it.

python src/vla_hosting/test/golden/make.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent

# In both directions: what a client sends and what a server answers, then the odd types.
MESSAGES = {
    "observation": {
        "observation/image": np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3),
        "observation/wrist_image": np.zeros((2, 2, 3), np.uint8),
        "observation/state": np.array([0.1, -0.2, 0.3], np.float32),
        "prompt": "pick up the red cube",
    },
    "answer": {
        "actions": np.linspace(-1.0, 1.0, 12).reshape(4, 3),
        "state": np.zeros(3, np.float32),
        "policy_timing": {"infer_ms": 12.5},
        "server_timing": {"infer_ms": 13.25, "prev_total_ms": 14.0},
    },
    "metadata": {"reset_pose": [0, -1.5, 1.5, 0, 0, 0], "nested": {"list": [1, 2.5, "x", None]}},
    "types": {
        "bool": np.array([True, False]),
        "scalar": np.int32(7),
        "float scalar": np.float32(0.5),
        "true": np.bool_(True),
        "text": np.array(["a", "bcd"]),
        "zero dimensions": np.array(3.0),
        "empty": np.zeros((0, 3), np.float32),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        "big endian": np.arange(3, dtype=">i4"),
        "strided": np.arange(10, dtype=np.int64)[::3],
        "large": np.arange(70000, dtype=np.uint8).reshape(100, 700),
    },
}


def main() -> None:
    from openpi_client import msgpack_numpy

    for name, message in MESSAGES.items():
        (FOLDER / f"{name}.msgpack").write_bytes(msgpack_numpy.packb(message))


if __name__ == "__main__":
    main()
