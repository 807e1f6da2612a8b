"""Checkpoints in, encoders out. Nothing that a file says is run: torch.load reads weights only, and safetensors hold no code.

People's checkpoints are of more kinds than Lightning's: state dicts alone, of the model or of its encoder, with the names that
data-parallel training and torch.compile give.

The slim form is a safetensors file of the encoder alone: fp32, sorted by name (those of the checkpoint, without PREFIX), so that a
checkpoint always gives the same bytes. Facts: github.com/safetensors/safetensors, "Format".
"""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import safetensors
import torch
from torch import Tensor

from embedder.errors import WeightsError
from embedder.models.archive import ZIP_START
from embedder.models.clay import ClayEncoder, build
from embedder.recipes import RECIPES, Model, Recipe
from embedder.storage.download import check_is_file

PREFIX = "model.encoder."
"""What stands before the encoder's names in a Lightning checkpoint."""
PREFIXES = (PREFIX, "encoder.", "")
"""The same in a whole module, in a model, and in an encoder's own state dict."""
WRAPPERS = {"module", "_orig_mod"}
"""What DataParallel and torch.compile put in front of names, or in their middle."""
V1_CLASS_TOKEN = (1, 1, 768)
"""The shape that tells Clay v1 from v1.5, which has the same layout."""
UNREAD = (
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray"),
    *(f"pathlib{local}.{pure}{kind}Path" for local in ("", "._local") for pure in ("", "Pure") for kind in ("", "Posix", "Windows")),
)
"""The makers of NumPy's numbers and of paths, which hyper-parameters may hold. They aren't called: Unread stands for what they make."""
FORMAT = "worldcover-embeddings.encoder"
FORMAT_VERSION = "1"
ALIGNMENT = 64
"""Where the numbers of a slim file begin: a multiple of this, bytes."""
GIVE = "give the .ckpt file that Clay publishes, or one made of it by `embedder weights`"
LEGACY_START = b"\x80"

Shapes = Mapping[str, tuple[int, ...]]


class Unread:
    """Stands for a value that is of no use here; what it would be made of is dropped."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def recipe_for(model: Model) -> Recipe:
    """A recipe with this model: one of RECIPES, or, for the tests' model, clay-v1.5 made narrow."""
    if model == "clay-v1.5-tiny":
        return replace(RECIPES["clay-v1.5"], name=model, model=model, width=192)
    return next(recipe for recipe in RECIPES.values() if recipe.model == model)


def shapes_of(model: Model) -> dict[str, tuple[int, ...]]:
    """The encoder's parameters, sorted by name."""
    return {name: tuple(tensor.shape) for name, tensor in sorted(build(recipe_for(model)).state_dict().items())}


def read(path: Path, model: Model) -> dict[str, Tensor]:
    """The encoder's weights in a checkpoint or slim file, by name, mapped and checked, as they are; WeightsError says what is wrong."""
    start = _start_of(path)
    tensors = _read_lightning(path) if start.startswith(ZIP_START) else _read_safetensors(path, start)
    expected = shapes_of(model)
    _check_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()}, expected, model, path)
    for name in expected:
        _check_values(tensors[name], name, path)
    return {name: tensors[name] for name in expected}


def seed_of(path: Path) -> int | None:
    """The seed of a slim file's random weights; None for weights that mean something."""
    if _start_of(path).startswith(ZIP_START):
        return None
    with safetensors.safe_open(path, framework="pt") as file:
        seed = (file.metadata() or {}).get("seed")
    if seed is not None and not re.fullmatch(r"[0-9]{1,18}", seed):
        raise WeightsError(f"{path} says that its weights are random, of the seed {seed[:40]!r}, which is none; {GIVE}")
    return None if seed is None else int(seed)


def random_weight(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """Noise of 0.02 (about 1 for the scale of a norm), from the seed and the parameter's name alone."""
    noise = np.random.default_rng([seed, zlib.crc32(f"{PREFIX}{name}".encode())]).standard_normal(shape, dtype=np.float32)
    noise *= np.float32(0.02)
    noise += np.float32(len(shape) == 1 and name.endswith(".weight"))
    return torch.from_numpy(noise)


def write_slim(checkpoint: Path, out: Path, model: Model) -> None:
    """Write the encoder of a checkpoint, or of a slim file, in slim form."""
    tensors = read(checkpoint, model)
    _write(out, model, seed_of(checkpoint), lambda name: _exact(tensors[name]))


def write_random(seed: int, out: Path, model: Model) -> None:
    """Write random weights in slim form."""
    shapes = shapes_of(model)
    _write(out, model, seed, lambda name: random_weight(name, shapes[name], seed))


def load_encoder(path: Path, recipe: Recipe) -> ClayEncoder:
    """The recipe's encoder with the weights of a slim file or a checkpoint, used where they are mapped, ready to call on the CPU."""
    encoder = build(recipe)
    encoder.load_state_dict({name: _exact(tensor) for name, tensor in read(path, recipe.model).items()}, assign=True)
    with torch.no_grad():
        encoder.prepare()
    return encoder


def _start_of(path: Path) -> bytes:
    check_is_file(path)
    with path.open("rb") as file:
        start = file.read(16)
    if not start:
        raise WeightsError(f"{path} is empty; download the checkpoint again")
    return start


def _read_lightning(path: Path) -> dict[str, Tensor]:
    with torch.serialization.safe_globals([(Unread, name) for name in UNREAD]):
        try:
            checkpoint = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except Exception as error:  # a damaged or hostile pickle can raise anything
            if unsafe := _unsafe_names(path):
                message = (
                    f"{path} holds code, which is not run ({', '.join(unsafe)}); use a checkpoint that holds tensors and plain values only"
                )
            else:
                reason = str(error).strip().split("\n")[0][:200]
                message = f"{path} is damaged or no PyTorch checkpoint ({reason}); download the checkpoint again"
            raise WeightsError(message) from error
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise WeightsError(f"{path} has no state_dict, and is none; {GIVE}")
    return _encoder_in({name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, Tensor)}, path)


