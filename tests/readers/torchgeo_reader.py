"""TorchGeo's `ClayEmbeddings` without the rest of TorchGeo, which is for another Python and needs 40 packages more."""

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


def clay_embeddings() -> Any:  # noqa: ANN401 - TorchGeo's class
    """The class as TorchGeo has it; of the modules beside it, its base class and two names of types are stood in for."""
    spec = find_spec("torchgeo")
    assert spec
    assert spec.origin
    datasets = ModuleType("torchgeo.datasets")
    datasets.__path__ = [str(Path(spec.origin).parent / "datasets")]
    geo, utils = ModuleType("torchgeo.datasets.geo"), ModuleType("torchgeo.datasets.utils")
    geo.NonGeoDataset = torch.utils.data.Dataset  # type: ignore[attr-defined]
    utils.Path, utils.Sample = Path, dict[str, Any]  # type: ignore[attr-defined]
    for module in (datasets, geo, utils):
        sys.modules.setdefault(module.__name__, module)
    found = importlib.import_module("torchgeo.datasets.clay").ClayEmbeddings
    datasets.ClayEmbeddings = found  # type: ignore[attr-defined]
    return found
