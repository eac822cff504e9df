from setuptools import find_packages, setup

package = "vla_cameras"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(exclude=["test", "test.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
    ],
    zip_safe=True,
    entry_points={"console_scripts": ["camera_node = vla_cameras.camera_node:main"]},
)
