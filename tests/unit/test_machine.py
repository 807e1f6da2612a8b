"""A command on a machine set up for other programs, or for none of ours."""

import subprocess
import sys
from pathlib import Path

import pytest
import rasterio

from embedder.sample import TILE

ROOT = Path(__file__).parents[2]
ON_WINDOWS = """
import os, runpy, sys
sys.modules["fcntl"] = None
sys.path.insert(0, os.getcwd())
os.name, sys.argv = "nt", sys.argv[1:]
run = runpy.run_path if sys.argv[0].endswith(".py") else runpy.run_module
run(sys.argv[0], run_name="__main__")
"""
"""The command in its arguments, on what looks like Windows from Python."""


@pytest.mark.parametrize("command", ["embedder", "workflows/submit.py"])
def test_one_line_names_wsl_when_a_command_starts_on_windows(command: str) -> None:
    finished = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", ON_WINDOWS, command, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == 78, finished.stderr
    assert finished.stderr == "error: this does not run on Windows itself: run it in WSL, as README.md says\n"
    assert not finished.stdout


def test_the_sample_is_written_when_proj_and_gdal_are_set_for_another_install(sample_source: Path) -> None:
    with rasterio.open(sample_source / TILE.key(2020)) as tile:
        assert tile.crs.to_epsg() == 4326


def test_no_file_gets_the_number_of_a_standard_stream_when_those_are_closed(tmp_path: Path) -> None:
    """What libraries print would end in it."""
    script = "import sys; from embedder.machine import prepare; prepare(); print('lost'); sys.exit(open(sys.argv[1], 'w').fileno())"
    command = 'exec "$0" -c "$1" "$2" <&- >&- 2>&-'
    finished = subprocess.run(  # noqa: S603 - our own code
        ["/bin/bash", "-c", command, sys.executable, script, str(tmp_path / "file")], cwd=ROOT, timeout=60, check=False
    )
    assert finished.returncode == 3
