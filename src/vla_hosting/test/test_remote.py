"""The client: against our server, against a server that speaks openpi alone, and against none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as websocket_server

from vla_core.contract import Contract
from vla_core.errors import (
    ConfigurationError,
    InferenceError,
    MismatchError,
    NonFiniteError,
    NotReadyError,
    VlaError,
)
from vla_core.ports import Policy
from vla_core.types import Prefix
from vla_hosting import wire
from vla_hosting.connection import DeadlineError, LostError
from vla_hosting.loading import load_policy
from vla_hosting.sockets import listen
from vla_hosting.wrappers import CheckedPolicy
from vla_testing.policies import HoldPolicy, MisbehavingPolicy

OPENPI = {
    "streams": {"base": "front", "joints": "joints"},
    "rate_hz": 20.0,
    "openpi": {
        "images": {"base": "observation/image"},
        "state": "observation/state",
        "prompt": "prompt",
    },
}
Answer = Callable[[dict[str, Any]], Any]


@contextmanager
def openpi_server(answer: Answer, metadata: Any = None) -> Iterator[str]:
    """A server with openpi's behaviour and no other, written from its source.

    What ``answer`` returns is packed; text and bytes go as they are; None is never answered.
    Source: openpi, src/openpi/serving/websocket_policy_server.py.
    """

    def handle(connection: ServerConnection) -> None:
        connection.send(wire.pack(metadata or {}))
        for message in connection:
            given = answer(wire.unpack(message))  # type: ignore[arg-type]
            if given is not None:
                connection.send(given if isinstance(given, bytes | str) else wire.pack(given))
            if isinstance(given, str):
                connection.close(1011)

    with websocket_server(handle, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join(5.0)


def actions(message: dict[str, Any]) -> dict[str, Any]:
    rows = np.repeat(message["observation/state"][None], 10, axis=0).astype(np.float32)
    return {"actions": rows, "server_timing": {"infer_ms": 3.0}}


def load(address: str, contract: Contract, configure: Any, **keys: Any) -> Policy:
    return load_policy(configure(address, **keys), contract, Path())


def seen(policy: Policy, instruction: str = "go") -> Any:
    state = {"joints": np.array([0.1, 0.2, 0.3])}
    return replace(policy.spec.example(), as_of_ns=99, state=state, instruction=instruction)


@pytest.fixture
def misbehaving(contract: Contract, configure: Any) -> Policy:
    return CheckedPolicy(MisbehavingPolicy(configure("scripted:x:Y"), contract))


def test_an_openpi_server_is_described_by_the_policy_file(
    contract: Contract, configure: Any
) -> None:
    asked: list[dict[str, Any]] = []

    def answer(message: dict[str, Any]) -> dict[str, Any]:
        asked.append(message)
        return actions(message)

    with openpi_server(answer) as address:
        policy = load(address, contract, configure, **OPENPI)
        chunk = policy.infer(seen(policy))
        policy.close()
    assert policy.spec.horizon == 10
    assert policy.spec.step_ns == 50_000_000
    assert policy.spec.columns == contract.columns
    np.testing.assert_allclose(chunk.values[0], [0.1, 0.2, 0.3], rtol=1e-6)
    assert chunk.start_ns == 99
    assert chunk.stages_ns["infer"] == 3_000_000
    # Openpi's server is sent openpi's keys and nothing of ours.
    assert set(asked[-1]) == {"observation/image", "observation/state", "prompt"}
    assert asked[-1]["observation/image"].dtype == np.uint8
    assert asked[-1]["prompt"] == "go"


def test_an_openpi_servers_units_are_converted_here(contract: Contract, configure: Any) -> None:
    units = {"units": {"pan": "deg", "lift": "deg"}}
    with openpi_server(lambda m: {"actions": np.full((4, 3), 180.0)}) as address:
        policy = load(address, contract, configure, **OPENPI, conversions=[units])
        chunk = policy.infer(seen(policy))
        policy.close()
    np.testing.assert_allclose(chunk.values[0], [np.pi, np.pi, 180.0])


@pytest.mark.parametrize(
    ("without", "sentence"),
    [("openpi", "does not say what it takes"), ("rate_hz", "how fast its rows follow")],
)
def test_what_an_openpi_server_cannot_say_must_be_in_the_file(
    contract: Contract, configure: Any, without: str, sentence: str
) -> None:
    keys = {key: value for key, value in OPENPI.items() if key != without}
    with openpi_server(actions) as address, pytest.raises(ConfigurationError, match=sentence):
        load(address, contract, configure, **keys)


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ({"action": np.zeros((4, 3))}, InferenceError, r"has no 'actions'; it has \['action'\]"),
        ([1], InferenceError, "has no 'actions'; it has list"),
        ({"actions": [[0.0] * 3]}, InferenceError, "'actions' as an array of numbers, got list"),
        ({"actions": np.full((4, 3), np.nan)}, NonFiniteError, "row 0, column 'pan'"),
        ({"actions": np.zeros((4, 7))}, VlaError, "expected 3 columns .* got 7"),
        ({"actions": np.zeros(3)}, VlaError, r"got shape \(3,\)"),
        ("Traceback\nValueError: out of memory\n", InferenceError, "ValueError: out of memory"),
        (b"\xc1", VlaError, "not a msgpack message"),
    ],
)
def test_a_wrong_answer_is_refused_and_the_next_one_taken(
    contract: Contract, configure: Any, answer: Any, error: type[Exception], sentence: str
) -> None:
    def misbehave(message: dict[str, Any]) -> Any:
        return answer if message["prompt"] == "wrong" else actions(message)

    with openpi_server(misbehave) as address:
        policy = load(address, contract, configure, **OPENPI)
        with pytest.raises(error, match=sentence):
            policy.infer(seen(policy, "wrong"))
        assert policy.infer(seen(policy)).horizon == 10
        policy.close()


def test_a_server_that_does_not_answer_is_given_up(contract: Contract, configure: Any) -> None:
    def hang(message: dict[str, Any]) -> Any:
        return None if message["prompt"] == "hang" else actions(message)

    with openpi_server(hang) as address:
        policy = load(address, contract, configure, **OPENPI, options={"deadline_s": 0.1})
        started_s = time.monotonic()
        with pytest.raises(DeadlineError, match=rf"no reply from policy server {address} within"):
            policy.infer(seen(policy, "hang"))
        assert time.monotonic() - started_s < 1.0
        assert policy.infer(seen(policy)).horizon == 10
        policy.close()


def test_an_error_of_our_server_keeps_its_type(
    contract: Contract, configure: Any, serve: Any, misbehaving: Policy
) -> None:
    policy = load(serve(misbehaving), contract, configure)
    with pytest.raises(NonFiniteError, match="action chunk: NaN or infinity first at row 0"):
        policy.infer(seen(policy, "nan"))
    with pytest.raises(InferenceError, match="policy 'hold': ZeroDivisionError"):
        policy.infer(seen(policy, "raise"))
    policy.close()


def test_a_prefix_rides_along_to_our_server(
    contract: Contract, configure: Any, serve: Any
) -> None:
    config = configure("scripted:x:Y", options={"prefix": True})
    policy = load(serve(HoldPolicy(config, contract)), contract, configure)
    assert policy.spec.accepts_prefix
    rows = np.array([[0.5, 0.6, 0.7]])
    chunk = policy.infer(seen(policy), Prefix(rows, 99, 50_000_000, 100))
    assert chunk.prefix_rows == 1
    np.testing.assert_allclose(chunk.values[0], rows[0], atol=1e-5)
    policy.close()


def test_nobody_there_is_said_at_once(contract: Contract, configure: Any) -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotReadyError, match=f"policy server ws://127.0.0.1:{port}: no connection"):
        load(f"ws://127.0.0.1:{port}", contract, configure)


def test_a_silent_stranger_is_given_up(contract: Contract, configure: Any) -> None:
    with listen("127.0.0.1", 0) as listener:
        address = f"ws://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(NotReadyError, match=r"no connection within 0\.1 s"):
            load(address, contract, configure, options={"open_s": 0.1})


def test_a_server_that_comes_back_is_used_again(
    contract: Contract, configure: Any, serving: Any, misbehaving: Policy
) -> None:
    options = {"retry_s": 0.0}
    with serving(misbehaving) as address:
        policy = load(address, contract, configure, options=options)
        policy.infer(seen(policy))
    with pytest.raises(LostError, match="connection lost"):
        policy.infer(seen(policy))
    with pytest.raises(NotReadyError, match="no connection"):
        policy.infer(seen(policy))
    with serving(misbehaving, port=int(address.rpartition(":")[2])):
        assert policy.infer(seen(policy)).horizon == 8
    policy.close()


def test_a_server_that_comes_back_with_another_policy_is_refused(
    contract: Contract, configure: Any, serving: Any, misbehaving: Policy
) -> None:
    with serving(misbehaving) as address:
        policy = load(address, contract, configure)
    config = configure("scripted:x:Y", options={"prefix": True})
    other = HoldPolicy(config, contract)
    with serving(other, port=int(address.rpartition(":")[2])):
        with pytest.raises(LostError):
            policy.infer(seen(policy))
        with pytest.raises(MismatchError, match="describes itself differently"):
            policy.infer(seen(policy))
    policy.close()


def test_another_version_of_our_protocol_is_refused(contract: Contract, configure: Any) -> None:
    metadata = {"vla": {"protocol": 99}}
    with (
        openpi_server(actions, metadata) as address,
        pytest.raises(MismatchError, match="version 99 of our protocol, expected 1"),
    ):
        load(address, contract, configure)


@pytest.mark.parametrize("extra", [{"spec": 3, "keys": {}}, {"spec": {"name": "x"}}])
def test_metadata_that_cannot_be_read_is_refused(
    contract: Contract, configure: Any, extra: dict[str, Any]
) -> None:
    metadata = {"vla": {"protocol": 1, **extra}}
    with (
        openpi_server(actions, metadata) as address,
        pytest.raises(MismatchError, match="unreadable metadata"),
    ):
        load(address, contract, configure)


def test_unknown_options_list_the_known_ones(contract: Contract, configure: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("ws://x", contract, configure, options={"deadline": 1, "open_s": "long"})
    assert "options.deadline: unknown; known are ['deadline_s'" in str(caught.value)
    assert "options.open_s: expected float, got 'long'" in str(caught.value)
