"""What is published: found, or one clear error; also of the published v002 files."""

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
from embedder.storage import open_storage
from tests.explore_output import vectors

pytestmark = pytest.mark.usefixtures("_own_cache")


def test_nothing_published_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing is published for 2020, 2021 at .*make demo"):
        published_years(open_storage(str(tmp_path)), EXPLORABLE["clay-v0.1"])


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
