from setuptools import find_packages, setup

package = "vla_hsr"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(exclude=["test", "test.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
    ],
    zip_safe=True,
    entry_points={
        "console_scripts": [
            "hsr_node = vla_hsr.hsr_node:main",
            "guard_node = vla_hsr.guard_node:main",
            "homing_node = vla_hsr.homing_node:main",
            "emulator_node = vla_hsr.emulator.emulator_node:main",
        ]
    },
)
