"""docs/cli.md says what the commands' own help says."""

import runpy
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[3]
GENERATOR = runpy.run_path(str(ROOT / "docs/generate_cli.py"))
COMMANDS: dict[str, click.Command] = GENERATOR["commands"]()
PAGE = (ROOT / "docs/cli.md").read_text()


def test_the_page_is_the_commands_own_help() -> None:
    assert GENERATOR["page"]() == PAGE, "docs/cli.md is stale: make docs"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_on_the_page(name: str) -> None:
    assert f"\n## {name}\n" in PAGE
    section = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    for parameter in COMMANDS[name].params:
        for option in parameter.opts if isinstance(parameter, click.Option) else [parameter.make_metavar(click.Context(COMMANDS[name]))]:
            assert option in section


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "embedder"])
def test_every_command_shows_an_example_of_itself(name: str) -> None:
    assert f"Example:\n  {name} " in str(COMMANDS[name].epilog)
