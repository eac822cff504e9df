"""A policy in a worker process: what it sees, how it dies, and that it never stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract, parse_policy_config
from vla_core.errors import (
    ChunkError,
    ConfigurationError,
    InferenceError,
    NonFiniteError,
    NotReadyError,
)
from vla_core.ports import Policy
from vla_core.types import ActionChunk
from vla_hosting.loading import load_policy
from vla_hosting.worker import WorkerPolicy, find_interpreter

MISBEHAVING = "scripted:vla_testing.policies:MisbehavingPolicy"
PATIENCE_S = 30.0  # for what takes a second on an idle machine
POLL_S = 0.01


@pytest.fixture
def load(contract: Contract, configure: Any, root: Path) -> Iterator[Callable[..., Policy]]:
    """Return a function that loads a worker; all of them are closed at the end."""
    loaded: list[Policy] = []

    def start(uri: str = MISBEHAVING, python: str = sys.executable, **worker: Any) -> Policy:
        config = configure(f"worker:{python}:{uri}", options={"worker": worker})
        loaded.append(load_policy(config, contract, root))
        return loaded[-1]

    yield start
    for policy in loaded:
        policy.close()


@pytest.fixture(scope="module")
def shared(contract: Contract, root: Path) -> Iterator[Policy]:
    """One worker for the tests that leave it alive: each takes a second to start."""
    uri = f"worker:{sys.executable}:{MISBEHAVING}"
    config = parse_policy_config({"name": "tested", "robot": "mini", "uri": uri})
    policy = load_policy(config, contract, root)
    yield policy
    policy.close()


def ask(policy: Policy, instruction: str = "go") -> ActionChunk:
    state = {"joints": np.array([0.1, 0.2, 0.3])}
    example = replace(policy.spec.example(), as_of_ns=99, state=state)
    return policy.infer(replace(example, instruction=instruction))


def worker_of(policy: Any) -> WorkerPolicy:
    """Return the worker policy inside the wrappers."""
    while not isinstance(policy, WorkerPolicy):
        policy = policy._policy
    return policy


def pid_of(policy: Policy) -> int:
    worker = worker_of(policy)._worker
    assert worker is not None
    return worker._process.pid


def eventually(is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so within our patience."""
    ends_s = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > ends_s:
            return False
        time.sleep(POLL_S)
    return True


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"  # dead; whoever adopted it has not looked yet


def answers_again(policy: Policy) -> bool:
    def once() -> bool:
        try:
            return ask(policy).horizon == 8
        except NotReadyError:
            return False

    return eventually(once)


def test_answers_from_another_process(shared: Policy) -> None:
    chunk = ask(shared)
    np.testing.assert_allclose(chunk.values, np.tile([0.1, 0.2, 0.3], (8, 1)), atol=1e-5)
    assert set(chunk.stages_ns) == {"infer", "wire", "hosting"}
    assert pid_of(shared) != os.getpid()


@pytest.mark.parametrize(
    ("misdeed", "error", "sentence"),
    [
        ("nan", NonFiniteError, "row 0, column 'pan'"),
        ("narrow", ChunkError, "columns: expected"),
        ("raise", InferenceError, "ZeroDivisionError: somebody divided by zero"),
    ],
)
def test_survives_a_wrong_answer(
    shared: Policy, misdeed: str, error: type[Exception], sentence: str
) -> None:
    before = pid_of(shared)
    with pytest.raises(error, match=sentence):
        ask(shared, misdeed)
    assert ask(shared).horizon == 8
    assert pid_of(shared) == before


def test_a_death_is_told_with_its_last_words_and_the_worker_is_replaced(load: Any) -> None:
    policy = load()
    before = pid_of(policy)
    with pytest.raises(InferenceError) as caught:
        ask(policy, "die")
    assert "its worker died during an inference (killed by SIGKILL)" in str(caught.value)
    assert "last words of the worker" in str(caught.value)
    with pytest.raises(NotReadyError, match="its worker is starting, since"):
        ask(policy)
    assert answers_again(policy)
    assert pid_of(policy) != before


def test_a_death_between_two_inferences_is_told_by_the_next(load: Any) -> None:
    policy = load()
    pid = pid_of(policy)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: is_gone(pid))
    with pytest.raises(InferenceError, match=r"its worker died \(killed by SIGKILL\)"):
        ask(policy)
    assert answers_again(policy)


def test_a_worker_that_hangs_is_killed_at_its_deadline(load: Any) -> None:
    policy = load(deadline_s=0.3)
    pid, started_s = pid_of(policy), time.monotonic()
    with pytest.raises(InferenceError, match=r"no reply .* within 0.3 s, it was killed"):
        ask(policy, "hang")
    assert time.monotonic() - started_s < 3.0
    assert is_gone(pid)
    assert answers_again(policy)


def test_a_stopped_worker_cannot_hold_us(load: Any) -> None:
    """It does not even read: two large images fill the socket."""
    policy = load(deadline_s=0.3)
    os.kill(pid_of(policy), signal.SIGSTOP)
    example = policy.spec.example()
    large = {name: np.zeros((1000, 1000, 3), np.uint8) for name in example.images}
    started_s = time.monotonic()
    with pytest.raises(InferenceError, match=r"it was killed"):
        policy.infer(replace(example, images=large))
    assert time.monotonic() - started_s < 3.0
    assert answers_again(policy)


def test_a_worker_that_keeps_dying_is_started_ever_more_rarely(load: Any) -> None:
    policy = load(restart_s=60.0)
    with pytest.raises(InferenceError):
        ask(policy, "die")
    pid = pid_of(policy)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: is_gone(pid))
    with pytest.raises(InferenceError):
        ask(policy)
    with pytest.raises(NotReadyError, match=r"(?s)killed by SIGKILL.*next attempt in \d+"):
        ask(policy)


