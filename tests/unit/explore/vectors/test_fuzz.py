"""Files to search in that nobody wrote so, with a manifest that names them all the same."""

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from embedder.errors import InvalidFileError
from embedder.explore.vectors.catalogue import V002, ColumnFile, Published
from embedder.explore.vectors.column_rows import ColumnRows, read_column
from embedder.grid import COLUMN_COUNT, COLUMN_PIXELS, HEIGHT_PIXELS
from embedder.output import column_file
from embedder.output.column_file import FOOTER_KEY
from embedder.recipes import RECIPES
from embedder.storage.base import Stored
from embedder.storage.folder import FolderStorage
from tests.explore_output import a_run, vectors
from tests.mutations import ODD_JSON, altered_json, damaged, fuzzed, right_or_refused

RECIPE = RECIPES["clay-v0.1"]
FILE = column_file.write(a_run(RECIPE, 2020, "none"), 3, "ee" + "n" * 584, vectors(0, 2), device="cpu", precision="fp32")
TABLE = pq.read_table(io.BytesIO(FILE))
NOT_UTF8 = pa.StringArray.from_buffers(2, pa.array([0, 2, 4], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe\xff\xfe"))


class One(FolderStorage):
    """Holds one file, whatever it is asked for."""

    def __init__(self, data: bytes) -> None:
        self.url, self._data = "/here", data

    def get(self, key: str) -> Stored:
        return Stored(data=self._data, version=key)


def read(data: bytes, *, v002: bool = False) -> ColumnRows:
    file = ColumnFile(key="file", identity=hashlib.sha256(data).hexdigest(), is_sha256=not v002)
    recipe = V002 if v002 else RECIPE
    published = Published(storage=One(data), recipe=recipe, year=2020, digest="d", columns={3: file}, warning=None, run=None)
    return read_column(published, 3)


def check(found: ColumnRows | None) -> None:
    if found is None:
        return
    assert found.vectors.shape == (len(found.chips), RECIPE.width)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-3)
    assert ((found.chips >= 0) & (found.chips < [COLUMN_COUNT, HEIGHT_PIXELS // COLUMN_PIXELS])).all()
    assert found.outcomes is None or len(found.outcomes) == 586


def changed(columns: Mapping[str, Any] = {}, footer: bytes | None = None) -> bytes:
    table = TABLE
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, values)
    if footer is not None:
        table = table.replace_schema_metadata({FOOTER_KEY: footer})
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def test_the_file_is_read() -> None:
    found = read(FILE)
    check(found)
    assert found.chips.tolist() == [[3, 0], [3, 1]]


@fuzzed(100)
@given(damaged(FILE))
def test_a_file_is_right_or_refused_when_it_is_damaged(data: bytes) -> None:
    check(right_or_refused(lambda: read(data)))
    check(right_or_refused(lambda: read(data, v002=True)))


@fuzzed(100)
@given(altered_json(TABLE.schema.metadata[FOOTER_KEY]))
def test_a_file_is_right_or_refused_when_its_footer_is_altered(footer: bytes) -> None:
    check(right_or_refused(lambda: read(changed(footer=footer))))


@pytest.mark.parametrize("footer", [*ODD_JSON, '{"outcomes": 5}', '{"outcomes": "ee"}', '{"outcomes": "99999999999e"}'])
def test_a_file_is_right_or_refused_when_its_footer_is_no_record(footer: str) -> None:
    check(right_or_refused(lambda: read(changed(footer=footer.encode()))))


@pytest.mark.parametrize(
    "columns",
    [
        *({"chip_id": ids} for ids in (pa.nulls(2), pa.array([1, 2]), pa.array([None, "c0003r0001"]), NOT_UTF8)),
        *(
            {"chip_id": [name, "c0003r0001"]}
            for name in ("", "x", "c0003r000\u0661", "c0003r00010", "c9999r0000", "c0003r9999", "c0004r0000", "d0003r0000")
        ),
        {"chip_id": ["c0003r0001", "c0003r0001"]},
        *({"embeddings": values} for values in (pa.nulls(2), pa.array([1.0, 2.0]), pa.array(["x", "y"]), pa.array([["x"] * 768] * 2))),
        *({"embeddings": values} for values in (pa.array([[1.0]] * 2), pa.array([[1.0] * 1536, None]))),
    ],
)
def test_a_file_is_refused_when_its_columns_are_of_another_kind(columns: dict[str, Any]) -> None:
    made = {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    with pytest.raises(InvalidFileError):
        read(changed(made))


@pytest.mark.parametrize("box", [b"", b"\x01", b"\x01\x03\x00\x00\x00\x00\x00\x00\x00", b"\x01\x01\x00\x00\x00" + b"\xff" * 16, None])
def test_a_file_of_v002_is_refused_when_a_box_is_none(box: bytes | None) -> None:
    with pytest.raises(InvalidFileError):
        read(changed({"geometry": pa.array([box, box], pa.binary())}), v002=True)


@pytest.mark.parametrize("number", [np.finfo(np.float32).max, 1e-45, np.inf, np.nan, 0.0])
def test_a_row_is_left_out_when_its_length_is_no_number(number: float) -> None:
    numbers = vectors(0, 2)
    numbers[0] = number
    rows = pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), RECIPE.width)
    found = read(changed({"embeddings": rows}))
    check(found)
    assert len(found.chips) == 1
