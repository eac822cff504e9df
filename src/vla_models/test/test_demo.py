"""The demo's recipe: what the policy sees, how tasks are worded, what is recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vla_core.types import ActionChunk, Observation
from vla_models.demo.corrections import record_corrections
from vla_models.demo.pipeline import joined_logs
from vla_models.demo.recipe import AUXILIARY, KEYPOINTS, demo_config, reword, weigh
from vla_models.demo.recording import auxiliary_targets, record
from vla_models.demo.snapshots import PER_FILE, record_snapshots
from vla_models.evaluation import CONDITIONS, MEANINGLESS, SwappedInstruction, Trial, score
from vla_models.examples import episode
from vla_models.nano.adapter import NanoPolicy
from vla_models.nano.checkpoint import Checkpoint
from vla_models.nano.network import NanoVla
from vla_models.nano.processor import Statistics
from vla_models.nano.text import Vocabulary
from vla_models.training.episodes import EpisodeStore
from vla_models.training.log import Row
from vla_scenes.tabletop import OBJECT_ENTRIES
from vla_scenes.tasks import TASKS, parse


@pytest.fixture
def policy() -> NanoPolicy:
    torch.manual_seed(0)
    config = demo_config()
    ones, small = np.ones(6, np.float32), np.full((32, 6), 0.01, np.float32)
    statistics = Statistics(0 * ones, ones, 0 * small, small)
    return NanoPolicy(Checkpoint(config, NanoVla(config).eval(), statistics, {}), threads=1)


def test_the_policy_takes_two_images_and_the_joints_and_nothing_else(policy: NanoPolicy) -> None:
    assert set(policy.spec.images) == {"front", "wrist"}
    assert set(policy.spec.state) == {"joints"}
    assert policy.spec.horizon == 32 and policy.spec.step_ns == 50_000_000


def test_object_poses_in_an_observation_change_nothing(policy: NanoPolicy) -> None:
    seen = replace(policy.spec.example(), instruction=TASKS[0].instruction)
    told: Observation = replace(seen, state={**seen.state, "objects": np.full(16, 0.3)})
    np.testing.assert_array_equal(policy.infer(seen).values, policy.infer(told).values)


def test_every_wording_is_known_word_by_word() -> None:
    config = demo_config()
    vocabulary = Vocabulary(config.words, config.max_words)
    for task in TASKS:
        for wording in task.wordings():
            assert sum(i > 0 for i in vocabulary.indices(wording)) == len(
                wording.replace(",", "").split()
            )


def test_a_meaningless_instruction_names_no_task() -> None:
    config = demo_config()
    colours = {"red", "green", "blue", "yellow", "purple"}
    assert not colours & set(MEANINGLESS.split())
    assert Vocabulary(config.words, 4).indices(MEANINGLESS) == [0, 0, 0, 0]


def test_rewording_keeps_the_task() -> None:
    rng = np.random.default_rng(0)
    for task in TASKS:
        said = {reword(task.instruction, rng) for _ in range(40)}
        assert len(said) > 8 and {parse(text) for text in said} == {task}


def test_the_auxiliary_loss_looks_at_the_named_cube_and_pad() -> None:
    objects = np.arange(len(OBJECT_ENTRIES), dtype=np.float32)[None]
    task = next(t for t in TASKS if (t.cube, t.pad) == ("green", "purple"))
    seen = auxiliary_targets(objects, task)[0]
    assert seen.shape == (AUXILIARY,)
    cube, pad = OBJECT_ENTRIES.index("green_cube.x"), OBJECT_ENTRIES.index("purple_pad.x")
    np.testing.assert_array_equal(seen[:3], objects[0, cube : cube + 3])
    np.testing.assert_array_equal(seen[-2:], objects[0, pad : pad + 2])


def test_a_demonstration_and_a_correction_are_recorded_alike(
    tmp_path: Path, policy: NanoPolicy
) -> None:
    shown = record(tmp_path / "shown", [0]).read(0)
    corrected = record_corrections(policy, tmp_path / "corrected", [0], longest_s=0.5).read(0)
    for found in (shown, corrected):
        assert found.images.shape[1:] == (2, 96, 96, 3)
        assert found.targets.shape[1:] == (32, 6) and found.objects.shape[1:] == (AUXILIARY,)
        assert found.pixels.shape[1:] == (2, KEYPOINTS, 2)
        assert found.valid.all() and found.sequence
    done = weigh(shown) < 1
    assert done.any() and not done[: len(done) // 2].all()


class Listener:
    """A policy that stays where it is and remembers what it was told."""

    def __init__(self, policy: NanoPolicy) -> None:
        self.spec, self.told = policy.spec, []  # type: ignore[var-annotated]

    def infer(self, observation: Observation, prefix: object = None) -> ActionChunk:
        self.told.append(observation.instruction)
        rows = np.repeat(observation.state["joints"][None], 32, axis=0)
        return ActionChunk(rows, observation.as_of_ns, 50_000_000, self.spec.columns)


def test_some_corrections_begin_with_another_task(tmp_path: Path, policy: NanoPolicy) -> None:
    told: dict[int, list[str]] = {}
    for number in range(6):
        listener = Listener(policy)
        found = record_corrections(listener, tmp_path, [number], longest_s=2.5).read(number)  # type: ignore[arg-type]
        told[number] = listener.told
        assert found.instruction == TASKS[number].instruction == listener.told[-1]
    misled = [number for number, said in told.items() if said[0] != said[-1]]
    assert 0 < len(misled) < 6


def test_snapshots_show_many_layouts_with_the_arm_in_many_places(tmp_path: Path) -> None:
    found = record_snapshots(tmp_path, [1]).read(1)
    assert found.images.shape == (PER_FILE, 2, 96, 96, 3) and not found.sequence
    assert found.targets.shape == (PER_FILE, 32, 6)
    # The front camera always has the named things, each time somewhere else.
    assert np.isfinite(found.pixels[:, 0]).all()
    assert len(np.unique(found.pixels[:, 0, 0].round(3), axis=0)) == PER_FILE
    assert found.state[:, 0].std() > 0.2
    # The expert goes on from where the arm is, as fast as the robot's limits allow.
    assert np.abs(found.targets[:, 0, :5] - found.state[:, :5]).max() < 0.06
    assert np.abs(np.diff(found.targets, axis=1)).max() / 0.05 < 2.6
    assert (weigh(found) > 1).all()


def test_a_second_recording_adds_only_what_is_missing(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    for number in (0, 1):
        store.write(number, episode())
    record(tmp_path, range(2))
    assert store.read(0).images.shape == episode().images.shape


def test_a_swapped_instruction_is_heard_after_a_second(policy: NanoPolicy) -> None:
    swapped = SwappedInstruction(policy, TASKS[3].instruction)
    late = replace(policy.spec.example(), instruction=TASKS[0].instruction, as_of_ns=1_500_000_000)
    early = replace(late, as_of_ns=0)
    first = swapped.infer(early).values
    np.testing.assert_array_equal(
        first, policy.infer(replace(early, instruction=TASKS[3].instruction)).values
    )
    np.testing.assert_array_equal(swapped.infer(late).values, policy.infer(late).values)


def test_a_score_counts_and_takes_the_median_of_successes() -> None:
    trials = [Trial("plain", i, "", i < 3, float(i)) for i in range(4)]
    found = score(trials)
    assert (found.successes, found.episodes, found.median_duration_s) == (3, 4, 1.0)
    assert json.dumps(vars(found)) and len(CONDITIONS) == 4


def test_the_logs_of_rounds_count_on() -> None:
    logs = [[Row(step, 1, 1, 1, 1, 0, 0, 1e-4, 10.0 * step) for step in (1, 2)] for _ in range(2)]
    joined = joined_logs(logs)
    assert [row.step for row in joined] == [1, 2, 3, 4]
    assert [row.seconds for row in joined] == [10, 20, 30, 40]
