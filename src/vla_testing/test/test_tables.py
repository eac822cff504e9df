"""Tables go where a page has a place for them, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_core.errors import ConfigurationError
from vla_testing.tables import STOPS_TABLE, SafeStops, has_place, table, write_table


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Return a page with a place for two makers."""
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- made by a.py -->\nold\n<!-- end -->\nbetween\n"
        "<!-- made by b.py -->\nold\n<!-- end -->\nafter\n"
    )
    return page


def test_only_what_stands_between_the_marks_is_replaced(page: Path) -> None:
    write_table(page, "b.py", table(("one", "two"), [("x|y", "2")]))
    text = page.read_text()
    assert text.startswith("before\n<!-- made by a.py -->\nold\n<!-- end -->\nbetween\n")
    assert "| one | two |\n| --- | --- |\n| x/y | 2 |\n<!-- end -->\nafter\n" in text
    assert text.count("old") == 1


def test_a_page_without_a_place_is_refused_and_left_alone(page: Path) -> None:
    before = page.read_text()
    assert has_place(page, "a.py")
    assert not has_place(page, "c.py")
    assert not has_place(page.parent / "missing.md", "a.py")
    with pytest.raises(ConfigurationError, match=r"expected the lines '<!-- made by c\.py -->'"):
        write_table(page, "c.py", "x")
    assert page.read_text() == before


def test_a_stop_that_took_too_long_fails_and_is_in_the_table(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = SafeStops("a.py")
    stops.judge("killed", "arm", 0.2, 0.3)
    stops.judge("killed", "arm", 0.1, 0.3)
    with pytest.raises(AssertionError, match=r"killed: base at rest after 0\.40 s, allowed 0\.30"):
        stops.judge("killed", "base", 0.4, 0.3)
    monkeypatch.delenv(STOPS_TABLE, raising=False)
    stops.write(page.parent)
    assert "killed" not in page.read_text()
    monkeypatch.setenv(STOPS_TABLE, page.name)
    stops.write(page.parent)
    assert "| killed | arm | 0.20 | 0.30 | yes |" in page.read_text()
    assert "| killed | base | 0.40 | 0.30 | **no** |" in page.read_text()
