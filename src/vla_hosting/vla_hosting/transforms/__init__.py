"""Small reversible steps between the robot's words (the contract) and a policy's own."""

from vla_hosting.transforms.building import build_chain
from vla_hosting.transforms.chain import ConvertedPolicy, Transform
from vla_hosting.transforms.deltas import Accumulated, RelativeToState
from vla_hosting.transforms.inputs import Instruction, Resize, Select
from vla_hosting.transforms.names import Rename
from vla_hosting.transforms.units import Affine, Unit, parse_unit

__all__ = [
    "Accumulated",
    "Affine",
    "ConvertedPolicy",
    "Instruction",
    "RelativeToState",
    "Rename",
    "Resize",
    "Select",
    "Transform",
    "Unit",
    "build_chain",
    "parse_unit",
]
