"""The typed file of one policy: where it is, which input is which stream, how it is executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from vla_core.contract.model import Finite, Name, Positive, Section, Whole

JOINS = ("replace", "blend")


class ExecutionConfig(Section):
    """How the executor plays the chunks of one policy."""

    mode: Literal["async", "sync"] = "async"
    horizon_rows: Whole | None = None  # rows played before the next chunk is due; None: all
    join: Literal["replace", "blend"] = "blend"
    threshold: Annotated[float, Strict(), Field(gt=0.0, lt=1.0)] | None = None  # share g
    refresh_s: Positive | None = None  # ask again when the plan's observation is older
    mode_switch: Positive = 0.5  # plans farther apart than this stop instead of blending
    latency_injected_s: Annotated[float, Strict(), Field(ge=0.0, allow_inf_nan=False)] = 0.0


class PolicyConfig(Section):
    """One policy for one robot."""

    name: Name
    robot: Name
    uri: Name
    streams: Mapping[Name, Name]  # the policy's input -> the contract's stream
    columns: Mapping[Name, Name] = Field(default_factory=dict)  # the policy's -> the contract's
    units: Mapping[Name, str | Mapping[str, Finite]] = Field(default_factory=dict)
    rate_hz: Positive | None = None  # action rate, where the policy's own files do not say it
    options: Mapping[str, Any] = Field(default_factory=dict)  # for the adapter alone
    execution: ExecutionConfig = Field(default_factory=ExecutionConfig)
