"""Weights that the image holds are used in place: here the output's copy is gone, so that fetching it would fail."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from embedder.console.progress import Progress
from embedder.errors import WeightsError
from embedder.models.weights import slim
from embedder.output.run import Run, RunPlace
from embedder.steps import slim_weights as module
from embedder.steps.plan import plan
from embedder.steps.slim_weights import slim_weights
from tests.jobs import TINY, embed_columns, place_of, plan_options
from tests.s3_server import S3Server
from tests.tiny_weights import tiny_state

pytestmark = pytest.mark.usefixtures("scratch")


class Planned(NamedTuple):
    place: RunPlace
    run: Run
    checkpoint: Path
    baked: Path
    """The image's folder, empty as yet."""


@pytest.fixture
def planned(source: Path, bucket: str, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """A run whose weights are in no place that embed fetches them from."""
    checkpoint, baked = tmp_path / "clay.ckpt", tmp_path / "opt"
    torch.save({"state_dict": tiny_state()}, checkpoint)
    baked.mkdir()
    monkeypatch.setattr(module, "BAKED", baked)
    place = place_of(f"s3://{bucket}/out")
    run = plan(place.storage, plan_options(source, [6], weights=str(checkpoint)), Progress())
    s3.client().delete_object(Bucket=bucket, Key=f"out/{place.weights_key(run.weights_sha256)}")
    return Planned(place, run, checkpoint, baked)


def bake_slim(planned: Planned) -> Path:
    """As the image's build does."""
    (planned.baked / "another.safetensors").write_bytes(b"another recipe's")
    path = slim(str(planned.checkpoint), planned.baked / "tiny.safetensors", TINY).path
    planned.checkpoint.unlink()
    return path


def bake_checkpoint(planned: Planned) -> Path:
    return planned.checkpoint.rename(planned.baked / "clay.ckpt")


def leave_where_plan_found_it(planned: Planned) -> Path:
    return planned.checkpoint


@pytest.mark.parametrize("bake", [bake_slim, bake_checkpoint, leave_where_plan_found_it])
def test_nothing_is_fetched_when_the_weights_are_in_the_image(planned: Planned, bake: Callable[[Planned], Path], tmp_path: Path) -> None:
    path = bake(planned)
    assert slim_weights(planned.place, planned.run) == path
    (column,) = embed_columns(planned.place, [6]).written
    assert column.rows == 2
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_weights_of_the_image_are_left_alone_when_they_are_others_or_cannot_be_read(planned: Planned) -> None:
    planned.checkpoint.rename(planned.baked / "clay.ckpt")
    with (planned.baked / "clay.ckpt").open("ab") as file:
        file.write(b"\0")
    (planned.baked / "folder").mkdir()
    (planned.baked / "loop").symlink_to("loop")
    with pytest.raises(WeightsError, match=r"is gone: run `embedder plan` again"):
        slim_weights(planned.place, planned.run)
