"""Whole runs in this process with the tests' own narrow model, which takes moments."""

import json
from pathlib import Path
from typing import Any

from embedder.console.progress import Progress
from embedder.grid import Tile, Window
from embedder.models.checkpoint import recipe_for
from embedder.output.run import RunPlace
from embedder.recipes import Precision, Recipe
from embedder.steps.embed import EmbedResult, embed
from embedder.steps.finalize import finalize
from embedder.steps.local import LocalRun, run_local
from embedder.steps.plan import PlanOptions
from embedder.storage import open_storage
from tests.tiles import write_tile

TINY = recipe_for("clay-v1.5-tiny")
"""Chips of 256 pixels, embeddings of 192 numbers."""
TILE = Tile.from_name("N49W125")
CHIPS = {6: ["c0012r0000", "c0013r0000"], 7: ["c0014r0000", "c0015r0000"]}
"""The complete chips of `write_source`, by column."""
COLUMNS = [5, 6, 7, 8]
"""Those with chips, and a neighbour on either side."""


def write_source(folder: Path, *, seed: int = 0) -> Path:
    """A source of one tile, whose columns 6 and 7 have two complete chips each."""
    write_tile(folder, TILE, Window(x=3_000, y=0, width=1_200, height=300), seed=seed)
    return folder


def plan_options(source: Path | str, columns: list[int], *, weights: str = "random:0", precision: Precision = "fp32") -> PlanOptions:
    return PlanOptions(recipe=TINY, year=2020, columns=columns, source=str(source), weights=weights, precision=precision)


def run_job(source: Path | str, output: Path | str, columns: list[int], *, force: bool = False, together: int | None = None) -> LocalRun:
    return run_local(str(output), plan_options(source, columns), Progress(), force=force, device="cpu", columns_together=together)


def place_of(output: str | Path, recipe: Recipe = TINY) -> RunPlace:
    return RunPlace(storage=open_storage(str(output)), recipe=recipe, year=2020)


def embed_columns(place: RunPlace, columns: list[int], *, force: bool = False, together: int | None = None) -> EmbedResult:
    return embed(place, place.load(), columns, Progress(), force=force, device="cpu", columns_together=together)


def finalize_columns(place: RunPlace, columns: list[int]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(finalize(place, place.load(), columns, Progress()).to_json())
    return made
