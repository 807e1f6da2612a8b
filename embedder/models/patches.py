"""What goes into a model: chips cut into patches, and numbers beside them."""

import torch
from torch import Tensor

from embedder.models.encodings import Floats


def cut(pixels: Tensor, patch: int) -> Tensor:
    """The patches of chips, row by row, each in the order (band, y, x): (n, b, s, s) to (n, (s / patch)**2, b * patch**2)."""
    n, bands, size, _ = pixels.shape
    side = size // patch
    grid = pixels.view(n, bands, side, patch, side, patch)  # (n, b, rows, y, columns, x)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(n, side * side, bands * patch * patch)


def upload(numbers: Floats, device: torch.device) -> Tensor:
    """A few numbers on the device, without waiting for what a CUDA card is busy with: it takes its copy of them at once."""
    return torch.from_numpy(numbers).to(device, non_blocking=device.type == "cuda")
