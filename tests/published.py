"""A data set made of runs with vectors that a test knows, and how it is read and broken."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embedder.console.progress import Progress
from embedder.publish.dataset import COLLECTION, SUMS, DataSet
from embedder.publish.record import Record
from embedder.publish.source import finished_years
from embedder.publish.verify import Verified, verify
from embedder.recipes import RECIPES
from embedder.storage import ANY, Storage, open_storage
from tests.explore_output import Content, write_output

COLUMNS = range(60, 66)


def content(columns: Sequence[int] = COLUMNS, chips: int = 40, seed: int = 0, width: int = 768) -> Content:
    """Vectors of similar length, as models make them, in two places of each column."""
    random = np.random.default_rng(seed)
    outcomes = "e" * (chips // 2) + "n" * 50 + "e" * (chips - chips // 2)
    return {column: (outcomes, random.standard_normal((chips, width), dtype=np.float32)) for column in columns}


def publish(
    output: Path | str, to: Path | str, *forms: str, recipe: str = "clay-v0.1", years: Sequence[int] = (), least_recall: float = 0.9
) -> list[Record]:
    dataset = DataSet(storage=open_storage(str(to)), recipe=RECIPES[recipe], progress=Progress())
    finished = finished_years(open_storage(str(output)), RECIPES[recipe], years)
    return dataset.publish(finished, forms or ["geoparquet"], least_recall=least_recall)


def checked(place: Path | str) -> Verified:
    return verify(open_storage(str(place)), Progress())


def made(folder: Path, *forms: str, **given: Any) -> Path:  # noqa: ANN401 - content's
    """The data set of an output like this."""
    publish(write_output(folder / "output", content(**given)), folder / "dataset", *forms)
    return folder / "dataset"


def files_of(place: Path | str, form: str, year: int = 2020) -> dict[str, bytes]:
    storage = open_storage(str(place))
    keys = [each.key for each in storage.list(f"{form}/{year}/") if each.key.endswith(".parquet")]
    return {key: storage.get(key).data for key in keys}


def table_of(data: bytes) -> pa.Table:
    return pq.read_table(BytesIO(data))


def sums_of(place: Path | str) -> dict[str, str]:
    lines = open_storage(str(place)).get(SUMS).data.decode().splitlines()
    return {line[66:]: line[:64] for line in lines}


def json_of(place: Path | str, key: str = COLLECTION) -> Any:  # noqa: ANN401 - whatever it says
    return json.loads(open_storage(str(place)).get(key).data)


def replace(storage: Storage, key: str, data: bytes) -> None:
    """Put other bytes, and make the sums say so: what a person does who changes a file and cares for the sums alone."""
    storage.put(key, data, replaces=ANY)
    lines = storage.get(SUMS).data.decode().splitlines()
    new = [f"{hashlib.sha256(data).hexdigest()}  {key}" if line[66:] == key else line for line in lines]
    storage.put(SUMS, "".join(f"{line}\n" for line in new).encode(), replaces=ANY)


def change_json(storage: Storage, key: str, change: Callable[[Any], None]) -> None:
    said = json.loads(storage.get(key).data)
    change(said)
    replace(storage, key, json.dumps(said).encode())


def change_file(place: Path, form: str, change: Callable[[pa.Table], pa.Table], values: Mapping[str, Any] | None = None) -> str:
    """Change the rows of the first file, and all that says something about its bytes."""
    storage = open_storage(str(place))
    key, data = next(iter(files_of(place, form).items()))
    out = BytesIO()
    pq.write_table(change(table_of(data)), out)
    replace(storage, key, out.getvalue())
    digest = hashlib.sha256(out.getvalue()).hexdigest()

    def in_record(record: Any) -> None:  # noqa: ANN401 - whatever it says
        record["parts"][0] |= {"sha256": digest, "bytes": len(out.getvalue())} | dict(values or {})

    change_json(storage, f"provenance/2020/{form}.json", in_record)
    item = f"items/{Path(key).stem}{'' if form == 'geoparquet' else f'_{form}'}.json"
    change_json(storage, item, lambda said: said["assets"]["embeddings"].update({"file:checksum": f"1220{digest}"}))
    return key
