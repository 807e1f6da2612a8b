"""Weights of the tests' own narrow model, and what is said of weights that cannot be used."""

import pytest
import torch
from torch import Tensor

from embedder.errors import WeightsError
from embedder.models.checkpoint import PREFIX, recipe_for, shapes_of
from tests.golden import seeded

TINY = recipe_for("clay-v1.5-tiny")


def tiny_state() -> dict[str, Tensor]:
    state = {f"{PREFIX}{name}": seeded(f"{PREFIX}{name}", shape) for name, shape in shapes_of("clay-v1.5-tiny").items()}
    return state | {"model.decoder.mask_patch": torch.ones(3)}


def one_line(error: pytest.ExceptionInfo[WeightsError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message
