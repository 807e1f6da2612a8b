"""Golden values: what Clay's published code computes in fp32 with weights seeded by name, for seeded chips.

`values.npz` holds, for the two chips of `chips(2, size)` at `lonlat` in 2020: `v01_published` and `v01_trained` (size 512), `v15_cls`
(size 256), `v15_tiny_cls` and `v15_tiny_mean` (the same architecture 192 wide and 6 deep, its class token and the mean of its patches),
and the metadata inputs of both models. They agree to 1e-4. The weights are in no file: `seeded` makes them from each parameter's name.

`format-1` is what the package's first version wrote of two columns of the demo's sample: run record, column files and manifest of format 1.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TOLERANCE = 1e-4
YEAR = 2020
FORMAT_1 = Path(__file__).parent / "format-1"


def values() -> dict[str, NDArray[Any]]:
    """The golden values by name."""
    with np.load(Path(__file__).parent / "values.npz") as file:
        return dict(file)


def chips(count: int, size: int) -> NDArray[np.uint16]:
    """The chips that the golden values are of: (count, 4, size, size)."""
    return np.random.default_rng([0, count, size]).integers(1, 6000, size=(count, 4, size, size), dtype=np.uint16)


def seeded(name: str, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """A parameter's golden weights; `name` is that of the checkpoint, `model.encoder.` included."""
    noise = np.random.default_rng([seed, zlib.crc32(name.encode())]).standard_normal(shape, dtype=np.float32) * 0.02
    is_scale = len(shape) == 1 and name.endswith(".weight")
    return torch.from_numpy(noise + np.float32(is_scale))


def lightning(state: dict[str, Tensor]) -> dict[str, Any]:
    """A checkpoint as PyTorch Lightning saves it, around this state dict."""
    return {
        "epoch": 24,
        "global_step": 10_000,
        "pytorch-lightning_version": "2.1.4",
        "hyper_parameters": {"mask_ratio": 0.75, "model_size": "tiny"},
        "state_dict": state,
    }
