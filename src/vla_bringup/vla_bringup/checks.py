"""What ``vla doctor`` looks at: each check finds what is so, and says what to do about it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vla_bringup import graph, paths
from vla_bringup.executables import find, is_ours
from vla_core.contract import load_contract, load_policy_config
from vla_core.errors import VlaError

PYTHONS = ((3, 10), (3, 13))
JITTER_LIMIT_S = 0.005
FREE_DISK_GIB = 2.0


@dataclass(frozen=True)
class Finding:
    """One line of the doctor."""

    what: str
    is_ok: bool
    text: str
    advice: str = ""


Check = Callable[[], Iterator[Finding]]


def environment() -> Iterator[Finding]:
    """Python, ROS and the built packages."""
    version = sys.version_info[:2]
    yield Finding(
        "python",
        PYTHONS[0] <= version <= PYTHONS[1],
        f"{platform.python_version()} in {sys.prefix}",
        "use Python 3.10 to 3.13 and run ./vla again",
    )
    for module, advice in (
        ("rclpy", "source ROS 2, or let ./vla set up its environment (./vla clean, ./vla doctor)"),
        ("vla_interfaces", "build the workspace: ./vla does it at its next start"),
        ("mujoco", "run ./vla clean and ./vla doctor: the environment is incomplete"),
    ):
        there = importlib.util.find_spec(module) is not None
        yield Finding(module, there, "installed" if there else "not installed", advice)
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    reach = "this machine" if _is_local() else "the whole network"
    yield Finding("ROS domain", True, f"{domain}, reaching {reach}")


def executables() -> Iterator[Finding]:
    """Every node that the graphs of all robots start is installed."""
    root = paths.root()
    missing = {}
    absent: set[str] = set()  # of others, for backends that not every machine has
    count = 0
    for robot in graph.robots(root):
        for backend in graph.backends(root, robot):
            for policy in graph.policies_for(root, robot)[:1]:
                for process in graph.describe(robot, backend, policy, root).processes:
                    count += 1
                    try:
                        find(process.package, process.executable)
                    except VlaError as error:
                        if is_ours(process.package):
                            missing[f"{process.package}/{process.executable}"] = str(error)
                        absent.add(process.package)
    text = f"{count} executables looked for" if not missing else "; ".join(missing.values())
    if absent and not missing:
        text += f"; not installed, and needed by some backends: {', '.join(sorted(absent))}"
    yield Finding("nodes", not missing, text, "build the workspace: ./vla does it at its start")


def configuration() -> Iterator[Finding]:
    """Contracts and policy files are readable and fit together."""
    root = paths.root()
    for robot in graph.robots(root):
        for backend in graph.backends(root, robot):
            files = graph.contract_files(root, robot, backend)
            yield _try(
                f"contract {robot} ({backend})",
                partial(_contract, files),
                "correct the keys that are named above",
            )
    for policy in graph.policies(root):
        yield _try(f"policy {policy}", partial(_policy, root, policy), "see config/policies")


def _contract(files: Sequence[str]) -> str:
    contract = load_contract(files)
    streams = [*contract.observation.images, *contract.observation.state]
    return f"{len(contract.columns)} columns, streams {', '.join(streams)}"


def _policy(root: Path, policy: str) -> str:
    config = load_policy_config(root / "config" / "policies" / f"{policy}.yaml")
    if config.robot and config.robot not in graph.robots(root):
        raise VlaError(f"is for robot '{config.robot}', which has no folder in config/robots")
    scheme, _, place = config.uri.partition(":")
    if scheme == "nano" and not (root / place).is_dir():
        raise VlaError(f"{root / place} is not there: train it (./vla train demo) or fetch it")
    return f"{config.uri} for {config.robot or 'any robot'}"


def discovery() -> Iterator[Finding]:
    """Two processes find each other and exchange a message over DDS."""
    began = time.monotonic()
    command = [sys.executable, "-m", "vla_bringup.dds_probe"]
    speaker = subprocess.Popen([*command, "speak"], stdout=subprocess.DEVNULL)
    try:
        heard = _run([*command, "listen"], 20.0)
    finally:
        speaker.kill()
        speaker.wait()
    taken = time.monotonic() - began
    yield Finding(
        "DDS",
        heard.returncode == 0,
        f"two processes exchanged a message after {taken:.1f} s"
        if heard.returncode == 0
        else f"nothing was heard in {taken:.0f} s: {heard.stdout.strip()[-300:]}",
        "check ROS_DOMAIN_ID, RMW_IMPLEMENTATION and the firewall; ROS_LOCALHOST_ONLY=1 keeps "
        "everything on this machine; /dev/shm must be writable",
    )


def rendering() -> Iterator[Finding]:
    """The simulator can draw without a screen."""
    code = (
        "import mujoco, time\n"
        'model = mujoco.MjModel.from_xml_string(\'<mujoco><worldbody><geom size=".1"/>'
        "</worldbody></mujoco>')\n"
        "with mujoco.Renderer(model, 240, 320) as renderer:\n"
        "    data = mujoco.MjData(model); mujoco.mj_forward(model, data)\n"
        "    renderer.update_scene(data); renderer.render(); began = time.perf_counter()\n"
        "    renderer.render(); print(f'{1e3 * (time.perf_counter() - began):.1f} ms an image')\n"
    )
    backend = os.environ.get("MUJOCO_GL", "egl")
    drawn = _run([sys.executable, "-c", code], 60.0, MUJOCO_GL=backend)
    good = drawn.returncode == 0
    yield Finding(
        f"rendering ({backend})",
        good,
        drawn.stdout.strip() if good else drawn.stdout.strip().splitlines()[-1][:300],
        "install EGL: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri libopengl0 "
        "(or MUJOCO_GL=osmesa with libosmesa6)",
    )


def clocks() -> Iterator[Finding]:
    """Waking up on time, which the executor's tick needs."""
    late = []
    due = time.monotonic()
    for _ in range(200):
        due += 0.005
        time.sleep(max(0.0, due - time.monotonic()))
        late.append(time.monotonic() - due)
    worst = sorted(late)[197]
    yield Finding(
        "timing",
        worst < JITTER_LIMIT_S,
        f"99 % of 200 wake-ups were less than {worst * 1e3:.1f} ms late",
        "other programs keep the processor busy; end them, or use a machine with more cores",
    )
    ask = "from vla_ros.urgency import go_first; raise SystemExit(not go_first())"
    permitted = _run([sys.executable, "-c", ask], 10.0).returncode == 0
    yield Finding(
        "real-time priority",
        True,  # better, not needed
        "permitted"
        if permitted
        else "not permitted: the executor ticks late on a busy machine; to permit it, put "
        "'<user> - rtprio 10' into /etc/security/limits.conf and log in again",
    )
    synchronized = _clock_is_synchronized()
    yield Finding(
        "wall clock",
        synchronized is not False or _is_local(),
        {True: "synchronized", False: "not synchronized", None: "not known"}[synchronized],
        "several machines need one time: install chrony on each",
    )


