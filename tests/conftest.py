"""What all tests share: an environment without the machine's AWS settings, an S3 server, and a proxy that breaks it."""

import fcntl
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from embedder.machine import forget_other_installs
from tests.faults import FaultyProxy
from tests.s3_server import NO_AWS, S3Server, aws_environment, running_s3

forget_other_installs()  # before a test imports rasterio
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a worker has a core: torch's threads would spin while they wait for each other
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process that tests start would compile the package anew
sys.dont_write_bytecode = False  # and this one all tests
gc.disable()  # until what is imported has been
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so would the processes that tests start

pytest.register_assert_rewrite("tests.commands", "tests.pictures", "tests.tiny_weights")

settings.register_profile("noisy machines", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("noisy machines")


def pytest_collection_finish() -> None:
    """Never look for garbage among what was imported: that takes longer than many a test.

    Duckdb is imported later, by the tests that need it: it calls a leak what is still there at the end.
    """
    gc.freeze()
    gc.enable()


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Side by side run the tests of different files, but for those of the cluster, of which there is one."""

    def _split_scope(self, nodeid: str) -> str:
        return "e2e" if "tests/e2e/" in nodeid else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def _no_aws_settings() -> Iterator[None]:
    """Hide the machine's AWS settings from the tests and from the processes that they start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in NO_AWS.items():
            patch.setenv(name, value)
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        yield


@contextmanager
def shared(tmp_path_factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder of all workers together, in which one writes at a time; what one has made, the next one finds."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@pytest.fixture(scope="session")
def sample_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample of 2020 under a source's folder, painted once for all workers, where PROJ and GDAL are set for another install."""
    with shared(tmp_path_factory, "sample") as folder:
        foreign = {name: str(folder) for name in ("PROJ_DATA", "PROJ_LIB", "GDAL_DATA")} | {"GDAL_SKIP": "GTiff COG"}
        subprocess.run([sys.executable, "-m", "embedder.sample", folder], env=os.environ | foreign, check=True, timeout=200)  # noqa: S603
    return folder


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, one for the session."""
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new, empty bucket; this process's environment points at its server, as the admin."""
    name = f"test-{uuid4().hex}"
    s3.client().create_bucket(Bucket=name)
    for variable, value in s3.env.items():
        monkeypatch.setenv(variable, value)
    return name


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultyProxy]:
    """A proxy in front of the S3 server that counts requests and breaks those that a test tells it to."""
    with FaultyProxy(s3.endpoint) as running:
        yield running


@pytest.fixture
def faulty_bucket(bucket: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new, empty bucket; this process's environment points at the proxy, as the admin."""
    for variable, value in aws_environment(proxy.url).items():
        monkeypatch.setenv(variable, value)
    return bucket
