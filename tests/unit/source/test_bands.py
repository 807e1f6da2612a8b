"""How far ahead is read, and by how many threads."""

from pathlib import Path

import numpy as np
import pytest

from embedder import machine
from embedder.grid import Tile, Window
from embedder.source import bands
from embedder.source.bands import BandReader
from embedder.source.inventory import list_tiles, open_source
from tests.tiles import write_tile

TILE = Tile(row=0, column=3)


@pytest.mark.parametrize(
    ("cpus", "columns", "threads", "ahead"),
    [
        (1, 1, 4, 4),
        (2, 1, 8, 8),
        (4, 1, 16, 16),
        (16, 1, 32, 32),
        (16, 3, 32, 30),  # 512 MB of two blocks across
        (4, 8, 16, 15),  # of four
        (16, 23, 32, 5),  # of twelve, all of a tile
    ],
)
def test_threads_follow_the_cpus_and_reading_ahead_the_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpus: int, columns: int, threads: int, ahead: int
) -> None:
    monkeypatch.setattr(bands, "cpu_count", lambda: cpus)
    source = open_source(str(tmp_path))
    corners = np.array([(0, TILE.window.x + column * 512) for column in range(columns)])
    write_tile(tmp_path, TILE, Window(x=0, y=0, width=100, height=100))
    reader = BandReader(source, list_tiles(source, 2020), 2020, corners, 512)
    assert (reader._pool._max_workers, reader._ahead) == (threads, ahead)
    assert machine.cpu_count() >= 1
