"""boto3's client for S3, as every reader and writer here has it."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader, create_loader
from botocore.session import Session

from embedder.errors import ConfigurationError, ConnectionSettingsError, NoS3Error
from embedder.storage import network
from embedder.storage.s3_errors import PASSING_STATUSES, code_of, s3_errors_at

if TYPE_CHECKING:
    from botocore.model import OperationModel
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef as Page
    from mypy_boto3_s3.type_defs import ListObjectsV2RequestTypeDef

NO_FIRST_BYTE = {"InvalidRange", "416"}
"""Say of an empty object that it has none."""
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
"""Silence after which a reply is given up."""
DONE, REDIRECTED = range(200, 300), range(300, 400)
"""HTTP's kinds of status."""
OF_ONE_OBJECT = {"GetObject", "HeadObject", "PutObject"}
"""Operations whose success always comes with the object's ETag."""
S3_ROOT = re.compile(rb"<(\w+:)?(Error|ListBucketResult)\b")
"""What S3's own bodies hold."""


def s3_client(
    *,
    unsigned: bool | None = False,
    endpoint: str | None = None,
    region: str | None = None,
    address: str | None = None,
    silence_s: int | None = None,
    **settings: Any,  # noqa: ANN401 - botocore's
) -> "S3Client":
    """A client, unsigned where `unsigned` says so, or, with None, where there are no credentials. `settings` are botocore's `Config`.

    Without `endpoint` and `region`, those of the environment. `address` is where requests go to if not to the endpoint itself, but to a
    host of the bucket's own; a proxy is chosen for it. Each request is made once: whoever makes it tries again, as `retries` says.
    Raises ConfigurationError where the settings or the endpoint cannot be used.
    """
    silence_s = READ_TIMEOUT_S if silence_s is None else silence_s
    endpoint = endpoint or network.s3_endpoint()
    config = Config(
        connect_timeout=min(CONNECT_TIMEOUT_S, silence_s),
        read_timeout=silence_s,
        **settings,
    )
    with s3_errors_at("AWS settings"):
        core = Session()
        core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
        core.set_config_variable("max_attempts", 1)  # for the clients too that fetch credentials
        if trusted := network.ca_file():
            core.set_config_variable("ca_bundle", trusted)
        # boto3 itself reads AWS_DEFAULT_REGION alone
        session = boto3.Session(botocore_session=core, region_name=region or os.environ.get("AWS_REGION"))
        if unsigned or (unsigned is None and session.get_credentials() is None):
            config = config.merge(Config(signature_version=UNSIGNED))
        try:
            client = session.client("s3", endpoint_url=endpoint, config=config)
            if getproxies():
                proxies = network.proxy_addresses(address or client.meta.endpoint_url)
                client = session.client("s3", endpoint_url=endpoint, config=config.merge(Config(proxies=proxies)))
        except ValueError:  # its text may show what stands before an address's @
            advice = "give http(s)://host:port, and a region's name"
            raise ConfigurationError(f"AWS_ENDPOINT_URL_S3, AWS_REGION or the address given is not valid: {advice}") from None
    if not endpoint:  # boto3 may have found one in its files
        network.endpoint_of(client.meta.endpoint_url, "endpoint_url of the AWS configuration")
    pools = client._endpoint.http_session._pool_classes_by_scheme  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way
    pools.update({scheme: network.with_floor(kind) for scheme, kind in pools.items()})
    # By this name it comes before botocore's own handlers, which make a web page a status 500, and follow redirects without end.
    client.meta.events.register("before-parse.*.*", partial(_check_is_s3s, endpoint=client.meta.endpoint_url))
    client.meta.events.register("after-call.s3.ListObjectsV2", _check_listing)
    return client


@cache
def _loader(data_path: str | None) -> Loader:
    """What botocore knows of S3, read from its files once for all clients: most of what a client takes to make."""
    return create_loader(data_path)


@dataclass(frozen=True, kw_only=True)
class ObjectStat:
    """An object without its content."""

    size: int
    """Bytes."""
    etag: str
    """With its quotes."""
    metadata: dict[str, str]


def list_objects(client: "S3Client", bucket: str, prefix: str, ask: "Callable[[Callable[[], Page]], Page]") -> Iterator["Page"]:
    """The pages of a listing; `ask` makes each request, and may repeat it."""
    request: ListObjectsV2RequestTypeDef = {"Bucket": bucket, "Prefix": prefix}
    while True:
        page = ask(partial(client.list_objects_v2, **request))
        yield page
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def stat_object(client: "S3Client", bucket: str, key: str) -> ObjectStat:
    """What is at a key, by a GET of its first byte: where objects may be read, a HEAD may be refused."""
    try:
        found = client.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")
    except ClientError as error:
        if code_of(error) not in NO_FIRST_BYTE:
            raise
        found = client.get_object(Bucket=bucket, Key=key)
    with closing(found["Body"]) as body, suppress(BotoCoreError):
        if "ContentRange" in found:  # otherwise the whole object would come
            body.read()  # so that the connection can be used again
    size = int(found["ContentRange"].rpartition("/")[2]) if "ContentRange" in found else found["ContentLength"]
    return ObjectStat(size=size, etag=found["ETag"], metadata=found["Metadata"])


def _check_listing(parsed: dict[str, Any], **_: object) -> None:
    """Raise NoS3Error for a listing without what every S3's has: it would seem to name fewer objects than there are."""
    if parsed["ResponseMetadata"]["HTTPStatusCode"] not in DONE:
        return
    is_whole = "IsTruncated" in parsed and (not parsed["IsTruncated"] or parsed.get("NextContinuationToken"))
    if not is_whole or not all({"Key", "Size", "ETag"} <= listed.keys() for listed in parsed.get("Contents", [])):
        raise NoS3Error("the listing lacks what S3's has (to ListObjectsV2): check AWS_ENDPOINT_URL_S3 or the address, and proxies")


def _check_is_s3s(endpoint: str, response_dict: dict[str, Any], operation_model: "OperationModel", **_: object) -> None:
    """Raise NoS3Error for an answer that no S3 gives; whatever stands before one may be out of order for a while."""
    status, headers, operation = response_dict["status_code"], response_dict["headers"], operation_model.name
    if status in PASSING_STATUSES:
        return
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        raise ConnectionSettingsError(network.PROXY_LOGIN)
    is_strange_redirect = status in REDIRECTED and not any(name.lower().startswith("x-amz-") for name in headers)
    if operation in OF_ONE_OBJECT and status in DONE:
        is_s3s = "ETag" in headers
    elif operation == "HeadObject":  # which has no body
        is_s3s = not is_strange_redirect
    else:
        body, needs_one = response_dict["body"], operation == "ListObjectsV2" or is_strange_redirect
        is_s3s = S3_ROOT.search(body) is not None or not (body.strip() or needs_one)
    if not is_s3s:
        kind = " ".join(str(headers.get("Content-Type", "")).split())[:40] or "nothing"
        shown = re.sub(r"//[^/\s@]*@", "//", endpoint)
        raise NoS3Error(
            f"{shown} is no S3, or another server answers in its place (to {operation} with {status}, {kind}): "
            "check AWS_ENDPOINT_URL_S3 or the address, and proxies"
        )
