"""The options that the steps share, on the command line or as environment variables."""

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from embedder.grid import VERSIONS, parse_columns
from embedder.recipes import RECIPES
from embedder.source.inventory import PUBLIC_SOURCE

Command = TypeVar("Command", bound=Callable[..., Any])

MOST_TOGETHER = 64
"""Adjacent columns that one process reads as a strip: some 1.5 GB of pixels at a time."""

MOST = 1e12
"""A price or rate that is no slip of the hand."""


class Columns(click.ParamType[list[int]]):
    """Columns of the grid: `all`, or numbers and ranges."""

    name = "columns"

    def convert(self, value: str | list[int], param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The numbers of the columns, sorted."""
        if isinstance(value, list):
            return value
        try:
            return parse_columns(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Device(click.ParamType[str]):
    """Where the model runs, by its name alone: whether it is there shows once a chip needs it, as torch is slow to import."""

    name = "device"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name itself."""
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
            self.fail(f"{value!r} is not auto, cpu, cuda, cuda:N or mps", param, ctx)
        return value


class Amount(click.ParamType[float]):
    """A number that can be meant, not below zero."""

    name = "number"

    def __init__(self, *, above_zero: bool = False) -> None:
        self.above_zero = above_zero

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            amount = float(value)
        except ValueError:
            amount = math.nan
        if not 0 <= amount <= MOST or (self.above_zero and not amount):
            least = "above 0" if self.above_zero else "from 0 on"
            self.fail(f"{value!r} is no number {least}: give one such as 0.75", param, ctx)
        return amount


def option(name: str, *, envvar: str | None = None, **settings: Any) -> Callable[[Command], Command]:  # noqa: ANN401 - click's own
    """An option that can be given as an environment variable too: `--weights-sha256` as WEIGHTS_SHA256."""
    return click.option(name, envvar=envvar or name.strip("-").replace("-", "_").upper(), show_envvar=True, **settings)


def example(command_line: str) -> str:
    """The end of a command's help: how it is called, with the made-up sample that `make demo` leaves in build/demo."""
    return f"\b\nExample:\n  {command_line}"


def year_option(command: Command) -> Command:
    """The year is always needed."""
    years = click.Choice(list(VERSIONS))
    return option("--year", type=years, required=True, help="Year of the composites.")(command)


def recipe_option(command: Command) -> Command:
    """Model, preprocessing and chip size."""
    return option(
        "--recipe",
        type=click.Choice(list(RECIPES)),
        default=next(iter(RECIPES)),
        show_default=True,
        help="Model, preprocessing and chip size.",
    )(command)


def data_options(command: Command) -> Command:
    """What a run reads."""
    for decorate in (  # the last is the first in --help
        option("--weights", help="Checkpoint: a path, an https or s3 URL, or random:SEED for a demo.  [default: Clay's public one]"),
        option("--source", help=f"Where the tiles are: a URL or a folder.  [default: {PUBLIC_SOURCE}]"),
    ):
        command = decorate(command)
    return command


def plan_options(command: Command) -> Command:
    """What plan decides; the other steps find it in the run record."""
    for decorate in (
        option(
            "--precision",
            type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
            help="Of the model's arithmetic; auto takes the fastest that the device has natively.  [default: auto]",
        ),
        option("--weights-sha256", help="Refuse a checkpoint with another SHA-256."),
        data_options,
    ):
        command = decorate(command)
    return command


def area_options(command: Command) -> Command:
    """The part of the grid that a run embeds; the other steps find it in the run record."""
    for decorate in (
        option("--area", metavar="FILE", help="Embed only the chips that its polygons overlap: any file and CRS that GeoPandas reads."),
        option("--bbox", metavar="W,S,E,N", help="Embed only the chips that this box overlaps, degrees, such as -122,36.6,-121.7,36.8."),
    ):
        command = decorate(command)
    return command


def columns_option(default: str | None, help_text: str) -> Callable[[Command], Command]:
    """Columns; not from COLUMNS, where many a shell keeps the width of the terminal."""
    return option("--columns", envvar="RUN_COLUMNS", type=Columns(), default=default, show_default=bool(default), help=help_text)


def debug_option(command: Command) -> Command:
    """Read by `embedder.cli.command`, which prints the errors."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks.")(command)


def device_option(command: Command) -> Command:
    """Where the model runs."""
    return option(
        "--device", type=Device(), default="auto", show_default=True, help="Where the model runs: auto, cpu, cuda, cuda:N or mps."
    )(command)
