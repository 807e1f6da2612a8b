"""Outputs to search in: column files and a manifest with vectors that a test knows, and nothing of the imagery."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedder.console.progress import Progress
from embedder.explore.vectors.catalogue import EXPLORABLE, published_years
from embedder.explore.vectors.database import Database
from embedder.explore.vectors.ingest import open_database
from embedder.grid import Chip, chips_in_column
from embedder.models.weights import random_seed
from embedder.output import column_file
from embedder.output.formats import COLUMN_FILE
from embedder.output.manifest import Manifest, PublishedColumn
from embedder.output.run import Run
from embedder.recipes import RECIPES, Recipe
from embedder.storage import open_storage

Content = Mapping[int, tuple[str, NDArray[np.float32]]]
"""By column: the outcomes of its first chips, the others having no tile, and an embedding for each `e`."""
CHIP = Chip(column=1, row=3, pixels=512)
"""One that `some` embeds."""


def vectors(seed: int, count: int, width: int = 768) -> NDArray[np.float32]:
    """Clustered, of any length."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((8, width), dtype=np.float32)
    spread: NDArray[np.float32] = centres[random.integers(0, 8, count)] + random.standard_normal((count, width), dtype=np.float32)
    return spread * random.uniform(1, 9, (count, 1)).astype(np.float32)


def some(columns: range, count: int = 20, recipe: str = "clay-v0.1", seed: int = 0) -> Content:
    """So many chips in each column."""
    width = RECIPES[recipe].width
    return {column: ("e" * count, vectors(1000 * seed + column, count, width)) for column in columns}


def write_output(
    folder: Path,
    content: Content,
    *,
    year: int = 2020,
    recipe: str = "clay-v0.1",
    weights: str = "none",
    column_format: int = COLUMN_FILE.written,
) -> Path:
    """Write the files of these columns, and a manifest of these alone."""
    run = replace(a_run(RECIPES[recipe], year, weights), column_format=column_format)
    place = folder / recipe / str(year)
    place.mkdir(parents=True, exist_ok=True)
    columns: dict[int, PublishedColumn] = {}
    for column, (outcomes, embeddings) in content.items():
        whole = outcomes + "t" * (chips_in_column(run.recipe.chip_pixels) - len(outcomes))
        data = column_file.write(run, column, whole, embeddings, device="cpu", precision="fp32")
        name = f"worldcover_embeddings_{year}_{column:04d}.parquet"
        (place / name).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        columns[column] = PublishedColumn(file=name, rows=len(embeddings), bytes=len(data), sha256=digest)
    manifest = Manifest(
        recipe=recipe,
        year=year,
        config_digest=run.config_digest,
        weights=run.weights,
        weights_sha256=run.weights_sha256,
        complete=False,
        chips={},
        columns=columns,
        warning=run.warning,
    )
    (place / "_manifest.json").write_bytes(manifest.to_json())
    return folder


def a_run(recipe: Recipe, year: int, weights: str) -> Run:
    return Run(
        recipe=recipe,
        year=year,
        source="none",
        inventory={},
        weights=weights,
        seed=random_seed(weights),
        checkpoint_sha256=None,
        weights_sha256=hashlib.sha256(weights.encode()).hexdigest(),
        precision="fp32",
        columns=(0,),
    )


def opened(output: Path, recipe: str = "clay-v0.1", year: int = 2020) -> Database:
    (published,) = published_years(open_storage(str(output)), EXPLORABLE[recipe], [year])
    return open_database(published, Progress())
