"""What the policy node sees live and what the converter makes of a bag are the same samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy comes with ROS or its wheels")
streams_module = pytest.importorskip("vla_policy.streams", reason="vla_policy is not built")

from vla_core.contract import load_contract  # noqa: E402
from vla_core.observation import ObservationAssembler  # noqa: E402
from vla_data.bag import BagReader, BagWriter, TypeStore  # noqa: E402
from vla_data.convert import learned_streams, observations  # noqa: E402
from vla_data.recording import Recording  # noqa: E402
from vla_data.robot import read_robot_files  # noqa: E402

CONTRACT = Path(__file__).resolve().parents[3] / "config/robots/so101/contract.yaml"
MS, NS = 1_000_000, 1_000_000_000


def record(path: Path, robot_time_ns: int) -> Path:
    """Write a bag of an SO-101 whose cameras are late and whose joints come in another order."""
    types, random = TypeStore(), np.random.default_rng(0)
    contract = load_contract([CONTRACT])
    entries = contract.observation.state["joints"].entries
    with BagWriter(path, types=types) as bag:
        for i in range(60):
            at = robot_time_ns + i * 20 * MS
            header = types.make(
                "std_msgs/msg/Header",
                stamp=types.make("builtin_interfaces/msg/Time", sec=at // NS, nanosec=at % NS),
            )
            joints = types.make(
                "sensor_msgs/msg/JointState",
                header=header,
                name=list(entries[::-1]),
                position=random.normal(size=len(entries)),
            )
            bag.write_message("/so101/observation/joints", joints, at + 2 * MS)
            for late, (name, encoding) in enumerate((("front", "rgb8"), ("wrist", "bgr8"))):
                if i % 3 == 0:
                    pixels = random.integers(0, 256, 240 * 320 * 3).astype(np.uint8)
                    image = types.make(
                        "sensor_msgs/msg/Image",
                        header=header,
                        height=240,
                        width=320,
                        step=960,
                        encoding=encoding,
                        data=pixels,
                    )
                    topic = f"/so101/observation/images/{name}"
                    bag.write_message(topic, image, at + (25 + 9 * late) * MS)
    return path


def test_live_and_offline_see_the_same_sample_by_sample(tmp_path: Path) -> None:
    start = 1000 * NS
    recording = Recording(record(tmp_path / "bag", start), read_robot_files([CONTRACT]))
    contract = load_contract([CONTRACT])
    streams = learned_streams(contract)
    instants = [start + 100 * MS + i * 23 * MS for i in range(40)]
    live = ObservationAssembler(contract, streams)
    inputs = {f"/so101/{it.topic}": it for it in streams_module.inputs(contract, streams)}
    with BagReader(recording.path) as bag:
        arrivals = [m for m in bag.messages() if m.topic in inputs]
    for offline in observations(recording, contract, instants, streams, "anything"):
        at = offline.as_of_ns
        while arrivals and arrivals[0].time_ns <= at:
            message = arrivals.pop(0)
            it = inputs[message.topic]
            live.add(it.name, it.stamp_ns(message.data, at), it.payload(message.data))
        seen = live.assemble(at, "anything")
        assert dict(seen.ages_ns) == dict(offline.ages_ns)
        for name in streams:
            ours = {**seen.images, **seen.state}[name]
            theirs = {**offline.images, **offline.state}[name]
            assert np.array_equal(ours, theirs), name
