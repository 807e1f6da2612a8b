import shutil
from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401 - gives xarray its `rio`
import xarray

from embedder.errors import TemporaryError
from embedder.grid import Chip
from embedder.publish.zarr_store import MEANINGS
from embedder.storage import open_storage
from embedder.storage.base import Stored
from embedder.storage.folder import FolderStorage
from tests.explore_output import write_output
from tests.published import change_json, checked, content, json_of, made, publish, replace, sums_of

STORE = "zarr/2020/clay-v0.1_2020.zarr"
CONTENT = content(range(62, 66))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("zarr"), "zarr", columns=range(62, 66))  # in two strips


@pytest.fixture
def place(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "copy")


def test_xarray_opens_it_on_the_grid_with_its_crs(original: Path) -> None:
    with xarray.open_zarr(original / STORE, decode_coords="all") as found:
        assert dict(found.sizes) == {"time": 1, "embedding": 768, "y": 586, "x": 1359}
        assert found.time.dt.year.item() == 2020
        assert found.rio.crs.to_epsg() == 4326
        bounds = Chip(row=3, column=62, pixels=512).bounds
        assert found.embeddings.rio.bounds() == pytest.approx((-125, 50 - 586 * 512 / 12000, -125 + 1359 * 512 / 12000, 50))
        chip = found.embeddings.sel(x=bounds.center[0], y=bounds.center[1], method="nearest")
        assert (chip.values[0] == CONTENT[62][1][3]).all()
        assert found.attrs["emb:dimensions"] == 768


def test_every_embedding_is_where_its_chip_is_and_all_else_is_nan(original: Path) -> None:
    with xarray.open_zarr(original / STORE) as found:
        part = found.isel(x=slice(60, 70), time=0)
        outcomes, vectors = part.outcome.values, part.embeddings.values
    for column, (letters, numbers) in CONTENT.items():
        whole = letters + "t" * (586 - len(letters))
        expected = [MEANINGS.index({"e": "embedded", "n": "nodata", "t": "no_tile"}[letter]) for letter in whole]
        assert outcomes[:, column - 60].tolist() == expected
        rows = [row for row, letter in enumerate(whole) if letter == "e"]
        assert (numbers == vectors[:, rows, column - 60].T).all()
    assert np.isfinite(vectors).all(axis=0).sum() == 4 * 40
    assert not outcomes[:, [0, 1, 6, 9]].any()


def test_chunks_are_cells_of_all_numbers_in_shards(original: Path) -> None:
    said = json_of(original, f"{STORE}/embeddings/zarr.json")
    assert said["chunk_grid"]["configuration"]["chunk_shape"] == [1, 768, 608, 32]
    (shard,) = said["codecs"]
    assert shard["name"] == "sharding_indexed"
    assert shard["configuration"]["chunk_shape"] == [1, 768, 32, 32]
    assert [codec["name"] for codec in shard["configuration"]["codecs"]] == ["bytes", "blosc"]
    assert sorted(path.name for path in (original / STORE / "embeddings/c/0/0/0").iterdir()) == ["1", "2"]


def test_a_whole_store_verifies_and_is_one_item(original: Path) -> None:
    found = checked(original)
    assert not found.faults
    assert found.chips == {"zarr 2020": 160}
    (item,) = (link["href"] for link in json_of(original)["links"] if link["rel"] == "item")
    said = json_of(original, item.removeprefix("./"))
    assert said["assets"]["embeddings"]["href"] == f"../{STORE}"
    assert said["properties"]["embedder:rows"] == 160
    assert said["bbox"] == pytest.approx([-125 + 62 * 512 / 12000, 50 - 90 * 512 / 12000, -125 + 66 * 512 / 12000, 50])


def test_a_stopped_publication_goes_on_and_nobody_opens_half_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = write_output(tmp_path / "output", CONTENT)
    publish(output, tmp_path / "whole", "zarr")
    put = FolderStorage.put

    def fail(self: FolderStorage, key: str, *given: object, **settings: object) -> str:
        if key.endswith("embeddings/c/0/0/0/2"):
            raise TemporaryError("the network is gone")
        return put(self, key, *given, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(FolderStorage, "put", fail)
    with pytest.raises(TemporaryError, match="is gone"):
        publish(output, tmp_path / "dataset", "zarr")
    shard = tmp_path / "dataset" / STORE / "embeddings/c/0/0/0/1"
    before = shard.stat().st_ino
    assert not list((tmp_path / "dataset" / STORE).rglob("zarr.json"))
    monkeypatch.setattr(FolderStorage, "put", put)
    publish(output, tmp_path / "dataset", "zarr")
    assert shard.stat().st_ino == before
    assert sums_of(tmp_path / "dataset") == sums_of(tmp_path / "whole")


def other_bytes(place: Path, key: str, data: bytes) -> None:
    """In place of an object's, with the sums and the record to suit."""
    storage = open_storage(str(place))
    replace(storage, key, data)
    sums = sums_of(place)

    def in_record(record: dict[str, list[dict[str, object]]]) -> None:
        for part in record["parts"]:
            if f"zarr/2020/{part['file']}" == key:
                part |= {"sha256": sums[key], "bytes": len(data)}

    change_json(storage, "provenance/2020/zarr.json", in_record)


def test_a_store_that_is_not_what_it_says_is_found_though_all_sums_are_right(place: Path) -> None:
    shard = f"{STORE}/embeddings/c/0/0/0/1"
    other = (place / STORE / "embeddings/c/0/0/0/2").read_bytes()
    other_bytes(place, shard, other)
    assert any(wrong.startswith(f"{shard}: NaN or infinite vector") for wrong in checked(place).faults)
    other_bytes(place, shard, other[:1000])
    assert any(wrong.startswith(f"{shard}: unreadable: ") for wrong in checked(place).faults)
    axis = f"{STORE}/x/c/0"
    other_bytes(place, axis, (place / axis).read_bytes()[:-100])
    assert any(wrong.startswith(f"{STORE}/zarr.json: ") for wrong in checked(place).faults)


def test_the_files_of_other_forms_are_not_taken_into_memory_when_a_store_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, got, get = made(tmp_path, "geoparquet", "zarr"), [], FolderStorage.get

    def noted(storage: FolderStorage, key: str) -> Stored:
        got.append(key)
        return get(storage, key)

    monkeypatch.setattr(FolderStorage, "get", noted)
    assert not checked(place).faults
    assert any(key.endswith("zarr.json") for key in got)
    assert not [key for key in got if key.endswith(".parquet")]
