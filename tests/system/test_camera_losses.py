"""The HSR and the Go2 lose a camera in motion: rest in time, its name, and work goes on."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from go2_arena import PLAN_S, ROOT, after_silence_s, go2_arena
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from vla_interfaces.msg import ExecutorState
from vla_testing.tables import SafeStops

sys.path.insert(0, str(ROOT / "src" / "vla_hsr" / "test"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MAX_AGE_S = 0.5  # of a picture: emulators, policy and all the rest share one machine
SWAY_S = 2.0  # of the HSR's plan
HSR_LAG_S = 0.4  # as in `src/vla_hsr/test/test_mock.py`
STOPS = SafeStops("tests/system/test_camera_losses.py")
RUNNING, HOLDING = ExecutorState.MODE_RUNNING, ExecutorState.MODE_HOLDING


@pytest.fixture(scope="module", autouse=True)
def written() -> Iterator[None]:
    """Write the table at the end."""
    yield
    STOPS.write(ROOT)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the policy's process find `watchful`."""
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))


def configuration(folder: Path, policy: str, watchful: str, camera: str) -> Path:
    """Return a configuration in which a scripted policy, now `watchful`, takes a camera."""
    shutil.copytree(ROOT / "config" / "robots", folder / "config" / "robots")
    for file in (folder / "config" / "robots").glob("*/*.yaml"):
        text = re.sub(r"(max_age_s|max_skew_s): [0-9.]+", rf"\1: {MAX_AGE_S}", file.read_text())
        file.write_text(text)
    text = (ROOT / "config" / "policies" / f"{policy}.yaml").read_text()
    text = re.sub(r"(?m)^name: .*$", "name: watchful", text)
    text = re.sub(r"(?m)^uri: .*$", f"uri: scripted:watchful:{watchful}", text)
    text = text.replace("{joints: joints}", f"{{joints: joints, {camera}: {camera}}}")
    (folder / "config" / "policies").mkdir()
    (folder / "config" / "policies" / "watchful.yaml").write_text(text)
    return folder


def test_the_hsr_without_its_hand_camera_ends_with_its_plan(tmp_path: Path) -> None:
    pytest.importorskip("control_msgs")
    from arena import arena

    root = configuration(tmp_path, "hsr_sway", "WatchfulSway", "hand")
    domain = (os.getpid() + 23) % 100 + 1
    with arena(tmp_path / "run", domain, "watchful", root, stop_silence_s=5.0) as robot:

        def see(on: bool) -> None:
            value = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=on)
            parameters = [Parameter(name="pictures", value=value)]
            request = SetParameters.Request(parameters=parameters)
            robot.client.call(SetParameters, "emulator/set_parameters", request)

        robot.recover()
        at = time.time_ns()
        see(False)
        rest = robot.rest_after(at)
        for part in ("arm", "base"):
            braking_s = robot.contract.outputs[part].deadline_s + robot.braking_s(part)
            allowed_s = MAX_AGE_S + SWAY_S + braking_s + HSR_LAG_S
            STOPS.judge("HSR: hand camera lost", part, rest[part], allowed_s)
        robot.until(lambda: robot.state.mode == HOLDING, 5.0, "no hold without a camera")
        assert "hand" in robot.state.reason
        see(True)
        robot.until_moving()


def test_the_go2_without_its_front_camera_ends_with_its_plan(tmp_path: Path) -> None:
    pytest.importorskip("unitree_go")
    root = configuration(tmp_path, "patrol", "WatchfulPatrol", "front")
    with go2_arena(tmp_path / "run", STOPS, "watchful", root, video_hz=10.0) as arena:
        arena.begin()
        allowed_s = MAX_AGE_S + PLAN_S + after_silence_s(arena)
        arena.rests_after(
            "Go2: front camera lost", lambda: arena.set("go2", blind=True), allowed_s
        )
        arena.until(lambda: arena.state.mode == HOLDING, 5.0, "no hold without a camera")
        assert "front" in arena.state.reason
        arena.set("go2", blind=False)
        arena.until(lambda: arena.state.mode == RUNNING, 20.0, "it does not go on")
