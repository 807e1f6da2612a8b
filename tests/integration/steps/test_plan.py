"""Planning: refused where weights, places or an earlier run do not serve."""

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, TemporaryError
from embedder.models import checkpoint
from embedder.steps.plan import plan
from embedder.storage import open_storage
from tests.disks import mounted
from tests.jobs import TILE, TINY, embed_columns, place_of, plan_options, run_job, write_source
from tests.patience import limit_attempts
from tests.run_output import versions
from tests.s3_server import PUBLIC_BUCKET, READER, S3Server, aws_environment

pytestmark = pytest.mark.usefixtures("scratch")


# Wrong weights


class Hostile:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch hacked",)


def write_hostile(path: Path) -> None:
    torch.save({"state_dict": {"model.encoder.x": Hostile()}}, path, pickle_protocol=2)


BAD_WEIGHTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("<html>not found</html>"), "neither a PyTorch checkpoint nor"),
    "truncated": (lambda path: path.write_bytes(tiny_checkpoint(path)[:-5_000]), "is damaged|damaged safetensors"),
    "hostile": (write_hostile, "holds code, which is not run"),
    "bare pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "bare pickle"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "other model": (lambda path: torch.save({"state_dict": v01_keys()}, path), "seems to hold the weights of clay-v0.1"),
    "nothing": (lambda _: None, "no such file"),
}


def tiny_checkpoint(path: Path) -> bytes:
    checkpoint.write_random(0, path, TINY.model)
    return path.read_bytes()


