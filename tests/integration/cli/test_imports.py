"""What a pod imports: a new package on that way would cost 1359 pods, and shows here."""

import subprocess
import sys
from pathlib import Path

import pytest

from embedder.grid import Window
from tests.commands import call
from tests.jobs import TILE
from tests.tiles import write_tile

EMBED = """
import sys
from embedder.cli.steps import cli
cli.main(["embed", *sys.argv[1:]], prog_name="embedder", standalone_mode=False)
"""
PACKAGES = """
packages = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
print("PACKAGES", *sorted(packages))
print("OURS", *sorted(name for name in sys.modules if name.startswith("embedder.")))
"""
AT_SEA = {"certifi", "click", "numpy", "pyarrow", "rich", "tenacity", "urllib3"}
WITH_CHIPS = AT_SEA | {
    *("imagecodecs", "rasterio", "safetensors", "shapely", "torch"),
    *("affine", "attr", "attrs", "boto3", "botocore", "jmespath", "s3transfer"),  # rasterio's
    *("torchgen", "tqdm", "typing_extensions"),  # torch's
}
IF_THEY_ARE_THERE = {"pandas", "dateutil", "six", "pytz", "cloudpickle", "tornado"}
"""Pyarrow takes pandas and cloudpickle along where they are installed, tenacity tornado; in the image they are not."""


def imported(code: str, *arguments: str) -> dict[str, set[str]]:
    """By kind, what a process has imported once the code has run."""
    command = [sys.executable, "-c", code + PACKAGES, *arguments]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()  # noqa: S603
    return {kind: set(names) for kind, *names in (line.split() for line in lines if line.startswith(("PACKAGES", "OURS")))}


def foreign(names: set[str]) -> set[str]:
    return {name for name in names if not name.startswith("_") and not name.startswith("cython")} - {"embedder"} - IF_THEY_ARE_THERE


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Column 30 has no tile, column 6 one chip."""
    folder = tmp_path_factory.mktemp("imports")
    write_tile(folder / "source", TILE, Window(x=3_000, y=0, width=600, height=512))
    plan = ["plan", "--year", "2020", "--columns", "6,30", "--source", str(folder / "source"), "--weights", "random:0"]
    assert call(*plan, "--output", str(folder / "output")).returncode == 0
    return folder / "output"


@pytest.mark.parametrize(("column", "packages"), [("30", AT_SEA), ("6", WITH_CHIPS)], ids=["at sea", "with chips"])
def test_embed_imports_these_packages_alone(
    planned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, packages: set[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = imported(EMBED, "--year", "2020", "--output", str(planned), "--column", column, "--device", "cpu")
    assert foreign(names["PACKAGES"]) == packages
    assert not [name for name in names["OURS"] if name.startswith(("embedder.explore", "embedder.publish", "embedder.analysis"))]


def test_the_package_itself_imports_nothing() -> None:
    names = imported("import embedder, sys")
    assert foreign(names["PACKAGES"]) == names["OURS"] == set()


def test_no_module_takes_a_name_of_the_notebooks() -> None:
    import embedder  # noqa: PLC0415

    children = {path.stem for path in Path(embedder.__path__[0]).iterdir()}
    assert not children & {"open", "embed", "run"}
