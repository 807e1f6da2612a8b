"""Pictures cut from the source's tiles."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import rasterio

from embedder.explore.explorer import Explorer, PictureOptions
from embedder.explore.pictures import images
from embedder.explore.pictures.images import TilePictures
from embedder.explore.pictures.pictures import Pictures
from embedder.grid import Chip, Tile, Window
from embedder.source.inventory import TileFile, open_source
from tests.explore_output import CHIP
from tests.explore_site import get, served
from tests.pictures import brightness
from tests.tiles import REAL, REAL_TILE, write_tile


@contextmanager
def silent_server() -> Iterator[tuple[str, list[socket.socket]]]:
    """Accepts, and never answers."""
    connected: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_accept, args=(listening, connected), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/bucket", connected
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    for each in connected:
        each.close()


def _accept(listening: socket.socket, connected: list[socket.socket]) -> None:
    with suppress(OSError):  # the end
        while True:
            connected.append(listening.accept()[0])


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.timeout(60)
def test_a_source_that_never_answers_is_left_alone(
    explorer: Explorer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_listed: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(images, "SILENCE_S", 1)
    with silent_server() as (url, connected):
        inventory = {Tile.from_name("N49W125"): TileFile(etag="any", size=1)}
        from_tile = TilePictures(open_source(url, silence_s=1), {2020: inventory} if is_listed else {})
        with served(explorer, Pictures(tmp_path, None, from_tile)) as page:
            for column in range(3):
                status, headers, answer = get(f"{page}/api/picture/2020/c{column:04d}r0003.jpg", timeout=60)
                assert (status, headers["Retry-After"]) == (503, "15")
                assert "there is no WMS, and " in answer["detail"]
        assert 1 <= len(connected) <= 2  # GDAL asks twice


def test_a_picture_is_cut_from_the_source_s_tiles(explorer: Explorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tile = Tile.from_name("N49W125")
    write_tile(tmp_path / "source", tile, Window(x=0, y=0, width=3_000, height=3_000))
    found = explorer.pictures(PictureOptions(wms="none", source=str(tmp_path / "source"))).get(CHIP, 2020).jpeg
    assert brightness(found) > 20
    with rasterio.MemoryFile(found) as memory, memory.open() as dataset:
        assert dataset.height == round(256 / np.cos(np.radians(CHIP.bounds.center[1])))


@pytest.mark.skipif(not (REAL / REAL_TILE.key(2020)).exists(), reason="the real tile is on the developers' machines only")
def test_a_picture_of_the_real_tile_shows_ground() -> None:
    made = TilePictures(open_source(str(REAL)), {})(Chip(column=1156, row=288, pixels=512), 2020)
    assert made is not None
    with rasterio.MemoryFile(made) as memory, memory.open() as dataset:
        assert 20 < dataset.read().mean() < 230
        assert dataset.read().std() > 5
