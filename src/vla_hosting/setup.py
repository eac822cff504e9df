from setuptools import find_packages, setup

package = "vla_hosting"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(exclude=["test", "test.*"]),
    package_data={package: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
    ],
    zip_safe=True,
    entry_points={
        "console_scripts": [],
        "vla.policies": [
            "replay = vla_hosting.replay:open_policy",
            "scripted = vla_hosting.scripted:open_policy",
            "worker = vla_hosting.worker:open_policy",
            "ws = vla_hosting.remote:open_policy",
            "wss = vla_hosting.remote:open_policy",
        ],
    },
)
