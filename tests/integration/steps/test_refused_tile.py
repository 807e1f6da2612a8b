"""A run whose source does not give out one tile: its columns fail by name, the others are written, and the next run goes on.

And one whose weights arrive damaged.
"""

from pathlib import Path
from uuid import uuid4

import pytest

from embedder.cli.command import exit_code_of
from embedder.grid import Tile, Window
from embedder.storage import network
from tests.commands import assert_one_line, submit_command
from tests.faults import Fault, FaultyProxy, Refusal
from tests.jobs import place_of, run_job
from tests.run_output import manifest_of
from tests.s3_server import PUBLIC_BUCKET, S3Server
from tests.tiles import write_tile

pytestmark = pytest.mark.usefixtures("scratch")
GOOD, BAD = Tile.from_name("N49W125"), Tile.from_name("N49W124")
COLUMNS = [6, 7, 30]
"""The last lies in the bad tile."""


@pytest.fixture
def location(s3: S3Server, proxy: FaultyProxy, source: Path, tmp_path: Path) -> str:
    """A source of two tiles, through the proxy."""
    prefix = f"refused-{uuid4().hex}"
    bad = write_tile(tmp_path, BAD, Window(x=30 * 512 - BAD.window.x, y=0, width=1_000, height=600))
    for path, tile in ((source / GOOD.key(2020), GOOD), (bad, BAD)):
        s3.client().upload_file(str(path), PUBLIC_BUCKET, f"{prefix}/{tile.key(2020)}")
    return f"{proxy.url}/{PUBLIC_BUCKET}/{prefix}"


@pytest.fixture
def refusal(proxy: FaultyProxy) -> None:
    for method in ("GET", "HEAD"):
        proxy.inject(Refusal(403, "AccessDenied"), method=method, path=BAD.name, times=10_000)


@pytest.mark.usefixtures("refusal")
@pytest.mark.parametrize("together", [1, 8])
def test_its_columns_fail_and_the_others_are_published_later(location: str, output: str, proxy: FaultyProxy, together: int) -> None:
    result = run_job(location, output, COLUMNS, together=together)
    assert {file.column for file in result.embedded.written} == {6, 7}
    assert list(result.embedded.failed) == [30]
    assert BAD.name in str(result.embedded.failed[30])
    assert result.manifest is None
    proxy.forget()
    resumed = run_job(location, output, COLUMNS, together=together)
    assert [file.column for file in resumed.embedded.written] == [30]
    assert len(manifest_of(place_of(output))["columns"]) == 3


@pytest.mark.usefixtures("refusal")
def test_the_command_ends_with_78_and_names_the_tile(
    location: str, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = (
        f"submit.py --local --year 2020 --recipe clay-v1.5-tiny --output {output} --source {location} --weights random:0 --columns 6,7,30"
    )
    monkeypatch.setattr("sys.argv", line.split())
    assert exit_code_of(submit_command(), "submit.py") == 78
    assert_one_line(capsys.readouterr().err, BAD.name)


@pytest.mark.parametrize("fault", [Fault.FLIPPED_BYTE, Fault.HALF_BODY, Fault.TRICKLE, Refusal(500)], ids=str)
def test_the_weights_are_fetched_again_when_they_arrive_damaged(
    source: Path, faulty_bucket: str, proxy: FaultyProxy, fault: Fault | Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "FLOOR_S", 0.2)
    proxy.inject(fault, path=".safetensors", times=2)  # the first one asks for the size
    assert run_job(source, f"s3://{faulty_bucket}/out", [6]).refusal is None
