"""The tests that the docs name are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_each_test_is_there_when_the_docs_name_it() -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "reliability.md").read_text())
    there = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"^ *def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert len(named) > 25
    assert set(named) <= there
