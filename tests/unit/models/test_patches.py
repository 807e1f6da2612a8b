import numpy as np
import torch
from torch.nn import functional

from embedder.models.patches import cut
from tests.golden import chips


def test_patches_are_those_of_a_convolution_when_cut() -> None:
    pixels = torch.from_numpy(chips(1, 64)[:, :3].astype(np.float32))  # (1, 3, 64, 64)
    weight = torch.from_numpy(np.random.default_rng(0).standard_normal((5, 3, 8, 8), dtype=np.float32))  # (5, 3, 8, 8)
    convolved = functional.conv2d(pixels, weight, stride=8).flatten(2).transpose(1, 2)  # (1, 64, 5)
    torch.testing.assert_close(functional.linear(cut(pixels, 8), weight.flatten(1)), convolved, atol=0.1, rtol=1e-4)
