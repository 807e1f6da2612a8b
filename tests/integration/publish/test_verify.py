import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from embedder.errors import ConfigurationError
from embedder.storage import open_storage
from tests.published import change_file, change_json, checked, made, replace

ITEM = "items/clay-v0.1_2020_c0060-c0065.json"
FILE = "geoparquet/2020/clay-v0.1_2020_c0060-c0065.parquet"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("verify"), "geoparquet", "int8")


@pytest.fixture
def place(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "copy")


def test_a_copy_is_whole(place: Path) -> None:
    (place / ".gitattributes").touch()  # what a host adds
    found = checked(place)
    assert not found.faults
    assert found.chips == {"geoparquet 2020": 240, "int8 2020": 240}
    assert found.files == sum(path.is_file() for path in place.rglob("*")) - 2


@pytest.mark.parametrize("name", ["LICENSE", "collection.json", FILE, ITEM, "provenance/2020/int8.json", "provenance/2020/manifest.json"])
def test_a_file_that_is_gone_or_damaged_is_named(place: Path, name: str) -> None:
    path = place / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert any(wrong == f"{name}: its SHA-256 is not that of SHA256SUMS" for wrong in checked(place).faults)
    path.unlink()
    assert any(wrong == f"{name}: it is not there" for wrong in checked(place).faults)


def numbers(table: pa.Table) -> np.ndarray:
    return np.asarray(table["embeddings"].combine_chunks().flatten()).reshape(table.num_rows, -1).copy()


def with_numbers(table: pa.Table, changed: np.ndarray) -> pa.Table:
    column = pa.FixedSizeListArray.from_arrays(pa.array(changed.ravel()), changed.shape[1])
    return table.set_column(table.schema.get_field_index("embeddings"), "embeddings", column)


def not_finite(table: pa.Table) -> pa.Table:
    changed = numbers(table)
    changed[7, 5] = np.nan
    return with_numbers(table, changed)


def zero(table: pa.Table) -> pa.Table:
    changed = numbers(table)
    changed[7] = 0
    return with_numbers(table, changed)


def narrow(table: pa.Table) -> pa.Table:
    return with_numbers(table, numbers(table)[:, :-1])


def twice(table: pa.Table) -> pa.Table:
    return table.take([0, 0, *range(2, table.num_rows)])


def fewer(table: pa.Table) -> pa.Table:
    return table.slice(1)


def moved(table: pa.Table) -> pa.Table:
    boxes = table["bbox"].combine_chunks()
    fields = [boxes.field(place) for place in range(4)]
    fields[0] = pa.array(np.asarray(fields[0]) + 1e-6)
    names = ["xmin", "ymin", "xmax", "ymax"]
    return table.set_column(table.schema.get_field_index("bbox"), "bbox", pa.StructArray.from_arrays(fields, names))


def other_places(table: pa.Table) -> pa.Table:
    geometry = table["geometry"].to_pylist()
    return table.set_column(table.schema.get_field_index("geometry"), "geometry", pa.array([geometry[-1], *geometry[1:]]))


def elsewhere(table: pa.Table) -> pa.Table:
    ids = ["c0070r0000", *table["chip_id"].to_pylist()[1:]]
    return table.set_column(0, "chip_id", pa.array(ids))


def without(table: pa.Table) -> pa.Table:
    return table.drop_columns(["bbox"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (not_finite, "NaN or infinite vector at chip c00"),
        (zero, "zero vector at chip c00"),
        (narrow, "its embeddings are 767 numbers of float32"),
        (twice, "a chip is in it twice"),
        (fewer, "it holds 239 chips, not 240"),
        (moved, "off the grid: the box of chip c00"),
        (other_places, "off the grid: the box of chip c00"),
        (elsewhere, "off the grid"),
        (without, "unreadable: "),
    ],
)
def test_wrong_rows_are_found_though_all_sums_are_right(place: Path, change: Callable[[pa.Table], pa.Table], said: str) -> None:
    key = change_file(place, "geoparquet", change)
    (wrong,) = checked(place).faults
    assert wrong.startswith(f"{key}: {said}")


def test_a_count_that_is_not_the_manifests_is_found(place: Path) -> None:
    change_file(place, "geoparquet", fewer, {"rows": 239})
    (wrong,) = checked(place).faults
    assert "is said to hold 239 chips, the run's manifest has 240 in its columns" in wrong


def test_codes_without_their_scale_are_found(place: Path) -> None:
    change_json(open_storage(str(place)), "provenance/2020/int8.json", lambda said: said["quantisation"]["scale"].reverse())
    (wrong,) = checked(place).faults
    assert wrong.endswith(".parquet: its scale and offset are not those of its record")


def test_what_is_no_stac_or_leads_nowhere_is_found(place: Path) -> None:
    storage = open_storage(str(place))
    change_json(storage, ITEM, lambda said: said.pop("geometry"))
    assert checked(place).faults == [
        f"{ITEM}: no valid STAC item: 'geometry' is a required property",
        f"{FILE}: collection.json has no item of it",
    ]
    change_json(storage, "collection.json", lambda said: said["links"].append({"rel": "item", "href": "./nowhere.json"}))
    assert "nowhere.json: collection.json links to it, and it is not in SHA256SUMS" in checked(place).faults
    replace(storage, "collection.json", b"{")
    assert "collection.json: it is no JSON" in checked(place).faults


def test_an_item_of_other_bytes_is_found(place: Path) -> None:
    change_json(open_storage(str(place)), ITEM, lambda said: said["assets"]["embeddings"].update({"file:checksum": "1220" + "0" * 64}))
    assert f"{ITEM}: its file:checksum is not that of {FILE} in SHA256SUMS" in checked(place).faults


@pytest.mark.parametrize("line", ["nonsense", "a" * 64 + "  ../outside", "a" * 64 + "  /etc/passwd"])
def test_sums_that_are_none_are_refused(place: Path, line: str) -> None:
    (place / "SHA256SUMS").write_text(f"{line}\n")
    with pytest.raises(ConfigurationError, match="is no sum of a file"):
        checked(place)


def test_a_place_without_sums_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SHA256SUMS does not exist: give the folder"):
        checked(tmp_path)
