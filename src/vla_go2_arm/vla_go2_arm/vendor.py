"""Unitree's messages, if this installation has them, with the fields that are used here.

DDS compares types by their layout: a package of another version would be silence, not an error.
"""

from __future__ import annotations

import importlib
from typing import Any

from vla_core.errors import ConfigurationError

# Everything that is read or written, by type; nested ones by their own name.
FIELDS: dict[str, dict[str, str]] = {
    "unitree_api/Request": {
        "header": "unitree_api/RequestHeader",
        "parameter": "string",
        "binary": "sequence<uint8>",
    },
    "unitree_api/RequestIdentity": {"id": "int64", "api_id": "int64"},
    "unitree_api/RequestPolicy": {"priority": "int32", "noreply": "boolean"},
    "unitree_api/Response": {
        "header": "unitree_api/ResponseHeader",
        "data": "string",
        "binary": "sequence<int8>",
    },
    "unitree_api/ResponseStatus": {"code": "int32"},
    "unitree_go/SportModeState": {
        "stamp": "unitree_go/TimeSpec",
        "error_code": "uint32",
        "imu_state": "unitree_go/IMUState",
        "mode": "uint8",
        "position": "float[3]",
        "velocity": "float[3]",
        "yaw_speed": "float",
    },
    "unitree_go/IMUState": {
        "quaternion": "float[4]",
        "gyroscope": "float[3]",
        "accelerometer": "float[3]",
        "rpy": "float[3]",
    },
    "unitree_go/LowState": {
        "motor_state": "unitree_go/MotorState[20]",
        "bms_state": "unitree_go/BmsState",
        "power_v": "float",
    },
    "unitree_go/MotorState": {"q": "float", "dq": "float", "tau_est": "float"},
    "unitree_go/BmsState": {"soc": "uint8"},
    "unitree_go/WirelessController": {
        "lx": "float",
        "ly": "float",
        "rx": "float",
        "ry": "float",
        "keys": "uint16",
    },
}
# Only the camera needs it, and its layout is known to differ between firmwares.
VIDEO_FIELDS: dict[str, dict[str, str]] = {
    "unitree_go/Go2FrontVideoData": {
        "time_frame": "uint64",
        "video720p": "sequence<uint8>",
        "video360p": "sequence<uint8>",
        "video180p": "sequence<uint8>",
    },
}


def load(fields: dict[str, dict[str, str]] = FIELDS) -> dict[str, Any]:
    """Return the message classes by their name without the package.

    Raises:
        ConfigurationError: a package is not installed, or has other fields; lists all of it.
    """
    found: dict[str, Any] = {}
    mistakes: list[str] = []
    for name, expected in fields.items():
        package, kind = name.split("/")
        try:
            message = getattr(importlib.import_module(f"{package}.msg"), kind)
        except (ImportError, AttributeError) as error:
            mistakes.append(f"message {name} is not installed ({error})")
            continue
        found[kind] = message
        mistakes += _differences(name, message, expected)
    if mistakes:
        raise ConfigurationError(
            "Unitree's messages: " + "; ".join(mistakes) + ". Build unitree_api and unitree_go of "
            "github.com/unitreerobotics/unitree_ros2 for this robot's firmware and source them."
        )
    return found


def _differences(name: str, message: Any, expected: dict[str, str]) -> list[str]:
    actual = message.get_fields_and_field_types()
    return [
        f"field '{field}' of {name}: expected {kind}, found {actual.get(field, 'none')}"
        for field, kind in expected.items()
        if actual.get(field) != kind
    ]
