"""The transformer that both models share: pre-norm attention and feed-forward blocks, then a LayerNorm.

The modules only hold parameters, under the names of Clay's checkpoints; the arithmetic stands in the `forward`s.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from embedder.models.kernels import linear


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of a transformer."""

    width: int
    """Numbers in a token."""
    depth: int
    """Blocks."""
    heads: int
    """Attention heads; each is width / heads wide."""
    hidden: int
    """Numbers in the middle of the feed-forward part."""
    dropout_slots: bool
    """Whether the checkpoint's layout has (inactive) dropout modules: to_out.0 and net.4 for to_out and net.3; with a bias at to_out."""


class Attention(nn.Module):
    """Adds to each token what the others tell it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm = nn.LayerNorm(shape.width)
        self.to_qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        out = nn.Linear(shape.width, shape.width, bias=shape.dropout_slots)
        self.to_out = nn.Sequential(out) if shape.dropout_slots else out

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, width) to the same."""
        n, t, width = x.shape
        qkv = linear(self.norm(x), self.to_qkv)  # (n, t, 3 * width)
        q, k, v = qkv.view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (n, heads, t, width / heads) each
        attended = functional.scaled_dot_product_attention(q, k, v)  # (n, heads, t, width / heads)
        attended = attended.transpose(1, 2).reshape(n, t, width)  # (n, t, width)
        out = self.to_out[0] if isinstance(self.to_out, nn.Sequential) else self.to_out
        return linear(attended, cast("nn.Linear", out), add=x)  # (n, t, width)


class FeedForward(nn.Module):
    """Adds to each token a function of itself."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        norm, up, down = nn.LayerNorm(shape.width), nn.Linear(shape.width, shape.hidden), nn.Linear(shape.hidden, shape.width)
        self.net = nn.Sequential(norm, up, nn.GELU(), *[nn.Identity()] * shape.dropout_slots, down)

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, width) to the same."""
        up, down = cast("nn.Linear", self.net[1]), cast("nn.Linear", self.net[-1])
        hidden = linear(self.net[0](x), up, gelu=True)  # (n, t, hidden)
        return linear(hidden, down, add=x)  # (n, t, width)


class Block(nn.ModuleList):
    """Attention, then feed-forward."""

    def __init__(self, shape: Shape) -> None:
        super().__init__([Attention(shape), FeedForward(shape)])

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, width) to the same."""
        for part in self:
            x = part(x)  # (n, t, width)
        return x


class Transformer(nn.Module):
    """All blocks, and the LayerNorm at the end."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width)

    @property
    def dtype(self) -> torch.dtype:
        """In what it computes."""
        return self.norm.weight.dtype

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, width) in any float type to the same in `dtype`."""
        x = x.to(self.dtype)  # (n, t, width)
        for block in self.layers:
            x = block(x)  # (n, t, width)
        return self.norm(x)  # type: ignore[no-any-return]
