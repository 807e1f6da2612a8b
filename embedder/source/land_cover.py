"""ESA WorldCover's land cover map, in its bucket's layout: which classes a chip has, and how much of each.

Tiles are 3 degrees wide, on the pixels of the composites, and named by their south-west corner. Facts: esa-worldcover.org/en/data-access,
and the bucket's readme.html.
"""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from embedder.errors import ConfigurationError, EmbedderError, SourceError, TemporaryError
from embedder.grid import NORTH, TILE_PIXELS, VERSIONS, WEST, Window
from embedder.source.inventory import Source, open_source
from embedder.source.tiles import GDAL_OPTIONS, open_dataset
from embedder.storage import network, retries

PUBLIC_MAP = "https://esa-worldcover.s3.amazonaws.com"
"""The public bucket of the maps."""
CLASSES = {
    10: "Tree cover",
    20: "Shrubland",
    30: "Grassland",
    40: "Cropland",
    50: "Built-up",
    60: "Bare / sparse vegetation",
    70: "Snow and ice",
    80: "Permanent water bodies",
    90: "Herbaceous wetland",
    95: "Mangroves",
    100: "Moss and lichen",
}
"""By the map's number, as WorldCover's product user manual (v2.0) names them."""
NODATA = 0
MAP_DEGREES = 3
MAP_PIXELS = MAP_DEGREES * TILE_PIXELS
EVERY = 8
"""One of so many pixels is counted, each way: what an overview holds. Of a chip of 512 pixels 4096 remain, of one of 256 1024."""
LEAST_KNOWN = 0.9
"""Of a chip's pixels that have a class: with fewer, its shares are not those of the chip."""

Shares = NDArray[np.float64]
"""(chips, classes): of each of CLASSES, in their order; NaN where the map says too little."""
THREADS = 8
"""Tiles that are read at once, 20 MB each."""
_LEFT, _TOP = WEST // MAP_DEGREES * MAP_DEGREES, -(-NORTH // MAP_DEGREES) * MAP_DEGREES
"""Degrees: the north-west corner of the map's tile that holds the grid's."""


def map_key(year: int, south: int, west: int) -> str:
    """Where the bucket keeps the tile with that south-west corner, whole degrees."""
    name = f"{'N' if south >= 0 else 'S'}{abs(south):02d}{'E' if west >= 0 else 'W'}{abs(west):03d}"
    return f"{VERSIONS[year]}/{year}/map/ESA_WorldCover_10m_{year}_{VERSIONS[year]}_{name}_Map.tif"


class LandCoverMap:
    """The map of a year, in a bucket or in a folder with the same tree. Nothing is signed."""

    def __init__(self, location: str, year: int) -> None:
        """ConfigurationError where there is no map of that year."""
        try:
            self._source: Source = open_source(location)
            self._keys = {key for key, _ in self._source.list_files(f"{VERSIONS[year]}/{year}/map/")}
        except EmbedderError as error:
            message = re.sub("^(the )?source", "the land cover map's source", str(error))
            raise type(error)(message.replace("--source", "--labels")) from error
        if not self._keys:
            raise ConfigurationError(
                f"{self._source.location} holds no land cover map of {year}: check --labels; "
                f"tiles are named like {map_key(year, 36, -123)} below it"
            )
        self._year, self.location = year, self._source.location

    def shares(self, windows: Iterable[Window]) -> Shares:
        """Of chips, given by their pixels in the grid: edges at multiples of EVERY."""
        chips = list(windows)
        counts = np.zeros((len(chips), 256), np.int64)
        parts: dict[tuple[int, int], list[int]] = {}
        for place, chip in enumerate(chips):
            for tile in _tiles_of(chip):
                parts.setdefault(tile, []).append(place)
        there = [tile for tile in sorted(parts) if map_key(self._year, *tile) in self._keys]  # elsewhere is sea
        with ThreadPoolExecutor(THREADS, thread_name_prefix="map") as pool:
            found = pool.map(lambda tile: self._counts(tile, [chips[place] for place in parts[tile]]), there)
            for tile, counted in zip(there, found, strict=True):
                counts[parts[tile]] += counted
        unknown = np.flatnonzero(counts.sum(axis=0) * ~np.isin(np.arange(256), [NODATA, *CLASSES]))
        if len(unknown):
            raise SourceError(f"{self._source.location} has pixels of class {unknown[0]}, which WorldCover's map does not: check --labels")
        known = counts[:, list(CLASSES)]
        total = known.sum(axis=1, keepdims=True)
        asked = np.array([[chip.width * chip.height / EVERY**2] for chip in chips]).reshape(-1, 1)
        return np.where(total >= LEAST_KNOWN * asked, known / np.maximum(total, 1), np.nan)

    def _counts(self, tile: tuple[int, int], chips: list[Window]) -> NDArray[np.int64]:
        """How often a tile has each number in each chip: (chips, 256)."""
        south, west = tile
        left, top = (west - WEST) * TILE_PIXELS, (NORTH - south - MAP_DEGREES) * TILE_PIXELS
        edges = np.array([(chip.x - left, chip.y - top, chip.x + chip.width - left, chip.y + chip.height - top) for chip in chips])
        edges = np.clip(edges, 0, MAP_PIXELS)
        x, y = edges[:, :2].min(axis=0).tolist()
        right, bottom = edges[:, 2:].max(axis=0).tolist()
        window = Window(x=x, y=y, width=right - x, height=bottom - y)
        pixels = retries.Patience(self._source.location)(partial(self._read, south, west, window))
        within = ((edges - [x, y, x, y]) // EVERY).tolist()
        return np.array([np.bincount(pixels[north:end, first:last].ravel(), minlength=256) for first, north, last, end in within])

    def _read(self, south: int, west: int, window: Window) -> NDArray[np.uint8]:
        key = map_key(self._year, south, west)
        where = f"{self._source.location}/{key}"
        try:
            with rasterio.Env(**GDAL_OPTIONS), open_dataset(self._source.gdal_path(key)) as dataset:
                origin = rasterio.Affine(1 / TILE_PIXELS, 0, west, 0, -1 / TILE_PIXELS, south + MAP_DEGREES)
                same = dataset.shape == (MAP_PIXELS, MAP_PIXELS) and dataset.transform.almost_equals(origin, precision=1e-9)
                if not same or dataset.dtypes != ("uint8",):
                    raise SourceError(f"{where} is not a tile of WorldCover's map: check --labels")
                pixels: NDArray[np.uint8] = dataset.read(
                    1,
                    window=RasterWindow(window.x, window.y, window.width, window.height),
                    out_shape=(window.height // EVERY, window.width // EVERY),
                )
                return pixels
        except rasterio.errors.RasterioError as error:
            if refusal := network.refusal(error, where):
                raise refusal from error
            kind = SourceError if self._source.is_folder else TemporaryError  # a file stays what it is
            raise kind(f"{where} can't be read ({' '.join(str(error).split())[:200]}): check --labels, or try again later") from error


def _tiles_of(chip: Window) -> list[tuple[int, int]]:
    """South and west, degrees, of the maps' tiles that a chip touches."""
    columns, rows = (
        range((start + off * TILE_PIXELS) // MAP_PIXELS, (start + size - 1 + off * TILE_PIXELS) // MAP_PIXELS + 1)
        for start, size, off in ((chip.x, chip.width, WEST - _LEFT), (chip.y, chip.height, _TOP - NORTH))
    )
    return [(_TOP - MAP_DEGREES * (row + 1), _LEFT + MAP_DEGREES * column) for row in rows for column in columns]
