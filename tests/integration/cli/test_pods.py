"""What a pod's step makes of credentials that are missing, and a laptop's or plan's: exit code and one line."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embedder.cli.command import exit_code_of
from embedder.cli.steps import cli
from embedder.grid import Window
from tests.faults import FaultyProxy, Refusal
from tests.jobs import TILE
from tests.patience import skip_waits
from tests.s3_server import S3Server, aws_environment
from tests.tiles import write_tile

RUN = ("--year", "2020", "--recipe", "clay-v0.1")
WITHOUT_TILES = "17"
IN_A_POD = "KUBERNETES_SERVICE_HOST"
CODES = {  # of plan, embed and finalize in a pod, and of embed on a laptop
    "no credentials": (78, 75, 75, 78),
    "half of them": (78, 75, 75, 78),
    "InvalidIdentityToken": (78, 75, 75, 78),
    "IDPRejectedClaim": (78, 75, 75, 78),
    "Throttling": (75, 75, 75, 75),
    "no token": (78, 75, 75, 78),
    "AccessDenied": (78, 75, 78, 78),
    "InvalidAccessKeyId": (78, 78, 78, 78),
}
"""By what S3 or STS says."""
STS_CODES = {"InvalidIdentityToken", "IDPRejectedClaim", "Throttling"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tile, of which the column without tiles needs none."""
    folder = tmp_path_factory.mktemp("source")
    write_tile(folder, TILE, Window(x=0, y=0, width=512, height=512))
    return str(folder)


@pytest.fixture(scope="module")
def planned(s3: S3Server, source: str) -> str:
    """An output with a run of one column."""
    s3.client().create_bucket(Bucket="pods")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.env.items():
            patch.setenv(name, value)
        assert step("plan", "s3://pods/out", source) == 0
    return "s3://pods/out"


@pytest.fixture(autouse=True)
def _through_the_proxy(proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws_environment(proxy.url).items():
        monkeypatch.setenv(name, value)


def step(name: str, output: str, source: str) -> int:
    """The exit code of a step of the run."""
    options = {
        "plan": ("--source", source, "--weights", "random:0", "--columns", WITHOUT_TILES),
        "embed": ("--column", WITHOUT_TILES),
        "finalize": (),
    }[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["embedder", name, "--output", output, *RUN, *options])
        return exit_code_of(cli, "embedder")


class _Sts(BaseHTTPRequestHandler):
    code = ""

    def do_POST(self) -> None:  # the name that http.server looks for
        self.rfile.read(int(self.headers["Content-Length"]))
        body = f"<ErrorResponse><Error><Code>{self.code}</Code><Message>injected</Message></Error></ErrorResponse>".encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def sts() -> Iterator[str]:
    """The address of an STS that refuses everything with `_Sts.code`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sts)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def break_credentials(said: str, patch: pytest.MonkeyPatch, proxy: FaultyProxy, sts: str, folder: Path) -> None:
    if said in {"AccessDenied", "InvalidAccessKeyId"}:
        for method in ("GET", "PUT", "HEAD"):
            proxy.inject(Refusal(403, said), method=method, times=100)
        return
    patch.delenv("AWS_SECRET_ACCESS_KEY")
    if said == "half of them":
        return
    patch.delenv("AWS_ACCESS_KEY_ID")
    if said in STS_CODES | {"no token"}:
        if said != "no token":
            (folder / "token").write_text("token")
        patch.setattr(_Sts, "code", said)
        role = {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/worker", "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token")}
        for name, value in {**role, "AWS_ENDPOINT_URL_STS": sts}.items():
            patch.setenv(name, value)


@pytest.mark.parametrize("said", CODES)
def test_what_lacks_credentials_is_tried_again_only_in_a_pod_after_plan(
    said: str,
    planned: str,
    source: str,
    proxy: FaultyProxy,
    sts: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    skip_waits(monkeypatch)
    break_credentials(said, monkeypatch, proxy, sts, tmp_path)
    monkeypatch.setenv(IN_A_POD, "10.96.0.1")
    codes = [step(name, planned, source) for name in ("plan", "embed", "finalize")]
    monkeypatch.delenv(IN_A_POD)
    codes.append(step("embed", planned, source))
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert tuple(codes) == CODES[said], errors
    assert len(errors) == len(codes)
    assert all(planned in line or line.startswith("error: AWS settings: ") for line in errors)
