"""The SO-101's driver against its emulated bus: what is sent arrives, whatever the line does.

    python benchmarks/so101_bus.py [--quick] [--json FILE] [--seconds 600] [--corrupt 0.01]

A motion of all six joints inside the contract's limits, 50 times a second, over a pseudo-terminal
to the emulator in a process of its own, which damages one packet in a hundred, both ways. Judged:

- no exception; how many ticks had no complete reading;
- *read back*: after how many ticks the goal that the servos hold is the one that was sent;
- *took over*: steps of the goals at the emulator's side, against what the velocity limit allows
  for the time between the two instants for which the goals were meant; and that every goal which
  a servo took over was one that was sent;
- *arrived*: at the end, the measured positions against the last goals.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src/vla_core"), str(ROOT / "src/vla_so101")]

from vla_core.contract import load_contract  # noqa: E402  (after the path is known)
from vla_so101 import calibration  # noqa: E402
from vla_so101.arm import Arm, ArmSettings  # noqa: E402
from vla_so101.emulator import Emulator, Faults  # noqa: E402
from vla_so101.follower import Follower  # noqa: E402
from vla_so101.matching import arm_columns, gripper_range  # noqa: E402

CONFIG = ROOT / "config/robots/so101"
RATE_HZ = 50
PERIOD_NS = 1_000_000_000 // RATE_HZ
RAMP_S = 2.0  # in which the motion grows
LATE_S = 0.02  # a reply that is later is lost; generous, for a machine that does other things too
LONGEST_STALL_S = 5.0


def emulate(corrupt: float, pipe: Connection) -> None:
    """Run the emulator until told; then hand over what happened."""
    with Emulator(faults=Faults(latency_s=0.0005)) as emulator:
        pipe.send(emulator.port)
        pipe.recv()
        emulator.faults.corrupt = corrupt
        pipe.recv()
        pipe.send((emulator.truth.goals(), emulator.faults.corrupted))


def motion(seconds: np.ndarray, start: np.ndarray, columns: list[Any]) -> np.ndarray:
    """Return positions (N, J): from the start into sines at 0.8 of velocity or acceleration."""
    middle = np.array([0.0, -0.6, 0.3, 0.4, 0.0, 0.7])
    width = np.array([0.7, 0.3, 0.4, 0.4, 0.8, 0.4])
    fastest = np.array([column.velocity for column in columns])
    hardest = np.array([column.acceleration for column in columns])
    share = np.clip(seconds / RAMP_S, 0.0, 1.0)[:, None]
    share = share**3 * (10 - 15 * share + 6 * share**2)
    rate = np.minimum(0.8 * fastest / width, np.sqrt(0.8 * hardest / width))
    waves = middle + width * np.sin(rate * np.maximum(0.0, seconds[:, None] - RAMP_S))
    return start + share * (waves - start)


def drive(port: str, pipe: Connection, seconds: float) -> dict[str, Any]:
    """Send the motion and read it back, tick by tick."""
    columns = arm_columns(load_contract([str(CONFIG / "contract.yaml")]))
    known = calibration.load(CONFIG / "mock_calibration.json")
    joints = [column.name for column in columns]
    arm = Arm(
        ArmSettings(port, known, gripper_range(columns), joints=joints, reply_timeout_s=LATE_S)
    )
    follower = Follower(arm)
    follower.connect(time.monotonic_ns())
    follower.hold()
    first = follower.step(None, time.monotonic_ns())
    assert first is not None
    pipe.send("begin")
    count = round(seconds * RATE_HZ)
    path = motion(np.arange(count) / RATE_HZ, first.positions, columns)
    before = arm.counters
    exchange_s, sent, back, late = [], [], [], 0
    begin_ns = due_ns = time.monotonic_ns()
    for k in range(count):
        now_ns = time.monotonic_ns()
        if now_ns < due_ns:
            time.sleep((due_ns - now_ns) / 1e9)
        late += now_ns > due_ns + PERIOD_NS
        due_ns = max(due_ns + PERIOD_NS, now_ns - PERIOD_NS)
        begin = time.perf_counter()
        reading = follower.step(path[k], time.monotonic_ns())
        exchange_s.append(time.perf_counter() - begin)
        if follower.trouble:
            raise RuntimeError(follower.trouble)
        sent.append(arm.ticks(path[k]))
        back.append(np.full(6, np.nan) if reading is None else reading.state.goal_ticks)
    time.sleep(0.5)
    last = follower.step(None, time.monotonic_ns())
    counters = {k: v - getattr(before, k) for k, v in vars(arm.counters).items()}
    follower.close()
    arrived = np.nan if last is None else float(np.abs(last.state.ticks - sent[-1]).max())
    return {
        "sent": np.array(sent),
        "back": np.array(back),
        "exchange_s": np.array(exchange_s),
        "begin_ns": begin_ns,
        "late": late,
        "arrived_ticks": arrived,
        "unheard": arm.unheard,
        "counters": counters,
    }


def read_back(sent: np.ndarray, back: np.ndarray) -> dict[str, float]:
    """Return in which share of ticks the goals held are those of this tick, or of the one before.

    A reading is of after the write in the same tick.
    """
    heard = np.isfinite(back).all(axis=1)
    same = np.abs(back - sent).max(axis=1) <= 1.0
    # A goal that was lost is sent again in the same tick, after the reading: the next one shows.
    joints_same = np.abs(back[1:] - sent[1:]) <= 1.0
    joints_one = np.abs(back[1:] - sent[:-1]) <= 1.0
    within = (joints_same | joints_one).all(axis=1)
    return {
        "complete_share": float(heard.mean()),
        "same_tick_share": float(same[heard].mean()),
        "within_one_tick_share": float(within[heard[1:]].mean()),
        "beyond_one_tick": int((~within & heard[1:]).sum()),
    }


def took_over(sent: np.ndarray, goals: np.ndarray, limits: np.ndarray) -> dict[str, float]:
    """Judge the goals at the emulator's side, joint by joint.

    Args:
        sent: (N, 6) ticks by control tick.
        goals: (M, 6) ticks, a row for each packet that was taken over.
        limits: (6,) largest velocity [ticks per control tick].
    """
    strangers, worst, steps = 0, 0.0, 0
    allowed = [set(np.unique(column).tolist()) for column in sent.T]
    for joint in range(sent.shape[1]):
        values = goals[:, joint]
        strangers += sum(value not in allowed[joint] for value in values.tolist())
        # Where in the motion each goal belongs: the first tick from the last place on.
        place, before = 0, None
        for value in values.tolist():
            ahead = np.flatnonzero(sent[place : place + 60, joint] == value)
            if not len(ahead):
                continue
            here = place + int(ahead[0])
            if before is not None and here > before[0]:
                step = abs(value - before[1])
                worst = max(worst, (step - 1.0) / (limits[joint] * (here - before[0])))
                steps += 1
            place, before = here, (here, value)
    return {"strangers": strangers, "steps": steps, "worst_step_of_limit": worst}


def main() -> None:
    """Print the figures; write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="20 seconds")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--corrupt", type=float, default=0.01, help="share of packets")
    arguments = parser.parse_args()
    seconds = 20.0 if arguments.quick else arguments.seconds
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=emulate, args=(arguments.corrupt, theirs)
    )
    process.start()
    try:
        done = drive(ours.recv(), ours, seconds)
        ours.send("end")
        (times_ns, goals), corrupted = ours.recv()
    finally:
        process.join(LONGEST_STALL_S)
        process.kill()
    columns = arm_columns(load_contract([str(CONFIG / "contract.yaml")]))
    known = calibration.load(CONFIG / "mock_calibration.json")
    per_tick = np.array([c.velocity for c in columns]) / np.deg2rad(360 / 4095) / RATE_HZ
    grip = known["gripper"]
    low, high = gripper_range(columns)
    per_tick[5] = columns[5].velocity * (grip.range_max - grip.range_min) / (high - low) / RATE_HZ
    p50, p99, longest = np.quantile(done["exchange_s"] * 1e3, [0.5, 0.99, 1.0])
    result = {
        "seconds": seconds,
        "ticks": len(done["sent"]),
        "corrupted_packets": corrupted,
        "exchange_p50_ms": p50,
        "exchange_p99_ms": p99,
        "exchange_max_ms": longest,
        "late_ticks": done["late"],
        **read_back(done["sent"], done["back"]),
        **took_over(done["sent"], goals[times_ns >= done["begin_ns"]], per_tick),
        "arrived_ticks": done["arrived_ticks"],
        "goals_sent_again": done["unheard"],
        **done["counters"],
    }
    for name, value in result.items():
        print(f"{name:24} {value:.4g}" if isinstance(value, float) else f"{name:24} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2, default=float) + "\n")


if __name__ == "__main__":
    main()
