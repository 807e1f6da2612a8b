"""Whether fp32 is fp32: what one encoder allows its card for its own products is not left to whoever computes next."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from embedder.models.checkpoint import recipe_for
from embedder.models.encoder import Encoder
from embedder.models.weights import slim
from tests.golden import YEAR, chips

TINY = recipe_for("clay-v1.5-tiny")
MATMUL = torch.backends.cuda.matmul


@pytest.fixture(params=["none", "ieee", "tf32"])
def setting(request: pytest.FixtureRequest) -> Iterator[str]:
    """What the process has set before; `none` is torch's default."""
    before: str = MATMUL.fp32_precision
    MATMUL.fp32_precision = request.param
    yield request.param
    MATMUL.allow_tf32 = False
    MATMUL.fp32_precision = before


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slim("random:0", tmp_path_factory.mktemp("weights") / "slim.safetensors", TINY).path


def encode(weights: Path, precision: str, monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> list[bool]:
    """Encode a chip; returns whether TF32 was allowed while the model computed."""
    encoder = Encoder(weights, TINY, year=YEAR, device="cpu", precision=precision)
    forward, seen = encoder._model.forward, list[bool]()

    def watched(pixels: torch.Tensor, lonlat: NDArray[np.float64], year: int) -> torch.Tensor:
        seen.append(MATMUL.allow_tf32)
        if fails:
            raise ValueError("as wanted")
        return forward(pixels, lonlat, year)

    monkeypatch.setattr(encoder._model, "forward", watched)
    list(encoder.encode([(chips(1, 256), np.array([[-75.5, 37.5]]))]))
    return seen


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("bf16", True)])
def test_tf32_is_allowed_in_reduced_precision_alone_when_the_model_computes(
    setting: str, precision: str, *, allowed: bool, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert encode(weights, precision, monkeypatch) == [allowed]
    assert MATMUL.fp32_precision == setting


def test_the_setting_is_as_before_when_the_model_fails(setting: str, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="as wanted"):
        encode(weights, "bf16", monkeypatch, fails=True)
    assert MATMUL.fp32_precision == setting
    assert MATMUL.allow_tf32 == (setting == "tf32")
