"""Pixels to embeddings on whatever the machine has: device, precision and batches."""

import contextlib
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embedder.errors import ConfigurationError, DeviceError, NonFiniteError, TemporaryError
from embedder.machine import cpu_count
from embedder.models.cards import why_not_cuda
from embedder.models.checkpoint import load_encoder
from embedder.recipes import BANDS, Recipe

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
BATCH_SIZES = {"cpu": 2, "cuda": 32, "mps": 8}
"""Chips that go through the model at once: on a CPU the fewest that keep it busy, since more of them fall out of its caches."""
BF16_CAPABILITY = (8, 0)
"""From this CUDA compute capability on, bf16 is native."""
CUDA_FAULT = re.compile(r"CUDA|cuBLAS|CUBLAS|cuDNN|CUDNN|NVRTC")
"""In the text of a RuntimeError that is the card's or its driver's: those of CUDA's libraries have no type of their own."""


class _Pending(NamedTuple):
    """A batch that the device works on."""

    pixels: NDArray[np.uint16]
    lonlat: NDArray[np.float64]
    embeddings: Tensor
    """On the host, valid once `done`: (n, width)."""
    began: torch.cuda.Event | None
    done: torch.cuda.Event | None


class Encoder:
    """A recipe's model with its weights on a device."""

    def __init__(
        self,
        slim: Path,
        recipe: Recipe,
        *,
        year: int,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        self._device = resolve_device(device)
        self.device = self._device.type
        """Where it computes: cpu, mps, or cuda with the card's name."""
        with self._faults():
            if self._device.type == "cuda":
                self.device = f"cuda:{torch.cuda.get_device_name(self._device)}"
            self.precision = resolve_precision(precision, self._device)
            """fp32, bf16 or fp16: what the transformer computes in; everything before it is always fp32."""
        self.batch_size = batch_size or BATCH_SIZES[self._device.type]
        """Chips that go through the model at once; halved where they don't fit the device's memory."""
        self.busy_s = 0.0
        """For how long the device has computed."""
        self.recipe = recipe
        self.year = year
        self._slim = slim
        if self._device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(min(torch.get_num_threads(), cpu_count()))
        self._model = load_encoder(slim, recipe)
        self._model.transformer.to(DTYPES[self.precision])
        with self._faults():
            self._model.to(self._device)

    def new_batch(self) -> NDArray[np.uint16]:
        """Room for the pixels of `batch_size` chips, (n, 4, s, s), from which the device copies without another copy on the way.

        The bands lie next to each other in memory, as the source has them: the device puts them in order.
        """
        size = self.recipe.chip_pixels
        with self._faults():
            room = torch.empty(self.batch_size, size, size, len(BANDS), dtype=torch.uint16, pin_memory=self._device.type == "cuda")
        return np.moveaxis(room.numpy(), -1, 1)

    def encode(self, batches: Iterable[tuple[NDArray[np.uint16], NDArray[np.float64]]]) -> Iterator[NDArray[np.float32]]:
        """Embeddings (n, width) for each batch of pixels (n, 4, s, s) and chip centres in degrees (n, 2: longitude, latitude), in order.

        Beside a GPU the next batch is drawn from `batches` and launched before this one's embeddings are waited for.
        """
        in_flight = 0 if self._device.type == "cpu" else 1
        pending: deque[_Pending] = deque()
        for pixels, lonlat in batches:
            with self._faults(), self._busy(), _tf32(allowed=self.precision != "fp32"):  # ten bits of fraction: more than bf16's seven
                pending.append(self._launch(pixels, lonlat))
            while len(pending) > in_flight:
                yield self._collect(pending.popleft())
        while pending:
            yield self._collect(pending.popleft())

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Raise TemporaryError in place of the card's own errors: what this process had on the card is lost, so that it must end."""
        try:
            yield
        except RuntimeError as error:
            said = str(error).strip().split("\n")[0]
            if isinstance(error, torch.AcceleratorError | torch.OutOfMemoryError) or CUDA_FAULT.search(said):
                raise TemporaryError(f"{self.device} failed ({said}): run again, elsewhere if it does so again") from error
            raise

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """Count the time within; a GPU of CUDA's has its own clock."""
        began = time.perf_counter()
        yield
        if self._device.type != "cuda":
            self.busy_s += time.perf_counter() - began

    @property
    def uuid(self) -> str | None:
        """The card's, of CUDA."""
        return str(torch.cuda.get_device_properties(self._device).uuid) if self._device.type == "cuda" else None

    @torch.inference_mode()
    def _launch(self, pixels: NDArray[np.uint16], lonlat: NDArray[np.float64]) -> _Pending:
        size, on_card = self.recipe.chip_pixels, self._device.type == "cuda"
        if pixels.dtype != np.uint16 or pixels.shape != (len(lonlat), len(BANDS), size, size) or lonlat.shape != (len(pixels), 2):
            raise ValueError(
                f"{pixels.dtype} pixels {pixels.shape} with places {lonlat.shape}: uint16 (n, 4, {size}, {size}), (n, 2) needed"
            )
        embeddings = torch.empty(len(pixels), self.recipe.width, pin_memory=on_card)  # (n, width)
        began = self._mark() if on_card else None
        start = 0
        while start < len(pixels):
            part = slice(start, start + self.batch_size)
            if self._encode_part(pixels[part], lonlat[part], embeddings[part]):
                start = part.stop
            else:
                self._halve()
        return _Pending(pixels, lonlat, embeddings, began, self._mark() if on_card else None)

    def _mark(self) -> torch.cuda.Event:
        """The moment when the card has done all that it was given."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def _encode_part(self, pixels: NDArray[np.uint16], lonlat: NDArray[np.float64], out: Tensor) -> bool:
        """Start to fill `out`; False where the device's memory is too small. Returns first, so that the error's frames hold no memory."""
        with contextlib.suppress(torch.OutOfMemoryError):
            result = self._model(self._upload(pixels), lonlat, self.year)  # (n, width)
            out.copy_(result, non_blocking=True)
            return True
        return False

    def _upload(self, pixels: NDArray[np.uint16]) -> Tensor:
        if self._device.type == "mps":  # knows no unsigned 16-bit integers
            return torch.from_numpy(pixels.astype(np.int32)).to(self._device)
        host = torch.from_numpy(np.require(pixels, requirements="W"))  # (n, 4, s, s)
        return host.pin_memory().to(self._device, non_blocking=True) if self._device.type == "cuda" else host

    def _halve(self) -> None:
        if self.batch_size == 1:
            raise ConfigurationError(
                f"one chip of {self.recipe.name} does not fit the memory of {self.device}: use a larger one, or the CPU"
            )
        self.batch_size //= 2
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _collect(self, pending: _Pending) -> NDArray[np.float32]:
        with self._faults(), self._busy():
            if pending.began and pending.done:
                pending.done.synchronize()
                self.busy_s += pending.began.elapsed_time(pending.done) / 1000
            elif self._device.type == "mps":
                torch.mps.synchronize()
        embeddings: NDArray[np.float32] = pending.embeddings.numpy()  # (n, width)
        bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
        if len(bad) and self.precision == "fp16":  # whose largest number is 65504
            embeddings[bad] = self._in_fp32(pending.pixels[bad], pending.lonlat[bad], bad)
        elif len(bad):
            raise NonFiniteError(int(bad[0]), precision=self.precision)
        return embeddings

    def _in_fp32(self, pixels: NDArray[np.uint16], lonlat: NDArray[np.float64], places: NDArray[np.intp]) -> NDArray[np.float32]:
        """Embeddings of some chips of a batch, whose places in it are given."""
        before = self._exact.busy_s
        try:
            (embeddings,) = self._exact.encode([(pixels, lonlat)])
        except NonFiniteError as error:
            raise NonFiniteError(int(places[error.index]), precision="fp32") from error
        self.busy_s += self._exact.busy_s - before
        return embeddings

    @cached_property
    def _exact(self) -> "Encoder":
        """The same model in fp32, made for the first chip that needs it."""
        device, batch_size = str(self._device), self.batch_size
        return Encoder(self._slim, self.recipe, year=self.year, device=device, precision="fp32", batch_size=batch_size)


@contextmanager
def _tf32(*, allowed: bool) -> Iterator[None]:
    """Whether a card may multiply fp32 in TF32, within alone: the setting is the process's, and others compute in it too."""
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision  # unlike allow_tf32, it can be read whichever of the two was set
    matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32 = before == "tf32"
        matmul.fp32_precision = before


def resolve_device(name: str) -> torch.device:
    """The device of this name; for `auto` a GPU where there is one. DeviceError where it cannot be used, never another in its place."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in available:
        raise ConfigurationError(f"no such device: {name!r}; choose auto, cpu, cuda or mps")
    if not available[device.type] or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        why = f": {why_not_cuda()}" if device.type == "cuda" else ""
        raise DeviceError(f"device {name} cannot be used on this machine{why}: mend that, or choose auto or cpu")
    return device


def resolve_precision(name: str, device: torch.device) -> str:
    """The precision of this name; for `auto` what the device is fast at. ConfigurationError where it cannot compute in it."""
    if name == "auto":
        return _fast_precision(device)
    if name not in DTYPES:
        raise ConfigurationError(f"no such precision: {name!r}; choose auto, {', '.join(DTYPES)}")
    if name == "fp16" and device.type == "cpu":
        raise ConfigurationError("precision fp16 needs a GPU: choose auto, bf16 or fp32 on a CPU")
    return name


def _fast_precision(device: torch.device) -> str:
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= BF16_CAPABILITY else "fp16"
    if device.type == "cpu" and any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")):
        return "bf16"
    return "fp32"
