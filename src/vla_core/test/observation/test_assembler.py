"""Missing is never zero: every lack has a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.errors import ConfigurationError, ObservationError
from vla_core.observation import ObservationAssembler

MS = 1_000_000
IMAGE = np.zeros((4, 6, 3), np.uint8)
JOINTS = np.array([0.1, 0.2, 0.3])


@pytest.fixture
def assembler(contract: Contract) -> ObservationAssembler:
    return ObservationAssembler(contract, ["front", "joints"])


def fill(assembler: ObservationAssembler, stamp_ns: int, joints: Any = JOINTS) -> None:
    assembler.add("front", stamp_ns, IMAGE + stamp_ns // MS % 255)
    assembler.add("joints", stamp_ns, joints)


def test_takes_the_newest_sample_not_later_than_the_instant(
    assembler: ObservationAssembler,
) -> None:
    for stamp in (0, 30, 60, 90):
        fill(assembler, stamp * MS, JOINTS + stamp)
    observation = assembler.assemble(70 * MS, "go")
    assert observation.state["joints"] == pytest.approx(JOINTS + 60)
    assert observation.ages_ns == {"front": 10 * MS, "joints": 10 * MS}
    assert observation.as_of_ns == 70 * MS and observation.instruction == "go"


def test_reports_the_age_of_each_stream(assembler: ObservationAssembler) -> None:
    assembler.add("front", 50 * MS, IMAGE)
    assembler.add("joints", 100 * MS, JOINTS)
    assert assembler.assemble(110 * MS, "").ages_ns == {"front": 60 * MS, "joints": 10 * MS}
    assert assembler.ages_ns(200 * MS) == {"front": 150 * MS, "joints": 100 * MS}


def test_a_missing_stream_is_a_refusal(assembler: ObservationAssembler) -> None:
    assembler.add("front", 0, IMAGE)
    with pytest.raises(ObservationError, match="stream 'joints' is missing"):
        assembler.assemble(0, "")


def test_all_troubles_are_named_at_once(assembler: ObservationAssembler) -> None:
    assembler.add("front", 0, IMAGE)
    with pytest.raises(ObservationError, match=r"'front' is old \(0.200 s.*'joints' is missing"):
        assembler.assemble(200 * MS, "")


def test_an_old_sample_never_reaches_a_policy(assembler: ObservationAssembler) -> None:
    fill(assembler, 0)
    assembler.assemble(150 * MS, "")
    with pytest.raises(ObservationError, match="old"):
        assembler.assemble(151 * MS, "")


def test_streams_too_far_apart_are_refused(assembler: ObservationAssembler) -> None:
    assembler.add("front", 0, IMAGE)
    assembler.add("joints", 81 * MS, JOINTS)
    with pytest.raises(ObservationError, match=r"'front' and 'joints' are 0\.081 s apart"):
        assembler.assemble(90 * MS, "")


def test_a_stamp_that_stands_still_while_samples_arrive_is_frozen(
    assembler: ObservationAssembler,
) -> None:
    for now in range(0, 300, 30):
        assembler.add("joints", now * MS, JOINTS)
        assembler.add("front", 0, IMAGE)
    with pytest.raises(ObservationError, match="stream 'front' is frozen"):
        assembler.assemble(270 * MS, "")


def test_a_stamp_from_a_future_that_stands_still_is_frozen(
    assembler: ObservationAssembler,
) -> None:
    """Its age never grows too large, so only the questions that go on can tell."""
    assembler.add("front", 0, IMAGE)
    assembler.add("front", 5000 * MS, IMAGE)
    for now in range(0, 1200, 100):
        assembler.add("front", now * MS, IMAGE)
        assembler.add("joints", now * MS, JOINTS)
        if now <= 1000:
            assembler.assemble(now * MS, "")
    with pytest.raises(ObservationError, match="'front' is frozen"):
        assembler.assemble(1100 * MS, "")


def test_a_frozen_stream_that_advances_again_is_taken(assembler: ObservationAssembler) -> None:
    test_a_stamp_that_stands_still_while_samples_arrive_is_frozen(assembler)
    fill(assembler, 300 * MS)
    assembler.assemble(310 * MS, "")


def test_payloads_are_decoded_only_when_used(assembler: ObservationAssembler) -> None:
    decoded: list[int] = []

    def lazily(number: int) -> Any:
        return lambda: (decoded.append(number), IMAGE)[1]

    for i in range(3):
        assembler.add("front", i * 30 * MS, lazily(i))
        assembler.add("joints", i * 30 * MS, JOINTS)
    assert decoded == []
    assembler.assemble(70 * MS, "")
    assert decoded == [2]


def test_samples_that_overtake_each_other_are_sorted(assembler: ObservationAssembler) -> None:
    for stamp in (60, 0, 90, 30):
        fill(assembler, stamp * MS, JOINTS + stamp)
    assert assembler.assemble(50 * MS, "").state["joints"][0] == pytest.approx(30.1)


def test_the_buffer_is_bounded(contract: Contract) -> None:
    assembler = ObservationAssembler(contract, ["joints"], capacity=4)
    for stamp in range(100):
        assembler.add("joints", stamp * MS, JOINTS)
    assembler.assemble(96 * MS, "")
    with pytest.raises(ObservationError, match="is missing"):
        assembler.assemble(95 * MS, "")


def test_nan_in_the_state_is_refused(assembler: ObservationAssembler) -> None:
    fill(assembler, 0, np.array([0.0, np.nan, 0.0]))
    with pytest.raises(ObservationError, match="entry 'turn' is not a finite number"):
        assembler.assemble(0, "")


def test_a_state_of_another_width_is_refused(assembler: ObservationAssembler) -> None:
    fill(assembler, 0, np.zeros(2))
    with pytest.raises(ObservationError, match="expected 3 entries"):
        assembler.assemble(0, "")


def test_an_image_of_another_size_is_refused(assembler: ObservationAssembler) -> None:
    assembler.add("front", 0, np.zeros((6, 4, 3), np.uint8))
    assembler.add("joints", 0, JOINTS)
    with pytest.raises(ObservationError, match=r"expected \(4, 6, 3\) uint8, got \(6, 4, 3\)"):
        assembler.assemble(0, "")


def test_a_stream_nobody_needs_is_ignored(assembler: ObservationAssembler) -> None:
    assembler.add("thermal", 0, IMAGE)
    assert assembler.streams == ("front", "joints")


def test_an_unknown_stream_lists_the_known_ones(contract: Contract) -> None:
    with pytest.raises(ConfigurationError, match=r"no stream \['top'\], the contract has \['fro"):
        ObservationAssembler(contract, ["top"])


def test_clear_forgets_everything(assembler: ObservationAssembler) -> None:
    fill(assembler, 10_000 * MS)
    assembler.clear()
    fill(assembler, 0)
    assembler.assemble(10 * MS, "")


def test_recording_and_live_see_the_same(contract: Contract) -> None:
    """Samples that come later do not change what was known at an instant."""
    live, replay = (ObservationAssembler(contract, ["front", "joints"]) for _ in range(2))
    rng = np.random.default_rng(0)
    samples = [(int(t) * MS, JOINTS * rng.random()) for t in np.sort(rng.integers(0, 400, 40))]
    for stamp, joints in samples:
        fill(replay, stamp, joints)
    for now in range(0, 400, 20):
        for stamp, joints in samples:
            if now - 20 < stamp / MS <= now:
                fill(live, stamp, joints)
        try:
            expected = live.assemble(now * MS, "")
        except ObservationError:
            continue
        found = replay.assemble(now * MS, "")
        assert found.ages_ns == expected.ages_ns
        assert (found.state["joints"] == expected.state["joints"]).all()
