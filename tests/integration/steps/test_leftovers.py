"""Drafts that killed processes have left in an output folder."""

import os
from pathlib import Path
from uuid import uuid4

import pytest

from embedder.console.progress import Progress
from embedder.steps.plan import plan
from tests.jobs import COLUMNS, TINY, place_of, plan_options
from tests.run_output import copy

pytestmark = pytest.mark.usefixtures("scratch")


def test_a_plan_removes_old_drafts_and_nothing_else_when_nothing_is_to_be_planned(source: Path, done: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    copy(done, output)
    before = {path.relative_to(output): path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}
    run = output / TINY.name / "2020"
    for folder in (run, run / "forced", output / TINY.name / "_weights"):
        folder.mkdir(exist_ok=True)
        (folder / f".{uuid4().hex}").write_bytes(b"half a file")
        os.utime(next(folder.glob(".*")), (0, 0))
    young = run / f".{uuid4().hex}"
    young.write_bytes(b"somebody's")
    plan(place_of(output).storage, plan_options(source, COLUMNS), Progress())
    young.unlink()
    assert {path.relative_to(output): path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()} == before
