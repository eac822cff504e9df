"""What the tests of hosting share: a small robot, policy files, a running server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from vla_core.contract import Contract, PolicyConfig, parse_contract, parse_policy_config
from vla_core.ports import Policy
from vla_hosting.keys import ObservationKeys
from vla_hosting.server import PolicyServer, ServerSettings
from vla_hosting.sockets import listen

JOINTS = ["pan", "lift", "gripper"]
Configure = Callable[..., PolicyConfig]
Serve = Callable[..., str]


def column(name: str) -> dict[str, Any]:
    kind = "gripper" if name == "gripper" else "joint_position"
    limits = {"position": [-2.0, 2.0], "velocity": 2.0, "acceleration": 10.0, "jerk": 100.0}
    return {"name": name, "kind": kind, "unit": "rad", **limits}


@pytest.fixture(scope="session")
def contract() -> Contract:
    """A robot with three joints and two cameras."""
    camera = {"height_px": 24, "width_px": 32}
    return parse_contract(
        {
            "robot": "mini",
            "observation": {
                "max_age_s": 0.2,
                "max_skew_s": 0.1,
                "images": {
                    "front": {"topic": "images/front", **camera},
                    "wrist": {"topic": "images/wrist", **camera},
                },
                "state": {
                    "joints": {
                        "topic": "joints",
                        "type": "sensor_msgs/msg/JointState",
                        "entries": JOINTS,
                    }
                },
            },
            "action": {"step_s": 0.02, "columns": [column(name) for name in JOINTS]},
            "outputs": {
                "arm": {
                    "topic": "command/joints",
                    "type": "trajectory_msgs/msg/JointTrajectory",
                    "columns": JOINTS,
                    "deadline_s": 0.1,
                }
            },
            "home": dict.fromkeys(JOINTS, 0.0),
            "tracking_error": {"limit": 0.5, "duration_s": 0.5},
        }
    )


@pytest.fixture
def configure() -> Configure:
    """Return a policy file for a uri; keywords are further keys of it."""

    def make(uri: str, **keys: Any) -> PolicyConfig:
        return parse_policy_config({"name": "tested", "robot": "mini", "uri": uri, **keys})

    return make


@contextmanager
def running(
    policy: Policy,
    keys: ObservationKeys | None = None,
    settings: ServerSettings | None = None,
    port: int = 0,
) -> Iterator[str]:
    """Serve a policy from a thread, as `vla serve` does from its main thread."""
    with listen("127.0.0.1", port) as listener:
        server = PolicyServer(policy, listener, keys, settings)
        thread = threading.Thread(target=server.serve, name="policy")
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()
            thread.join(10.0)
            assert not thread.is_alive()


@pytest.fixture
def serving() -> Callable[..., Any]:
    """Return the context manager that serves a policy while it is open."""
    return running


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves a policy until the test ends; it returns the address."""
    with ExitStack() as stack:
        yield lambda *arguments, **keys: stack.enter_context(running(*arguments, **keys))


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[3]
