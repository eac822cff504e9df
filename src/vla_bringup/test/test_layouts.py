"""Layouts name only what the graph really has: topics, types, fields and services."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from vla_bringup.layouts import Layout, files, layouts

pytest.importorskip("vla_interfaces", reason="needs the built interfaces")

from vla_record.topics import topics_of

ROOT = Path(__file__).resolve().parents[3]
LAYOUTS = {layout.name: layout for layout in layouts(ROOT)}
# What each display of RViz takes.
DISPLAYS = {
    "rviz_default_plugins/Image": {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"},
    "rviz_default_plugins/Odometry": {"nav_msgs/msg/Odometry"},
}


def known(layout: Layout) -> dict[str, str]:
    """Return the topics of a robot's graph with their types."""
    found = {layout.topic(t.name): t.msgtype for t in topics_of(layout.contract)}
    readme = (ROOT / f"src/vla_{layout.contract.robot}/README.md").read_text()
    if "| `odom`, `imu` | `nav_msgs/Odometry`" in readme:  # checked against its node there
        found[layout.topic("odom")] = "nav_msgs/msg/Odometry"
    return found


def strings(value: Any, key: str) -> Iterator[str]:
    """Yield every string under a key, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key and isinstance(inner, str):
                yield inner
            yield from strings(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, key)


def shown(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / f"config/foxglove/{name}.json").read_text())
    return content


def get_message(kind: str) -> Any:
    package, part, name = kind.split("/")
    return getattr(importlib.import_module(f"{package}.{part}"), name)


def type_at(path: str, topics: dict[str, str]) -> str:
    """Return the type of a field, such as ``/topic.points[0].positions[:]``."""
    topic, *fields = path.split(".")
    kind = topics[topic]
    for field in fields:
        inner = get_message(kind).get_fields_and_field_types()[field.partition("[")[0]]
        is_list = inner.startswith("sequence<")
        assert is_list == ("[" in field), f"{path}: '{field}' is a {inner}"
        kind = inner.removeprefix("sequence<").removesuffix(">")
        kind = kind.replace("/", "/msg/", 1) if "/" in kind and "/msg/" not in kind else kind
    return kind


def test_every_robot_has_a_layout_of_each_kind() -> None:
    assert {"so101", "hsr", "hsr_real", "go2_arm"} <= LAYOUTS.keys()


def test_the_files_are_those_that_the_contracts_make() -> None:
    for path, text in files(ROOT).items():
        assert path.read_text() == text, f"{path} is old: run python -m vla_bringup.layouts"


@pytest.mark.parametrize("name", LAYOUTS)
def test_rviz_shows_topics_of_the_graph_with_displays_of_their_type(name: str) -> None:
    content = yaml.safe_load((ROOT / f"config/rviz/{name}.rviz").read_text())
    topics, seen = known(LAYOUTS[name]), []
    for display in content["Visualization Manager"]["Displays"]:
        if "Topic" in display:
            seen.append(display["Topic"]["Value"])
            assert topics.get(seen[-1]) in DISPLAYS[display["Class"]], seen[-1]
    assert len(seen) >= len(LAYOUTS[name].contract.observation.images)


@pytest.mark.parametrize("name", LAYOUTS)
def test_foxglove_shows_pictures_of_the_graph(name: str) -> None:
    topics = known(LAYOUTS[name])
    images = list(strings(shown(name), "imageTopic"))
    assert len(images) == len(LAYOUTS[name].contract.observation.images)
    assert {topics.get(i) for i in images} <= DISPLAYS["rviz_default_plugins/Image"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_foxglove_plots_fields_that_exist_and_are_numbers(name: str) -> None:
    topics = known(LAYOUTS[name])
    panels = shown(name)["configById"]
    plots = {key: panel for key, panel in panels.items() if key.startswith("Plot!")}
    for path in strings(plots, "value"):
        assert re.match("double|u?int", type_at(path, topics)), path
    assert any("command/" in path for path in strings(plots, "value"))


@pytest.mark.parametrize("name", LAYOUTS)
def test_foxglove_reads_texts_and_diagnostics_that_exist(name: str) -> None:
    topics = known(LAYOUTS[name])
    for path in strings(shown(name), "topicPath"):
        assert type_at(path, topics), path
    assert {*strings(shown(name), "topicToRender")} <= topics.keys()


@pytest.mark.parametrize("name", LAYOUTS)
def test_foxglove_calls_services_of_the_router(name: str) -> None:
    readme = (ROOT / "src/vla_router/README.md").read_text()  # checked against its node there
    services = list(strings(shown(name), "serviceName"))
    assert services
    for service in services:
        assert f"| `{service.rpartition('/')[2]}` | `std_srvs/Trigger`" in readme


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_panel_has_its_place_in_the_window(name: str) -> None:
    def placed(node: Any) -> list[str]:
        return [node] if isinstance(node, str) else placed(node["first"]) + placed(node["second"])

    content = shown(name)
    assert sorted(placed(content["layout"])) == sorted(content["configById"])
