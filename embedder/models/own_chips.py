"""Embeddings of people's own chips: the encoder of a run, without a run around it."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.errors import ConfigurationError, NonFiniteError, UsageError
from embedder.models.encoder import Encoder
from embedder.models.weights import random_seed, slim, verify
from embedder.recipes import BANDS, Recipe
from embedder.storage import cache
from embedder.storage.base import path_of
from embedder.storage.download import Progress, check_is_file
from embedder.storage.scratch import scratch_folder

PLACES = 180, 90
"""The largest longitude and latitude, degrees."""


def embed_chips(
    pixels: NDArray[np.uint16],
    lonlat: NDArray[np.float64],
    year: int,
    recipe: Recipe,
    weights: str,
    *,
    device: str = "auto",
    precision: str = "auto",
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Embeddings (n, width) of pixels (n, 4, s, s) and chip centres (n, 2: longitude, latitude), degrees.

    UsageError where these are of another shape, type or range; WeightsError where the weights can't be used. The last model is kept.
    """
    check_chips(pixels, lonlat, recipe)
    if not len(pixels):
        return np.empty((0, recipe.width), np.float32)
    path, expected = weights_file(weights, recipe, progress)
    changed = path.stat().st_mtime_ns
    encoder = _encoder(path, expected, recipe, changed=changed, year=year, device=device, precision=precision)
    size = encoder.batch_size  # which may become smaller on the way

    def batches() -> Iterator[tuple[NDArray[np.uint16], NDArray[np.float64]]]:
        for start in range(0, len(pixels), size):
            yield np.ascontiguousarray(pixels[start : start + size]), np.asarray(lonlat[start : start + size], np.float64)

    made: list[NDArray[np.float32]] = []
    try:
        made.extend(encoder.encode(batches()))
    except NonFiniteError as error:
        advice = "check the weights and its pixels" if error.precision == "fp32" else "try precision='fp32'"
        raise ConfigurationError(
            f"the embedding of chip {len(made) * size + error.index} is not finite in {error.precision}: {advice}"
        ) from error
    return np.concatenate(made)


def check_chips(pixels: NDArray[Any], lonlat: NDArray[Any], recipe: Recipe) -> None:
    """UsageError where they are not what the model takes."""
    side = recipe.chip_pixels
    if pixels.dtype != np.uint16 or pixels.shape[1:] != (len(BANDS), side, side):
        raise UsageError(
            f"pixels are {pixels.dtype} {pixels.shape}: {recipe.name} takes uint16 (n, 4, {side}, {side}), "
            f"{', '.join(BANDS)} as reflectance x 10000"
        )
    if lonlat.shape != (len(pixels), 2):
        raise UsageError(f"lonlat is {lonlat.shape} for {len(pixels)} chips: give longitude and latitude of each chip's centre, (n, 2)")
    wrong = ~(np.abs(lonlat) <= PLACES).all(axis=1)  # NaN is wrong too
    if wrong.any():
        chip = int(wrong.argmax())
        lon, lat = lonlat[chip]
        raise UsageError(f"longitude {lon:g}, latitude {lat:g} of chip {chip} is no place on Earth: give degrees, longitude first")


def weights_file(location: str, recipe: Recipe, progress: Progress | None = None) -> tuple[Path, str | None]:
    """A file that the encoder reads, and its SHA-256 where that is known.

    It is the path itself, or the slim form of what an address or seed names, which is kept on this machine.
    """
    if "://" not in location and random_seed(location) is None:
        path = path_of(location)
        check_is_file(path)
        return path, None
    folder, name = cache.made_folder(), f"encoder-{sha256(f'{recipe.model} {location}'.encode()).hexdigest()[:16]}"
    for path in folder.glob(f"{name}-*.safetensors"):
        return path, path.stem.rpartition("-")[2]
    with scratch_folder(folder) as scratch:
        made = slim(location, scratch / "slim.safetensors", recipe, progress=progress)
        return made.path.replace(folder / f"{name}-{made.sha256}.safetensors"), made.sha256


@lru_cache(maxsize=1)
def _encoder(path: Path, expected: str | None, recipe: Recipe, *, changed: int, **options: Any) -> Encoder:  # noqa: ANN401, ARG001 - for the cache
    verify(path, expected)
    return Encoder(path, recipe, **options)
