"""Commands beside another install of GDAL and PROJ, whose settings the environment holds."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import urllib3

from embedder.grid import Window
from tests.explore_output import some, write_output
from tests.jobs import TILE
from tests.tiles import write_tile

ROOT = Path(__file__).parents[3]


@pytest.fixture
def foreign(tmp_path: Path) -> dict[str, str]:
    """Data, drivers and habits of another install, each of which breaks the reading of tiles by itself; and nothing else set."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "proj.db").touch()
    (tmp_path / "other" / "gdalrc").write_text("[configoptions]\nGDAL_SKIP=GTiff\n")
    (tmp_path / "home" / ".gdal").mkdir(parents=True)
    (tmp_path / "home" / ".gdal" / "gdalrc").write_text("[configoptions]\nGDAL_SKIP=GTiff\n")
    other = str(tmp_path / "other")
    return {
        "PROJ_DATA": other,
        "PROJ_LIB": other,
        "PROJ_AUX_DB": f"{other}/none.db",
        "GDAL_DATA": other,
        "GDAL_DRIVER_PATH": other,
        "GDAL_CONFIG_FILE": f"{other}/gdalrc",
        "GDAL_SKIP": "GTiff,JPEG",
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


def test_a_tile_is_read_when_the_environment_is_set_for_another_install(tmp_path: Path, foreign: dict[str, str]) -> None:
    # without a complete chip, so that no model is needed
    write_tile(tmp_path / "source", TILE, Window(x=3_000, y=0, width=100, height=100))
    place = ["--year", "2020", "--output", str(tmp_path / "output")]
    for command in (
        ["workflows/submit.py", "--local", "--columns", "5", "--source", str(tmp_path / "source"), "--weights", "random:0", *place],
        ["-m", "embedder", "embed", "--column", "5", "--force", *place],
    ):
        run(command, foreign)
    options = {"columns": [5], "source": str(tmp_path / "source"), "weights": "random:0", "force": True}
    notebook = f"import embedder; print(embedder.run({str(tmp_path / 'output')!r}, 2020, **{options}).chips.crs)"
    assert run(["-c", notebook], foreign) == "EPSG:4326\n"
    [file] = tmp_path.glob("output/clay-v0.1/2020/*_0005.parquet")
    assert b'"outcomes"' in pq.read_metadata(file).metadata[b"worldcover_embeddings"]


def test_search_and_pictures_work_when_the_environment_is_set_for_another_install(tmp_path: Path, foreign: dict[str, str]) -> None:
    write_tile(tmp_path / "source", TILE, Window(x=0, y=0, width=1_000, height=3_000))
    write_output(tmp_path / "output", dict(some(range(2))))
    source, place = str(tmp_path / "source"), ["--output", str(tmp_path / "output"), "--year", "2020"]
    assert "c0001r0014" in run(["-m", "embedder", "search", *place, "--chip", "c0000r0003"], foreign)
    explore = [sys.executable, "-m", "embedder", "explore", *place, "--port", "0", "--no-open", "--wms", "none", "--source", source]
    with subprocess.Popen(explore, cwd=ROOT, env=os.environ | foreign, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout
            [page] = re.findall("http://[^ ]+", next(line for line in process.stdout if "the page is at" in line))
            reply = urllib3.request("GET", f"{page}api/picture/2020/c0000r0003.jpg", retries=False)
            assert (reply.status, reply.headers["Content-Type"]) == (200, "image/jpeg"), reply.data
        finally:
            process.send_signal(signal.SIGTERM)


def run(command: list[str], environment: dict[str, str]) -> str:
    finished = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, *command], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout
