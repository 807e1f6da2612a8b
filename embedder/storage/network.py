"""How this machine reaches others: whose certificates it trusts, and through which proxy.

boto3, GDAL, urllib3, requests and the Kubernetes client read different variables, and the same ones differently. So they are read here
alone, and handed to each.
"""

import hashlib
import ipaddress
import os
import re
import ssl
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache as remembered
from functools import lru_cache
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import certifi
import urllib3
from urllib3.connectionpool import HTTPConnectionPool

from embedder.errors import ConfigurationError, ConnectionSettingsError
from embedder.storage import cache
from embedder.storage.base import os_errors_at

CA_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
"""Each names a file, or a folder of files, of certificates to trust, in PEM."""
AWS_SETTING = "ca_bundle of the AWS configuration"
"""Does the same where none of these is set."""
PORTS = {"http": 80, "https": 443}
NOT_TRUSTED = re.compile(
    r"(?:certificate verify failed|SSL certificate problem): ([^()]+)|(no alternative certificate subject name)", re.IGNORECASE
)
"""In an error of Python's or of curl's; one of the groups says why."""
ADDRESS = re.compile(r"(?:(?P<scheme>\w+)://)?(?:(?P<login>.*)@)?(?P<host>\[[\da-f:.]+\]|[\w.-]+)(?::(?P<port>\d{1,5}))?/?", re.IGNORECASE)
"""Of a proxy, as people write it: without a scheme too, and with any character in the password."""
REFUSED_BY_PROXY = re.compile(r"(tunnel|proxy)\b.*\b407\b|\b407\b.*\bproxy\b", re.IGNORECASE)
PROXY_LOGIN = "the proxy wants another user or password: write http://user:password@host:port, as HTTPS_PROXY or HTTP_PROXY"
"""A proxy's 407."""

