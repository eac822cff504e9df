"""Our robot and our policy as LeRobot plug-ins, registered the way LeRobot asks for.

Joints are in degrees there, as LeRobot's own arms have them: its similarity filter compares raw
numbers, and in radians it would drop nearly every observation (lerobot #1557, #3204).
Source: lerobot 0.4.4, policies/act (processors), robots/robot.py, policies/pretrained.py.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

# First: it completes torchvision.
from executor_vs_lerobot.config_lerobot_plugin import SixJointsConfig  # isort: skip

from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.processor import (
    AddBatchDimensionProcessorStep,
    DeviceProcessorStep,
    NormalizerProcessorStep,
    PolicyProcessorPipeline,
    RenameObservationsProcessorStep,
    UnnormalizerProcessorStep,
)
from lerobot.processor.converters import (
    policy_action_to_transition,
    transition_to_policy_action,
)
from lerobot.robots import Robot
from lerobot.utils.constants import (
    POLICY_POSTPROCESSOR_DEFAULT_NAME,
    POLICY_PREPROCESSOR_DEFAULT_NAME,
)

from executor_vs_lerobot.scenario import (
    CAMERAS,
    HEIGHT,
    HOME,
    JOINTS,
    SERVO_S,
    WIDTH,
    Scenario,
    Thinker,
    frames,
)
from vla_data.tuning.reference import Servo

KEYS = tuple(f"{name}.pos" for name in JOINTS)


class SixJoints(Robot):
    """Servos that follow with a lag; pictures cost nothing; everything is written down."""

    config_class = SixJointsConfig
    name = "vla_six"

    def __init__(self, config: SixJointsConfig) -> None:
        super().__init__(config)
        self._servo = Servo(np.array(HOME), SERVO_S)
        self._last_s = time.monotonic()
        self._frames = frames()
        self.commands: list[tuple[float, np.ndarray]] = []
        self.states: list[tuple[float, np.ndarray]] = []

    @property
    def observation_features(self) -> dict[str, Any]:
        pictures = dict.fromkeys(CAMERAS, (HEIGHT, WIDTH, 3))
        return {**dict.fromkeys(KEYS, float), **pictures}

    @property
    def action_features(self) -> dict[str, Any]:
        return dict.fromkeys(KEYS, float)

    @property
    def is_connected(self) -> bool:
        return True

    @property
    def is_calibrated(self) -> bool:
        return True

    def connect(self, calibrate: bool = True) -> None: ...
    def calibrate(self) -> None: ...
    def configure(self) -> None: ...
    def disconnect(self) -> None: ...

    def positions(self) -> np.ndarray:
        """Let the servos move until now; return where they are [rad]."""
        now = time.monotonic()
        self._servo.advance(now - self._last_s)
        self._last_s = now
        self.states.append((time.time(), self._servo.positions.copy()))
        return self._servo.positions

    def get_observation(self) -> dict[str, Any]:
        degrees = np.rad2deg(self.positions())
        return {**dict(zip(KEYS, map(float, degrees), strict=True)), **self._frames}

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        self.positions()
        self._servo.targets[:] = np.deg2rad([action[key] for key in KEYS])
        self.commands.append((time.time(), self._servo.targets.copy()))
        return action


@PreTrainedConfig.register_subclass("vla_follow")
@dataclass
class FollowConfig(PreTrainedConfig):
    """Shape of the policy; images are taken at the size they have."""

    chunk_size: int = 50
    log: str = ""  # file that gets `begin end` of each inference
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: {
            "VISUAL": NormalizationMode.IDENTITY,
            "STATE": NormalizationMode.MEAN_STD,
            "ACTION": NormalizationMode.MEAN_STD,
        }
    )

    @property
    def observation_delta_indices(self) -> None:
        return None

    @property
    def action_delta_indices(self) -> list[int]:
        return list(range(self.chunk_size))

    @property
    def reward_delta_indices(self) -> None:
        return None

    def get_optimizer_preset(self) -> Any:
        raise NotImplementedError("this policy is not trained")

    def get_scheduler_preset(self) -> None:
        return None

    def validate_features(self) -> None: ...


class FollowPolicy(PreTrainedPolicy):
    """The same policy as `executor_vs_lerobot.policy`, with LeRobot's interface."""

    config_class = FollowConfig
    name = "vla_follow"

    def __init__(self, config: FollowConfig, **_: Any) -> None:
        super().__init__(config)
        self._weight = torch.nn.Parameter(torch.zeros(1))
        self._thinker: Thinker | None = None

    def predict_action_chunk(self, batch: dict[str, Any], **_: Any) -> torch.Tensor:
        began = time.time()
        text = batch["task"][0] if isinstance(batch["task"], list) else batch["task"]
        if self._thinker is None or self._thinker.text != text:
            self._thinker = Thinker(text, Scenario.of(text).step_s)
        degrees = batch["observation.state"].reshape(-1).to(torch.float64).numpy()
        rows = self._thinker.answer(np.deg2rad(degrees))
        found = torch.from_numpy(np.rad2deg(rows)).to(torch.float32)[None]
        with Path(self.config.log).open("a") as file:
            file.write(f"{began!r} {time.time()!r}\n")
        return found

    def select_action(self, batch: dict[str, Any], **_: Any) -> torch.Tensor:
        raise NotImplementedError("chunks only")

    def get_optim_params(self) -> dict[str, Any]:
        return {}

    def reset(self) -> None: ...

    def forward(self, batch: dict[str, Any]) -> Any:
        raise NotImplementedError("this policy is not trained")


def save_policy(folder: Path, rows: int, log: Path) -> None:
    """Write policy and processors as LeRobot saves and loads them."""
    state = PolicyFeature(type=FeatureType.STATE, shape=(len(JOINTS),))
    picture = PolicyFeature(type=FeatureType.VISUAL, shape=(3, HEIGHT, WIDTH))
    action = PolicyFeature(type=FeatureType.ACTION, shape=(len(JOINTS),))
    config = FollowConfig(
        input_features={
            "observation.state": state,
            **{f"observation.images.{name}": picture for name in CAMERAS},
        },
        output_features={"action": action},
        device="cpu",
        chunk_size=rows,
        log=str(log),
    )
    FollowPolicy(config).save_pretrained(folder)
    unit = {"mean": torch.zeros(len(JOINTS)), "std": torch.ones(len(JOINTS))}
    stats = {"observation.state": unit, "action": unit}
    features = {**config.input_features, **config.output_features}
    PolicyProcessorPipeline(
        steps=[
            RenameObservationsProcessorStep(rename_map={}),
            AddBatchDimensionProcessorStep(),
            DeviceProcessorStep(device="cpu"),
            NormalizerProcessorStep(
                features=features, norm_map=config.normalization_mapping, stats=stats
            ),
        ],
        name=POLICY_PREPROCESSOR_DEFAULT_NAME,
    ).save_pretrained(folder)
    PolicyProcessorPipeline(
        steps=[
            UnnormalizerProcessorStep(
                features=config.output_features, norm_map=config.normalization_mapping, stats=stats
            ),
            DeviceProcessorStep(device="cpu"),
        ],
        name=POLICY_POSTPROCESSOR_DEFAULT_NAME,
        to_transition=policy_action_to_transition,
        to_output=transition_to_policy_action,
    ).save_pretrained(folder)
