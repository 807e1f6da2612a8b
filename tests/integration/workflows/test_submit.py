"""`submit.py --local`: the whole job on this machine."""

import json
from pathlib import Path

import pytest

from embedder.grid import COLUMN_COUNT, Window
from tests.commands import assert_failed, assert_one_line, call, exit_code, submit
from tests.jobs import TILE
from tests.patience import skip_waits
from tests.s3_server import READER, S3Server, aws_environment
from tests.tiles import write_tile

pytestmark = pytest.mark.usefixtures("temporary")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], empty_source: Path
) -> None:
    line = f"submit.py --year 2020 --local --dry-run --columns 3-30 --source {empty_source} --weights random:0"
    assert exit_code(monkeypatch, line.split()) == 0
    shown = capsys.readouterr().out
    assert "columns  28, 20 of them with tiles" in shown  # 3 to 22: column 23 reaches into the next tile
    assert "of the source: a guess from file sizes" in shown
    assert "output   ./output" in shown
    assert [path.name for path in Path.cwd().iterdir()] == ["temporary"]


def test_bad_input_ends_with_78_and_says_what_where_and_what_to_do(
    s3: S3Server, bucket: str, empty_source: Path, output: str, tmp_path: Path
) -> None:
    (tmp_path / "page.ckpt").write_text("<html>404</html>")
    (tmp_path / "nothing").mkdir()
    good = {"--source": str(empty_source), "--weights": "random:0", "--output": output, "--columns": "5"}
    for change, parts in (
        ({"--source": str(tmp_path / "nothing")}, ["holds no tile of 2020 in the grid", "check --source"]),
        ({"--weights": str(tmp_path / "page.ckpt")}, ["page.ckpt is neither a PyTorch checkpoint nor a safetensors file"]),
        ({"--output": f"s3://{bucket}/out"}, [f"s3://{bucket}/out", "access denied", "s3:PutObject"]),
    ):
        options = (part for pair in (good | change).items() for part in pair)
        finished = call("submit.py", "--year", "2020", "--local", *options, **aws_environment(s3.endpoint, READER))
        assert_failed(finished, 78, *parts)
        assert READER[1] not in finished.stderr + finished.stdout
        assert not Path(output).exists()


def test_the_job_ends_with_78_and_publishes_nothing_when_a_column_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], weights: str, output: str, tmp_path: Path
) -> None:
    skip_waits(monkeypatch)
    path = write_tile(tmp_path / "source", TILE, Window(x=3_000, y=0, width=100, height=100))
    path.write_bytes(path.read_bytes()[:-2_000])
    line = f"submit.py --year 2020 --local --columns 6,30 --source {tmp_path / 'source'} --weights {weights} --output {output}"
    assert exit_code(monkeypatch, line.split()) == 78
    shown = capsys.readouterr()
    assert_one_line(shown.err, "column 6: tile N49W125 at ", "is damaged", "restore it, then run again")
    assert "embedded 0 chips in 1 columns, 1 failed: 6" in shown.out
    assert "published" not in shown.out
    assert sorted(path.name for path in (Path(output) / "clay-v0.1" / "2020").iterdir()) == [
        "_run.json",
        "worldcover_embeddings_2020_0030.parquet",
    ]


def test_every_column_of_the_grid_is_written(empty_source: Path, weights: str, output: str) -> None:
    finished = submit("--source", str(empty_source), "--weights", weights, "--output", output)
    assert finished.returncode == 0, finished.stderr
    folder = Path(output) / "clay-v0.1" / "2020"
    assert len(list(folder.glob("worldcover_embeddings_2020_*.parquet"))) == COLUMN_COUNT
    manifest = json.loads((folder / "_manifest.json").read_text())
    assert manifest["complete"] is True
    assert list(manifest["columns"]) == [str(column) for column in range(COLUMN_COUNT)]
    assert "published 1359 of 1359 columns (0 embedded, " in finished.stdout
