"""Turns tools/requirements/*.in into *.lock: every package pinned, for every Python we support.

For developers: ``python3 -m tools.lock [name ...]`` in the root, with the environment set up (its
pip takes seconds where an old one takes hours) and on a machine that has the Pythons named below.
The oldest Python decides the versions, so that one file installs on all of them; a package that
only some of them need gets a marker.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.machine import find_python
from tools.paths import REQUIREMENTS, VENV

PYTHONS = {
    "wheels": ["3.10", "3.11", "3.12", "3.13"],
    "system": ["3.10", "3.12"],  # Humble; Jazzy and Kilted
    "core": ["3.10", "3.13"],
    "openpi": ["3.10", "3.11", "3.12"],  # numpy below 2 has no wheels for 3.13
    "lerobot": ["3.10", "3.11"],
}
# Which build of torch, and with it what else comes along, depends on the index: its version is
# copied from the .in file, the rest left to pip.
APART = "torch=="
BROUGHT_BY_TORCH = ("torch", "nvidia-", "triton", "cuda-")


def main(names: list[str]) -> None:
    for name in names or list(PYTHONS):
        pins = lock(name)
        (REQUIREMENTS / f"{name}.lock").write_text(pins)
        print(f"{name}.lock: {len(pins.splitlines()) - 1} packages")


def lock(name: str) -> str:
    """Return the text of ``name``.lock."""
    wanted = read(REQUIREMENTS / f"{name}.in")
    apart = [line for line in wanted if line.startswith(APART)]
    rest = [line for line in wanted if line not in apart]
    versions = PYTHONS[name]
    resolved: dict[str, dict[str, str]] = {}
    pins: dict[str, str] = {}
    for version in versions:
        resolved[version] = _resolve(version, rest, pins)
        pins = {**resolved[version], **pins}
    lines = [line for package in pins for line in pin_lines(package, resolved)]
    return "\n".join([f"# Made by tools/lock.py from {name}.in.", *sorted(lines + apart)]) + "\n"


def read(path: Path) -> list[str]:
    lines: list[str] = []
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("-r "):
            lines += read(path.parent / line[3:])
        elif line:
            lines.append(line)
    return lines


def _resolve(version: str, wanted: list[str], pins: dict[str, str]) -> dict[str, str]:
    """Ask pip of Python ``version`` what it would install, near the pins found so far."""
    python = find_python(version)
    if python is None:
        raise SystemExit(f"tools/lock.py needs Python {version}, which is not on this machine.")
    with tempfile.TemporaryDirectory() as folder:
        report, preferred = Path(folder, "report.json"), Path(folder, "preferred.txt")
        different = {"numpy"} if version != "3.10" else set()  # pinned by marker in core.in
        preferred.write_text("".join(f"{p}=={v}\n" for p, v in pins.items() if p not in different))
        subprocess.run(
            [str(VENV / "bin/python"), "-m", "pip", "--python", python,
             "install", "--quiet", "--dry-run", "--ignore-installed",
             "--report", str(report), "--constraint", str(preferred), *wanted],
            check=True,
        )  # fmt: skip
        items = json.loads(report.read_text())["install"]
    found = {item["metadata"]["name"]: item["metadata"]["version"] for item in items}
    return {p: v for p, v in found.items() if not p.startswith(BROUGHT_BY_TORCH)}


def pin_lines(package: str, resolved: dict[str, dict[str, str]]) -> list[str]:
    """Return one line per version of a package, with a marker unless every Python takes it."""
    found = {python: pins[package] for python, pins in resolved.items() if package in pins}
    lines = []
    for version in dict.fromkeys(found.values()):
        takers = [python for python, v in found.items() if v == version]
        lines.append(f"{package}=={version}{_marker(takers, list(resolved))}")
    return lines


def _marker(takers: list[str], pythons: list[str]) -> str:
    if takers == pythons:
        return ""
    conditions = []
    if takers[0] != pythons[0]:
        conditions.append(f'python_version >= "{takers[0]}"')
    if takers[-1] != pythons[-1]:
        after = pythons[pythons.index(takers[-1]) + 1]
        conditions.append(f'python_version < "{after}"')
    return "; " + " and ".join(conditions)


if __name__ == "__main__":
    main(sys.argv[1:])
