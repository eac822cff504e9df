from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from vla_core.errors import ConfigurationError
from vla_data.bag import LATCHED, BagReader, BagWriter, TypeStore, ensure_readable, recover

IMAGE = "sensor_msgs/msg/Image"
CHUNK = "vla_interfaces/msg/ActionChunk"


@pytest.fixture(scope="module")
def types() -> TypeStore:
    return TypeStore()


def write(path: Path, types: TypeStore, count: int = 3) -> Path:
    with BagWriter(path, types=types) as bag:
        for i in range(count):
            chunk = types.make(CHUNK, request_id=i, names=["pan"], values=np.array([0.5, 0.25]))
            bag.write_message("/so101/action_chunk", chunk, 100 + i)
        bag.write_message("/so101/note", types.make("std_msgs/msg/String", data="hi"), 50, LATCHED)
    return path


def test_what_is_written_is_read_back_in_time_order(tmp_path: Path, types: TypeStore) -> None:
    with BagReader(write(tmp_path / "bag", types)) as bag:
        assert bag.topics == {"/so101/action_chunk": CHUNK, "/so101/note": "std_msgs/msg/String"}
        messages = list(bag.messages())
        assert [m.time_ns for m in messages] == [50, 100, 101, 102]
        assert messages[0].decode().data == "hi"
        assert messages[2].decode().request_id == 1
        assert messages[2].decode().values.tolist() == [0.5, 0.25]
        assert bag.offered_qos["/so101/note"].durability.name == "TRANSIENT_LOCAL"
        assert (bag.start_ns, bag.end_ns) == (50, 102)


def test_bytes_pass_through_unread(tmp_path: Path, types: TypeStore) -> None:
    raw = types.encode(types.make(IMAGE, height=1, width=2, data=np.arange(6, dtype=np.uint8)))
    with BagWriter(tmp_path / "bag", types=types) as bag:
        bag.add_topic("/image", IMAGE)
        bag.write("/image", memoryview(raw), 1)
    with BagReader(tmp_path / "bag") as bag:
        assert [m.data for m in bag.messages(["/image"])] == [raw]


def test_metadata_is_what_humble_reads(tmp_path: Path, types: TypeStore) -> None:
    write(tmp_path / "bag", types)
    info = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())
    info = info["rosbag2_bagfile_information"]
    assert info["version"] == 8
    assert info["storage_identifier"] == "mcap"
    qos = info["topics_with_message_count"][0]["topic_metadata"]["offered_qos_profiles"]
    assert isinstance(qos, str), "a list is version 9, which Humble refuses"


def test_the_reader_needs_no_definition_files(
    tmp_path: Path, types: TypeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "bag", types)
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    monkeypatch.setattr("vla_data.bag.types.SOURCE_TREE", tmp_path)
    with BagReader(tmp_path / "bag") as bag:
        assert next(bag.messages(["/so101/action_chunk"])).decode().names == ["pan"]


def test_installed_definitions_are_found_with_what_they_are_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package, name, text in (
        ("vendor_msgs", "Servo", "other_msgs/Load[] loads\nfloat64[3] gains\nstring mode"),
        ("other_msgs", "Load", "std_msgs/Header header\nfloat32 current"),
    ):
        folder = tmp_path / "share" / package / "msg"
        folder.mkdir(parents=True)
        (folder / f"{name}.msg").write_text(text)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    types = TypeStore()
    servo = types.make(
        "vendor_msgs/msg/Servo", loads=[types.make("other_msgs/msg/Load", current=2)]
    )
    back = types.decode(types.encode(servo), "vendor_msgs/msg/Servo")
    assert back.loads[0].current == 2.0
    assert back.gains.tolist() == [0, 0, 0]


def test_an_unknown_type_is_refused_with_the_way_out(types: TypeStore) -> None:
    with pytest.raises(ConfigurationError, match=r"'no_msgs/msg/Thing'.*AMENT_PREFIX_PATH"):
        types.need("no_msgs/msg/Thing")


def test_an_existing_bag_is_never_overwritten(tmp_path: Path, types: TypeStore) -> None:
    write(tmp_path / "bag", types)
    with pytest.raises(FileExistsError, match="exists already"):
        BagWriter(tmp_path / "bag")


def test_an_empty_bag_is_a_bag(tmp_path: Path) -> None:
    BagWriter(tmp_path / "bag").close()
    with BagReader(tmp_path / "bag") as bag:
        assert list(bag.messages()) == []


def test_an_exception_keeps_what_was_recorded(tmp_path: Path, types: TypeStore) -> None:
    with pytest.raises(RuntimeError), BagWriter(tmp_path / "bag", types=types) as bag:
        bag.write_message("/note", types.make("std_msgs/msg/String", data="last"), 1)
        raise RuntimeError
    with BagReader(tmp_path / "bag") as reader:
        assert next(reader.messages()).decode().data == "last"


KILLED = """
import os, signal, sys
from pathlib import Path
from vla_data.bag import BagWriter, TypeStore
types = TypeStore()
bag = BagWriter(Path(sys.argv[1]), types=types)
for i in range(250):
    bag.write_message("/note", types.make("std_msgs/msg/String", data=f"{i} " * 100), i)
    if i % 10 == 9:
        bag.flush()
    if i == 240:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_recorder_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(path)]
    done = subprocess.run(command, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(ConfigurationError, match="recover"):
        BagReader(path)
    assert "recovered 240 messages" in ensure_readable(path)
    with BagReader(path) as bag:
        texts = [m.decode().data for m in bag.messages()]
    assert texts == [f"{i} " * 100 for i in range(240)]
    assert ensure_readable(path) == ""


def test_a_file_cut_anywhere_gives_a_beginning_and_no_error(
    tmp_path: Path, types: TypeStore
) -> None:
    with BagWriter(tmp_path / "bag", types=types) as bag:
        for i in range(8):
            bag.write_message("/note", types.make("std_msgs/msg/String", data=str(i)), i)
            bag.flush()
    whole = (tmp_path / "bag/bag.mcap").read_bytes()
    found = []
    for cut in range(60, len(whole), 97):
        part = tmp_path / f"cut{cut}.mcap"
        part.write_bytes(whole[:cut])
        found.append(recover(part, tmp_path / f"whole{cut}"))
    assert found == sorted(found)
    assert set(found) == set(range(9))


def test_recovery_refuses_what_is_no_bag(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no \.mcap file"):
        recover(tmp_path, tmp_path / "into")
    (tmp_path / "a.mcap").write_bytes(b"something else")
    with pytest.raises(ConfigurationError, match="no MCAP file"):
        recover(tmp_path / "a.mcap", tmp_path / "into")
