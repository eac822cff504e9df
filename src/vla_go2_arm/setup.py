from setuptools import find_packages, setup

package = "vla_go2_arm"

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
            "bridge_node = vla_go2_arm.bridge_node:main",
            "camera_node = vla_go2_arm.camera_node:main",
            "guard_node = vla_go2_arm.guard_node:main",
            "emulator_node = vla_go2_arm.emulator.emulator_node:main",
        ]
    },
)
