import pytest
import torch
from torch.nn import functional

from embedder.models.kernels import linear


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_linear_is_torchs_own_when_fused(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(16, 24).requires_grad_(requires_grad=False).to(dtype)
    x = torch.randn(2, 3, 16, generator=generator).to(dtype)  # (2, 3, 16)
    add = torch.randn(2, 3, 24, generator=generator).to(dtype)  # (2, 3, 24)
    plain = functional.linear(x.float(), layer.weight.float(), layer.bias.float())  # (2, 3, 24)
    close = 1e-5 if dtype == torch.float32 else 2e-2
    before = add.clone()
    torch.testing.assert_close(linear(x, layer).float(), plain, atol=close, rtol=close)
    torch.testing.assert_close(linear(x, layer, gelu=True).float(), functional.gelu(plain), atol=close, rtol=close)
    torch.testing.assert_close(linear(x, layer, add=add).float(), plain + add.float(), atol=close, rtol=close)
    torch.testing.assert_close(add, before)
