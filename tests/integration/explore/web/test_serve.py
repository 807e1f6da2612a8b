"""The page's process: until a signal ends it, and where its port is taken."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from embedder.errors import EmbedderError
from embedder.explore.web.serve import listen
from tests.explore_output import some, write_output
from tests.explore_site import get


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_output(tmp_path / "out", some(range(3)), weights="random:0")
    return str(write_output(tmp_path / "out", some(range(3), seed=1), year=2021, weights="random:0"))


def test_the_page_is_served_until_a_signal_ends_it(output: str) -> None:
    command = [sys.executable, "-m", "embedder", "explore", "--output", output, "--port", "0", "--no-open", "--wms", "none"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        assert process.stdout
        line = process.stdout.readline()
        url = line.split()[4]
        assert url.startswith("http://127.0.0.1:")
        assert get(url)[0] == 200
        assert b"<!doctype html>" in get(url)[2]
        assert get(f"{url}openapi.json")[2]["paths"]["/api/search"].keys() == {"get"}
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10)[1].splitlines()[-1] == "stopped by SIGTERM; the page is closed"
        assert process.returncode == 143


def test_a_taken_port_is_one_clear_line() -> None:
    taken = listen("127.0.0.1", 0)
    with pytest.raises(EmbedderError, match=r"choose another --port, or 0 for a free one"):
        listen("127.0.0.1", taken.getsockname()[1])
