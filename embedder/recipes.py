"""The recipes: which model, which preprocessing, which chip size. Facts: Clay-foundation/model and its checkpoints' cards."""

from dataclasses import dataclass
from typing import Literal

Model = Literal["clay-v0.1", "clay-v1.5", "clay-v1.5-tiny"]

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""Of the model's arithmetic; auto takes the fastest that the device has natively."""

BANDS = ("red", "green", "blue", "nir")
"""The source's bands, in its order."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Model, preprocessing and chip size under one name, which is part of every path."""

    name: str
    model: Model
    chip_pixels: int
    """Width and height of a chip, pixels."""
    width: int
    """Numbers in an embedding."""
    mean: tuple[float, float, float, float]
    """Mean of each band in training, reflectance x 10000."""
    std: tuple[float, float, float, float]
    """Standard deviation of each band in training, reflectance x 10000."""
    weights: str
    """The public checkpoint."""
    weights_mb: int
    """Its size, 10^6 bytes, rounded: what to look for where it has left its address."""
    weights_sha256: str | None = None
    """Its SHA-256; None until somebody has fetched it. A second address may be named here only beside it."""
    as_published: bool = False
    """Whether the faults of the published v002 run are reproduced: raw pixels, constant location, NIR at band position 1."""


_CLAY = "https://huggingface.co/made-with-clay/Clay/resolve/main/"
_V01_WEIGHTS = _CLAY + "Clay_v0.1_epoch-24_val-loss-0.46.ckpt"

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="clay-v0.1",
            model="clay-v0.1",
            chip_pixels=512,
            width=768,
            mean=(1741.10, 1597.68, 1369.03, 2858.43),
            std=(2146.35, 2011.88, 2026.96, 2016.38),
            weights=_V01_WEIGHTS,
            weights_mb=511,
        ),
        Recipe(
            name="clay-v0.1-published",
            model="clay-v0.1",
            chip_pixels=512,
            width=768,
            mean=(0.0, 0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0, 1.0),
            weights=_V01_WEIGHTS,
            weights_mb=511,
            as_published=True,
        ),
        Recipe(
            name="clay-v1.5",
            model="clay-v1.5",
            chip_pixels=256,
            width=1024,
            mean=(1552.0, 1355.0, 1105.0, 2743.0),
            std=(1888.0, 1757.0, 1809.0, 1742.0),
            weights=_CLAY + "v1.5/clay-v1.5.ckpt",
            weights_mb=5160,
        ),
    )
}
"""Every recipe by its name; the first is the default."""
