"""The S3 server and the proxy that other tests rely on."""

import subprocess
import sys

import pytest

from embedder.storage import Storage, open_storage
from tests.faults import FaultyProxy
from tests.s3_server import PUBLIC_BUCKET, S3Server

pytestmark = pytest.mark.usefixtures("_no_waiting")


class TestFixtures:
    """What other tests rely on."""

    def test_public_bucket_is_readable_when_anonymous(self, s3: S3Server, bucket: str) -> None:
        anonymous = s3.client(keys=None)
        s3.client().put_object(Bucket=PUBLIC_BUCKET, Key="fixture/k", Body=b"data")
        assert anonymous.get_object(Bucket=PUBLIC_BUCKET, Key="fixture/k")["Body"].read() == b"data"
        assert anonymous.list_objects_v2(Bucket=PUBLIC_BUCKET, Prefix="fixture/")["KeyCount"] == 1
        with pytest.raises(anonymous.exceptions.ClientError, match="AccessDenied"):
            anonymous.list_objects_v2(Bucket=bucket)

    def test_subprocess_reaches_the_server_when_given_its_environment(self, s3: S3Server, bucket: str) -> None:
        code = f"from embedder.storage import open_storage; open_storage('s3://{bucket}').put('k', b'data')"
        subprocess.run([sys.executable, "-c", code], env=s3.env, check=True)  # noqa: S603 - our own code
        assert open_storage(f"s3://{bucket}").get("k").data == b"data"

    def test_ranges_and_bytes_are_counted_when_read_through_the_proxy(
        self, faulty: Storage, faulty_bucket: str, proxy: FaultyProxy
    ) -> None:
        version = faulty.put("k", b"0123456789")
        through = S3Server(endpoint=proxy.url).client()
        body = through.get_object(Bucket=faulty_bucket, Key="out/k", Range="bytes=2-4", IfMatch=version)["Body"]
        assert body.read() == b"234"
        assert (proxy.served[-1].headers["range"], proxy.served[-1].bytes_sent, proxy.served[-1].status) == ("bytes=2-4", 3, 206)
