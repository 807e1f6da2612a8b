"""What the unit tests of several folders share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_ckpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch  # noqa: PLC0415 - which most of them do without

    from tests.golden import lightning  # noqa: PLC0415
    from tests.tiny_weights import tiny_state  # noqa: PLC0415

    path = tmp_path_factory.mktemp("tiny") / "tiny.ckpt"
    torch.save(lightning(tiny_state()), path)
    return path
