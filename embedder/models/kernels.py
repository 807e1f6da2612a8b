"""One linear layer, as fast as the machine has it."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def _onednn_types() -> frozenset[torch.dtype]:
    """What oneDNN multiplies on this x86 CPU: on AMD fp32 a quarter faster than MKL, torch's choice, with GELU and sum for free."""
    if not torch.backends.mkldnn.is_available() or not torch.backends.cpu.get_cpu_capability().startswith("AVX"):  # type: ignore[no-untyped-call]
        return frozenset()
    return frozenset({torch.float32, torch.bfloat16} if torch.ops.mkldnn._is_mkldnn_bf16_supported() else {torch.float32})  # noqa: SLF001


_ONEDNN = _onednn_types()


def linear(x: Tensor, layer: nn.Linear, *, gelu: bool = False, add: Tensor | None = None) -> Tensor:
    """layer(x), then GELU or a sum with `add`: (..., i) to (..., o)."""
    if x.device.type == "cpu" and x.dtype in _ONEDNN:
        pointwise = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001 - what torch.compile emits on a CPU; torch is pinned
        if add is not None:
            return pointwise.binary(x, add, layer.weight, layer.bias, "add")  # type: ignore[no-any-return]
        return pointwise(x, layer.weight, layer.bias, "gelu" if gelu else "none", [], "none")  # type: ignore[no-any-return]
    x = layer(x)
    if gelu:
        x = functional.gelu(x)
    return x if add is None else x.add_(add)
