from glob import glob

from setuptools import find_packages, setup

package = "vla_bridge"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(exclude=["test", "test.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
        (f"share/{package}/config", glob("config/*.yaml")),
    ],
    zip_safe=True,
    entry_points={
        "console_scripts": [
            "bridge_node = vla_bridge.bridge_node:main",
            "homing_node = vla_bridge.homing_node:main",
            "simulator_node = vla_bridge.simulator_node:main",
        ]
    },
)
