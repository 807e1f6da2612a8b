"""The examples of the commands' help and of docs/cli.md, run one after the other as a newcomer would."""

import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from embedder.cli.steps import cli
from workflows.submit import submit

ROOT = Path(__file__).parents[3]
IN_ORDER = (
    "plan",
    "embed",
    "finalize",
    "status",
    "preflight",
    "weights",
    "search",
    "explore",
    "classify",
    "map",
    "report",
    "publish",
    "verify",
)


@pytest.fixture
def folder(tmp_path: Path, sample_source: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a newcomer stands: a checkout with the demo's sample."""
    (tmp_path / "build/demo").mkdir(parents=True)
    (tmp_path / "build/demo/source").symlink_to(sample_source)
    (tmp_path / "workflows").symlink_to(ROOT / "workflows")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def example_of(command: click.Command) -> str:
    _, _, line = str(command.epilog).partition("Example:\n")
    assert "\n" not in line.strip()
    return line.strip()


def arguments_of(line: str) -> list[str]:
    program, *arguments = shlex.split(line)
    return [sys.executable, *([] if program == "python" else ["-m", program]), *arguments]


def run(line: str) -> str:
    finished = subprocess.run(arguments_of(line), capture_output=True, text=True, check=False)  # noqa: S603
    assert finished.returncode == 0, f"{line}: {finished.stderr}"
    return finished.stdout


@contextmanager
def running(line: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(arguments_of(line), stdout=subprocess.PIPE, text=True, env=os.environ) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)


@pytest.mark.timeout(900)  # they compute with a model of full size
def test_every_example_does_what_the_help_says(folder: Path) -> None:
    assert "published 1 of 1359 columns" in run(example_of(submit))
    examples = {name: example_of(cli.get_command(click.Context(cli), name)) for name in cli.list_commands(click.Context(cli))}  # type: ignore[arg-type]
    assert tuple(examples) == IN_ORDER
    said = {name: run(examples[name]) for name in IN_ORDER if name != "explore"}
    assert "planned 1 columns" in said["plan"]
    assert "embedded 4 chips in 1 columns" in said["embed"]
    assert "published 1 of 1359 columns" in said["finalize"]
    assert "done:           1 columns: 4 embedded" in said["status"]
    assert said["preflight"].count("ok") == 3
    assert (folder / "build/clay-v0.1.safetensors").exists()
    assert len(said["search"].splitlines()) == 1 + 3
    assert "learnt from 4 chips: sea 2, shore 2" in said["classify"]
    assert "wrote 4 chips of 2020 to build/colours.png" in said["map"]
    assert "2020: chips 4; " in said["report"]
    assert "int8       2020: 4 chips in 1 files" in said["publish"]
    assert "build/dataset is whole: " in said["verify"]
    with running(f"{examples['explore']} --no-open --port 0") as page:
        assert page.stdout
        address = page.stdout.readline().split()[4]
        with urllib.request.urlopen(f"{address}api/info") as reply:  # noqa: S310
            assert json.load(reply)["years"][0]["chips"] == 4
    assert page.returncode == 128 + signal.SIGINT
