"""Clay v0.1's encoder: 32-pixel patches of two band groups, then place and time, then a transformer of 768 x 12."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from embedder.models import encodings
from embedder.models.patches import cut, upload
from embedder.models.transformer import Shape, Transformer
from embedder.recipes import Recipe

PATCH = 32
"""Width and height of a patch, pixels."""
SHAPE = Shape(width=768, depth=12, heads=12, hidden=3072, dropout_slots=True)
GROUPS = {"rgb": slice(0, 3), "nir": slice(3, 4)}
"""Band groups, in the order of their tokens, and their places among the source's bands."""
BAND_POSITIONS = {"rgb": 0, "nir": 2}
"""Where training had each group, among rgb, rededge, nir, swir, sar, dem."""
PUBLISHED_BAND_POSITIONS = {"rgb": 0, "nir": 1}
"""Where the published run had them, with two groups."""


class PatchEmbedding(nn.Module):
    """A token for each patch of a band group, in fp32."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(bands, SHAPE.width, PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(SHAPE.width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, bands, s, s) to (n, patches, width)."""
        patches = cut(pixels, PATCH)  # (n, patches, bands * PATCH * PATCH)
        tokens = functional.linear(patches, self.proj.weight.flatten(1), self.proj.bias)  # (n, patches, width)
        return self.norm(tokens)  # type: ignore[no-any-return]


class ClayV01(nn.Module):
    """The encoder of Clay v0.1; parameters are named as in `model.encoder.` of the checkpoint."""

    position: Tensor
    """What is added to the patches' tokens: (2 * patches, width)."""
    mean: Tensor
    """(4, 1, 1)."""
    std: Tensor
    """(4, 1, 1)."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.patch_embedding = nn.ModuleDict({name: PatchEmbedding(bands.stop - bands.start) for name, bands in GROUPS.items()})
        self.latlon_embedding = nn.Linear(2, SHAPE.width)
        self.time_embedding = nn.Linear(3, SHAPE.width)
        self.transformer = Transformer(SHAPE)

    def prepare(self) -> None:
        """Compute what depends on no pixel. Called once, after the weights are there."""
        side = self.recipe.chip_pixels // PATCH
        grid = encodings.grid_code(side, encodings.frequencies(SHAPE.width // 8))  # (patches, width / 2)
        places = PUBLISHED_BAND_POSITIONS if self.recipe.as_published else BAND_POSITIONS
        bands = encodings.line_code(np.array([places[name] for name in GROUPS]), SHAPE.width // 2)  # (groups, width / 2)
        position = [np.concatenate([grid, np.tile(band, (len(grid), 1))], axis=1) for band in bands]  # (patches, width) each
        self.register_buffer("position", torch.from_numpy(np.concatenate(position)), persistent=False)
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(self.recipe, name)).view(4, 1, 1), persistent=False)

    def tokens(self, pixels: Tensor, lonlat: NDArray[np.float64], year: int) -> Tensor:
        """What goes into the transformer, in fp32: (n, 2 * patches + 2, width)."""
        pixels = (pixels.float() - self.mean).div_(self.std)  # (n, 4, s, s)
        patches = torch.cat(
            [self.patch_embedding[name](pixels[:, bands]) for name, bands in GROUPS.items()], dim=1
        )  # (n, 2 * patches, width)
        patches += self.position
        locate = encodings.v01_published_location if self.recipe.as_published else encodings.v01_location
        location = upload(locate(lonlat), pixels.device)  # (n, 2)
        time = upload(encodings.v01_time(year), pixels.device).expand(len(pixels), 3)  # (n, 3)
        metadata = torch.stack([self.latlon_embedding(location), self.time_embedding(time)], dim=1)  # (n, 2, width)
        return torch.cat([patches, metadata], dim=1)

    def forward(self, pixels: Tensor, lonlat: NDArray[np.float64], year: int) -> Tensor:
        """Red, green, blue and NIR as whole numbers, (n, 4, s, s), and centres in degrees, (n, 2), to embeddings in fp32, (n, width)."""
        encoded = self.transformer(self.tokens(pixels, lonlat, year))  # (n, 2 * patches + 2, width)
        return encoded[:, :-2].float().mean(dim=1)  # type: ignore[no-any-return]