def resources() -> Iterator[Finding]:
    """Processor, memory and disk."""
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    yield Finding(
        "processor",
        cores >= 2 and load < cores,
        f"{cores} cores, load {load:.1f}",
        "real-time simulation needs two free cores: end other programs",
    )
    free = shutil.disk_usage(paths.runs().parent.parent).free / 2**30
    yield Finding(
        "disk",
        free > FREE_DISK_GIB,
        f"{free:.1f} GiB free",
        f"recordings need space: free at least {FREE_DISK_GIB:.0f} GiB, or delete .vla/runs",
    )


ALL: tuple[Check, ...] = (
    environment,
    resources,
    configuration,
    executables,
    clocks,
    rendering,
    discovery,
)


def _try(what: str, check: Callable[[], str], advice: str) -> Finding:
    try:
        return Finding(what, True, check())
    except VlaError as error:
        return Finding(what, False, str(error), advice)


def _run(
    command: list[str], within_s: float, **environment: str
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within_s,
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        return subprocess.CompletedProcess(command, 124, f"{said} no end within {within_s:g} s")


def _is_local() -> bool:
    return os.environ.get("ROS_LOCALHOST_ONLY") == "1" or os.environ.get(
        "ROS_AUTOMATIC_DISCOVERY_RANGE"
    ) in ("LOCALHOST", "OFF")


def _clock_is_synchronized() -> bool | None:
    """Return what systemd says of NTP, None where there is no systemd."""
    tool = shutil.which("timedatectl")
    if tool is None:
        return None
    answer = _run([tool, "show", "-p", "NTPSynchronized", "--value"], 5.0).stdout.strip()
    return {"yes": True, "no": False}.get(answer)