def _encoder_in(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The encoder's tensors by its own names."""
    plain: dict[str, Tensor] = {}
    for name, tensor in state.items():
        short = ".".join(part for part in name.split(".") if part not in WRAPPERS)
        if short in plain:
            raise WeightsError(f"{path} holds {short} twice, also as {name}; {GIVE}")
        plain[short] = tensor
    prefix = next(prefix for prefix in PREFIXES if not prefix or any(name.startswith(prefix) for name in plain))
    return {name.removeprefix(prefix): tensor for name, tensor in plain.items() if name.startswith(prefix)}


def _unsafe_names(path: Path) -> list[str]:
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # noqa: BLE001 - then the file is damaged rather than hostile
        return []


def _read_safetensors(path: Path, start: bytes) -> dict[str, Tensor]:
    if start.startswith(LEGACY_START):
        raise WeightsError(f"{path} is a bare pickle, which could hold code; give a checkpoint saved by PyTorch 1.6 or later")
    if start[8:9] != b"{":
        raise WeightsError(f"{path} is neither a PyTorch checkpoint nor a safetensors file, as it starts with {start!r}; {GIVE}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is a damaged safetensors file ({error!s:.200}); download it again") from error
    if metadata.get("format") == FORMAT and metadata.get("version") != FORMAT_VERSION:
        raise WeightsError(f"{path} is of slim format {metadata.get('version')}, this package reads {FORMAT_VERSION}; make it anew")
    return _encoder_in(tensors, path)


def _check_shapes(found: Shapes, expected: Shapes, model: Model, path: Path) -> None:
    wrong = [name for name, shape in expected.items() if found.get(name) != shape]
    if not wrong:
        return
    shapes: dict[Model, Shapes] = {other: shapes_of(other) for other in get_args(Model)}
    if not any(found.keys() & of_other.keys() for of_other in shapes.values()):
        raise WeightsError(f"{path} has no state_dict with {PREFIX}* or an encoder: it is not a Clay checkpoint; this run needs {model}")
    if found.get("cls_token") == V1_CLASS_TOKEN:
        file = recipe_for(model).weights.rpartition("/")[2]
        raise WeightsError(f"{path} seems to hold the weights of Clay v1, which no recipe uses: give those of {model}, {file}")
    fits = {other: _fit(found, of_other) for other, of_other in shapes.items()}
    best = max(fits, key=fits.__getitem__)
    if fits[best] > fits[model]:
        recipes = [name for name, recipe in RECIPES.items() if recipe.model == best]
        advice = f"use it with --recipe {' or '.join(recipes)}" if recipes else "which is for tests only"
        raise WeightsError(f"{path} seems to hold the weights of {best}, not of {model}: {advice}, or give the weights of {model}")
    name = wrong[0]
    if name not in found:
        missing = f"{len(wrong)} of {len(expected)} tensors of {model} are missing or wrong"
        raise WeightsError(f"{path} lacks {PREFIX}{name} ({missing}); {GIVE}")
    raise WeightsError(f"{path}: {PREFIX}{name} has shape {list(found[name])}, {model} needs {list(expected[name])}; {GIVE}")


def _fit(found: Shapes, expected: Shapes) -> float:
    return sum(found.get(name) == shape for name, shape in expected.items()) / len(expected)


def _check_values(tensor: Tensor, name: str, path: Path) -> None:
    if not tensor.is_floating_point() or tensor.layout != torch.strided or tensor.is_meta:
        raise WeightsError(f"{path}: {PREFIX}{name} holds {tensor.dtype}, not plain floating-point numbers")
    # A sum is one quick pass; only where it is not finite does each number have to be looked at.
    if not torch.isfinite(tensor.sum(dtype=torch.float32)) and not torch.isfinite(tensor).all():
        raise WeightsError(f"{path}: {PREFIX}{name} holds NaN or infinite numbers; download the checkpoint again")


def _exact(tensor: Tensor) -> Tensor:
    """In fp32 and in order: itself where it is so already."""
    return tensor.to(torch.float32).contiguous()


def _write(out: Path, model: Model, seed: int | None, tensor: Callable[[str], Tensor]) -> None:
    made_up = {} if seed is None else {"seed": str(seed)}
    header: dict[str, Any] = {"__metadata__": {"format": FORMAT, "model": model, **made_up, "version": FORMAT_VERSION}}
    shapes, end = shapes_of(model), 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    with out.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in shapes:
            file.write(tensor(name).numpy().astype("<f4", copy=False).data)
