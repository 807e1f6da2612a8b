"""boto3's client for S3, as every reader and writer here has it."""

import os
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from embedder.errors import ConfigurationError
from embedder.storage.s3_errors import s3_errors_at

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
"""Silence after which a reply is given up."""


def s3_client(
    *,
    attempts: int,
    unsigned: bool | None = False,
    endpoint: str | None = None,
    region: str | None = None,
    silence_s: int | None = None,
    **settings: Any,  # noqa: ANN401 - botocore's
) -> "S3Client":
    """A client, unsigned where `unsigned` says so, or, with None, where there are no credentials. `settings` are botocore's `Config`.

    Without `endpoint` and `region`, those of the environment. `attempts` are those of each request: 1 where the caller itself tries again.
    Raises ConfigurationError where the settings or the endpoint cannot be used.
    """
    silence_s = READ_TIMEOUT_S if silence_s is None else silence_s
    config = Config(
        connect_timeout=min(CONNECT_TIMEOUT_S, silence_s),
        read_timeout=silence_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
        **settings,
    )
    with s3_errors_at("AWS settings"):
        session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))  # boto3 itself reads AWS_DEFAULT_REGION alone
        if unsigned or (unsigned is None and session.get_credentials() is None):
            config = config.merge(Config(signature_version=UNSIGNED))
        try:
            return session.client("s3", endpoint_url=endpoint, config=config)
        except ValueError:  # its text may show what stands before an address's @
            advice = "give http(s)://host:port, and a region's name"
            raise ConfigurationError(f"AWS_ENDPOINT_URL_S3, AWS_REGION or the address given is not valid: {advice}") from None
