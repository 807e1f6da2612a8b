"""A cluster with the chart installed, and a run that has been published there.

The tests need KUBECONFIG (of an admin), ARGO_SERVER, AWS_ENDPOINT_URL_S3 with keys that may do everything, there a bucket
esa-worldcover-s2 that anyone may read, and E2E_IMAGE, an image that the nodes have or can pull. Everything else they make, in a
namespace and a bucket of their own, and remove.
"""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from embedder import sample
from embedder.grid import format_columns
from tests.e2e.bucket import Bucket, Output
from tests.e2e.cluster import ROOT, Cluster
from tests.e2e.settings import Settings
from tests.e2e.workflow import Workflow
from tests.tiles import REAL

ENVIRONMENT = dict(os.environ)
"""As it was before the tests hide the machine's AWS settings."""
MAKE_CHECKPOINT = ROOT.parent / "shared/reference/make_checkpoint.py"
"""Makes a checkpoint in the published layout with seeded weights; on the developers' machines only."""
WITHOUT_TILES = 17
"""A column."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A run that has succeeded."""

    output: Output
    workflow: Workflow
    source: str
    weights: str
    with_chips: range
    """Its columns, but for WITHOUT_TILES."""

    @property
    def columns(self) -> list[int]:
        return [WITHOUT_TILES, *self.with_chips]

    @property
    def options(self) -> tuple[str, ...]:
        """For another submission of the same configuration and columns."""
        return ("--weights", self.weights, "--precision", "fp32", "--columns", format_columns(self.columns))


@pytest.fixture(scope="session")
def settings() -> Settings:
    try:
        return Settings.from_environment(ENVIRONMENT)
    except KeyError as missing:
        pytest.skip(f"needs a cluster: KUBECONFIG, E2E_IMAGE and what else this file says; {missing.args[0]} is not set")


@pytest.fixture(scope="session")
def bucket(settings: Settings) -> Iterator[Bucket]:
    made = Bucket.create(f"e2e-{uuid4().hex[:8]}", settings)
    yield made
    made.remove()


@pytest.fixture(scope="session")
def source(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 - skips first
    """A folder with a tile: the real one where it is, or the demo's."""
    if REAL.exists():
        return REAL
    folder = tmp_path_factory.mktemp("source")
    sample.write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def source_url(bucket: Bucket, source: Path) -> str:
    """The same tile where the pods read it."""
    return bucket.upload_source(source)


@pytest.fixture(scope="session")
def cluster(settings: Settings, bucket: Bucket, source_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A namespace that enforces the `restricted` standard, with the chart in it."""
    with Cluster.installed(settings, bucket, source_url, tmp_path_factory.mktemp("cluster")) as installed:
        yield installed


@pytest.fixture(scope="session")
def published(cluster: Cluster, bucket: Bucket, source: Path, source_url: str) -> Published:
    """Four columns with three or four chips each, and one without tiles. Tests that change it leave it whole."""
    weights, output = "random:0", bucket.new_output()
    if MAKE_CHECKPOINT.exists():
        checkpoint = cluster.folder / "checkpoint.ckpt"
        subprocess.run([sys.executable, MAKE_CHECKPOINT, "clay-v0.1", checkpoint], check=True)  # noqa: S603
        weights = bucket.upload(checkpoint)
    with_chips = range(1155, 1159) if source == REAL else sample.COLUMNS
    columns = format_columns([WITHOUT_TILES, *with_chips])
    workflow = cluster.run_to_the_end(output, "--weights", weights, "--precision", "fp32", "--columns", columns)
    return Published(output=output, workflow=workflow, source=source_url, weights=weights, with_chips=with_chips)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a test fails, show what the cluster says of its workflows. Where there is no cluster, one line says so for all."""
    report = yield
    if report.when == "setup" and report.skipped and isinstance(report.longrepr, tuple):
        report.longrepr = (__file__, 1, report.longrepr[2])
    cluster = item.funcargs.get("cluster") if isinstance(item, pytest.Function) else None
    if isinstance(cluster, Cluster):
        if report.failed and report.when != "teardown":
            report.sections.append(("the cluster", cluster.report()))
        if report.when == "teardown":
            cluster.submitted.clear()
    return report
