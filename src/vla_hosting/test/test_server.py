"""What a client of openpi's protocol gets from our server, whatever it sends."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from vla_core.contract import Contract
from vla_core.errors import NotReadyError
from vla_core.types import ActionChunk, Observation, Prefix
from vla_hosting import wire
from vla_hosting.keys import ObservationKeys
from vla_hosting.loading import load_policy
from vla_hosting.remote import API_KEY_VARIABLE
from vla_hosting.server import ServerSettings
from vla_hosting.wrappers import CheckedPolicy
from vla_testing.policies import HoldPolicy, MisbehavingPolicy

FRONT, JOINTS = "observation/images/front", "observation/state/joints"
GOOD = {FRONT: np.zeros((24, 32, 3), np.uint8), JOINTS: np.array([0.1, 0.2, 0.3]), "prompt": "go"}


@pytest.fixture
def policy(contract: Contract, configure: Callable[..., Any]) -> CheckedPolicy:
    return CheckedPolicy(MisbehavingPolicy(configure("scripted:x:Y"), contract))


@contextmanager
def client(address: str) -> Iterator[ClientConnection]:
    """Speak as openpi-client does: no compression, metadata first."""
    limits = {"max_size": None, "open_timeout": 5, "close_timeout": 0.5}
    with connect(address, compression=None, **limits) as connection:
        assert isinstance(wire.unpack(_bytes(connection)), dict)
        yield connection


def _bytes(connection: ClientConnection) -> bytes:
    data = connection.recv(timeout=5)
    assert isinstance(data, bytes), data
    return data


def ask(connection: ClientConnection, message: Any) -> Any:
    connection.send(message if isinstance(message, bytes | str) else wire.pack(message))
    return wire.unpack(_bytes(connection))


def refusal(address: str, message: Any) -> str:
    """Return the text frame that a wrong message gets, after which the server hangs up."""
    with client(address) as connection:
        connection.send(message if isinstance(message, bytes | str) else wire.pack(message))
        text = connection.recv(timeout=5)
        assert isinstance(text, str)
        with pytest.raises(ConnectionClosed) as caught:
            connection.recv(timeout=5)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1011
        return text


def test_answers_with_actions_and_timing(serve: Any, policy: CheckedPolicy) -> None:
    with client(serve(policy)) as connection:
        first, second = ask(connection, GOOD), ask(connection, GOOD)
    np.testing.assert_array_equal(first["actions"], np.tile(GOOD[JOINTS], (8, 1)))
    assert set(first["server_timing"]) == {"infer_ms"}
    assert set(second["server_timing"]) == {"infer_ms", "prev_total_ms"}


def test_describes_its_policy_first(serve: Any, policy: CheckedPolicy) -> None:
    with connect(serve(policy), compression=None) as connection:
        metadata = wire.unpack(_bytes(connection))
    assert metadata["vla"]["keys"]["images"] == {"front": FRONT}
    assert metadata["vla"]["spec"]["columns"] == ["pan", "lift", "gripper"]


def test_is_healthy(serve: Any, policy: CheckedPolicy) -> None:
    address = serve(policy).replace("ws://", "http://")
    with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:
        assert (answer.status, answer.read()) == (200, b"OK\n")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Api-Key wrong"},
        {"Authorization": "Bearer secret"},
        [("Authorization", "Api-Key secret"), ("Authorization", "Api-Key secret")],
    ],
)
def test_without_the_key_nobody_comes_in(serve: Any, policy: CheckedPolicy, headers: Any) -> None:
    address = serve(policy, settings=ServerSettings(api_key="secret"))
    with pytest.raises(InvalidStatus) as caught, connect(address, additional_headers=headers):
        pass
    assert caught.value.response.status_code == 401
    with connect(address, additional_headers={"Authorization": "Api-Key secret"}) as connection:
        assert isinstance(wire.unpack(_bytes(connection)), dict)


def test_our_client_sends_its_key(
    serve: Any,
    policy: CheckedPolicy,
    contract: Contract,
    configure: Any,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = serve(policy, settings=ServerSettings(api_key="secret"))
    with pytest.raises(NotReadyError, match="turned away with 401: expected the header"):
        load_policy(configure(address), contract, root)
    monkeypatch.setenv(API_KEY_VARIABLE, "secret")
    load_policy(configure(address), contract, root).close()


def test_takes_the_keys_of_the_policy_file(serve: Any, policy: CheckedPolicy) -> None:
    keys = ObservationKeys({"front": "image"}, {"joints": "state"}, "task")
    with client(serve(policy, keys)) as connection:
        answer = ask(connection, {"image": GOOD[FRONT], "state": GOOD[JOINTS], "task": "x"})
    assert answer["actions"].shape == (8, 3)


def test_ignores_keys_it_does_not_know(serve: Any, policy: CheckedPolicy) -> None:
    with client(serve(policy)) as connection:
        assert "actions" in ask(connection, {**GOOD, "observation/depth": np.zeros(3)})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({FRONT: None}, f"field '{FRONT}': missing; the observation has ['{JOINTS}', 'prompt']"),
        ({FRONT: np.zeros((24, 32, 3))}, "(24, 32, 3) float64"),
        ({FRONT: np.zeros((3, 24, 32), np.uint8)}, "expected an image ('any', 'any', 3) uint8"),
        ({FRONT: b"jpeg"}, f"field '{FRONT}': expected an image"),
        ({JOINTS: np.zeros(4)}, f"field '{JOINTS}': expected 3 numbers ['pan', 'lift'"),
        ({JOINTS: [0.0, 0.0, 0.0]}, f"field '{JOINTS}': expected an array of numbers, got list"),
        ({JOINTS: np.array([0, np.nan, 0])}, f"field '{JOINTS}': NaN or infinity first at [1]"),
        ({"prompt": 3}, "field 'prompt': expected text, got int 3"),
        (
            {"vla": {"as_of_ns": "now"}},
            "field 'as_of_ns': expected an integer [ns], got str 'now'",
        ),
        ({"vla": 7}, "field 'vla': expected a dict, got int 7"),
        ({"vla": {"prefix": {"values": np.zeros((2, 9))}}}, "expected (T, 3), got (2, 9)"),
    ],
)
def test_wrong_input_names_field_expected_and_found(
    serve: Any, policy: CheckedPolicy, changes: dict[str, Any], sentence: str
) -> None:
    message = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    text = refusal(serve(policy), message)
    assert text.startswith("Traceback")
    assert sentence in text


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (b"\xc1 no msgpack", "not a msgpack message"),
        (wire.pack([1, 2]), "expected a dict with an observation, got list"),
        ("text", "expected a binary frame"),
    ],
)
def test_what_is_no_message_is_refused(
    serve: Any, policy: CheckedPolicy, message: bytes | str, sentence: str
) -> None:
    assert sentence in refusal(serve(policy), message)


@pytest.mark.parametrize("misdeed", ["raise", "nan", "narrow"])
def test_serves_the_next_client_after_an_error(
    serve: Any, policy: CheckedPolicy, misdeed: str
) -> None:
    address = serve(policy)
    assert "vla_core.errors" in refusal(address, {**GOOD, "prompt": misdeed})
    with client(address) as connection:
        assert "actions" in ask(connection, GOOD)


def test_a_message_above_the_limit_closes_the_connection(
    serve: Any, policy: CheckedPolicy
) -> None:
    with client(serve(policy, None, ServerSettings(max_message_bytes=1000))) as connection:
        connection.send(wire.pack(GOOD))
        with pytest.raises(ConnectionClosed) as caught:
            connection.recv(timeout=5)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009


def test_too_many_clients_are_turned_away(serve: Any, policy: CheckedPolicy) -> None:
    address = serve(policy, None, ServerSettings(max_connections=1))
    with client(address), pytest.raises(InvalidStatus) as caught:
        connect(address)
    assert caught.value.response.status_code == 503


def test_a_web_page_is_turned_away(serve: Any, policy: CheckedPolicy) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(serve(policy), origin="https://example.org")  # type: ignore[arg-type]
    assert caught.value.response.status_code == 403


def test_an_episode_ends_when_another_client_asks(serve: Any, policy: CheckedPolicy) -> None:
    def nudge(connection: ClientConnection) -> float:
        return round(float(ask(connection, GOOD)["actions"][0, 0] - 0.1), 9)

    address = serve(policy)
    with client(address) as first, client(address) as second:
        assert [nudge(first), nudge(first)] == [0.0, 1e-6]
        assert [nudge(second), nudge(second)] == [0.0, 1e-6]
        assert nudge(first) == 0.0


class Waiting(HoldPolicy):
    """Answers when it is allowed to."""

    entered: threading.Event
    leave: threading.Event

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        self.entered.set()
        assert self.leave.wait(10.0)
        return super().infer(observation, prefix)


@pytest.fixture
def waiting(contract: Contract, configure: Callable[..., Any]) -> Waiting:
    policy = Waiting(configure("scripted:x:Y"), contract)
    policy.entered, policy.leave = threading.Event(), threading.Event()
    return policy


def test_a_client_that_left_is_not_answered(serve: Any, waiting: Waiting) -> None:
    address = serve(waiting)
    with client(address) as first:
        first.send(wire.pack(GOOD))
        assert waiting.entered.wait(5.0)
    waiting.leave.set()
    with client(address) as second:
        assert "actions" in ask(second, GOOD)


def test_stopping_the_server_sends_its_clients_home(
    serving: Callable[..., Any], policy: CheckedPolicy
) -> None:
    with ExitStack() as stack:
        with serving(policy) as address:
            connections = [stack.enter_context(client(address)) for _ in range(2)]
            assert "actions" in ask(connections[0], GOOD)
        for connection in connections:
            with pytest.raises(ConnectionClosed):
                connection.recv(timeout=5)
