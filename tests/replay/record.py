"""Makes the bag of this folder anew: ``./vla shell python tests/replay/record.py [BAG]``.

The first task of a recording, or of one that is made now: the scripted expert in the simulation,
through all nodes. The bag keeps what the replay reads. For a change of the core that is meant to
change commands.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from vla_data.bag import LATCHED, RELIABLE, BagReader, BagWriter
from vla_data.recording import STACK_TOPICS, Recording
from vla_data.records import NS
from vla_data.replay import replay

BAG = Path(__file__).parent / "so101_task"
ROOT = Path(__file__).resolve().parents[2]
INSTRUCTION = "put the red cube on the yellow pad"
SEED = 1_000_000
AFTER_NS = NS // 2  # kept after the task


def main(arguments: list[str]) -> int:
    """Take the first task, replay it, and only then replace the old bag."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keep_first_task(Path(arguments[0]) if arguments else record(folder), folder / "kept")
        again = replay(folder / "kept")
        size = sum(file.stat().st_size for file in (folder / "kept").iterdir())
        print(f"{again.compared} of {again.recorded} commands came out again, {size / 1e3:.0f} kB")
        if not again.is_exact:
            print(f"not kept: first difference {again.difference}")
            return 1
        shutil.rmtree(BAG, ignore_errors=True)
        shutil.copytree(folder / "kept", BAG)
    return 0


def record(folder: Path) -> Path:
    """Do one task over DDS; return its bag."""
    from vla_bringup.graph import Options, describe
    from vla_bringup.session import running

    os.environ["ROS_DOMAIN_ID"] = str(os.getpid() % 100 + 1)
    options = Options(record=folder, record_images=False)
    with running(describe("so101", "sim", "expert", ROOT, options), folder, print) as session:
        outcome = session.episode(INSTRUCTION, SEED, time_limit_s=40.0).outcome
    if not outcome.success:
        raise SystemExit(f"not kept: the task did not succeed: {outcome}")
    return folder / "bag"


def keep_first_task(path: Path, into: Path) -> None:
    """Copy the topics that a replay reads, up to the end of the first task."""
    recording = Recording(path)
    robot = recording.robot
    until_ns = recording.clock.to_wall(recording.tasks[0].end_ns) + AFTER_NS
    topics = [receiver.topic for receiver in robot.receivers.values()]
    topics += [stream.topic for stream in robot.states.values()]
    kept = {recording.topic(topic) for topic in (*topics, *STACK_TOPICS)}
    kept |= {topic for topic in recording.topics if "/recorder/" in topic}
    with BagReader(path) as bag, BagWriter(into) as made:
        for message in bag.messages([topic for topic in kept if topic]):
            if message.time_ns > until_ns:
                break
            latched = "/recorder/" in message.topic
            made.add_topic(message.topic, message.msgtype, LATCHED if latched else RELIABLE)
            made.write(message.topic, message.data, message.time_ns)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
