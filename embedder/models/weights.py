"""Weights from wherever they are to the slim form that the encoder reads: fetched, verified, then parsed.

Importing this costs nothing: torch and boto3 are imported by the functions that need them.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedder.errors import NoCheckpointError, UsageError, WeightsError
from embedder.models.archive import hash_file
from embedder.recipes import RECIPES, Recipe
from embedder.storage import download
from embedder.storage.base import os_errors_at
from embedder.storage.download import Progress, check_is_file, fetch_checkpoint, without_secrets
from embedder.storage.scratch import scratch_folder


@dataclass(frozen=True, kw_only=True)
class SlimWeights:
    """An encoder's weights in slim form."""

    path: Path
    sha256: str
    """Of the slim file."""
    source_sha256: str | None
    """Of the checkpoint that it was made from; None for random weights."""
    seed: int | None
    """Of random weights, also where they come from a file; None for weights that mean something."""
    size: int
    """Of the slim file, bytes."""


def slim(
    location: str,
    out: Path,
    recipe: Recipe,
    *,
    expected_sha256: str | None = None,
    progress: Progress | None = None,
) -> SlimWeights:
    """Write to `out`, all or nothing, the slim form of the weights at `location`: a path, a URL, or random:SEED.

    The recipe's public checkpoint is verified without `expected_sha256` too, where its SHA-256 is known.
    """
    seed = random_seed(location)
    if expected_sha256 is not None:
        if seed is not None:
            raise UsageError(f"{location} is no file, so it has no SHA-256 to verify: leave out --weights-sha256")
        if not re.fullmatch(r"[0-9a-fA-F]{64}", expected_sha256):
            raise UsageError(f"{expected_sha256!r} is not a SHA-256: 64 hexadecimal digits")
    from embedder.models import checkpoint  # noqa: PLC0415 - imports torch

    if out.exists() and not out.is_file():
        raise UsageError(f"{out} is there, and no ordinary file: name the file to write")
    out.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(out.parent) as folder:
        folder.mkdir()
        made = folder / "slim.safetensors"
        source_sha256 = None
        if seed is not None:
            checkpoint.write_random(seed, made, recipe.model)
        else:
            with _advice_for_public(location, [recipe]):
                source = fetch_checkpoint(location, folder / "checkpoint", progress)
            known_sha256 = recipe.weights_sha256 if location == recipe.weights else None
            try:
                source_sha256 = verify(source, expected_sha256 or known_sha256)
                checkpoint.write_slim(source, made, recipe.model)
                seed = checkpoint.seed_of(made)
            except WeightsError as error:  # a copy in the folder is gone when the message is read
                raise WeightsError(str(error).replace(str(source), without_secrets(location))) from error
        made.replace(out)
    return SlimWeights(path=out, sha256=sha256_of(out), source_sha256=source_sha256, seed=seed, size=out.stat().st_size)


def check_readable(location: str) -> None:
    """Raise as `slim` would where there is nothing to fetch; the file itself is not read."""
    with _advice_for_public(location, RECIPES.values()):
        download.check_readable(location)


@contextmanager
def _advice_for_public(location: str, recipes: Iterable[Recipe]) -> Iterator[None]:
    """Where a recipe's public checkpoint isn't at its address, say what to look for."""
    try:
        yield
    except NoCheckpointError as error:
        recipe = next((recipe for recipe in recipes if recipe.weights == location), None)
        if recipe is None:
            raise
        sha256 = f", SHA-256 {recipe.weights_sha256}" if recipe.weights_sha256 else ""
        file = f"{recipe.weights.rpartition('/')[2]} ({recipe.weights_mb} MB{sha256})"
        raise WeightsError(f"{error}, or look for {file} elsewhere and give its path or address with --weights") from error


def random_seed(location: str) -> int | None:
    """The seed in `random:SEED`; None where the location is another; UsageError where the seed is not a whole number."""
    scheme, colon, seed = location.partition(":")
    if scheme != "random" or not colon:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", seed):
        raise UsageError(f"{location[:40]!r} has no seed: write random: and a whole number, such as random:0")
    return int(seed)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, expected: str | None) -> str:
    """The file's SHA-256; WeightsError where another was expected, or where a checkpoint's own checksums show that it is damaged.

    A checkpoint that was saved without them is taken only where its SHA-256 was expected. A safetensors file never has any.
    """
    check_is_file(path)
    with os_errors_at(str(path)):
        found = hash_file(path)
    if expected is not None and found.sha256 != expected.lower():
        raise WeightsError(f"{path} has SHA-256 {found.sha256}, not {expected.lower()}: it is damaged or another file; check --weights")
    if found.damage:
        raise WeightsError(f"{path} is damaged or no PyTorch checkpoint ({found.damage}); download the checkpoint again")
    if found.lacks_checksums and expected is None:
        raise WeightsError(
            f"{path} was saved without checksums (torch.serialization.set_crc32_options), so that damage would not show: "
            "give its SHA-256 with --weights-sha256, or save it again with them"
        )
    return found.sha256
