"""The encoder: batches in, embeddings out, in order, in whatever precision and memory there is."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from embedder.errors import ConfigurationError, NonFiniteError
from embedder.models.checkpoint import recipe_for
from embedder.models.encoder import Encoder, resolve_device, resolve_precision
from embedder.models.weights import slim
from tests.golden import TOLERANCE, YEAR, chips, values

TINY = recipe_for("clay-v1.5-tiny")
GOLDEN = values()
CPU = torch.device("cpu")
Batch = tuple[NDArray[np.uint16], NDArray[np.float64]]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slim("random:0", tmp_path_factory.mktemp("weights") / "slim.safetensors", TINY).path  # the golden weights


def exact(weights: Path, **options: Any) -> Encoder:  # noqa: ANN401 - passed on
    return Encoder(weights, TINY, year=YEAR, device="cpu", precision="fp32", **options)


def batch(count: int) -> Batch:
    lonlat = np.random.default_rng(count).uniform([-125, 24], [-67, 50], size=(count, 2))
    return chips(count, 256), lonlat


def one_by_one(encoder: Encoder, pixels: NDArray[np.uint16], lonlat: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.concatenate(list(encoder.encode((pixels[i : i + 1], lonlat[i : i + 1]) for i in range(len(pixels)))))


def limit_memory(monkeypatch: pytest.MonkeyPatch, encoder: Encoder, most: int) -> list[int]:
    """Let the encoder's model run out of memory with more than `most` chips; returns the list that fills with what it was given."""
    given: list[int] = []
    forward = encoder._model.forward

    def limited(pixels: torch.Tensor, lonlat: NDArray[np.float64], year: int) -> torch.Tensor:
        given.append(len(pixels))
        if len(pixels) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(pixels, lonlat, year)

    monkeypatch.setattr(encoder._model, "forward", limited)
    return given


def test_embeddings_are_golden_when_encoded(weights: Path) -> None:
    (found,) = exact(weights).encode([(chips(2, 256), GOLDEN["lonlat"])])
    np.testing.assert_allclose(found, GOLDEN["v15_tiny_cls"], atol=TOLERANCE, rtol=0)
    assert found.dtype == np.float32


@pytest.mark.parametrize("in_flight_of", ["cpu", "mps"])
def test_one_result_a_batch_comes_in_order_when_sizes_differ(in_flight_of: str, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = exact(weights, batch_size=2)
    batches = [batch(count) for count in (3, 1, 0, 5)]
    expected = [one_by_one(encoder, *one) if len(one[0]) else np.empty((0, 192), np.float32) for one in batches]
    if in_flight_of == "mps":
        pretend_gpu(monkeypatch, encoder)
    found = list(encoder.encode(batches))
    assert [len(one) for one in found] == [3, 1, 0, 5]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=0)


def pretend_gpu(monkeypatch: pytest.MonkeyPatch, encoder: Encoder) -> None:
    """Make the encoder take the path of a device that computes beside the CPU."""

    class Pretended:
        type = "mps"

    monkeypatch.setattr(encoder, "_device", Pretended())
    monkeypatch.setattr(encoder, "_upload", torch.from_numpy)
    monkeypatch.setattr(torch.mps, "synchronize", lambda: None)


