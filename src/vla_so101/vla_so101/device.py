"""From a node's parameters to the arm that it opens: port, calibration, offsets."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vla_core.contract import Column
from vla_core.errors import ConfigurationError
from vla_ros.parameters import param
from vla_so101 import calibration, matching
from vla_so101.arm import TICK_TIMEOUT_S, ArmSettings
from vla_so101.mock_port import resolve


@dataclass(frozen=True)
class DeviceParams:
    """Parameters of every node with an SO-101 on a port."""

    port: str = param("", "Serial port; `emulator` or `emulator:<arm>`: an emulated one")
    calibration_file: str = param("", "LeRobot's calibration; relative: beside the contract")
    baud_rate: int = param(1_000_000, "Of the bus [bit/s]", 38_400, 1_000_000)
    joint_offsets: tuple[str, ...] = param(
        (), "joint=radians of the model where the calibration says zero"
    )
    reply_timeout_s: float = param(
        TICK_TIMEOUT_S, "A reply later than this is lost [s]", 0.001, 0.1
    )
    connect_within_s: float = param(5.0, "How long to wait for the port [s]", 0.0, 60.0)


def arm_settings(
    params: DeviceParams, contract_files: Sequence[str], namespace: str, columns: Sequence[Column]
) -> ArmSettings:
    """Return what to connect; raises ConfigurationError with every mistake."""
    mistakes = [
        f"parameter '{name}': expected a path, found nothing"
        for name in ("port", "calibration_file")
        if not getattr(params, name)
    ]
    if mistakes:
        raise ConfigurationError("; ".join(mistakes))
    beside = Path(contract_files[0]).parent
    return ArmSettings(
        port=resolve(params.port, namespace),
        calibration=calibration.load(beside / Path(params.calibration_file).expanduser()),
        gripper_range=matching.gripper_range(columns),
        baud_rate=params.baud_rate,
        offsets=offsets(params.joint_offsets),
        joints=[column.name for column in columns],
        reply_timeout_s=params.reply_timeout_s,
    )


def offsets(entries: tuple[str, ...]) -> dict[str, float]:
    """Return joint -> radians of entries `joint=radians`; raises ConfigurationError."""
    found = {}
    for entry in entries:
        joint, _, value = entry.partition("=")
        try:
            found[joint] = float(value)
        except ValueError:
            found[joint] = float("nan")
        if joint not in calibration.JOINTS[:-1] or not abs(found[joint]) < np.pi:
            raise ConfigurationError(
                f"parameter 'joint_offsets': expected joint=radians with a joint of "
                f"{list(calibration.JOINTS[:-1])}, found '{entry}'"
            )
    return found


def wait_for(path: str, within_s: float) -> None:
    """Return when a port is there; after the time the caller finds out that it is not."""
    end = time.monotonic() + within_s
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.05)
