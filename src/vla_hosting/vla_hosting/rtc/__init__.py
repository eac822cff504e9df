"""Real-time chunking: policies that continue the plan which the robot is already playing.

For adapters: `PrefixRows` puts the plan on the policy's own rows, `soft_mask` says how much each
row counts, `Guidance` and `continue_rows` are the two ways to sample. torch is imported by
`vla_hosting.rtc.torch_flow` alone, which nothing here imports.
"""

from vla_hosting.rtc.diffusion import Diffusion
from vla_hosting.rtc.rows import PrefixRows, align
from vla_hosting.rtc.sampler import Flow, Guidance, NoiseAtOne, continue_rows, integrate, steps
from vla_hosting.rtc.weights import SCHEDULES, guidance_weight, soft_mask

__all__ = [
    "SCHEDULES",
    "Diffusion",
    "Flow",
    "Guidance",
    "NoiseAtOne",
    "PrefixRows",
    "align",
    "continue_rows",
    "guidance_weight",
    "integrate",
    "soft_mask",
    "steps",
]
