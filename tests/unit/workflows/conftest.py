"""What tests of submissions share."""

from collections.abc import Iterator

import pytest

from tests.unit.workflows.argo_server import TEMPLATE, TEMPLATE_PATH, Server
from workflows import clusters


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """It has the template; ARGO_SERVER names it."""
    monkeypatch.setattr(clusters.RETRIES, "backoff_factor", 0.0)
    monkeypatch.setattr(clusters.RETRIES, "backoff_jitter", 0.0)
    found = Server()
    found.replies["GET", TEMPLATE_PATH] = [(200, TEMPLATE)]
    monkeypatch.setenv("ARGO_SERVER", found.url)
    monkeypatch.setenv("ARGO_TOKEN", "Bearer token")
    monkeypatch.delenv("ARGO_NAMESPACE", raising=False)
    yield found
    found.close()
