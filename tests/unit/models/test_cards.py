"""Why CUDA cannot be used: the card, the driver that is there, and the one that is needed."""

from pathlib import Path

import pytest
import torch

from embedder.errors import DeviceError
from embedder.models import cards
from embedder.models.encoder import resolve_device

VERSIONS = {
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.172.08  Tue Jul  8 18:36:44 UTC 2025\nGCC version: 12.2.0\n": "570.172.08",
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22)\n": "580.65.06",
}


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a card; files below are what a driver says."""
    monkeypatch.setattr(cards, "PROC", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return tmp_path


@pytest.mark.parametrize("text", VERSIONS)
def test_card_and_driver_are_named_when_the_driver_is_too_old(text: str, proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (proc / "version").write_text(text)
    card = proc / "gpus/0000:00:1e.0/information"
    card.parent.mkdir(parents=True)
    card.write_text("Model: \t\t Tesla T4\nIRQ:   \t\t 10\nGPU UUID: \t GPU-1\n")
    monkeypatch.setattr(torch.version, "cuda", "13.0")

    def too_old() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 12080).\nPlease update your GPU driver")

    monkeypatch.setattr(torch.cuda, "init", too_old)
    with pytest.raises(DeviceError) as error:
        resolve_device("cuda")
    said = str(error.value)
    assert f"card Tesla T4, driver {VERSIONS[text]}; torch {torch.__version__}: CUDA 13.0 needs driver 580 or later" in said
    assert "too old (found version 12080)." in said
    assert "\n" not in said


def test_nothing_is_named_when_nothing_is_there(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(proc.iterdir())
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceError, match=r"card none, driver none; torch .*: it has no CUDA"):
        resolve_device("cuda:0")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_no_other_device_takes_its_place_when_cuda_cannot_be_used(name: str, proc: Path) -> None:
    assert not any(proc.iterdir())
    with pytest.raises(DeviceError, match=name):
        resolve_device(name)
