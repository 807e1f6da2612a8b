"""What the tests of S3 share: a storage in a bucket, straight and through the proxy, that waits for nothing."""

import pytest

from embedder.storage import Storage, open_storage
from tests.patience import skip_waits


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_waits(monkeypatch)


@pytest.fixture
def storage(bucket: str) -> Storage:
    return open_storage(f"s3://{bucket}/out")


@pytest.fixture
def faulty(faulty_bucket: str) -> Storage:
    """The same, through the proxy."""
    return open_storage(f"s3://{faulty_bucket}/out")
