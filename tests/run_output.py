"""What a run left in its output: read, copied, and changed."""

import json
import os
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from embedder.output.column_file import FOOTER_KEY
from embedder.output.run import RunPlace
from embedder.storage import ANY
from tests.jobs import place_of


def copy(done: Path, output: str | Path) -> RunPlace:
    """An output like the one given, to be broken by puts: the files are linked, and a put makes a new one."""
    shutil.copytree(done, output, copy_function=os.link)
    return place_of(output)


def vectors(place: RunPlace, column: int) -> dict[str, NDArray[np.float32]]:
    table = pq.read_table(BytesIO(place.storage.get(place.column_key(column)).data))
    return dict(zip(table["chip_id"].to_pylist(), np.array(table["embeddings"].to_pylist(), np.float32), strict=True))


def rows(place: RunPlace, column: int, key: str | None = None) -> tuple[pa.Table, dict[str, Any]]:
    """All that a column's file says but for what it cost and when, which differs from run to run: its rows, and its footer."""
    table = pq.read_table(BytesIO(place.storage.get(key or place.column_key(column)).data))
    footer: dict[str, Any] = json.loads(table.schema.metadata[FOOTER_KEY])
    assert footer.pop("receipt")
    assert footer.pop("inferred_at")
    return table, footer


def versions(place: RunPlace) -> dict[str, str]:
    return {listed.key: listed.version for listed in place.storage.list()}


def manifest_of(place: RunPlace) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(place.storage.get(place.manifest_key).data)
    return manifest


def published(place: RunPlace) -> dict[str, Any]:
    """All that the manifest says but for what the columns cost, and their files' size and SHA-256, which cover that too."""
    manifest = manifest_of(place)
    assert manifest.pop("receipt")
    columns = {column: {name: entry[name] for name in ("file", "rows")} for column, entry in manifest["columns"].items()}
    return manifest | {"columns": columns}


def rewrite(place: RunPlace, column: int, change: Callable[[bytes], bytes]) -> None:
    key = place.column_key(column)
    place.storage.put(key, change(place.storage.get(key).data), replaces=ANY)


def with_column_nobody_planned(place: RunPlace) -> None:
    place.storage.put(place.column_key(100), place.storage.get(place.column_key(5)).data)
