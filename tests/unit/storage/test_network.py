"""What is read from the environment: certificates to trust, and proxies."""

import re
import ssl
from base64 import b64decode
from pathlib import Path

import pytest

from embedder.errors import ConfigurationError
from embedder.storage import network
from embedder.storage.network import Proxy, ca_file, proxy_for
from tests.tls import CA

PROXIES = [name for scheme in ("http", "https", "all", "no") for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper())]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*network.CA_VARIABLES, *PROXIES):
        monkeypatch.delenv(name, raising=False)


def subjects() -> set[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file())
    return set(re.findall(r"'commonName', [\"'](.*?)[\"']\)", str(context.get_ca_certs())))


def test_libraries_keep_their_own_trust_when_nothing_is_set() -> None:
    assert ca_file() is None


@pytest.mark.parametrize("name", network.CA_VARIABLES)
def test_a_named_ca_is_trusted_beside_the_public_ones(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, str(CA))
    assert {"The tests' CA", "ISRG Root X1"} <= subjects()


def test_the_ca_of_the_aws_profile_is_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f"[profile own]\nca_bundle = {CA}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "own")
    assert "The tests' CA" in subjects()
    monkeypatch.delenv("AWS_PROFILE")
    assert ca_file() is None


def test_each_ca_is_trusted_when_several_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "1.pem").write_bytes(CA.read_bytes())
    monkeypatch.setenv("AWS_CA_BUNDLE", ssl.get_default_verify_paths().cafile or str(CA))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "folder"))
    assert "The tests' CA" in subjects()


def test_a_link_that_leads_nowhere_is_passed_over_in_a_folder_of_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "1.pem").write_bytes(CA.read_bytes())
    (tmp_path / "0.pem").symlink_to(tmp_path / "gone")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))
    assert "The tests' CA" in subjects()


def test_a_file_of_this_machine_needs_no_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "gone"))
    assert network.gdal_options(str(tmp_path / "tile.tif")) == {}


def test_a_proxys_password_may_have_any_character(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:\u20ac\u00e4@proxy:3128")
    proxy = proxy_for("https://host")
    assert proxy
    assert b64decode(proxy.headers["proxy-authorization"].removeprefix("Basic ")).decode() == "user:\u20ac\u00e4"


@pytest.mark.parametrize("content", [None, "", "a picture", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_the_variable_is_named_when_it_names_no_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE is .*ca\.pem: (no such file|it holds no certificates)"):
        ca_file()


@pytest.mark.parametrize(
    ("text", "url", "login"),
    [
        ("http://proxy:3128", "http://proxy:3128", None),
        ("proxy:3128", "http://proxy:3128", None),
        ("proxy", "http://proxy:80", None),
        ("https://proxy/", "https://proxy:443", None),
        ("HTTP://proxy:3128", "http://proxy:3128", None),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("http://user:secret@proxy:3128", "http://proxy:3128", "user:secret"),
        ("user:secret@proxy:3128", "http://proxy:3128", "user:secret"),
        ("http://user:p%40ss%3Aword@proxy:3128", "http://proxy:3128", "user:p@ss:word"),
        ("http://user:p@ss/w#rd@proxy:3128", "http://proxy:3128", "user:p@ss/w#rd"),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_is_found_however_it_is_written(monkeypatch: pytest.MonkeyPatch, name: str, text: str, url: str, login: str | None) -> None:
    monkeypatch.setenv(name, text)
    proxy = proxy_for("https://host/x")
    assert proxy
    assert proxy == Proxy(url=url, login=login)
    assert "secret" not in repr(proxy)
    monkeypatch.setenv(name, proxy.with_login)
    assert proxy_for("https://host/x") == proxy
    assert (proxy_for("http://host/x") is None) == (name != "ALL_PROXY")


@pytest.mark.parametrize(
    "text", ["socks5://user:secret@proxy:1080", "socks5h://proxy:1080", "user:secret@", "http://user:secret@pro xy", "http://secret:x"]
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", text)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY is") as failure:
        proxy_for("https://host/x")
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    ("entries", "is_exempt"),
    [
        ("*", True),
        ("other, bucket.host.example", True),
        ("other bucket.host.example", True),
        ("host.example", True),
        (".host.example", True),
        ("*.host.example", True),
        ("HOST.Example", True),
        ("host.example:443", True),
        ("host.example:8443", False),
        ("st.example", False),
        ("host", False),
        ("10.0.0.0/8", False),
        ("", False),
    ],
)
def test_a_host_goes_without_the_proxy_when_no_proxy_names_it(monkeypatch: pytest.MonkeyPatch, entries: str, is_exempt: bool) -> None:  # noqa: FBT001
    monkeypatch.setenv("HTTPS_PROXY", "proxy:3128")
    monkeypatch.setenv("NO_PROXY", entries)
    assert (proxy_for("https://bucket.host.example/key") is None) == is_exempt


@pytest.mark.parametrize(
    ("entries", "is_exempt"),
    [
        ("10.0.0.0/8", True),
        ("10.1.2.3", True),
        ("10.1.2.3:9000", True),
        ("10.1.2.3:443", False),
        ("192.168.0.0/16,fd00::/8", False),
        ("0.0.0.0/0", True),
    ],
)
def test_an_address_goes_without_the_proxy_when_no_proxy_names_its_range(
    monkeypatch: pytest.MonkeyPatch,
    entries: str,
    is_exempt: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy:3128")
    monkeypatch.setenv("no_proxy", entries)
    assert (proxy_for("https://10.1.2.3:9000/key") is None) == is_exempt
    monkeypatch.setenv("no_proxy", "fd00::/8")
    assert proxy_for("https://[fd00::1]:9000/key") is None