FLOOR_BYTES_S, FLOOR_S = 1_000, 30
"""A reply that has begun and then brings less a second, over so many seconds of waiting, is given up: no line in use is that slow, and at
that pace a tile's block would take an hour. An upload has a floor already: each 16 KB must be gone within the connection's timeout."""
ENDPOINT = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[\da-f:.]+\]|[\w.-]+)(?P<port>:\d{1,5})?(?P<path>(?:/[\w.~%+-]+)*)/*", re.IGNORECASE
)
"""Of S3, without what does not belong there: user, query, fragment."""


class TrickleError(TimeoutError):
    """A reply came slower than the floor."""

    def __init__(self) -> None:
        super().__init__(f"less than {FLOOR_BYTES_S} bytes a second for {FLOOR_S} s")


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A proxy, by its own address."""

    url: str
    """http(s)://host:port."""
    login: str | None = field(repr=False)
    """user:password, as they are."""

    @property
    def with_login(self) -> str:
        """The address that holds user and password, for boto3, GDAL and requests; for no message."""
        scheme, _, host = self.url.partition("://")
        login = ":".join(quote(part, safe="") for part in self.login.split(":", 1)) + "@" if self.login else ""
        return f"{scheme}://{login}{host}"

    @property
    def headers(self) -> dict[str, str]:
        """What urllib3 tells the proxy."""
        return {"proxy-authorization": f"Basic {b64encode(self.login.encode()).decode()}"} if self.login else {}


def ca_file() -> str | None:
    """A file of all certificates to trust: the public ones, this system's, and those that are named; None where none are.

    ConnectionSettingsError where what is named holds no certificates.
    """
    named = _named_bundles()
    return _joined(named) if named else None


def proxy_for(url: str) -> Proxy | None:
    """The proxy on the way to an address, from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in capitals or not.

    ConnectionSettingsError where it is none that all of the project can use.
    """
    proxies = urllib.request.getproxies()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):  # no address, or none of the web: whoever opens it says so
        return None
    name = parts.scheme if parts.scheme in proxies else "all"
    if not host or name not in proxies or _is_exempt(host, port, proxies.get("no", "")) or urllib.request.proxy_bypass(host):
        return None
    variable, address = f"{name.upper()}_PROXY", proxies[name]
    match = ADDRESS.fullmatch(address)
    if not match:
        raise ConnectionSettingsError(f"{variable} is no proxy's address: write http://host:port, or http://user:password@host:port")
    scheme = (match["scheme"] or "http").lower()
    if scheme not in PORTS:
        raise ConnectionSettingsError(f"{variable} is a {scheme} proxy, which can't be used here: give an http one, or {host} in NO_PROXY")
    login = unquote(match["login"]) if match["login"] else None
    return Proxy(url=f"{scheme}://{match['host']}:{match['port'] or PORTS[scheme]}", login=login)


def pool(url: str, **settings: Any) -> urllib3.PoolManager:  # noqa: ANN401 - urllib3's
    """urllib3's connections to where the URL points."""
    proxy = proxy_for(url)
    if trusted := ca_file():
        settings["ca_certs"] = trusted
    made = urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, **settings) if proxy else urllib3.PoolManager(**settings)
    made.pool_classes_by_scheme = {scheme: with_floor(pools) for scheme, pools in made.pool_classes_by_scheme.items()}
    return made


@remembered
def with_floor(pools: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """The same kind of connections, urllib3's or boto3's, whose replies raise TrickleError below the floor."""
    connection = type(pools.ConnectionCls.__name__, (pools.ConnectionCls,), {"response_class": _SteadyResponse})
    return type(pools.__name__, (pools,), {"ConnectionCls": connection})


def s3_endpoint() -> str | None:
    """The endpoint that the environment names, as boto3 looks for it; None where it names none."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    found = ((name, os.environ[name]) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") if os.environ.get(name))
    return next((endpoint_of(address, name) for name, address in found), None)


def endpoint_of(address: str, name: str) -> str:
    """An endpoint's address as all of the project writes it, without a slash at the end. ConfigurationError, with `name`, for none."""
    match = ENDPOINT.fullmatch(address.strip())
    if not match or int((match["port"] or ":1")[1:]) not in range(1, 65_536):  # its text may hold a password
        raise ConfigurationError(
            f"{name} is no address of an S3: write http://host:port or https://host:port, without user, password, ? and #; "
            "keys belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return f"{match['scheme'].lower()}://{match['host']}{match['port'] or ''}{match['path']}"


def proxy_addresses(url: str) -> dict[str, str]:
    """The proxy on the way to an address, as requests takes them; empty addresses where there is none."""
    proxy = proxy_for(url)
    return dict.fromkeys(PORTS, proxy.with_login if proxy else "")


def gdal_options(path: str) -> dict[str, str]:
    """GDAL's options for what it opens at `path`: none for a file of this machine."""
    if not path.startswith("/vsicurl/"):
        return {}
    proxies = {f"GDAL_{scheme.upper()}_PROXY": address for scheme, address in proxy_addresses(path.removeprefix("/vsicurl/")).items()}
    return proxies | {"GDAL_CURL_CA_BUNDLE": ca_file() or certifi.where()}  # its own default is a path of another system


def refusal(error: BaseException, place: str) -> ConnectionSettingsError | None:
    """In place of a connection's error that is a setting's fault: a certificate that is not trusted, a proxy's password. None of others."""
    text = " ".join(" ".join(str(link) for link in _chain(error)).split())
    if REFUSED_BY_PROXY.search(text):
        return ConnectionSettingsError(f"{place}: {PROXY_LOGIN}")
    if found := NOT_TRUSTED.search(text):
        why = (found[1] or found[2]).strip(" .")
        named = _named_bundles()
        advice = f"add its CA's to the file that {named[0][0]} names" if named else f"set {CA_VARIABLES[0]} to a file with its CA's"
        return ConnectionSettingsError(f"{place}: the certificate is not trusted ({why}): {advice}")
    return None


def is_trickle(error: BaseException) -> bool:
    """Whether a connection's error is that the reply came slower than the floor."""
    return any(isinstance(link, TrickleError) for link in _chain(error))


class _SteadyResponse(HTTPResponse):
    """Reads from its connection through `_Steady`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - http.client's
        super().__init__(*arguments, **named)
        self.fp = BufferedReader(_Steady(self.fp.detach()))


class _Steady(RawIOBase):
    """A connection's stream, measured while it is waited for, from its first byte on: until then the connection's own timeout counts."""

    def __init__(self, stream: RawIOBase) -> None:
        self._stream = stream
        self._has_begun = False
        self._waited, self._got = 0.0, 0

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        start = time.monotonic()
        count = self._stream.readinto(buffer)
        if self._has_begun:
            self._waited += time.monotonic() - start
            self._got += count or 0
            if self._waited >= FLOOR_S:
                if self._got < self._waited * FLOOR_BYTES_S:
                    raise TrickleError
                self._waited, self._got = 0.0, 0
        self._has_begun = True
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it: where one library wraps another's, the reason is at the end."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _named_bundles() -> tuple[tuple[str, str], ...]:
    """What names certificates to trust, and their path."""
    named = tuple((name, os.environ[name]) for name in CA_VARIABLES if os.environ.get(name))
    aws = "" if named else _aws_ca_bundle()
    return named or (((AWS_SETTING, aws),) if aws else ())


def _aws_ca_bundle() -> str:
    """That of the profile in use; empty where there is none."""
    with suppress(OSError, RuntimeError):
        settings = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser().read_text(errors="replace")
        if "ca_bundle" in settings:
            from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - slow, and hardly ever needed
            from botocore.session import Session  # noqa: PLC0415

            with suppress(BotoCoreError):  # which S3 reports, where it is used
                return str(Session().get_scoped_config().get("ca_bundle") or "")
    return ""


@lru_cache
def _joined(named: tuple[tuple[str, str], ...]) -> str:
    """A file with these and the usual certificates."""
    usual = ssl.get_default_verify_paths()
    roots = [Path(certifi.where()), Path(usual.openssl_cafile), Path(usual.openssl_capath) / "ca-certificates.crt"]
    content = b"\n".join([*(path.read_bytes() for path in roots if path.is_file()), *(_certificates(*each) for each in named)])
    if sys.platform == "linux":  # in memory: a pod may have no folder to write to
        in_memory = os.memfd_create("trusted-certificates")
        with open(in_memory, "wb", closefd=False) as file:
            file.write(content)
        return f"/proc/self/fd/{in_memory}"
    path = cache.folder() / f"trusted-{hashlib.sha256(content).hexdigest()}.pem"
    with os_errors_at(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{uuid4().hex}")
        draft.write_bytes(content)
        draft.replace(path)
    return str(path)


def _certificates(name: str, location: str) -> bytes:
    """What a variable names."""
    path = Path(location)
    try:
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]  # links may lead nowhere
        content = b"\n".join(file.read_bytes() for file in files)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode(errors="replace"))
    except (OSError, ValueError) as error:  # also an SSLError
        reason = "no such file" if isinstance(error, FileNotFoundError) else "it holds no certificates in PEM, or damaged ones"
        raise ConnectionSettingsError(f"{name} is {location}: {reason}: correct or unset it") from error
    return content


def _is_exempt(host: str, port: int, entries: str) -> bool:
    """Whether NO_PROXY names a host: by a name, which stands for those below it too, an address, a range of them (CIDR), or *."""
    host = host.lower().rstrip(".")
    for entry in re.split(r"[\s,]+", entries.lower()):
        match = re.fullmatch(r"(?P<name>\[.*\]|[^:]*):(?P<port>\d{1,18})", entry)
        if match and int(match["port"]) != port:
            continue
        name = (match["name"] if match else entry).strip("[]")
        if name == "*":
            return True
        with suppress(ValueError):
            if ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False):
                return True
        suffix = name.removeprefix("*").strip(".")
        if suffix and (host == suffix or host.endswith(f".{suffix}")):
            return True
    return False
