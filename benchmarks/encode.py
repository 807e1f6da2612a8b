"""How fast the encoder is, against this machine's matrix multiplication and a naive encoder, all in the same run.

    python benchmarks/encode.py [--recipe clay-v1.5] [--device cuda --peak-tflops 125]

Each round measures everything in turn, and medians over the rounds are printed, so that other load disturbs all alike. The matrix
multiplications have the model's own shapes: torch.matmul, and where it is another, the kernel of `embedder.models.kernels`.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from embedder.models import clay_v01, clay_v15
from embedder.models.clay import ClayEncoder
from embedder.models.encoder import DTYPES, Encoder, resolve_device, resolve_precision
from embedder.models.kernels import linear
from embedder.models.transformer import Attention, FeedForward, Shape
from embedder.models.weights import slim
from embedder.recipes import RECIPES, Recipe

YEAR = 2020


def sizes(recipe: Recipe) -> tuple[Shape, int, int]:
    """The transformer, its tokens a chip, and the patch embedding's FLOP a chip."""
    if recipe.model == "clay-v0.1":
        shape, patch, groups, others = clay_v01.SHAPE, clay_v01.PATCH, len(clay_v01.GROUPS), 2
    else:
        shape, patch, groups, others = clay_v15.SHAPES[recipe.model], clay_v15.PATCH, 1, 1
    patches = (recipe.chip_pixels // patch) ** 2
    return shape, groups * patches + others, 2 * patches * 4 * patch**2 * shape.width


def layers(shape: Shape) -> list[tuple[int, int]]:
    """The linear layers of a block: numbers in and out."""
    return [(shape.width, 3 * shape.width), (shape.width, shape.width), (shape.width, shape.hidden), (shape.hidden, shape.width)]


def flop_a_chip(recipe: Recipe) -> int:
    """Multiplications and additions that the model needs for a chip."""
    shape, tokens, patch_flop = sizes(recipe)
    block = 2 * tokens * sum(i * o for i, o in layers(shape)) + 4 * tokens**2 * shape.width
    return shape.depth * block + patch_flop


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """How long the work takes, until the device is done with it."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


class Products:
    """The matrix multiplications of a block, for a batch of chips: their rate in FLOP/s."""

    def __init__(self, recipe: Recipe, batch: int, precision: str, device: torch.device) -> None:
        shape, tokens, _ = sizes(recipe)
        made = {"device": device, "dtype": DTYPES[precision]}
        self.device = device
        self.flop = 2 * batch * tokens * sum(i * o for i, o in layers(shape))
        self.inputs = [torch.randn(batch * tokens, i, **made) for i, _ in layers(shape)]  # type: ignore[call-overload]
        self.layers = [nn.Linear(i, o, bias=False, **made).requires_grad_(requires_grad=False) for i, o in layers(shape)]

    def matmul_rate(self) -> float:
        """By torch.matmul."""
        return self._rate(lambda x, layer: torch.matmul(x, layer.weight.T))

    def kernel_rate(self) -> float:
        """By the kernel that the encoder uses."""
        return self._rate(linear)

    def _rate(self, multiply: Callable[[Tensor, nn.Linear], Tensor]) -> float:
        def work() -> None:
            for x, layer in zip(self.inputs, self.layers, strict=True):
                multiply(x, layer)

        work()
        return self.flop / min(seconds(work, self.device) for _ in range(3))


def made_up_chips(recipe: Recipe, count: int) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Pixels (count, 4, s, s) of noise, and places (count, 2)."""
    random = np.random.default_rng(0)
    pixels = random.integers(1, 6000, size=(count, 4, recipe.chip_pixels, recipe.chip_pixels), dtype=np.uint16)
    return pixels, random.uniform([-125, 24], [-67, 50], size=(count, 2))


def naive(model: ClayEncoder, pixels: Tensor, lonlat: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    """The model as one would write it first: torch's own layers, attention by softmax of all products, one chip at a time."""
    for i in range(len(pixels)):
        x = model.tokens(pixels[i : i + 1], lonlat[i : i + 1], YEAR)  # (1, t, width)
        for block in model.transformer.layers:
            attention, feed_forward = cast("tuple[Attention, FeedForward]", block)
            qkv = attention.to_qkv(attention.norm(x)).unflatten(2, (3, attention.heads, -1))  # (1, t, 3, heads, w)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (1, heads, t, w) each
            weights = functional.softmax(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5, dim=-1)  # (1, heads, t, t)
            x = x + attention.to_out((weights @ v).transpose(1, 2).flatten(2))  # (1, t, width)
            x = x + feed_forward.net(x)  # (1, t, width)
        model.transformer.norm(x)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="clay-v0.1")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, help="chips at once; default the encoder's own")
    parser.add_argument("--batches", type=int, help="batches a measurement; default 2, 16 on a GPU")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak-tflops", type=float, help="what the maker says that the device can do in the reduced precision")
    args = parser.parse_args()
    recipe, device = RECIPES[args.recipe], resolve_device(args.device)
    reduced = resolve_precision("auto", device)
    precisions = ["fp32"] if reduced == "fp32" else ["fp32", reduced]

    with tempfile.TemporaryDirectory() as folder:
        weights = slim("random:0", Path(folder) / "weights.safetensors", recipe).path
        encoders = {
            precision: Encoder(weights, recipe, year=YEAR, device=str(device), precision=precision, batch_size=args.batch_size)
            for precision in precisions
        }
        size = encoders["fp32"].batch_size
        batches = args.batches or (2 if device.type == "cpu" else 16)
        pixels, lonlat = made_up_chips(recipe, size)
        alone = torch.from_numpy(pixels[:2].astype(np.int32)).to(device)
        products = {precision: Products(recipe, size, precision, device) for precision in precisions}
        where = f"{encoders['fp32'].device}, {torch.get_num_threads()} threads"
        print(f"{recipe.name} on {where}, {size} chips at once, torch {torch.__version__}")

        flop = flop_a_chip(recipe)
        rates: dict[str, list[float]] = {}
        for round_number in range(args.rounds + 1):
            found = {}
            for precision, encoder in encoders.items():
                found[f"{precision} torch.matmul"] = products[precision].matmul_rate() / flop
                found[f"{precision} kernel"] = products[precision].kernel_rate() / flop
                stream = [(pixels, lonlat)] * batches
                found[f"{precision} encoder"] = size * batches / seconds(lambda e=encoder, s=stream: list(e.encode(s)), device)  # type: ignore[misc]
            with torch.inference_mode():
                took = seconds(lambda: naive(encoders["fp32"]._model, alone, lonlat), device)  # noqa: SLF001 - our own
            found["fp32 naive, chip by chip"] = len(alone) / took
            if round_number:  # the first warms up
                for name, rate in found.items():
                    rates.setdefault(name, []).append(rate)

    print(f"{flop / 1e9:.1f} GFLOP a chip; medians of {args.rounds} rounds:")
    for name, all_rates in rates.items():
        rate = statistics.median(all_rates)
        of_peak = f"  {rate * flop / args.peak_tflops / 1e10:5.1f} % of the peak" if args.peak_tflops and reduced in name else ""
        chips = f"  {rate:8.2f} chips/s" if "encoder" in name or "naive" in name else ""
        print(f"  {name:26} {rate * flop / 1e9:9.0f} GFLOP/s{of_peak}{chips}")

    def ratio(a: str, b: str) -> float:
        return statistics.median(x / y for x, y in zip(rates[a], rates[b], strict=True))

    for precision in precisions:
        encoder_rate = f"{precision} encoder"
        print(f"{encoder_rate}: {100 * ratio(encoder_rate, f'{precision} torch.matmul'):.0f} % of torch.matmul's rate, ", end="")
        print(f"{100 * ratio(encoder_rate, f'{precision} kernel'):.0f} % of the kernel's, ", end="")
        print(f"{ratio(encoder_rate, 'fp32 naive, chip by chip'):.2f} x the naive rate")


if __name__ == "__main__":
    main()