def v01_keys() -> dict[str, torch.Tensor]:
    shapes = checkpoint.shapes_of("clay-v0.1")
    return {f"model.encoder.{name}": torch.zeros(1).expand(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(("write", "reason"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_nothing_is_planned_when_the_weights_cannot_be_used(
    source: Path, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], object], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "clay.ckpt"
    write(path)
    with pytest.raises(ConfigurationError, match=reason) as failure:
        plan(open_storage(output), plan_options(source, [6], weights=str(path)), Progress())
    assert failure.value.exit_code == 78
    assert str(path) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert not Path(output).exists()
    assert not (tmp_path / "hacked").exists()


def test_nothing_is_planned_when_the_weights_have_another_sha256(source: Path, output: str, tmp_path: Path) -> None:
    found = hashlib.sha256(tiny_checkpoint(tmp_path / "slim")).hexdigest()
    options = plan_options(source, [6], weights=str(tmp_path / "slim"))
    with pytest.raises(ConfigurationError, match=f"has SHA-256 {found}, not {'0' * 64}"):
        plan(open_storage(output), replace(options, weights_sha256="0" * 64), Progress())
    assert not Path(output).exists()
    run = plan(open_storage(output), replace(options, weights_sha256=found.upper()), Progress())
    assert (run.checkpoint_sha256, run.weights_sha256) == (found, found)


def test_the_weights_are_put_again_when_they_are_gone_or_damaged(source: Path, output: str) -> None:
    run = run_job(source, output, [6]).run
    place = place_of(output)
    path = Path(output) / place.weights_key(run.weights_sha256)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ConfigurationError, match=r"is damaged: it has SHA-256 \w{64}: remove it and run `embedder plan` again"):
        embed_columns(place, [6], force=True)
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"is gone: run `embedder plan` again"):
        embed_columns(place, [6], force=True)
    run_job(source, output, [6], force=True)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == run.weights_sha256


def test_the_warning_stays_when_random_weights_come_from_a_file(
    source: Path, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.write_random(7, tmp_path / "mine.safetensors", TINY.model)
    run = plan(open_storage(output), plan_options(source, [6], weights=str(tmp_path / "mine.safetensors")), Progress())
    assert (run.weights, run.seed) == (str(tmp_path / "mine.safetensors"), 7)
    assert "NOTE: the weights are random:7: these embeddings mean nothing" in capsys.readouterr().err


# An output that holds another run


@pytest.mark.parametrize(
    ("change", "named"),
    [({"weights": "random:1"}, "weights_sha256"), ({"precision": "bf16"}, r"precision fp32 \(now bf16\)")],
    ids=["weights", "precision"],
)
def test_planning_refuses_when_the_output_holds_another_run(
    source: Path, planned_and_embedded: Path, change: dict[str, Any], named: str
) -> None:
    before = versions(place_of(planned_and_embedded))
    with pytest.raises(ConfigurationError, match=f"holds another run, which differs in {named}.*: use another --output") as failure:
        plan(open_storage(str(planned_and_embedded)), plan_options(source, [6], **change), Progress())
    assert failure.value.exit_code == 78
    assert versions(place_of(planned_and_embedded)) == before


def test_a_restored_tile_is_another_configuration(source: Path, tmp_path: Path, output: str) -> None:
    run_job(source, output, [6])
    copy = write_source(tmp_path / "source")
    with pytest.raises(ConfigurationError, match=r"source .* changed"):
        run_job(copy, output, [6])
    run_job(copy, tmp_path / "second", [6])
    (copy / TILE.key(2020)).touch()
    with pytest.raises(ConfigurationError, match=rf"inventory \(tile {TILE.name} changed\): use another --output"):
        run_job(copy, tmp_path / "second", [6])
    failed = embed_columns(place_of(tmp_path / "second"), [6], force=True).failed
    assert "the source changed during the run" in str(failed[6])


def test_a_run_needs_a_plan(output: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no run at .*_run\.json: run `embedder plan`"):
        place_of(output).load()


# Places that cannot be used


@pytest.mark.parametrize("name", ["no-such-bucket", "Not_A_Bucket"])
def test_planning_ends_with_78_when_the_output_bucket_is_not_there(source: Path, bucket: str, name: str) -> None:
    assert bucket
    with pytest.raises(ConfigurationError, match="no such bucket") as failure:
        plan(open_storage(f"s3://{name}/out"), plan_options(source, [6]), Progress())
    assert failure.value.exit_code == 78
    assert f"s3://{name}/out" in str(failure.value)


@pytest.mark.parametrize(("keys", "reason"), [(READER, "access denied"), (("nobody", "secret-of-nobody"), "credentials are not valid")])
def test_planning_ends_with_78_when_the_output_bucket_is_forbidden(
    s3: S3Server, source: Path, bucket: str, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, str], reason: str
) -> None:
    for variable, value in aws_environment(s3.endpoint, keys).items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=reason) as failure:
        plan(open_storage(f"s3://{bucket}/out"), plan_options(source, [6]), Progress())
    assert failure.value.exit_code == 78
    assert keys[1] not in str(failure.value)


@pytest.mark.parametrize("which", ["missing", "forbidden", "empty"])
def test_planning_ends_with_78_when_the_source_bucket_cannot_be_used(bucket: str, output: str, which: str) -> None:
    names = {"missing": "esa-worldcover-s4", "forbidden": bucket, "empty": f"{PUBLIC_BUCKET}/nothing-here"}
    options = plan_options(f"s3://{names[which]}", [6])
    with pytest.raises(ConfigurationError, match="holds no tile of 2020" if which == "empty" else "may list it") as failure:
        plan(open_storage(output), options, Progress())
    assert failure.value.exit_code == 78
    assert names[which] in str(failure.value)
    assert not Path(output).exists()


@pytest.mark.parametrize("what", ["source", "output"])
def test_planning_ends_with_75_when_the_endpoint_does_not_answer(
    source: Path, output: str, bucket: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    limit_attempts(monkeypatch, 1)
    storage = open_storage(f"s3://{bucket}/out" if what == "output" else output)
    with pytest.raises(TemporaryError, match=r"127\.0\.0\.1:9") as failure:
        plan(storage, plan_options(source if what == "output" else f"s3://{bucket}", [6]), Progress())
    assert failure.value.exit_code == 75


def test_planning_ends_with_78_when_the_output_is_read_only(source: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ro"), pytest.raises(ConfigurationError, match="disk is no folder that this user may"):
        plan(open_storage(str(tmp_path / "disk" / "output")), plan_options(source, [6]), Progress())


def test_planning_ends_with_78_when_there_is_no_room_for_the_weights(
    source: Path, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=1m"):
        with pytest.raises(ConfigurationError, match=r"no space left for .*_weights/.*safetensors"):
            plan(open_storage(str(disk / "output")), plan_options(source, [6]), Progress())
        assert not [path for path in disk.rglob("*") if path.is_file()]
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with pytest.raises(ConfigurationError, match=rf"no space left for temporary files in {disk} \(TMPDIR\)"):
            plan(open_storage(output), plan_options(source, [6]), Progress())
        assert not [path for path in disk.rglob("*") if path.is_file()]


@pytest.mark.parametrize("below", ["", "/below"])
def test_planning_ends_with_78_when_the_output_is_a_file(source: Path, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigurationError, match="file is no folder that this user may write to"):
        plan(open_storage(f"{tmp_path}/file{below}"), plan_options(source, [6]), Progress())
    assert (tmp_path / "file").read_text() == "mine"