@pytest.mark.parametrize(("device", "launched_before_the_first_result"), [("cpu", 1), ("mps", 2)])
def test_next_batch_is_launched_before_this_ones_result_when_on_a_gpu(
    device: str, launched_before_the_first_result: int, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = exact(weights)
    if device == "mps":
        pretend_gpu(monkeypatch, encoder)
    given = limit_memory(monkeypatch, encoder, most=9)
    results = encoder.encode([batch(1)] * 3)
    next(results)
    assert len(given) == launched_before_the_first_result


def test_batches_are_drawn_one_at_a_time_when_on_a_cpu(weights: Path) -> None:
    drawn = []

    def draw() -> Iterator[Batch]:
        for number in range(3):
            drawn.append(number)
            yield batch(1)

    next(exact(weights).encode(draw()))
    assert drawn == [0]


def test_batch_is_halved_and_stays_halved_when_memory_is_short(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = exact(weights, batch_size=8)
    pixels, lonlat = batch(5)
    expected = one_by_one(encoder, pixels, lonlat)
    given = limit_memory(monkeypatch, encoder, most=2)
    first, second = encoder.encode([(pixels, lonlat), (pixels[:3], lonlat[:3])])
    np.testing.assert_allclose(first, expected, atol=1e-5, rtol=0)
    np.testing.assert_allclose(second, expected[:3], atol=1e-5, rtol=0)
    assert given == [5, 4, 2, 2, 1, 2, 1]
    assert encoder.batch_size == 2


def test_configuration_error_when_not_even_one_chip_fits(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = exact(weights, batch_size=2)
    limit_memory(monkeypatch, encoder, most=0)
    with pytest.raises(ConfigurationError, match="does not fit the memory"):
        list(encoder.encode([batch(2)]))


@pytest.mark.parametrize(("precision", "advice"), [("fp32", "check the weights"), ("bf16", "--precision fp32")])
def test_the_chip_is_told_when_its_embedding_is_not_finite(
    precision: str, advice: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(weights, TINY, year=YEAR, device="cpu", precision=precision)
    forward = encoder._model.forward
    monkeypatch.setattr(encoder._model, "forward", lambda *inputs: forward(*inputs).index_fill_(0, torch.tensor([1]), torch.nan))
    results = encoder.encode([(chips(4, 256), np.zeros((4, 2)))])
    with pytest.raises(NonFiniteError, match=advice) as error:
        next(results)
    assert error.value.index == 1


def test_nothing_is_changed_when_pixels_may_not_be_written(weights: Path) -> None:
    pixels, lonlat = batch(1)
    before = pixels.copy()
    pixels.setflags(write=False)
    with warnings.catch_warnings(action="error"):
        (found,) = exact(weights).encode([(pixels, lonlat)])
    assert np.array_equal(pixels, before)
    np.testing.assert_array_equal(found, next(exact(weights).encode([(before, lonlat)])))


def test_the_brightest_pixels_count_when_above_the_signed_range(weights: Path) -> None:
    lonlat = np.zeros((2, 2))
    pixels = np.stack([np.full((4, 256, 256), value, np.uint16) for value in (40_000, 65_535)])
    bright, brightest = next(exact(weights).encode([(pixels, lonlat)]))
    assert np.abs(bright - brightest).max() > 1e-3


@pytest.mark.parametrize(
    ("pixels", "lonlat"),
    [
        (np.zeros((1, 4, 256, 256), np.int16), np.zeros((1, 2))),
        (np.zeros((1, 4, 512, 512), np.uint16), np.zeros((1, 2))),
        (np.zeros((1, 3, 256, 256), np.uint16), np.zeros((1, 2))),
        (np.zeros((1, 4, 256, 256), np.uint16), np.zeros((2, 2))),
        (np.zeros((1, 4, 256, 256), np.uint16), np.zeros((1, 3))),
    ],
)
def test_value_error_when_a_batch_has_another_form(pixels: NDArray[Any], lonlat: NDArray[np.float64], weights: Path) -> None:
    with pytest.raises(ValueError, match="needed"):
        list(exact(weights).encode([(pixels, lonlat)]))


def test_embedding_keeps_its_direction_when_encoded_in_bf16(weights: Path) -> None:
    one = batch(3)
    a = next(exact(weights).encode([one]))
    b = next(Encoder(weights, TINY, year=YEAR, device="cpu", precision="bf16").encode([one]))
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert (cosine >= 0.999).all()
    assert (a != b).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_embeddings_are_the_cpus_when_encoded_on_a_cuda_card(precision: str, weights: Path) -> None:
    batches = [batch(count) for count in (3, 1, 4)]
    encoder = Encoder(weights, TINY, year=YEAR, device="cuda", precision=precision, batch_size=2)
    for a, b in zip(exact(weights).encode(batches), encoder.encode(batches), strict=True):
        cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert (cosine >= 0.999).all()
        assert precision != "fp32" or np.abs(a - b).max() <= TOLERANCE


def test_device_and_precision_are_told_when_asked(weights: Path) -> None:
    encoder = exact(weights)
    assert (encoder.device, encoder.precision, encoder.batch_size) == ("cpu", "fp32", 2)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "tpu", "meta", ""])
def test_configuration_error_when_the_device_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_devices(monkeypatch, cuda=False, mps=False)
    with pytest.raises(ConfigurationError, match="device"):
        resolve_device(name)


def test_configuration_error_when_there_are_fewer_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_devices(monkeypatch, cuda=True, mps=False)
    assert resolve_device("cuda:0").index == 0
    with pytest.raises(ConfigurationError, match="cuda:1"):
        resolve_device("cuda:1")


@pytest.mark.parametrize(("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_the_fastest_device_is_taken_when_left_to_choose(cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    pretend_devices(monkeypatch, cuda=cuda, mps=mps)
    assert resolve_device("auto").type == expected


def pretend_devices(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp16"), ((8, 0), "bf16"), ((8, 6), "bf16"), ((9, 0), "bf16")])
def test_bf16_is_taken_when_the_card_has_it(capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert resolve_precision("auto", torch.device("cuda")) == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512_bf16": False, "avx2": True}, "fp32"), ({}, "fp32")],
)
def test_bf16_is_taken_when_the_cpu_has_it(capabilities: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve_precision("auto", CPU) == expected


@pytest.mark.parametrize(("name", "message"), [("fp16", "needs a GPU"), ("fp64", "no such precision")])
def test_configuration_error_when_the_cpu_has_no_such_precision(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        resolve_precision(name, CPU)
