import shutil
import subprocess
from pathlib import Path

import geopandas
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from embedder.errors import ConfigurationError, TemporaryError
from embedder.grid import Chip
from embedder.output.column_file import FOOTER_KEY
from embedder.output.fields import parse_json
from embedder.publish import layout
from embedder.publish.layout import CELL_CHIPS
from embedder.publish.record import find_record
from embedder.storage import open_storage
from embedder.storage.folder import FolderStorage
from tests.explore_output import write_output
from tests.published import COLUMNS, checked, content, files_of, json_of, made, publish, sums_of, table_of


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a cell's width of columns fills a file."""
    monkeypatch.setattr(layout, "FILE_BYTES", 1)
    monkeypatch.setattr(layout, "LEAST_BYTES", 0)


def test_a_year_holds_every_row_of_its_run_once_and_all_that_the_columns_say(tmp_path: Path) -> None:
    place = made(tmp_path)
    ((_, data),) = files_of(place, "geoparquet").items()
    table = table_of(data)
    own = [pq.read_table(path) for path in sorted((tmp_path / "output/clay-v0.1/2020").glob("*.parquet"))]
    assert table.num_rows == sum(each.num_rows for each in own) == 40 * len(COLUMNS)
    rows = {row["chip_id"]: row for row in table.to_pylist()}
    assert rows == {row["chip_id"]: row for each in own for row in each.to_pylist()}
    assert table.schema.remove_metadata() == own[0].schema.remove_metadata()
    footer = parse_json(table.schema.metadata[FOOTER_KEY])
    assert (footer["recipe"], footer["year"], footer["columns"], footer["precision"]) == ("clay-v0.1", 2020, "60-65", "fp32")
    assert "outcomes" not in footer


def test_a_run_with_column_files_of_format_1_is_published_in_every_form(tmp_path: Path) -> None:
    output = write_output(tmp_path / "output", content(chips=8), column_format=1)
    publish(output, tmp_path / "dataset", "geoparquet", "int8", "zarr")
    found = checked(tmp_path / "dataset")
    assert not found.faults
    assert set(found.chips.values()) == {48}
    ((_, data),) = files_of(tmp_path / "dataset", "geoparquet").items()
    assert "datetime_start" in table_of(data).column_names
    assert "year" not in table_of(data).column_names


