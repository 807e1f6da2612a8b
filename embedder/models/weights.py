"""Weights from wherever they are to the slim form that the encoder reads: fetched, verified, then parsed.

Importing this costs nothing: torch and boto3 are imported by the functions that need them.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from embedder.errors import UsageError, WeightsError
from embedder.recipes import Recipe
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
    """Write to `out`, all or nothing, the slim form of the weights at `location`: a path, a URL, or random:SEED."""
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
            source = fetch_checkpoint(location, folder / "checkpoint", progress)
            try:
                source_sha256 = verify_sha256(source, expected_sha256)
                checkpoint.write_slim(source, made, recipe.model)
                seed = checkpoint.seed_of(made)
            except WeightsError as error:  # a copy in the folder is gone when the message is read
                raise WeightsError(str(error).replace(str(source), without_secrets(location))) from error
        made.replace(out)
    return SlimWeights(path=out, sha256=sha256_of(out), source_sha256=source_sha256, seed=seed, size=out.stat().st_size)


def random_seed(location: str) -> int | None:
    """The seed in `random:SEED`; None where the location is another; UsageError where the seed is not a whole number."""
    scheme, colon, seed = location.partition(":")
    if scheme != "random" or not colon:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", seed):
        raise UsageError(f"{location!r} has no seed: write random: and a whole number, such as random:0")
    return int(seed)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_sha256(path: Path, expected: str | None) -> str:
    """The file's SHA-256; WeightsError where another was expected."""
    check_is_file(path)
    found = sha256_of(path)
    if expected is not None and found != expected.lower():
        raise WeightsError(f"{path} has SHA-256 {found}, not {expected.lower()}: it is damaged or another file; check --weights")
    return found
