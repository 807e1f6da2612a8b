"""The chart, rendered by helm."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHART = ROOT / "helm"
GOLDEN = ROOT / "tests/golden/chart"
CASES = {"default": [], "gpu-spot": [CHART / "gpu-spot.yaml"], "minimal": [], "everything": [], "second": []}
"""Golden renders, each with the values files beside its own."""
RELEASES = {"second": "trial"}
"""Of those that are not called worldcover."""
needs_helm = pytest.mark.skipif(shutil.which("helm") is None, reason="needs helm on the PATH")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607


def values_of(case: str) -> list[str]:
    return [argument for file in (*CASES[case], GOLDEN / f"{case}.values.yaml") for argument in ("--values", str(file))]


def render(case: str) -> str:
    rendered = helm("template", RELEASES.get(case, "worldcover"), str(CHART), "--namespace", "argo", *values_of(case))
    assert rendered.returncode == 0, rendered.stderr
    return rendered.stdout