def test_row_groups_are_squares_and_the_files_box_is_that_of_all_rows(tmp_path: Path) -> None:
    place = made(tmp_path, columns=range(60, 70))  # column 64 begins a cell
    path = next(place.glob("geoparquet/2020/*.parquet"))
    parquet = pq.ParquetFile(path)
    cells = []
    for group in range(parquet.num_row_groups):
        ids = parquet.read_row_group(group)["chip_id"].to_pylist()
        cells.append({(int(each[1:5]) // CELL_CHIPS, int(each[6:]) // CELL_CHIPS) for each in ids})
    assert sorted(cell for (cell,) in cells) == [(1, 0), (1, 2), (2, 0), (2, 2)]
    frame = geopandas.read_parquet(path)
    west, north = Chip(row=0, column=60, pixels=512).bounds.west, 50
    assert frame.total_bounds == pytest.approx([west, frame.bounds.miny.min(), Chip(row=0, column=69, pixels=512).bounds.east, north])
    geo = parse_json(parquet.schema_arrow.metadata[b"geo"])["columns"]["geometry"]
    assert geo["bbox"] == pytest.approx(frame.total_bounds)
    assert geo["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    half = geopandas.read_parquet(path, bbox=(west, 49, west + 0.2, 50))
    assert 0 < len(half) < len(frame)


@pytest.mark.usefixtures("small_files")
def test_files_are_bands_and_a_stopped_publication_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = write_output(tmp_path / "output", content(range(30, 36)))
    publish(output, tmp_path / "whole", "geoparquet", "int8")
    put = FolderStorage.put

    def fail(self: FolderStorage, key: str, *given: object, **settings: object) -> str:
        if "c0032" in key and self.root.name == "broken":
            raise TemporaryError("the network is gone")
        return put(self, key, *given, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(FolderStorage, "put", fail)
    with pytest.raises(TemporaryError, match="is gone"):
        publish(output, tmp_path / "broken", "geoparquet", "int8")
    first = tmp_path / "broken/geoparquet/2020/clay-v0.1_2020_c0030-c0031.parquet"
    assert [path.name for path in first.parent.glob("*.parquet")] == [first.name]
    assert not (tmp_path / "broken/SHA256SUMS").exists()
    before = first.stat()
    monkeypatch.setattr(FolderStorage, "put", put)
    publish(output, tmp_path / "broken", "geoparquet", "int8")
    assert first.stat().st_ino == before.st_ino
    assert sums_of(tmp_path / "broken") == sums_of(tmp_path / "whole")
    assert len(files_of(tmp_path / "broken", "int8")) == 2


@pytest.mark.usefixtures("small_files")
def test_only_what_changed_is_written_again_when_a_run_has_grown(tmp_path: Path) -> None:
    first = content(range(30, 36))
    output = write_output(tmp_path / "output", first)
    publish(output, tmp_path / "dataset")
    inodes = {path.name: path.stat().st_ino for path in (tmp_path / "dataset/geoparquet/2020").glob("*.parquet")}
    write_output(output, dict(first) | dict(content([40], seed=1)))
    (record,) = publish(output, tmp_path / "dataset")
    assert sum(part.rows for part in record.parts) == 7 * 40
    names = {path.name: path.stat().st_ino for path in (tmp_path / "dataset/geoparquet/2020").glob("*.parquet")}
    assert names["clay-v0.1_2020_c0030-c0031.parquet"] == inodes["clay-v0.1_2020_c0030-c0031.parquet"]
    assert {part.file for part in record.parts} == {"clay-v0.1_2020_c0030-c0031.parquet", "clay-v0.1_2020_c0032-c0040.parquet"}
    assert not checked(tmp_path / "dataset").faults


def test_a_file_that_was_removed_or_cut_comes_back(tmp_path: Path) -> None:
    place = made(tmp_path)
    path = next(place.glob("geoparquet/2020/*.parquet"))
    whole = path.read_bytes()
    for change in (path.unlink, lambda: path.write_bytes(whole[:-1])):
        change()
        publish(tmp_path / "output", place)
        assert path.read_bytes() == whole


def test_years_and_forms_published_one_by_one_are_one_data_set(tmp_path: Path) -> None:
    output = write_output(tmp_path / "output", content())
    publish(output, tmp_path / "dataset")
    write_output(output, content(seed=1), year=2021)
    publish(output, tmp_path / "dataset", "int8", years=[2021])
    collection = json_of(tmp_path / "dataset")
    items = [link["href"] for link in collection["links"] if link["rel"] == "item"]
    assert items == [
        "./items/clay-v0.1_2020_c0060-c0065.json",
        "./items/clay-v0.1_2021_c0060-c0065_int8.json",
    ]
    assert collection["extent"]["temporal"]["interval"] == [["2020-01-01T00:00:00Z", "2021-12-31T23:59:59Z"]]
    assert not checked(tmp_path / "dataset").faults


def test_int8_is_near_the_numbers_and_says_how_near(tmp_path: Path) -> None:
    place = made(tmp_path, "geoparquet", "int8")
    ((_, floats),), ((_, codes),) = files_of(place, "geoparquet").items(), files_of(place, "int8").items()
    exact, coded = table_of(floats), table_of(codes)
    assert exact["chip_id"] == coded["chip_id"]
    emb = parse_json(coded.schema.metadata[b"emb"])
    scale, offset = (np.array(emb["properties"]["emb:quantization"][name], np.float32) for name in ("scale", "offset"))
    numbers = np.array(coded["embeddings"].to_pylist()) * scale + offset
    assert np.abs(numbers - np.array(exact["embeddings"].to_pylist())).max() <= 0.501 * scale.max()
    item = json_of(place, "items/clay-v0.1_2020_c0060-c0065_int8.json")
    assert item["properties"]["embedder:recall_at_10"] == emb["properties"]["embedder:recall_at_10"] > 0.9
    assert item["assets"]["embeddings"]["data_type"] == "int8"


def test_int8_is_refused_when_it_finds_too_few_neighbours(tmp_path: Path) -> None:
    output = write_output(tmp_path / "output", content())
    with pytest.raises(ConfigurationError, match=r"recall@10 of 2020 in int8 is 0\.\d+, less than 1: nothing of it is published"):
        publish(output, tmp_path / "dataset", "int8", least_recall=1)
    assert find_record(open_storage(str(tmp_path / "dataset")), "int8", 2020) is None
    assert not files_of(tmp_path / "dataset", "int8")


def test_sha256sum_takes_the_sums(tmp_path: Path) -> None:
    place = made(tmp_path, "geoparquet", "int8")
    tool = shutil.which("sha256sum")
    assert tool
    finished = subprocess.run([tool, "-c", "--strict", "SHA256SUMS"], cwd=place, capture_output=True, text=True, check=False)  # noqa: S603
    assert finished.returncode == 0, finished.stderr
    files = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    assert {line.removesuffix(": OK") for line in finished.stdout.splitlines()} == files - {"SHA256SUMS"}


def test_a_place_with_another_data_set_is_refused(tmp_path: Path) -> None:
    place = made(tmp_path)
    output = write_output(tmp_path / "other", content(width=1024), recipe="clay-v1.5")
    with pytest.raises(ConfigurationError, match=r"is of another data set, worldcover-embeddings-clay-v0\.1: publish to another place"):
        publish(output, place, recipe="clay-v1.5")


def test_a_run_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no embeddings of 2020, 2021 are published at"):
        publish(tmp_path / "nothing", tmp_path / "dataset")


def test_the_output_to_give_is_named_when_it_is_a_folder_too_deep(tmp_path: Path) -> None:
    output = write_output(tmp_path / "out", content())
    with pytest.raises(ConfigurationError, match=f"give --output {output} --recipe clay-v0.1$"):
        publish(output / "clay-v0.1" / "2020", tmp_path / "dataset")


def test_a_column_that_is_not_the_manifests_is_refused(tmp_path: Path) -> None:
    output = write_output(tmp_path / "output", content())
    path = next(output.glob("clay-v0.1/2020/*_0062.parquet"))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ConfigurationError, match=r"_0062\.parquet is not the file that the manifest names"):
        publish(output, tmp_path / "dataset")


def test_chips_of_256_pixels_are_in_squares_too(tmp_path: Path) -> None:
    output = write_output(tmp_path / "output", content(width=1024, columns=range(15, 18)), recipe="clay-v1.5")
    publish(output, tmp_path / "dataset", recipe="clay-v1.5")
    parquet = pq.ParquetFile(next((tmp_path / "dataset/geoparquet/2020").glob("*.parquet")))
    groups = [parquet.read_row_group(group)["chip_id"] for group in range(parquet.num_row_groups)]
    assert [sorted({int(each[1:5]) // CELL_CHIPS for each in ids.to_pylist()}) for ids in groups] == [[0], [0], [1], [1]]
    assert pc.sum(pc.is_valid(parquet.read()["embeddings"])).as_py() == 120
    assert not checked(tmp_path / "dataset").faults


def test_a_bucket_takes_a_data_set_too(tmp_path: Path, bucket: str) -> None:
    output = write_output(tmp_path / "output", content())
    for _ in range(2):
        publish(output, f"s3://{bucket}/set", "geoparquet", "int8")
        found = checked(f"s3://{bucket}/set")
        assert not found.faults
        assert found.chips == {"geoparquet 2020": 240, "int8 2020": 240}
    publish(output, tmp_path / "set", "geoparquet", "int8")
    assert sums_of(f"s3://{bucket}/set") == sums_of(tmp_path / "set")
