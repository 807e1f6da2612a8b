"""Public buckets, read by who has no credentials."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from embedder.errors import AccessDeniedError, ConfigurationError, NoListingError, NotFoundError
from embedder.storage import Storage, open_readable, open_storage
from tests.faults import FaultyProxy, Refusal
from tests.s3_server import PUBLIC_BUCKET, S3Server, aws_environment

pytestmark = pytest.mark.usefixtures("_no_waiting")


@pytest.fixture
def public(s3: S3Server, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix with one object, in an environment without credentials."""
    prefix = uuid4().hex
    s3.client().put_object(Bucket=PUBLIC_BUCKET, Key=f"{prefix}/k", Body=b"data")
    for variable, value in aws_environment(proxy.url).items():
        if variable not in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}:
            monkeypatch.setenv(variable, value)
    return f"s3://{PUBLIC_BUCKET}/{prefix}"


def test_a_public_bucket_is_read_and_listed_unsigned_and_it_is_said(public: str, proxy: FaultyProxy, tmp_path: Path) -> None:
    storage = open_readable(public)
    assert storage.remark == f"no AWS credentials are found: {public} is read unsigned, as public data"
    assert storage.get("k").data == storage.local_path("k", tmp_path).read_bytes() == b"data"
    assert [each.key for each in storage.list()] == ["k"]
    assert not any("authorization" in request.headers for request in proxy.served)


def test_a_missing_key_is_missing_when_it_is_refused_as_where_nothing_lists(public: str, proxy: FaultyProxy, tmp_path: Path) -> None:
    storage = open_readable(public)
    reads: list[Callable[[], object]] = [lambda: storage.get("none"), lambda: storage.local_path("none", tmp_path)]
    for read in reads:
        proxy.inject(Refusal(403, "AccessDenied"))
        with pytest.raises(NotFoundError, match="/none does not exist, or is not public: check the address, or set AWS credentials"):
            read()
    proxy.inject(Refusal(403, "AccessDenied"))
    with pytest.raises(NoListingError, match="can't be listed without credentials"):
        list(storage.list())


def test_credentials_are_used_where_they_are_and_a_refusal_is_one(faulty_bucket: str, proxy: FaultyProxy) -> None:
    storage: Storage = open_readable(f"s3://{faulty_bucket}/out")
    storage.put("k", b"data")
    assert storage.get("k").data == b"data"
    assert storage.remark is None
    assert all("authorization" in request.headers for request in proxy.served)
    proxy.inject(Refusal(403, "AccessDenied"))
    with pytest.raises(AccessDeniedError):
        storage.get("none")


def test_who_writes_needs_credentials_all_the_same(public: str) -> None:
    with pytest.raises(ConfigurationError, match="no AWS credentials"):
        open_storage(public).get("k")
