#!/usr/bin/env python3
"""Write docs/cli.md from the commands' own help: `make docs`."""

import sys
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))  # a script sees its own folder alone

from embedder.cli.steps import cli  # noqa: E402
from workflows.submit import submit  # noqa: E402

PAGE = Path(__file__).with_name("cli.md")
WIDTH = 120
"""Of the help's lines, characters."""
HEAD = """# The commands

Generated from their own `--help` by `make docs`; `make test` runs the examples. They use the made-up sample that `make demo`, or
`.venv/bin/python -m embedder.sample build/demo/source` alone, writes; `embedder` is in `.venv/bin`, as `python` is.
"""


def commands() -> dict[str, click.Command]:
    """Every command by what is typed to call it, in the order of a run."""
    context = click.Context(cli)
    inner = {f"embedder {name}": cli.get_command(context, name) for name in cli.list_commands(context)}
    return {"python workflows/submit.py": submit, "embedder": cli} | {name: command for name, command in inner.items() if command}


def page() -> str:
    """The whole page."""
    sections = (f"## {name}\n\n```text\n{_help(name, command)}\n```\n" for name, command in commands().items())
    return "\n".join([HEAD, *sections])


def _help(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH, help_option_names=["-h", "--help"])
    return command.get_help(context)


if __name__ == "__main__":
    PAGE.write_text(page())
