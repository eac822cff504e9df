from setuptools import find_packages, setup

package = "vla_so101"

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
            "so101_node = vla_so101.so101_node:main",
            "leader_node = vla_so101.leader_node:main",
            "emulator_node = vla_so101.emulator_node:main",
        ]
    },
)
