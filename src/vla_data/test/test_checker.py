from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import CONTRACT, MS, NS, STEP, Run, Tick, record

import vla_data.checker
from vla_core.errors import ConfigurationError
from vla_data.checker import Verdict, check, time_to_rest
from vla_data.checker.execution import judge_execution
from vla_data.checker.reference import differences, segments
from vla_data.recording import Recording
from vla_data.records import Series
from vla_data.robot import read_robot

START = 100 * NS
AT = START + 1 * NS  # the tick that tests spoil


def spoiled(change: Callable[[Tick], Tick | None], at: int = AT) -> Run:
    return Run(spoil=lambda tick: change(tick) if tick.stamp_ns == at else tick)


def verdict(folder: Path, run: Run) -> Verdict:
    return check(record(folder / "bag", run))


def shifted(tick: Tick, rows: slice, by: float) -> Tick:
    positions = tick.positions.copy()
    positions[rows, 0] += by
    return replace(tick, positions=positions)


def test_a_good_run_passes(tmp_path: Path) -> None:
    result = verdict(tmp_path, Run())
    assert result.commands > 100
    assert [str(v) for v in result.violations] == []
    assert result.passed


def test_the_checker_shares_no_code_with_what_it_judges() -> None:
    here = Path(vla_data.checker.__file__).parent
    files = [*here.glob("*.py"), here.parent / "robot.py", here.parent / "recording.py"]
    imports = {
        node.module
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert {m for m in imports if m.startswith("vla_core")} == {"vla_core.errors"}


def test_a_step_in_position_breaks_velocity_acceleration_and_jerk(tmp_path: Path) -> None:
    result = verdict(tmp_path, spoiled(lambda tick: shifted(tick, slice(None), 0.2)))
    assert {"velocity", "acceleration", "jerk"} <= set(result.by_kind)
    assert {v.column for v in result.violations} == {"pan"}
    assert min(v.stamp_ns for v in result.violations) == AT


def test_a_small_step_breaks_jerk_alone(tmp_path: Path) -> None:
    result = verdict(tmp_path, spoiled(lambda tick: shifted(tick, slice(0, 1), 0.0008)))
    assert set(result.by_kind) == {"jerk"}


@pytest.mark.parametrize("row", [0, 9])
def test_a_position_beyond_its_limit_is_found_in_tick_and_tail(tmp_path: Path, row: int) -> None:
    def beyond(tick: Tick) -> Tick:
        positions = tick.positions.copy()
        positions[row, 0] = 1.6
        return replace(tick, positions=positions)

    result = verdict(tmp_path, spoiled(beyond))
    (found,) = [v for v in result.violations if v.kind == "position"]
    assert (found.column, found.value, found.limit) == ("pan", 1.6, 1.5)
    assert found.where == ("tail" if row else "tick")


def test_a_kink_inside_a_tail_is_found(tmp_path: Path) -> None:
    result = verdict(tmp_path, spoiled(lambda tick: shifted(tick, slice(5, 6), 0.01)))
    assert {v.where for v in result.violations} == {"tail"}
    assert "jerk" in result.by_kind
    assert {v.stamp_ns for v in result.violations} == {AT}


@pytest.mark.parametrize(
    ("field", "kind"), [("velocities", "velocity"), ("accelerations", "acceleration")]
)
def test_what_a_point_says_of_itself_is_judged(tmp_path: Path, field: str, kind: str) -> None:
    def lie(tick: Tick) -> Tick:
        values = getattr(tick, field).copy()
        values[0, 1] = -99.0
        return replace(tick, **{field: values})

    result = verdict(tmp_path, spoiled(lie))
    assert result.by_kind == {kind: 1}
    assert result.violations[0].column == "gripper"


def test_a_tail_that_does_not_end_at_rest_is_found(tmp_path: Path) -> None:
    def cut(tick: Tick) -> Tick:
        return Tick(
            tick.stamp_ns,
            *(
                getattr(tick, f)[:8]
                for f in ("times_ns", "positions", "velocities", "accelerations")
            ),
        )

    assert set(verdict(tmp_path, spoiled(cut)).by_kind) == {"rest"}


def test_a_command_without_a_tail_is_found(tmp_path: Path) -> None:
    def bare(tick: Tick) -> Tick:
        return Tick(
            tick.stamp_ns,
            *(
                getattr(tick, f)[:1]
                for f in ("times_ns", "positions", "velocities", "accelerations")
            ),
        )

    assert verdict(tmp_path, spoiled(bare)).by_kind == {"rest": 1}


def test_a_single_row_at_rest_is_a_tail(tmp_path: Path) -> None:
    def hold(tick: Tick) -> Tick | None:
        if tick.stamp_ns <= AT:
            return tick
        if tick.stamp_ns < AT + NS:
            return None  # at rest at the end of the tail
        end = resting[0]
        return Tick(tick.stamp_ns, np.array([STEP]), end[None], 0 * end[None], 0 * end[None])

    resting: list[np.ndarray] = []

    def spoil(tick: Tick) -> Tick | None:
        if tick.stamp_ns == AT:
            resting.append(tick.positions[-1])
        return hold(tick)

    run = Run(spoil=spoil, modes={0.0: 4, 0.1: 2, 1.0: 4})
    assert verdict(tmp_path, run).by_kind == {}


def test_nan_is_found_in_any_field(tmp_path: Path) -> None:
    def spoil(tick: Tick) -> Tick:
        accelerations = tick.accelerations.copy()
        accelerations[3, 1] = np.nan
        return replace(tick, accelerations=accelerations)

    assert verdict(tmp_path, spoiled(spoil)).by_kind == {"finite": 1}


def test_two_commands_for_one_tick_are_found(tmp_path: Path) -> None:
    result = verdict(tmp_path, spoiled(lambda tick: replace(tick, stamp_ns=AT - STEP)))
    assert result.by_kind["order"] == 1


def test_a_jump_at_the_start_is_found(tmp_path: Path) -> None:
    result = verdict(tmp_path, Run(spoil=lambda tick: shifted(tick, slice(None), 0.5)))
    assert result.by_kind == {"start": 1}


def test_a_start_in_motion_is_found(tmp_path: Path) -> None:
    def late(t: Tick) -> Tick | None:
        return t if t.stamp_ns > START + NS else None

    result = verdict(tmp_path, Run(spoil=late, modes={0.0: 4, 1.0: 2}))
    assert set(result.by_kind) == {"start"}


def test_a_start_that_the_recorder_missed_is_a_gap_and_no_start_in_motion(tmp_path: Path) -> None:
    # The executor said at 0.5 s that it moves the robot, the first command was heard at 1 s.
    def missed(t: Tick) -> Tick | None:
        return t if t.stamp_ns > START + NS else None

    result = verdict(tmp_path, Run(spoil=missed, modes={0.0: 4, 0.5: 2}))
    assert result.by_kind == {"gap": 1}
    assert result.violations[0].value == pytest.approx(0.52)


def test_an_executor_that_the_recorder_met_in_motion_is_a_gap(tmp_path: Path) -> None:
    # The first executor was heard until 0.5 s; of the second the commands came before the states.
    def missed(t: Tick) -> Tick | None:
        return None if START + NS // 2 <= t.stamp_ns <= START + 2 * NS else t

    run = Run(spoil=missed, modes={0.0: 4, 0.1: 2}, unheard_s=(0.5, 2.1))
    result = verdict(tmp_path, run)
    assert result.by_kind == {"gap": 1}
    assert result.violations[0].value == pytest.approx(1.62)


def test_a_recording_that_begins_in_motion_is_not_blamed_for_it(tmp_path: Path) -> None:
    late = Run(spoil=lambda t: t if t.stamp_ns > START + NS else None, states_from_s=1.1)
    assert verdict(tmp_path, late).by_kind == {}


def test_a_silence_while_running_is_a_gap(tmp_path: Path) -> None:
    quiet = Run(spoil=lambda t: None if AT < t.stamp_ns < AT + 140 * MS else t)
    gaps = [v for v in verdict(tmp_path, quiet).violations if v.kind == "gap"]
    assert len(gaps) == 1
    assert gaps[0].value == pytest.approx(0.14)
    assert gaps[0].limit == 0.1


def test_a_silence_while_holding_is_none(tmp_path: Path) -> None:
    quiet = Run(
        spoil=lambda t: None if t.stamp_ns > AT + NS else t, modes={0.0: 4, 0.1: 2, 1.0: 4}
    )
    assert "gap" not in verdict(tmp_path, quiet).by_kind


def test_missed_ticks_are_judged_along_the_tail_that_was_played(tmp_path: Path) -> None:
    recording = Recording(
        record(
            tmp_path / "bag", Run(spoil=lambda t: None if AT <= t.stamp_ns < AT + 4 * STEP else t)
        )
    )
    (segment,) = segments(recording.commands["arm"])
    last = next(c for c in segment.commands if c.stamp_ns == AT - STEP)
    between = (segment.times_ns > AT) & (segment.times_ns <= AT + 4 * STEP)
    assert segment.times_ns[between].tolist() == [AT + 2 * STEP, AT + 4 * STEP]
    assert segment.values[between] == pytest.approx(last.positions[1:3])


def test_times_may_be_uneven_without_a_false_alarm() -> None:
    t = np.cumsum(np.random.default_rng(0).integers(5, 40, 200)) * MS
    s = t / NS
    values = (np.sin(3 * s))[:, None]
    for order, rate in enumerate(differences(t, values), start=1):
        assert np.abs(rate).max() <= 3**order * (1 + 1e-6)


def test_no_tick_starves_while_chunks_come(tmp_path: Path) -> None:
    execution = verdict(tmp_path, Run()).execution
    assert execution.starved == 0
    assert execution.chunks == 8
    assert execution.ticks == 144
    assert execution.ages_s.max() == pytest.approx(0.48)


def test_ticks_past_the_last_row_are_starved(tmp_path: Path) -> None:
    # Chunks at 0 and 0.4 s; the last row of the second is due 0.4 + 31 x 0.05 = 1.95 s.
    execution = verdict(tmp_path, Run(chunks_until_s=0.5)).execution
    assert execution.starved == len(range(196, 300, 2))


def test_starvation_while_stopped_is_none(tmp_path: Path) -> None:
    run = Run(chunks_until_s=0.5, modes={0.0: 4, 0.1: 2, 1.9: 5})
    assert verdict(tmp_path, run).execution.starved == 0


def test_a_first_chunk_that_came_late_at_rest_starts_when_it_comes(tmp_path: Path) -> None:
    # One chunk, 1.55 s long, first used at 1.02 s: lasts until 2.57 s, although it began at 0.
    execution = verdict(tmp_path, Run(delay_s=1.0, chunks_until_s=0.1)).execution
    assert execution.starved == len(range(258, 300, 2))


def test_the_seam_gap_is_how_far_the_plans_are_apart(tmp_path: Path) -> None:
    execution = verdict(tmp_path, Run(disagreement=0.03)).execution
    assert len(execution.seam_gaps) == 7
    # The first chunk began when it came, the second one did not know: they differ by more.
    assert execution.seam_gaps[1:] == pytest.approx(0.03, abs=1e-3)
    assert execution.seam_gaps[0] > 0.03
    assert execution.seam_steps_velocity.max() < 0.01, "the commands did not follow the jump"


def test_the_seam_step_is_a_change_that_happens_at_seams_alone(tmp_path: Path) -> None:
    seam = START + round(0.5 * NS)  # the chunk of 0.4 s arrives

    def late(tick: Tick) -> Tick:
        return shifted(tick, slice(None), 0.004) if tick.stamp_ns >= seam else tick

    execution = verdict(tmp_path, Run(spoil=late)).execution
    assert execution.seam_steps_velocity[0] == pytest.approx(0.004 / 0.02, rel=0.2)
    assert execution.seam_steps_velocity[1:].max() < 0.05


def test_a_receiver_of_nothing_but_a_gripper_has_no_seams(tmp_path: Path) -> None:
    robot = read_robot([CONTRACT.replace("columns: [pan, gripper]", "columns: [gripper]")])
    recording = Recording(record(tmp_path / "bag", Run()), robot)
    task = recording.tasks[0]
    assert not len(judge_execution(recording, task.start_ns, task.end_ns).seam_gaps)


def test_a_contract_without_a_limit_is_a_refusal() -> None:
    with pytest.raises(ConfigurationError, match="jerk"):
        read_robot([CONTRACT.replace("jerk: 150.0", "jolt: 150.0")])


def test_an_overlay_changes_what_it_names() -> None:
    robot = read_robot([CONTRACT, "action: {step_s: 0.01}"])
    assert robot.step_ns == 10 * MS
    assert robot.columns["pan"].jerk == 150.0


def joints(speed: Callable[[float], float], seconds: float = 2.0) -> Series:
    t = np.arange(0, seconds, 0.01)
    x = np.cumsum([speed(at) * 0.01 for at in t])
    return Series((t * NS).astype(np.int64), (t * NS).astype(np.int64), ("pan",), x[:, None])


def test_time_to_rest_is_counted_to_the_last_motion() -> None:
    series = joints(lambda t: max(0.0, 1.0 - 2 * max(0.0, t - 0.5)))
    assert time_to_rest(series, 500 * MS) == pytest.approx(0.48, abs=0.04)


def test_who_is_at_rest_needs_no_time() -> None:
    assert time_to_rest(joints(lambda t: 0.0), NS) == 0.0


def test_who_keeps_moving_never_came_to_rest() -> None:
    assert np.isnan(time_to_rest(joints(lambda t: 0.5), NS))
