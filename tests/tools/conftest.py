"""Makes `tools` importable without putting the root, and so `launch/`, on the search path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"

spec = importlib.util.spec_from_file_location(
    "tools", TOOLS / "__init__.py", submodule_search_locations=[str(TOOLS)]
)
assert spec is not None and spec.loader is not None
module = importlib.util.module_from_spec(spec)
sys.modules["tools"] = module
spec.loader.exec_module(module)
