"""Clay's encoders as torch modules: `build` one, give it weights through `checkpoint`, call it on pixels."""

import torch

from embedder.models.clay_v01 import ClayV01
from embedder.models.clay_v15 import ClayV15
from embedder.recipes import Recipe

ClayEncoder = ClayV01 | ClayV15

__all__ = ["ClayEncoder", "ClayV01", "ClayV15", "build"]


def build(recipe: Recipe) -> ClayEncoder:
    """The recipe's encoder on the meta device: names and shapes, no numbers yet."""
    with torch.device("meta"):
        return (ClayV01 if recipe.model == "clay-v0.1" else ClayV15)(recipe).eval().requires_grad_(requires_grad=False)
