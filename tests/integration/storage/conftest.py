"""What the tests of S3 share: a storage in a bucket, straight and through the proxy, that waits for nothing."""

import pytest
from tenacity import wait_none

from embedder.storage import Storage, open_storage
from embedder.storage import s3 as s3_module


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "BACKOFF", wait_none())
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


@pytest.fixture
def storage(bucket: str) -> Storage:
    return open_storage(f"s3://{bucket}/out")


@pytest.fixture
def faulty(faulty_bucket: str) -> Storage:
    """The same, through the proxy."""
    return open_storage(f"s3://{faulty_bucket}/out")
