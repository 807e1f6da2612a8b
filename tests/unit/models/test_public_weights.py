"""The public checkpoint: what is said where it has left its address, and what is verified where its SHA-256 is known."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embedder.errors import NoCheckpointError, WeightsError
from embedder.models.checkpoint import recipe_for, write_random
from embedder.models.weights import slim
from embedder.recipes import RECIPES, Recipe
from embedder.steps.preflight import check_weights

NAME = "Clay_v0.1_epoch-24_val-loss-0.46.ckpt"


class Server(ThreadingHTTPServer):
    """Answers each request in the same way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body = 404, b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/main/{NAME}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(server.body)))
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def recipe(server: Server) -> Recipe:
    """The default recipe, its public checkpoint on our own server."""
    assert RECIPES["clay-v0.1"].weights.endswith(f"/{NAME}")
    return replace(RECIPES["clay-v0.1"], weights=server.url)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_to_look_for_is_said_when_the_public_checkpoint_is_gone(
    status: int, server: Server, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.status = status
    monkeypatch.setitem(RECIPES, "clay-v0.1", recipe)
    with pytest.raises(WeightsError) as refused:
        slim(server.url, tmp_path / "slim", recipe)
    assert str(refused.value) == (
        f"{server.url} answers {status}: no such file, or it is not public; check the address, "
        f"or look for {NAME} (511 MB) elsewhere and give its path or address with --weights"
    )
    assert check_weights(server.url).detail == str(refused.value)


def test_the_sha256_is_said_too_when_it_is_known(server: Server, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=rf"{NAME} \(511 MB, SHA-256 {'a' * 64}\)"):
        slim(server.url, tmp_path / "slim", replace(recipe, weights_sha256="a" * 64))


def test_nothing_is_to_be_looked_for_when_the_address_is_ones_own(server: Server, tmp_path: Path) -> None:
    with pytest.raises(NoCheckpointError, match=r"check the address$"):
        slim(server.url, tmp_path / "slim", RECIPES["clay-v0.1"])
    assert check_weights(server.url).detail.endswith("check the address")


def test_public_checkpoint_is_verified_when_its_sha256_is_known(server: Server, tmp_path: Path) -> None:
    recipe = replace(recipe_for("clay-v1.5-tiny"), weights=server.url, weights_sha256="0" * 64)
    write_random(0, tmp_path / "checkpoint", recipe.model)
    server.status, server.body = 200, (tmp_path / "checkpoint").read_bytes()
    sha256 = hashlib.sha256(server.body).hexdigest()
    with pytest.raises(WeightsError, match=f"SHA-256 {sha256}, not {'0' * 64}"):
        slim(server.url, tmp_path / "slim", recipe)
    assert slim(server.url, tmp_path / "slim", replace(recipe, weights_sha256=sha256)).source_sha256 == sha256
    assert slim(str(tmp_path / "checkpoint"), tmp_path / "slim", recipe).source_sha256 == sha256  # one's own may be another file
