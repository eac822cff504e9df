"""The typed file of one policy: where it is, which input is which stream, how it is executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from vla_core.contract.model import Name, Positive, Section, Whole

NotNegative = Annotated[float, Strict(), Field(ge=0.0, allow_inf_nan=False)]
# How a new plan takes over from the old one; `vla_core.execution.join` has them.
JoinName = Literal["replace", "blend", "weighted", "average", "conservative", "ensemble", "rtc"]
Share = Annotated[float, Strict(), Field(gt=0.0, lt=1.0)]


class ExecutionConfig(Section):
    """How the executor plays the chunks of one policy."""

    mode: Literal["async", "sync"] = "async"
    horizon_rows: Whole | None = None  # rows played before the next chunk is due; None: all
    join: JoinName = "blend"
    threshold: Share | None = None  # ask below this share of the horizon; None: from latency
    refresh_s: Positive | None = None  # ask again when the plan's observation is older
    # Wiggles of the rows shorter than this are removed; 0: the plan goes through every row.
    smoothing_rows: NotNegative = 6.0
    # Do not ask while no joint has moved by this share of its range since the plan's observation,
    # nor it is older than the age, nor rows run short. 0: off. Images are not looked at.
    similar_within: Annotated[float, Strict(), Field(ge=0.0, le=0.2)] = 0.0
    similar_age_s: Positive = 1.0
    # Ask a policy that draws its answers so often, and play what is nearest to the plan.
    samples: Whole = 1
    mode_switch: Positive = 0.5  # plans farther apart [rad, m] stop instead of blending
    latency_injected_s: NotNegative = 0.0  # added to each answer, for experiments
    latency_spread: NotNegative = 0.0  # sigma of a lognormal around it; 0: constant


class OpenpiConfig(Section):
    """How streams are called in the observation of openpi's protocol."""

    images: Mapping[Name, Name] = Field(default_factory=dict)  # stream -> key
    state: Name | Mapping[Name, Name]
    prompt: Name = "prompt"


class PolicyConfig(Section):
    """One policy for one robot."""

    name: Name
    robot: Name
    uri: Name
    # The policy's input -> the contract's stream; empty: the same names.
    streams: Mapping[Name, Name] = Field(default_factory=dict)
    # The contract's columns in the order in which the policy gives them; None: the contract's.
    columns: tuple[Name, ...] | None = None
    # Transforms from the policy's units to SI, each {name: arguments}; `vla_hosting` checks them.
    conversions: tuple[Mapping[str, Any], ...] = ()
    rate_hz: Positive | None = None  # rows per second, where the policy cannot say it itself
    openpi: OpenpiConfig | None = None
    options: Mapping[str, Any] = Field(default_factory=dict)  # for the adapter, which checks them
    execution: ExecutionConfig = Field(default_factory=ExecutionConfig)
