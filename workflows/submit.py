#!/usr/bin/env python3
"""Run the embeddings of a year: on this machine with --local. See --help."""

import sys
from typing import Any

try:
    from embedder.signals import exit_on_signals

    if __name__ == "__main__":
        exit_on_signals()  # before the slower imports
    import click

    from embedder import __version__
    from embedder.command import run_command
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing.name} is not installed here: run `make .venv/.ready`, then .venv/bin/python workflows/submit.py")

from embedder.cli import plan_options_of, published, raise_failures, summary
from embedder.errors import UsageError
from embedder.local import describe, run_local
from embedder.options import (
    MOST_TOGETHER,
    columns_option,
    debug_option,
    device_option,
    option,
    plan_options,
    recipe_option,
    year_option,
)
from embedder.progress import Progress


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@year_option
@columns_option("all", "Columns to embed: all, or numbers and ranges such as 1155-1158,17.")
@recipe_option
@option("--output", help="Where the files go: s3://bucket/prefix or a folder.  [default with --local: ./output]")
@plan_options
@option(
    "--columns-per-pod",
    type=click.IntRange(1, MOST_TOGETHER),
    help="Adjacent columns read together.  [default with --local: what suits the device]",
)
@option("--force", is_flag=True, help="Embed again what is finished.")
@device_option
@click.option("--missing-only", is_flag=True, help="Embed only what is missing or invalid; with --local that is always so.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--local", is_flag=True, help="Run on this machine, without a cluster.")
@click.version_option(__version__, prog_name="submit.py")
@debug_option
def submit(
    *,
    local: bool,
    dry_run: bool,
    output: str | None,
    force: bool,
    device: str,
    columns_per_pod: int | None,
    missing_only: bool,
    **options: Any,  # noqa: ANN401 - click's options
) -> None:
    """Embed a year of the WorldCover composites: plan, embed each column, finalize.

    The same command goes on where a stopped run left off. Exit codes: 0 done, 2 wrong usage, 75 try again later, 78 wrong
    configuration or input, 143 stopped by SIGTERM.
    """
    if not local:
        raise UsageError("this version runs on one machine: add --local (docs/eks.md shows how `argo submit` starts a run on a cluster)")
    if force and missing_only:
        raise UsageError("--force embeds everything again, --missing-only what is missing: give one of them")
    chosen = plan_options_of(**options)
    if dry_run:
        click.echo(describe(chosen))
        click.echo(f"  output   {output or './output'}")
        return
    done = run_local(output or "./output", chosen, Progress(), force=force, device=device, columns_together=columns_per_pod)
    click.echo(summary(done.embedded))
    if done.manifest:
        click.echo(published(done.place, done.manifest))
    raise_failures(done.embedded)
    if done.refusal:
        raise done.refusal


if __name__ == "__main__":
    run_command(submit, "submit.py")
