"""Preflight, against a real S3 server."""

from pathlib import Path

import pytest

from embedder.cli.command import exit_code_of
from embedder.cli.steps import cli
from embedder.errors import ConfigurationError, TemporaryError
from embedder.grid import Tile, Window
from embedder.steps.preflight import check_output, check_weights, failure, preflight
from tests.patience import limit_attempts
from tests.s3_server import READER, S3Server, aws_environment
from tests.tiles import write_tile


@pytest.fixture
def source(tmp_path: Path) -> str:
    write_tile(tmp_path / "source", Tile.from_name("N49W125"), Window(x=0, y=0, width=16, height=16))
    return str(tmp_path / "source")


def test_all_is_well_when_each_can_be_used_and_nothing_is_written(bucket: str, s3: S3Server, source: str) -> None:
    s3.client().put_object(Bucket=bucket, Key="weights.ckpt", Body=b"weights")
    checks = list(preflight(f"s3://{bucket}/out", source, f"s3://{bucket}/weights.ckpt", 2020))
    assert [(made.name, made.error) for made in checks] == [("output", None), ("source", None), ("weights", None)]
    assert checks[1].detail == f"{source} has 1 tiles of 2020"
    assert failure(checks, "nothing was submitted") is None
    assert [found["Key"] for found in s3.client().list_objects_v2(Bucket=bucket)["Contents"]] == ["weights.ckpt"]


def test_each_failure_is_reported_when_several_fail(
    bucket: str, s3: S3Server, source: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in aws_environment(s3.endpoint, READER).items():
        monkeypatch.setenv(name, value)
    line = f"embedder preflight --year 2021 --output s3://{bucket}/out --source {source} --weights s3://{bucket}/none"
    monkeypatch.setattr("sys.argv", line.split())
    assert exit_code_of(cli, "embedder") == 78
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].startswith(f"failed  output    s3://{bucket}/out")
    assert "s3:PutObject" in lines[0]
    assert lines[1].startswith(f"failed  source    source {source} holds no tile of 2021")
    assert lines[2].startswith(f"failed  weights   weights s3://{bucket}/none does not exist")
    assert shown.err.startswith("error: the preflight failed: ")


def test_another_attempt_is_advised_only_when_all_failures_are_temporary(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_attempts(monkeypatch, 1)
    unreachable = check_weights("http://127.0.0.1:9/weights.ckpt")
    assert isinstance(failure([unreachable, check_output(f"s3://{bucket}/out")], "no"), TemporaryError)
    assert isinstance(failure([unreachable, check_output(f"s3://{bucket}-2/out")], "no"), ConfigurationError)
    assert check_weights("random:7").error is None