def test_sees_nothing_of_ours_but_what_it_needs(
    load: Any, contract: Contract, configure: Any, tmp_path: Path
) -> None:
    (tmp_path / "looking.py").write_text(
        "import sys\n"
        "from vla_testing.policies import HoldPolicy\n"
        "class Looking(HoldPolicy):\n"
        "    def infer(self, observation, prefix=None):\n"
        "        print('PATH', *sys.path, sep='|', flush=True)\n"
        "        return super().infer(observation, prefix)\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        policy = load("scripted:looking:Looking", packages=["vla_testing"])
    finally:
        sys.path.remove(str(tmp_path))
    worker = worker_of(policy)._worker
    assert worker is not None
    assert eventually(lambda: any("PATH" in line for line in worker._lines))
    path = next(line for line in worker._lines if line.startswith("PATH")).split("|")[1:]
    folder = Path(worker.socket_path).parent
    assert str(tmp_path) not in path
    assert path[-1] == str(folder / "modules")
    ours = [place for place in path if place.startswith(str(folder))]
    assert {name.name for name in (folder / "vla").iterdir()} == {
        "vla_core",
        "vla_hosting",
        "vla_testing",
    }
    assert {name.name for name in (folder / "modules").iterdir()} == {"looking.py"}
    assert not [place for place in path if "/src/" in place], path
    assert ours


def test_a_policy_that_cannot_load_says_why_with_its_type(load: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot import 'no\.such\.module'"):
        load("scripted:no.such.module:X")


def test_an_environment_that_lacks_something_says_what(load: Any, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # no site-packages
    python.chmod(0o755)
    with pytest.raises(NotReadyError) as caught:
        load(python=str(python))
    assert "died before its policy was loaded (exit code 1)" in str(caught.value)
    assert "ModuleNotFoundError" in str(caught.value)
    assert "numpy msgpack websockets pydantic PyYAML" in str(caught.value)


def test_a_worker_that_is_not_ready_in_time_is_killed(load: Any, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho thinking; exec sleep 600\n")
    python.chmod(0o755)
    with pytest.raises(NotReadyError, match=r"not ready within 0\.2 s"):
        load(python=str(python), start_s=0.2)


def test_closing_breaks_off_an_inference_that_hangs(load: Any) -> None:
    policy = load(deadline_s=60.0)
    worker = worker_of(policy)
    process = worker._worker
    assert process is not None
    errors: list[Exception] = []

    def hang() -> None:
        try:
            ask(policy, "hang")
        except InferenceError as error:
            errors.append(error)

    thread = threading.Thread(target=hang)
    thread.start()
    assert eventually(lambda: worker._remote._connection._is_asking)  # type: ignore[union-attr]
    policy.close()
    thread.join(PATIENCE_S)
    assert len(errors) == 1
    assert process.exit_code() is not None
    assert worker._worker is None


def test_closing_leaves_nothing_behind(load: Any) -> None:
    policy = load()
    worker = worker_of(policy)._worker
    assert worker is not None
    policy.close()
    assert worker.exit_code() == 0
    assert not Path(worker.socket_path).parent.exists()


HOST = """
import sys, time
from pathlib import Path
from vla_core.contract import load_contract, parse_policy_config
from vla_hosting import load_policy
root = Path(sys.argv[1])
contract = load_contract([root / "config/robots/so101/contract.yaml"])
uri = "worker:" + sys.executable + ":scripted:vla_testing.policies:HoldPolicy"
config = parse_policy_config({"name": "x", "robot": "so101", "uri": uri})
policy = load_policy(config, contract, root)
while hasattr(policy, "_policy"): policy = policy._policy
print(policy._worker._process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_worker_dies_with_a_parent_that_is_killed(root: Path, is_stopped: bool) -> None:
    paths = os.pathsep.join(path for path in sys.path if path)
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, str(root)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        text=True,
    )
    assert host.stdout is not None
    pid = int(host.stdout.readline())
    if is_stopped:
        os.kill(pid, signal.SIGSTOP)
    host.kill()
    host.wait(PATIENCE_S)
    host.stdout.close()
    assert eventually(lambda: is_gone(pid))


def other_pythons() -> list[str]:
    """Return environments with other Pythons, as ./vla test makes them."""
    if given := os.environ.get("VLA_WORKER_PYTHONS"):
        return given.split(os.pathsep)
    envs = Path(__file__).resolve().parents[3] / ".vla" / "envs"
    return sorted(str(path) for path in envs.glob("core-*/bin/python"))


@pytest.mark.parametrize("python", other_pythons() or [None])
def test_a_worker_of_another_python_answers(load: Any, python: str | None) -> None:
    if python is None:
        pytest.skip("no .vla/envs/core-*: ./vla test makes them; or name VLA_WORKER_PYTHONS")
    policy = load(python=python)
    np.testing.assert_allclose(ask(policy).values[0], [0.1, 0.2, 0.3], atol=1e-5)
    with pytest.raises(InferenceError, match="last words"):
        ask(policy, "die")
    assert answers_again(policy)


def test_an_interpreter_may_be_a_name_a_path_or_an_environment(tmp_path: Path) -> None:
    (tmp_path / "env" / "bin").mkdir(parents=True)
    python = tmp_path / "env" / "bin" / "python"
    python.symlink_to(sys.executable)
    assert find_interpreter("env/", tmp_path, "x") == python
    assert find_interpreter("env/bin/python", tmp_path, "x") == python
    assert find_interpreter("sh", tmp_path, "x").name == "sh"
