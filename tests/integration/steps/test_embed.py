"""Embeddings: those of the pixels that rasterio reads, and none of wrong tiles, numbers or weights."""

import os
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, SourceError
from embedder.grid import Chip, Tile, Window
from embedder.models import clay_v01
from embedder.models.encoder import Encoder, resolve_precision
from embedder.models.transformer import Transformer
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES, Precision, Recipe
from embedder.steps.plan import PlanOptions, plan
from embedder.steps.status import status
from tests.disks import mounted
from tests.faults import FaultyProxy
from tests.jobs import CHIPS, COLUMNS, TILE, TINY, embed_columns, finalize_columns, place_of, plan_options, run_job
from tests.run_output import manifest_of, vectors
from tests.tiles import REAL, REAL_TILE, needs_real_tile, write_tile

pytestmark = pytest.mark.usefixtures("scratch")


def cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def pixels_by_rasterio(path: Path, tile: Tile, chip: Chip) -> NDArray[np.uint16]:
    x, y = chip.window.x - tile.window.x, chip.window.y - tile.window.y
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(window=((y, y + chip.pixels), (x, x + chip.pixels))))


def embeddings_by_rasterio(weights: Path, recipe: Recipe, path: Path, tile: Tile, chips: list[Chip]) -> list[NDArray[np.float32]]:
    encoder = Encoder(weights, recipe, year=2020, device="cpu", precision="fp32")
    batches = ((pixels_by_rasterio(path, tile, chip)[np.newaxis], np.array([rasterio_center(path, tile, chip)])) for chip in chips)
    return [embeddings[0] for embeddings in encoder.encode(batches)]


def rasterio_center(path: Path, tile: Tile, chip: Chip) -> tuple[float, float]:
    x, y = chip.window.x - tile.window.x, chip.window.y - tile.window.y
    with rasterio.open(path) as dataset:
        longitude, latitude = dataset.transform @ (x + chip.pixels / 2, y + chip.pixels / 2)
    return longitude, latitude


def test_the_embeddings_are_those_of_pixels_that_rasterio_reads(done: Path, source: Path) -> None:
    place = place_of(done)
    weights = done / place.weights_key(place.load().weights_sha256)
    found = vectors(place, 6) | vectors(place, 7)
    chips = [Chip(row=0, column=int(name[1:5]), pixels=256) for name in found]
    expected = embeddings_by_rasterio(weights, TINY, source / TILE.key(2020), TILE, chips)
    assert len(found) == 4
    for mine, theirs in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
        assert cosine(mine, theirs) > 0.99999
    assert min(abs(a - b).max() for a, b in pairwise(expected)) > 1e-3  # chips can be told apart


@needs_real_tile
def test_the_real_tile_gives_the_embeddings_of_pixels_that_rasterio_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, columns = RECIPES["clay-v0.1"], [1155, 1156, 1157, 1158]
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    precisions: list[Precision] = ["fp32"]
    if resolve_precision("auto", torch.device("cpu")) == "bf16":
        precisions.append("bf16")
    else:  # the pixels alone are the subject, and both sides' model is the same: its full depth takes half a minute here
        monkeypatch.setattr(clay_v01, "SHAPE", replace(clay_v01.SHAPE, depth=2))
    weights = "random:0"
    for precision in precisions:
        options = PlanOptions(recipe=recipe, year=2020, columns=columns, source=str(REAL), weights=weights, precision=precision)
        place = place_of(tmp_path / precision, recipe)
        weights = str(tmp_path / precision / place.weights_key(plan(place.storage, options, Progress()).weights_sha256))
        embed_columns(place, columns)
        assert manifest_of_finalized(place, columns)["chips"]["embedded"] == 12
        found[precision] = {name: vector for column in columns for name, vector in vectors(place, column).items()}
    assert list(found["fp32"]) == [f"c{column}r0{row}" for column in columns for row in (287, 288, 289)]
    names = ["c1155r0287", "c1156r0289", "c1158r0288"]
    chips = [Chip(row=int(name[6:]), column=int(name[1:5]), pixels=512) for name in names]
    expected = embeddings_by_rasterio(Path(weights), recipe, REAL / REAL_TILE.key(2020), REAL_TILE, chips)
    for name, vector in zip(names, expected, strict=True):
        assert cosine(found["fp32"][name], vector) > 0.99999
    for name, vector in found.get("bf16", {}).items():
        assert cosine(vector, found["fp32"][name]) >= 0.999


def manifest_of_finalized(place: RunPlace, columns: list[int]) -> dict[str, Any]:
    finalize_columns(place, columns)
    return manifest_of(place)


