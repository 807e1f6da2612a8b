"""What is published: found, or one clear error; also of the published v002 files."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError
from embedder.explore.vectors.catalogue import EXPLORABLE, V002, published_years
from embedder.explore.vectors.ingest import open_database
from embedder.grid import Chip
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from embedder.storage import open_storage
from tests.explore_output import a_run, some, vectors, write_output

pytestmark = pytest.mark.usefixtures("_own_cache")


def test_nothing_published_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing is published for 2020, 2021 at .*make demo"):
        published_years(open_storage(str(tmp_path)), EXPLORABLE["clay-v0.1"])


@pytest.mark.parametrize(
    ("output", "recipe", "year", "message"),
    [
        ("out", "clay-v1.5", 2020, "there is clay-v0.1 2020: give that --recipe and year$"),
        ("out", "v002", 2020, "there is clay-v0.1 2020: give that --recipe and year$"),
        ("out", "clay-v0.1", 2021, "there is clay-v0.1 2020: give that --recipe and year$"),
        ("out/clay-v0.1", "clay-v0.1", 2020, "this is a folder of clay-v0.1 2020: give --output {parent}/out --recipe clay-v0.1$"),
        ("out/clay-v0.1/2020/", "clay-v1.5", 2020, "this is a folder of clay-v0.1 2020: give --output {parent}/out --recipe clay-v0.1$"),
    ],
)
def test_what_is_there_is_named_when_it_is_another(tmp_path: Path, output: str, recipe: str, year: int, message: str) -> None:
    write_output(tmp_path / "out", some(range(1)))
    with pytest.raises(ConfigurationError, match=message.format(parent=re.escape(str(tmp_path)))):
        published_years(open_storage(f"{tmp_path}/{output}"), EXPLORABLE[recipe], [year])


def test_a_run_that_is_not_finalized_is_said_to_be_there(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    RunPlace(storage=storage, recipe=RECIPES["clay-v0.1"], year=2021).record(a_run(RECIPES["clay-v0.1"], 2021, "none"))
    with pytest.raises(ConfigurationError, match=r"the run of 2021 is not finalized: embed it, and finalize it first$"):
        published_years(storage, EXPLORABLE["clay-v0.1"])


def test_the_v002_files_are_named_when_another_recipe_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "2020").mkdir()
    (tmp_path / "2020" / "worldcover_embeddings_2020_42_v002.gpq").touch()
    with pytest.raises(ConfigurationError, match=r"there is v002 2020: give that --recipe and year$"):
        published_years(open_storage(str(tmp_path)), EXPLORABLE["clay-v0.1"])


def test_too_deep_a_prefix_of_a_bucket_is_told_which_to_give(tmp_path: Path, bucket: str) -> None:
    (manifest,) = write_output(tmp_path / "out", some(range(1))).rglob("_manifest.json")
    open_storage(f"s3://{bucket}").put("clay-v0.1/2020/_manifest.json", manifest.read_bytes())
    with pytest.raises(ConfigurationError, match=f"give --output s3://{bucket} --recipe clay-v0.1$"):
        published_years(open_storage(f"s3://{bucket}/clay-v0.1/"), EXPLORABLE["clay-v0.1"])


@pytest.mark.parametrize("prefix", ["v002/", ""])
def test_the_published_v002_files_are_read(tmp_path: Path, prefix: str) -> None:
    folder = tmp_path / prefix / "2020"
    folder.mkdir(parents=True)
    content = vectors(5, 12)
    boxes = [shapely.box(*vars(Chip(column=42, row=300 + row, pixels=512).bounds).values()) for row in range(12)]
    table = pa.table({"embeddings": pa.array(list(content), pa.list_(pa.float32())), "geometry": pa.array(shapely.to_wkb(boxes))})
    pq.write_table(table, folder / "worldcover_embeddings_2020_42_v002.gpq", compression="zstd")
    (published,) = published_years(open_storage(str(tmp_path)), V002)
    assert "raw pixels" in (published.warning or "")
    database = open_database(published, Progress())
    assert [database.chip(position).id for position in (0, 11)] == ["c0042r0300", "c0042r0311"]
    np.testing.assert_allclose(database.vectors([7])[0], content[7] / np.linalg.norm(content[7]), atol=1e-6)
