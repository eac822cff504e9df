"""What the wire costs: an observation with two 640x480 RGB images there, a chunk back.

    python benchmarks/wire.py [--quick] [--json FILE]

Overhead is the time from question to answer minus the policy's own inference, which takes next to
nothing here. Measured in the same run, on loopback: in process, a worker (Unix socket), a server
of ours (TCP), openpi's own client and encoding where its environment is there, and as the limit
of any wire the bare bytes through a socket.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vla_core.contract import Contract, PolicyConfig, load_contract
from vla_hosting.loading import load_policy

ROOT = Path(__file__).resolve().parents[1]
SCRIPTED = "scripted:vla_testing.policies:HoldPolicy"
HEIGHT, WIDTH = 480, 640
WARM_UP = 10
DEADLINE_S = 120.0
PEER = Path(__file__).with_name("wire_peer.py")


Ask = Callable[[], float]  # asks once and returns the overhead [s]


@dataclass(frozen=True)
class Overhead:
    """Milliseconds of one way to ask."""

    p05_ms: float
    median_ms: float
    p95_ms: float
    rounds: int


def main() -> int:
    """Measure, print a table, write the JSON file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="50 rounds instead of 200")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    results = measure(50 if arguments.quick else 200)
    print(f"{'overhead per inference [ms]':34} {'p05':>8} {'median':>8} {'p95':>8}")
    for name, r in results.items():
        print(f"{name:34} {r.p05_ms:8.3f} {r.median_ms:8.3f} {r.p95_ms:8.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report(results), indent=2) + "\n")
    return 0


def measure(rounds: int) -> dict[str, Overhead]:
    """Return the overhead of each way to ask, taken in turns so that all see the same machine."""
    spent: dict[str, list[float]] = {}
    with ExitStack() as stack:
        ways = _ways(stack)
        for _ in range(WARM_UP + rounds):
            for name, ask in ways.items():
                spent.setdefault(name, []).append(ask())
    return {name: _overhead(seconds[WARM_UP:]) for name, seconds in spent.items()}


def report(results: Mapping[str, Overhead]) -> dict[str, object]:
    """Return the figures with where and when they were taken."""
    return {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "date": time.strftime("%Y-%m-%d"),
        "load_average": os.getloadavg()[0],
        "images": f"2 x {WIDTH}x{HEIGHT} RGB",
        "overhead": {name: vars(result) for name, result in results.items()},
    }


def _overhead(seconds: list[float]) -> Overhead:
    p05, median, p95 = np.percentile(np.array(seconds) * 1e3, [5, 50, 95])
    return Overhead(float(p05), float(median), float(p95), len(seconds))


def _ways(stack: ExitStack) -> dict[str, Ask]:
    contract = _contract()
    port = stack.enter_context(_our_server())
    uris = {
        "in process": SCRIPTED,
        "worker (Unix socket)": f"worker:{sys.executable}:{SCRIPTED}",
        "our server, our client (TCP)": f"ws://127.0.0.1:{port}",
    }
    ways = {name: _policy(stack, uri, contract) for name, uri in uris.items()}
    if python := _openpi_python():
        line = stack.enter_context(_running([python, str(PEER), "server"])).readline()
        ways["our server, openpi's client (TCP)"] = _openpi(stack, python, port)
        ways["openpi's server and client (TCP)"] = _openpi(stack, python, int(line))
    else:
        print("left out: openpi's client (no .vla/envs/openpi; ./vla test makes it)")
    ways["bare bytes (TCP): the limit"] = _bare(stack)
    return ways


def _policy(stack: ExitStack, uri: str, contract: Contract) -> Ask:
    policy = stack.enter_context(closing(load_policy(_config(uri), contract, ROOT)))
    random = np.random.default_rng(0)
    images = {
        name: random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for name in policy.spec.images
    }
    observation = replace(policy.spec.example(), images=images)

    def ask() -> float:
        started_s = time.perf_counter()
        chunk = policy.infer(observation)
        return time.perf_counter() - started_s - chunk.stages_ns["infer"] / 1e9

    return ask


def _openpi(stack: ExitStack, python: str, port: int) -> Ask:
    process = stack.enter_context(_running([python, str(PEER), "client", str(port)]))

    def ask() -> float:
        process.write("\n")
        return float(process.readline())

    return ask


def _bare(stack: ExitStack) -> Ask:
    """Send as many bytes through a socket and get as many back as the protocol does."""
    there, back = bytes(2 * HEIGHT * WIDTH * 3), bytes(1000)
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    thread = threading.Thread(target=_echo, args=(listener, len(there), back), daemon=True)
    thread.start()
    sock = stack.enter_context(socket.create_connection(listener.getsockname()))

    def ask() -> float:
        started_s = time.perf_counter()
        sock.sendall(there)
        _receive(sock, len(back))
        return time.perf_counter() - started_s

    return ask


def _echo(listener: socket.socket, length: int, back: bytes) -> None:
    sock, _ = listener.accept()
    with sock:
        while _receive(sock, length):
            sock.sendall(back)


def _receive(sock: socket.socket, length: int) -> int:
    buffer = memoryview(bytearray(length))
    received = 0
    while received < length and (count := sock.recv_into(buffer[received:])):
        received += count
    return received


@contextmanager
def _our_server() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        policy, robot = Path(folder) / "policy.yaml", Path(folder) / "robot.yaml"
        policy.write_text(_config(SCRIPTED).model_dump_json())
        robot.write_text(_contract().model_dump_json())
        command = [sys.executable, "-m", "vla_hosting.serve", str(policy)]
        command += ["--port", "0", "--contract", str(robot), "--root", str(ROOT)]
        with _running(command) as server:
            yield int(server.readline().rpartition(":")[2])


class _Process:
    """A process that is spoken with line by line."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )

    def write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)

    def readline(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=DEADLINE_S)


@contextmanager
def _running(command: list[str]) -> Iterator[_Process]:
    process = _Process(command)
    try:
        yield process
    finally:
        process.end()


def _openpi_python() -> str | None:
    path = os.environ.get("VLA_OPENPI_PYTHON", str(ROOT / ".vla/envs/openpi/bin/python"))
    return path if Path(path).exists() else None


def _contract() -> Contract:
    """Return the SO-101 with cameras of the size that the peers' figures are for."""
    contract = load_contract([ROOT / "config/robots/so101/contract.yaml"])
    raw = contract.model_dump()
    for image in raw["observation"]["images"].values():
        image |= {"height_px": HEIGHT, "width_px": WIDTH}
    return Contract.model_validate(raw)


def _config(uri: str) -> PolicyConfig:
    options = {"images": 2} if not uri.startswith("ws:") else {}
    return PolicyConfig(name="wire", robot="so101", uri=uri, options=options)


if __name__ == "__main__":
    sys.exit(main())