@pytest.mark.parametrize("together", [1, 2, 4])
def test_the_embeddings_do_not_depend_on_how_many_columns_are_read_together(done: Path, source: Path, output: str, together: int) -> None:
    run_job(source, output, COLUMNS, together=together)
    for column in CHIPS:
        for name, vector in vectors(place_of(output), column).items():
            np.testing.assert_allclose(vector, vectors(place_of(done), column)[name], atol=1e-5)


def test_the_weights_are_downloaded_once_when_the_output_is_a_bucket(source: Path, faulty_bucket: str, proxy: FaultyProxy) -> None:
    run_job(source, f"s3://{faulty_bucket}/out", [6])
    fetched = proxy.count("GET", ".safetensors")
    assert fetched > 0
    place = place_of(f"s3://{faulty_bucket}/out")
    embed_columns(place, [6], force=True)
    assert proxy.count("GET", ".safetensors") == fetched
    assert [path.name for path in (Path(os.environ["XDG_CACHE_HOME"]) / "worldcover-embeddings").iterdir()] == [
        f"{place.load().weights_sha256}.safetensors"
    ]


# Wrong tiles


@pytest.fixture(scope="module")
def two_tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good tile, and east of it one with a damaged block; column 23 lies in both."""
    folder = tmp_path_factory.mktemp("two")
    write_tile(folder, Tile.from_name("N49W125"), Window(x=11_200, y=0, width=800, height=300))
    path = write_tile(folder, Tile.from_name("N49W124"), Window(x=0, y=0, width=900, height=300))
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
        size = int(dataset.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1))
    with path.open("r+b") as file:
        file.seek(offset + size // 2)
        file.write(b"\0" * 64)
    return folder


@pytest.mark.parametrize("together", [1, 4])
def test_the_other_columns_are_embedded_when_a_tile_is_damaged(two_tiles: Path, output: str, together: int) -> None:
    result = run_job(two_tiles, output, [21, 22, 23, 24], together=together)
    place = place_of(output)
    assert sorted(column.column for column in result.embedded.written) == [21, 22]
    assert len(vectors(place, 22)) == 2
    assert sorted(result.embedded.failed) == [23, 24]
    for error in result.embedded.failed.values():
        assert isinstance(error, SourceError)
        assert "N49W124" in str(error)
        assert "is damaged" in str(error)
        assert error.exit_code == 78
    assert result.manifest is None
    assert "2 missing: 23-24" in str(result.refusal)
    assert not list(place.storage.list(place.manifest_key))
    found = status(place, result.run, [21, 22, 23, 24], Progress())
    assert (found.done, found.missing, found.published) == ([21, 22], [23, 24], [])


def test_a_column_fails_when_its_tile_has_another_size(tmp_path: Path, output: str) -> None:
    write_tile(tmp_path / "source", TILE, Window(x=3_000, y=0, width=1_200, height=300), width=11_000)
    failed = run_job(tmp_path / "source", output, [6]).embedded.failed
    assert "size is 11000 x 12000, expected 12000 x 12000" in str(failed[6])
    assert TILE.name in str(failed[6])


# Wrong numbers


@pytest.mark.parametrize(("bad_chip", "together", "value"), [(0, 4, float("nan")), (3, 4, float("inf")), (3, 1, float("nan"))])
def test_the_chip_is_named_when_the_model_gives_nan(
    source: Path, output: str, monkeypatch: pytest.MonkeyPatch, bad_chip: int, together: int, value: float
) -> None:
    seen = 0
    forward = Transformer.forward

    def spoil(self: Transformer, tokens: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        out = forward(self, tokens).clone()
        for index in range(len(out)):
            if seen == bad_chip:
                out[index] = value
            seen += 1
        return out

    monkeypatch.setattr(Transformer, "forward", spoil)
    names = [*CHIPS[6], *CHIPS[7]]
    with pytest.raises(ConfigurationError, match=f"NaN or infinity for chip {names[bad_chip]} in fp32: check the weights"):
        run_job(source, output, COLUMNS, together=together)
    place = place_of(output)
    written = {column for column in COLUMNS if list(place.storage.list(place.column_key(column)))}
    assert written == ({5, 6} if together == 1 else set())
    monkeypatch.setattr(Transformer, "forward", forward)
    assert run_job(source, output, COLUMNS).manifest


# A full disk


def fill(path: Path) -> None:
    """Take all the space that is left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_embedding_goes_on_when_a_full_disk_has_room_again(source: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=64m"):
        place = place_of(disk / "output")
        plan(place.storage, plan_options(source, COLUMNS), Progress())
        fill(disk / "filler")
        with pytest.raises(ConfigurationError, match=r"no space left for .*parquet: free some, and run again"):
            embed_columns(place, COLUMNS)
        (disk / "filler").unlink()
        embed_columns(place, COLUMNS)
        assert finalize_columns(place, COLUMNS)["chips"]["embedded"] == 4
