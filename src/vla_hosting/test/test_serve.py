"""The command `vla serve`, as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError
from vla_hosting.loading import load_policy
from vla_hosting.serve import main, policy_config
from vla_hosting.sockets import listen

HOLD = "scripted:vla_testing.policies:HoldPolicy"
DEADLINE_S = 30.0


@contextmanager
def command(root: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `vla serve` until it says where it listens."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "vla_hosting.serve",
            "--root",
            str(root),
            "--port",
            "0",
            *arguments,
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().rpartition(" at ")[2].strip()
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_it_is_interrupted(root: Path, configure: Any, number: int) -> None:
    contract = load_contract([root / "config" / "robots" / "so101" / "contract.yaml"])
    with command(root, HOLD) as (process, address):
        assert address.startswith("ws://127.0.0.1:")
        policy = load_policy(configure(address, robot="so101"), contract, root)
        assert policy.infer(policy.spec.example()).horizon == 8
        started_s = time.monotonic()
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 0
        assert time.monotonic() - started_s < 5.0
        policy.close()


def test_an_interrupt_ends_a_worker_too(root: Path) -> None:
    uri = f"worker:{sys.executable}:{HOLD}"
    with command(root, uri) as (process, address):
        assert address
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0
        assert not Path(f"/proc/{children[0]}").exists()


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    # The command takes over the signals of its process; the test gives them back.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert main(arguments) == 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return capsys.readouterr().err


def test_a_taken_port_is_said_before_the_policy_is_loaded(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        said = refusal(capsys, "nano:no/such/model", "--root", str(root), "--port", port)
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert "Choose another --host or --port" in said


def test_an_unknown_policy_lists_the_known_ones(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, "dmeo", "--root", str(root))
    assert "no policy 'dmeo'" in said
    assert "'demo'" in said


def test_an_unknown_robot_lists_the_known_ones(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, HOLD, "--robot", "so102", "--root", str(root))
    assert "robot 'so102', which has no contract" in said
    assert "'so101'" in said


def test_a_key_that_is_asked_for_must_be_there(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLA_API_KEY", raising=False)
    said = refusal(capsys, HOLD, "--api-key", "--root", str(root))
    assert "expected a key in VLA_API_KEY, without spaces around it, it is not set" in said


def test_paths_start_from_the_checkout_wherever_it_is_called(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VLA_ROOT", str(root))
    assert "'demo'" in refusal(capsys, "dmeo")
    monkeypatch.delenv("VLA_ROOT")
    assert f"no folder config/robots in {tmp_path}" in refusal(capsys, HOLD)


def test_a_policy_is_named_by_its_file_or_its_name(root: Path) -> None:
    by_name = policy_config("demo", "so101", root)
    assert by_name == policy_config("config/policies/demo.yaml", "so101", root)
    with pytest.raises(ConfigurationError, match="expected a file, a uri"):
        policy_config("nothing", "so101", root)
