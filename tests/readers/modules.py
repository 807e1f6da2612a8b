"""The readers, which `make readers` brings."""

import os
from importlib import import_module
from typing import Any

import pytest

REASON = "`make readers` makes the environment that has it"


def reader(name: str) -> Any:  # noqa: ANN401 - a module of others
    """The module; where `make readers` has made the environment, one that is missing is a fault and no reason to skip."""
    if "READERS" not in os.environ:
        pytest.skip(REASON, allow_module_level=True)
    return import_module(name)
