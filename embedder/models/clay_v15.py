"""Clay v1.5's encoder: 8-pixel patches, whose weights are generated from the bands' wavelengths, a class token, and a transformer."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from embedder.models import encodings
from embedder.models.patches import cut, upload
from embedder.models.transformer import Shape, Transformer
from embedder.recipes import Model, Recipe

PATCH = 8
"""Width and height of a patch, pixels."""
GSD = 10.0
"""Size of a pixel on the ground, metres."""
WAVELENGTHS = (0.665, 0.56, 0.493, 0.842)
"""Of red, green, blue and NIR, micrometres."""
WAVE_WIDTH = 128
"""Numbers in a token of the weights' generator."""
WEIGHT_TOKENS = 128
"""Learned tokens that the generator reads beside the wavelengths."""
WEIGHT_SCALE = 0.02
"""What generated weights are multiplied by; the bias is not."""
METADATA = 8
"""Numbers in a token that tell time (4) and location (4)."""
SHAPES: dict[Model, Shape] = {
    "clay-v1.5": Shape(width=1024, depth=24, heads=16, hidden=4096, dropout_slots=False),
    "clay-v1.5-tiny": Shape(width=192, depth=6, heads=4, hidden=384, dropout_slots=False),
}


class WaveBlock(nn.Module):
    """A small residual network on the wavelengths' codes."""

    def __init__(self) -> None:
        super().__init__()
        self.l1 = nn.Linear(WAVE_WIDTH, WAVE_WIDTH)
        self.l2 = nn.Linear(WAVE_WIDTH, WAVE_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(waves, WAVE_WIDTH) to the same."""
        return x + functional.gelu(self.l2(functional.gelu(self.l1(x))))


class WeightGenerator(nn.Module):
    """Makes a patch embedding's weights for the bands that there are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.weight_tokens = nn.Parameter(torch.empty(WEIGHT_TOKENS, WAVE_WIDTH))
        self.bias_token = nn.Parameter(torch.empty(1, WAVE_WIDTH))
        layer = nn.TransformerEncoderLayer(WAVE_WIDTH, nhead=4, dim_feedforward=2048, dropout=0.0, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=1, enable_nested_tensor=False)
        self.fc_weight = nn.Linear(WAVE_WIDTH, width * PATCH * PATCH)
        self.fc_bias = nn.Linear(WAVE_WIDTH, width)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        """Codes of wavelengths, (bands, WAVE_WIDTH), to weights (width, bands * PATCH * PATCH) and bias (width,)."""
        tokens = torch.cat([self.weight_tokens, waves, self.bias_token])  # (WEIGHT_TOKENS + bands + 1, WAVE_WIDTH)
        tokens = self.encoder(tokens[None])[0]  # (WEIGHT_TOKENS + bands + 1, WAVE_WIDTH)
        weight = self.fc_weight(tokens[WEIGHT_TOKENS:-1] + waves)  # (bands, width * PATCH * PATCH)
        weight = weight.view(len(waves), self.width, PATCH * PATCH).transpose(0, 1).flatten(1)  # (width, bands * PATCH * PATCH)
        return weight * WEIGHT_SCALE, self.fc_bias(tokens[-1])


class PatchEmbedding(nn.Module):
    """Holds what the generated weights come from."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fclayer = WaveBlock()
        self.weight_generator = WeightGenerator(width)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Weights (width, bands * PATCH * PATCH) and bias (width,) for this source's bands."""
        waves = encodings.line_code(np.array(WAVELENGTHS), WAVE_WIDTH)  # (bands, WAVE_WIDTH)
        return self.weight_generator(self.fclayer(torch.from_numpy(waves)))  # type: ignore[no-any-return]


class ClayV15(nn.Module):
    """The encoder of Clay v1.5; parameters are named as in `model.encoder.` of the checkpoint."""

    weight: Tensor
    """Generated: (width, bands * PATCH * PATCH)."""
    bias: Tensor
    """Generated: (width,)."""
    position: Tensor
    """What is added to the patches' tokens, but for the metadata: (patches, width - METADATA)."""
    mean: Tensor
    """(4, 1, 1)."""
    std: Tensor
    """(4, 1, 1)."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        shape = SHAPES[recipe.model]
        self.width = shape.width
        self.cls_token = nn.Parameter(torch.empty(1, 1, shape.width))
        self.patch_embedding = PatchEmbedding(shape.width)
        self.transformer = Transformer(shape)

    def prepare(self) -> None:
        """Compute what depends on no pixel. Called once, after the weights are there."""
        weight, bias = self.patch_embedding()
        side, count = self.recipe.chip_pixels // PATCH, (self.width - METADATA) // 4
        omega = GSD * encodings.frequencies(count, exponent=2 / (self.width - METADATA))  # (count,)
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.register_buffer("position", torch.from_numpy(encodings.grid_code(side, omega)), persistent=False)
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(self.recipe, name)).view(4, 1, 1), persistent=False)

    def tokens(self, pixels: Tensor, lonlat: NDArray[np.float64], year: int) -> Tensor:
        """What goes into the transformer, in fp32: (n, 1 + patches, width)."""
        pixels = (pixels.float() - self.mean).div_(self.std)  # (n, 4, s, s)
        patches = functional.linear(cut(pixels, PATCH), self.weight, self.bias)  # (n, patches, width)
        patches[..., :-METADATA] += self.position
        location = encodings.v15_location(lonlat)  # (n, 4)
        time = np.tile(encodings.v15_time(year), (len(location), 1))  # (n, 4)
        metadata = upload(np.concatenate([time, location], axis=1), pixels.device)  # (n, METADATA)
        patches[..., -METADATA:] += metadata[:, None]
        return torch.cat([self.cls_token.expand(len(pixels), 1, self.width), patches], dim=1)

    def forward(self, pixels: Tensor, lonlat: NDArray[np.float64], year: int) -> Tensor:
        """Red, green, blue and NIR as whole numbers, (n, 4, s, s), and centres in degrees, (n, 2), to embeddings in fp32, (n, width)."""
        encoded = self.transformer(self.tokens(pixels, lonlat, year))  # (n, 1 + patches, width)
        return encoded[:, 0].float()  # type: ignore[no-any-return]
