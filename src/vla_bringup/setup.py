from collections.abc import Iterator
from pathlib import Path

from setuptools import find_packages, setup

package = "vla_bringup"


def installed(folder: str) -> Iterator[tuple[str, list[str]]]:
    """Yield one data_files entry for each folder of the tree below ``folder``."""
    for path in [Path(folder), *sorted(p for p in Path(folder).rglob("*") if p.is_dir())]:
        files = [str(f) for f in sorted(path.iterdir()) if f.is_file()]
        if files and "__pycache__" not in path.parts:
            yield f"share/{package}/{path}", files


setup(
    name=package,
    version="0.1.0",
    packages=find_packages(exclude=["test", "test.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
        # Links to the top-level folders, which belong to the whole stack.
        *installed("launch"),
        *installed("config"),
        *installed("models"),
    ],
    zip_safe=True,
    entry_points={"console_scripts": ["supervisor = vla_bringup.supervisor:main"]},
)
