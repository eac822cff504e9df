"""Which middleware settings the processes of the graph get."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from vla_bringup.dds import settings

ROOT = Path(__file__).resolve().parents[3]
SPACE = {"dds": "http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"}


def test_pictures_go_through_shared_memory_where_nobody_chose_otherwise() -> None:
    (profile,) = settings({}, ROOT).values()
    sizes = ElementTree.parse(profile).findall(".//dds:segment_size", SPACE)
    assert int(sizes[0].text or 0) > 4 * 640 * 480 * 3


@pytest.mark.parametrize(
    "chosen",
    [
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"},
        {"FASTDDS_DEFAULT_PROFILES_FILE": "mine.xml"},
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
        {"ROS_LOCALHOST_ONLY": "1"},
    ],
)
def test_what_a_person_has_chosen_stays(chosen: dict[str, str]) -> None:
    assert settings(chosen, ROOT) == {}
