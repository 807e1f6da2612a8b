"""The encoders against golden values of Clay's published code."""

import copy
from functools import lru_cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from embedder.models.checkpoint import PREFIX, recipe_for, shapes_of
from embedder.models.clay import ClayEncoder, build
from embedder.recipes import RECIPES, Model, Recipe
from tests.golden import TOLERANCE, YEAR, chips, seeded, values

GOLDEN = values()
LONLAT: NDArray[np.float64] = GOLDEN["lonlat"]
TINY = recipe_for("clay-v1.5-tiny")


@lru_cache(maxsize=1)
def golden_state(model: Model) -> dict[str, torch.Tensor]:
    """The weights alone, which the encoders of a model share."""
    return {name: seeded(f"{PREFIX}{name}", shape) for name, shape in shapes_of(model).items()}


def golden_encoder(recipe: Recipe) -> ClayEncoder:
    encoder = build(recipe)
    encoder.load_state_dict(golden_state(recipe.model), assign=True)
    encoder.requires_grad_(requires_grad=False).prepare()
    return encoder


def embed(encoder: ClayEncoder, pixels: NDArray[np.uint16], lonlat: NDArray[np.float64] = LONLAT) -> NDArray[np.float32]:
    embeddings: NDArray[np.float32] = encoder(torch.from_numpy(pixels), lonlat, YEAR).numpy()
    return embeddings


def lowest_cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    cosines = functional.cosine_similarity(torch.from_numpy(a).double(), torch.from_numpy(b).double())
    return float(cosines.min())


@pytest.fixture(scope="module")
def tiny() -> ClayEncoder:
    return golden_encoder(TINY)


@pytest.fixture(scope="module")
def v01() -> ClayEncoder:
    return golden_encoder(RECIPES["clay-v0.1"])


@pytest.fixture(scope="module")
def v01_embeddings(v01: ClayEncoder) -> NDArray[np.float32]:
    return embed(v01, chips(2, 512))


def test_v01_is_golden_when_used_as_trained(v01_embeddings: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(v01_embeddings, GOLDEN["v01_trained"], atol=TOLERANCE, rtol=0)


def test_v01_is_golden_when_the_published_faults_are_reproduced() -> None:
    encoder = golden_encoder(RECIPES["clay-v0.1-published"])
    np.testing.assert_allclose(embed(encoder, chips(2, 512)), GOLDEN["v01_published"], atol=TOLERANCE, rtol=0)


def test_embedding_is_finite_when_raw_pixels_are_the_brightest_and_the_transformer_is_fp16() -> None:
    encoder = golden_encoder(RECIPES["clay-v0.1-published"])
    encoder.transformer.layers = encoder.transformer.layers[:1]  # fp16 is slow on a CPU, and the overflow would be in the patches
    encoder.transformer.to(torch.float16)
    assert np.isfinite(embed(encoder, np.full((1, 4, 512, 512), 65_535, np.uint16), LONLAT[:1])).all()


def test_v15_is_golden_when_all_its_weights_are_seeded() -> None:
    encoder = golden_encoder(RECIPES["clay-v1.5"])
    np.testing.assert_allclose(embed(encoder, chips(2, 256)), GOLDEN["v15_cls"], atol=TOLERANCE, rtol=0)


def test_v15_tiny_is_golden_when_its_class_token_is_read(tiny: ClayEncoder) -> None:
    np.testing.assert_allclose(embed(tiny, chips(2, 256)), GOLDEN["v15_tiny_cls"], atol=TOLERANCE, rtol=0)


def test_v15_tiny_is_golden_when_its_patches_are_averaged(tiny: ClayEncoder) -> None:
    encoded = tiny.transformer(tiny.tokens(torch.from_numpy(chips(2, 256)), LONLAT, YEAR))
    np.testing.assert_allclose(encoded[:, 1:].mean(dim=1), GOLDEN["v15_tiny_mean"], atol=TOLERANCE, rtol=0)


def test_embedding_is_the_same_when_the_chip_is_alone_or_in_a_batch(tiny: ClayEncoder) -> None:
    pixels = chips(2, 256)
    np.testing.assert_allclose(embed(tiny, pixels)[1:], embed(tiny, pixels[1:], LONLAT[1:]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("recipe", ["clay-v0.1", "clay-v1.5-tiny"])
def test_embedding_keeps_its_direction_when_computed_in_bf16(
    recipe: str, v01: ClayEncoder, v01_embeddings: NDArray[np.float32], tiny: ClayEncoder
) -> None:
    encoder = v01 if recipe == "clay-v0.1" else tiny
    pixels = chips(2, encoder.recipe.chip_pixels)
    exact = v01_embeddings if recipe == "clay-v0.1" else embed(encoder, pixels)
    reduced = copy.deepcopy(encoder)
    reduced.transformer.to(torch.bfloat16)
    assert 0.9999 <= lowest_cosine(exact, embed(reduced, pixels)) < 1


def test_encoder_holds_no_numbers_when_only_built() -> None:
    assert {tensor.device.type for tensor in build(RECIPES["clay-v1.5"]).state_dict().values()} == {"meta"}
