"""What a card does to a run: its faults end the process for another to go on, and fp16's overflow is computed again."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from embedder.errors import NonFiniteError, TemporaryError
from embedder.models.checkpoint import recipe_for
from embedder.models.encoder import Encoder
from embedder.models.weights import slim
from tests.golden import YEAR, chips

TINY = recipe_for("clay-v1.5-tiny")
FAULTS: dict[str, Callable[[], RuntimeError]] = {
    "illegal access": lambda: torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nSearch for `cudaErrorIllegal'"),
    "cuBLAS": lambda: RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasLtMatmul(...)`"),
    "cuDNN": lambda: RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
    "unknown": lambda: RuntimeError("CUDA unknown error - this may be due to an incorrectly set up environment"),
}
LONLAT = np.array([[-120.0, 45.0], [-100.0, 40.0], [-80.0, 30.0]])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slim("random:0", tmp_path_factory.mktemp("weights") / "slim.safetensors", TINY).path


def on_cpu(weights: Path) -> Encoder:
    return Encoder(weights, TINY, year=YEAR, device="cpu", precision="fp32")


def raising(error: RuntimeError) -> Callable[..., NoReturn]:
    def fail(*_args: object, **_options: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize("fault", FAULTS)
def test_another_attempt_is_advised_when_the_card_fails_in_the_middle(fault: str, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = on_cpu(weights)
    monkeypatch.setattr(encoder._model, "forward", raising(FAULTS[fault]()))
    with pytest.raises(TemporaryError, match=r"failed \(") as error:
        list(encoder.encode([(chips(3, 256), LONLAT)]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fault", FAULTS)
def test_another_attempt_is_advised_when_the_card_fails_as_its_work_is_waited_for(
    fault: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pretended:
        type = "mps"

    encoder = on_cpu(weights)
    monkeypatch.setattr(encoder, "_device", Pretended())
    monkeypatch.setattr(encoder, "_upload", torch.from_numpy)
    monkeypatch.setattr(torch.mps, "synchronize", raising(FAULTS[fault]()))
    with pytest.raises(TemporaryError, match=r"failed \("):
        list(encoder.encode([(chips(3, 256), LONLAT)]))


@pytest.mark.parametrize("fault", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), FAULTS["illegal access"]()])
def test_another_attempt_is_advised_when_the_model_does_not_reach_the_card(
    fault: RuntimeError, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = on_cpu(weights)
    monkeypatch.setattr(type(encoder._model), "to", raising(fault))
    with pytest.raises(TemporaryError, match=r"failed \("):
        on_cpu(weights)


def test_a_fault_of_this_program_stays_one(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = on_cpu(weights)
    monkeypatch.setattr(encoder._model, "forward", raising(RuntimeError("mat1 and mat2 shapes cannot be multiplied")))
    with pytest.raises(RuntimeError, match="shapes"):
        list(encoder.encode([(chips(3, 256), LONLAT)]))


def overflowing(encoder: Encoder, monkeypatch: pytest.MonkeyPatch, bad: list[int]) -> None:
    """Make an encoder one of fp16, which a CPU has not, that overflows for some chips of each batch."""
    forward = encoder._model.forward

    def overflow(pixels: torch.Tensor, lonlat: NDArray[np.float64], year: int) -> torch.Tensor:
        return forward(pixels, lonlat, year).index_fill(0, torch.tensor(bad), torch.inf)

    monkeypatch.setattr(encoder, "precision", "fp16")
    monkeypatch.setattr(encoder._model, "forward", overflow)


def test_chips_are_computed_again_in_fp32_when_fp16_overflows(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(weights, TINY, year=YEAR, device="cpu", precision="fp32", batch_size=3)
    (expected,) = on_cpu(weights).encode([(chips(3, 256), LONLAT)])
    overflowing(encoder, monkeypatch, [0, 2])
    (found,) = encoder.encode([(chips(3, 256), LONLAT)])
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_the_chip_is_bad_when_it_is_not_finite_in_fp32_either(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(weights, TINY, year=YEAR, device="cpu", precision="fp32", batch_size=3)
    overflowing(encoder, monkeypatch, [1, 2])
    exact = on_cpu(weights)
    monkeypatch.setattr(
        exact._model, "forward", lambda pixels, *_: torch.zeros(len(pixels), TINY.width).index_fill_(0, torch.tensor([1]), torch.nan)
    )
    monkeypatch.setattr(encoder, "_exact", exact)
    with pytest.raises(NonFiniteError, match="in fp32: check the weights") as error:
        list(encoder.encode([(chips(3, 256), LONLAT)]))
    assert (error.value.index, error.value.precision) == (2, "fp32")
