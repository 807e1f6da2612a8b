"""What NVIDIA's driver says of itself and its cards without CUDA, which may be what fails."""

import contextlib
import re
from pathlib import Path

import torch

PROC = Path("/proc/driver/nvidia")
"""The driver's own files; the container toolkit shows them to a container with a card."""
DRIVERS = {"12": 525, "13": 580}
"""The oldest driver for each CUDA: its Toolkit's release notes, "CUDA Toolkit and Corresponding Driver Versions"."""


def why_not_cuda() -> str:
    """Card, driver found and driver needed, in a few words, and what torch says."""
    version = torch.version.cuda
    needs = (
        f"CUDA {version} needs driver {DRIVERS.get(version.split('.')[0], max(DRIVERS.values()))} or later" if version else "it has no CUDA"
    )
    return f"card {_cards() or 'none'}, driver {driver() or 'none'}; torch {torch.__version__}: {needs} ({_torchs_reason()})"


def _cards() -> str:
    models = []
    for path in sorted(PROC.glob("gpus/*/information")):
        with contextlib.suppress(OSError):
            models += re.findall(r"^Model:\s*(.+?)\s*$", path.read_text(), re.MULTILINE)
    return ", ".join(models)


def driver() -> str:
    """The driver's version; empty where there is none."""
    with contextlib.suppress(OSError):
        if found := re.search(r"Module\b.*?(\d+\.\d[\d.]*)", (PROC / "version").read_text()):
            return found[1]
    return ""


def _torchs_reason() -> str:
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - whatever is in the way is the reason
        return str(error).strip().split("\n")[0]
    return "it is there now"
