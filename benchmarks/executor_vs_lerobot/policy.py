"""The policy as our policy node hosts it: ``scripted:executor_vs_lerobot.policy:FollowPolicy``."""

from __future__ import annotations

from executor_vs_lerobot.scenario import CAMERAS, HEIGHT, WIDTH, Scenario, Thinker
from vla_core.contract import Contract, PolicyConfig
from vla_core.ports import EXAMPLE_INSTRUCTION, ImageSpec, PolicySpec
from vla_core.types import ActionChunk, Observation, Prefix

HELD_S = 0.01  # the bridge writes to the servos at 100 Hz


class FollowPolicy:
    """Follows the way that the instruction describes, as late as it says."""

    def __init__(self, config: PolicyConfig, contract: Contract) -> None:
        example = Scenario(int(config.options["rate_hz"]), "constant:0.0", 4.0)
        self._thinker = Thinker(example.text(), HELD_S)
        (self._stream, stream), *_ = contract.observation.state.items()
        self.spec = PolicySpec(
            name="follow",
            images={name: ImageSpec(HEIGHT, WIDTH) for name in CAMERAS},
            state={self._stream: stream.entries},
            columns=contract.columns,
            units=contract.units,
            horizon=example.rows,
            step_ns=contract.step_ns,
            metadata={EXAMPLE_INSTRUCTION: example.text()},
        )

    def infer(self, observation: Observation, prefix: Prefix | None = None) -> ActionChunk:
        if observation.instruction != self._thinker.text:
            self._thinker = Thinker(observation.instruction, HELD_S)
        rows = self._thinker.answer(observation.state[self._stream])
        return ActionChunk(rows, observation.as_of_ns, self.spec.step_ns, self.spec.columns)

    def reset(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is held."""
