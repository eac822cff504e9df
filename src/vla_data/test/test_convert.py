from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from synthetic import NS, Run, record, wave

from vla_core.errors import ConfigurationError, ObservationError
from vla_core.observation import ObservationAssembler
from vla_data.convert import contract_of, convert, observations
from vla_data.convert_cli import main
from vla_data.lerobot import Dataset
from vla_data.recording import Recording

START = 100 * NS


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return Recording(record(tmp_path_factory.mktemp("convert") / "bag", Run(images=True)))


def test_a_task_becomes_an_episode(recording: Recording, tmp_path: Path) -> None:
    done = convert([recording], tmp_path, as_video=False)
    dataset = Dataset(tmp_path)
    assert (done.episodes, done.left_out) == (1, ())
    assert done.frames == len(dataset) == 58
    assert dataset.tasks == ("wave",)
    assert dataset.features["action"].names == ("pan", "gripper")
    assert dataset.info["robot_type"] == "test"


def test_the_action_is_what_was_commanded_for_that_instant(
    recording: Recording, tmp_path: Path
) -> None:
    convert([recording], tmp_path, as_video=False)
    actions = Dataset(tmp_path).column("action")
    # The first command is due at 0.14 s, where the wave is at 0.04 s.
    expected = [wave(0.04 + i * 0.05)[0] for i in range(len(actions))]
    assert np.abs(actions - np.array(expected)).max() < 2e-4


def test_the_state_is_in_the_order_of_the_contract(recording: Recording, tmp_path: Path) -> None:
    convert([recording], tmp_path, as_video=False)
    states = Dataset(tmp_path).column("observation.state")
    assert states[-1][0] > states[-1][1] > 0, "pan moves farther than the gripper"


def test_each_picture_is_the_newest_that_had_arrived(recording: Recording, tmp_path: Path) -> None:
    convert([recording], tmp_path, as_video=False)
    pictures = Dataset(tmp_path).images("observation.images.front")
    # Frame 0 is at 0.14 s: the picture of 0.10 s, number 2, has brightness 4.
    assert pictures[0, 0, 0, 0] == 4
    assert pictures[1, 0, 0, 0] == 6


def test_videos_hold_the_same_pictures(recording: Recording, tmp_path: Path) -> None:
    convert([recording], tmp_path, as_video=True)
    dataset = Dataset(tmp_path)
    assert dataset.features["observation.images.front"].dtype == "video"
    assert dataset.images("observation.images.front")[10, 12, 16, 0] == pytest.approx(24, abs=3)


def test_offline_and_live_assembly_are_the_same_sample_by_sample(recording: Recording) -> None:
    contract = contract_of(recording)
    streams = ("front", "wrist", "joints")
    instants = [START + NS // 3 + i * 37_000_000 for i in range(60)]
    offline = list(observations(recording, contract, instants, streams, "wave"))
    live = ObservationAssembler(contract, streams)
    arrived = sorted(_arrivals(recording), key=lambda sample: sample[0])
    for at, expected in zip(instants, offline, strict=True):
        while arrived and arrived[0][0] <= at:
            _, name, stamp, payload = arrived.pop(0)
            live.add(name, stamp, payload)
        seen = live.assemble(at, "wave")
        assert seen.ages_ns == expected.ages_ns
        for name in seen.images:
            assert np.array_equal(seen.images[name], expected.images[name])
        assert np.array_equal(seen.state["joints"], expected.state["joints"])


def _arrivals(recording: Recording) -> list[tuple[int, str, int, np.ndarray]]:
    """Every sample as a subscription would have got it, read without the converter."""
    from vla_data.bag import BagReader

    found = []
    with BagReader(recording.path) as bag:
        for message in bag.messages():
            at = recording.clock.to_ros(message.time_ns)
            m = message.decode()
            if "/images/" in message.topic:
                stamp = m.header.stamp.sec * NS + m.header.stamp.nanosec
                pixels = np.array(m.data).reshape(m.height, m.width, 3)
                found.append((at, message.topic.rsplit("/", 1)[1], stamp, pixels))
            elif message.topic.endswith("/joints") and "observation" in message.topic:
                stamp = m.header.stamp.sec * NS + m.header.stamp.nanosec
                order = [m.name.index(name) for name in ("pan", "gripper")]
                found.append((at, "joints", stamp, m.position[order]))
    return found


def test_late_samples_count_on_request_but_never_later_ones(recording: Recording) -> None:
    contract = contract_of(recording)
    at = START + NS  # the pictures of this very instant arrive at this very instant
    (live,) = observations(recording, contract, [at - 1], ("front",), "wave")
    (late,) = observations(recording, contract, [at - 1], ("front",), "wave", late_ns=NS // 2)
    assert live.ages_ns == late.ages_ns == {"front": 50_000_000 - 1}


def test_an_episode_with_a_hole_is_left_out_with_the_reason(tmp_path: Path) -> None:
    blind = Recording(record(tmp_path / "bag", Run()))
    done = convert([blind], tmp_path / "dataset")
    assert done.episodes == 0
    assert "stream 'front' is missing" in done.left_out[0]


def test_several_bags_become_one_dataset(recording: Recording, tmp_path: Path) -> None:
    done = convert([recording, recording], tmp_path)
    assert done.episodes == 2
    assert len(Dataset(tmp_path).episodes) == 2


def test_an_instant_without_an_observation_is_an_error(recording: Recording) -> None:
    contract = contract_of(recording)
    with pytest.raises(ObservationError, match="missing"):
        list(observations(recording, contract, [START - NS], ("front",), "wave"))


def test_only_what_succeeded_is_taken_on_request(recording: Recording, tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.json"
    metrics.write_text(json.dumps({"per_episode": [{"task_id": "task-1", "success": False}]}))
    arguments = [str(recording.path), "--output", str(tmp_path / "d"), "--successes", str(metrics)]
    assert main(arguments) == 1
    metrics.write_text("[]")
    with pytest.raises(ConfigurationError, match=r"metrics\.json"):
        main([*arguments[:2], str(tmp_path / "e"), *arguments[3:]])
