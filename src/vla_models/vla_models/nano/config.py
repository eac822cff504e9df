"""Everything that fixes a NanoVLA: what it takes and gives, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from vla_core.errors import ConfigurationError

VISIONS = ("small", "resnet18")


@dataclass(frozen=True)
class NanoConfig:
    """Shape of one NanoVLA, checked; the same values always build the same weights' shapes.

    Raises:
        ConfigurationError: values that no network can have; lists every mistake.
    """

    name: str
    robot: str
    cameras: tuple[str, ...]  # image streams, in the order of the encoders
    state_stream: str
    state_entries: tuple[str, ...]
    columns: tuple[str, ...]  # position columns named in `state_entries`: actions are relative
    units: tuple[str, ...]
    words: tuple[str, ...]  # vocabulary; words outside it are dropped

    image_px: int = 96  # square, each camera is area-resized to it
    horizon: int = 32  # rows per chunk
    step_ns: int = 50_000_000
    max_words: int = 24

    width: int = 128
    heads: int = 4
    feedforward: int = 512
    encoder_layers: int = 3
    decoder_layers: int = 3
    dropout: float = 0.0
    vision: str = "small"  # "small": CNN with coordinate channels; "resnet18": ACT's trunk
    channels: tuple[int, ...] = (32, 64, 128, 128, 128)  # of the small CNN, multiples of 8
    film: bool = True  # the text scales the features of the small CNN
    latent: int = 0  # width of the CVAE's latent; 0: without that branch
    pool: int = 1  # squares of this size of the last map become one token
    keypoints: int = 0  # things that each camera points out in a token of their own; 0: none
    rows_per_query: int = 1  # of the chunk; fewer queries are cheaper
    auxiliary: int = 0  # object coordinates predicted in training only; 0: none

    def __post_init__(self) -> None:
        mistakes = [
            f"{f.name} must be at least 1, got {getattr(self, f.name)}"
            for f in fields(self)
            if f.name in _COUNTS and getattr(self, f.name) < 1
        ]
        if self.vision not in VISIONS:
            mistakes.append(f"vision '{self.vision}' is not one of {list(VISIONS)}")
        if self.heads > 0 and self.width % (4 * self.heads):
            mistakes.append(f"width {self.width} must be a multiple of 4 x heads {self.heads}")
        if len(self.channels) != 5 or any(c < 8 or c % 8 for c in self.channels):
            mistakes.append(f"channels must be five multiples of 8, got {list(self.channels)}")
        if self.keypoints and self.vision != "small":
            mistakes.append(f"keypoints {self.keypoints} need vision 'small', got '{self.vision}'")
        if self.rows_per_query > 0 and self.horizon % self.rows_per_query:
            mistakes.append(
                f"horizon {self.horizon} must be a multiple of rows_per_query "
                f"{self.rows_per_query}"
            )
        if len(self.units) != len(self.columns):
            mistakes.append(f"{len(self.units)} units for {len(self.columns)} columns")
        missing = [c for c in self.columns if c not in self.state_entries]
        if missing:
            mistakes.append(
                f"columns {missing} are not in state '{self.state_stream}' "
                f"{list(self.state_entries)}: relative actions need their measured position"
            )
        if not self.cameras:
            mistakes.append("no camera")
        if mistakes:
            raise ConfigurationError(f"NanoVLA '{self.name}': " + "; ".join(mistakes))

    @property
    def anchor_indices(self) -> tuple[int, ...]:
        """Where in the state each column's measured position stands."""
        return tuple(self.state_entries.index(column) for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "config") -> NanoConfig:
        """Read what `to_dict` wrote.

        Raises:
            ConfigurationError: unknown or missing keys, or impossible values.
        """
        known = {f.name: f for f in fields(cls)}
        unknown = sorted(set(values) - set(known))
        needed = [n for n in _REQUIRED if n not in values]
        if unknown or needed:
            raise ConfigurationError(
                f"{source}: unknown keys {unknown}, missing keys {needed}; "
                f"a NanoVLA has {sorted(known)}"
            )
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        try:
            return cls(**plain)
        except TypeError as error:
            raise ConfigurationError(f"{source}: {error}") from error


_COUNTS = (
    "image_px", "horizon", "step_ns", "max_words", "width", "heads", "feedforward",
    "encoder_layers", "decoder_layers", "pool", "rows_per_query",
)  # fmt: skip
_REQUIRED = (
    "name", "robot", "cameras", "state_stream", "state_entries", "columns", "units", "words",
)  # fmt: skip

# The paper's sizes are those of lerobot's ACT; L_enc = 4 and 100 rows are stated, the number of
# decoder layers is not known. Source: arXiv 2510.25122, sections 3 and A.
PAPER: Mapping[str, Any] = {
    "image_px": 224, "horizon": 100, "width": 512, "heads": 8, "feedforward": 3200,
    "encoder_layers": 4, "decoder_layers": 1, "dropout": 0.1, "vision": "resnet18",
    "film": False, "latent": 32,
}  # fmt: skip
