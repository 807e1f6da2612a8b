"""Addresses of outputs and proxies that people may type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.storage import open_storage
from embedder.storage.base import check_key
from embedder.storage.network import proxy_for
from tests.mutations import ODD_TEXT, fuzzed, right_or_refused

SCHEMES = st.sampled_from(["", "s3://", "s3:", "S3://bucket/", "file://", "file:", "http://", "gs://", "://", "socks5://", "https://"])
ADDRESSES = st.one_of(
    st.tuples(SCHEMES, ODD_TEXT).map("".join),
    st.tuples(SCHEMES, st.text(alphabet="ab.:/@[]?#%-0123456789", max_size=30)).map("".join),
    st.tuples(SCHEMES, st.sampled_from(["user:p@ss@host:80", "[::1]:80", "[::1", "host:99999", "host:0", "%ff@host", "a:b:c"])).map(
        "".join
    ),
)


@fuzzed(30)
@given(ADDRESSES)
def test_an_output_is_opened_or_refused_whatever_is_typed(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_REGION", "us-east-1")
        storage = right_or_refused(lambda: open_storage(url))
    assert storage is None or storage.url.startswith(("s3://", "/"))


@fuzzed(100)
@given(ADDRESSES.filter(lambda text: "\0" not in text), ADDRESSES)
def test_a_proxy_is_found_or_refused_whatever_is_set(proxy: str, url: str) -> None:
    try:
        proxy.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no environment holds it
        return
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "ALL_PROXY"):
            patch.delenv(name, raising=False)
        patch.setenv("HTTPS_PROXY", proxy)
        for address in (url, "https://bucket.example"):
            found = right_or_refused(lambda address=address: proxy_for(address))  # type: ignore[misc]
            if found:
                assert found.with_login.startswith(("http://", "https://"))
                assert all(text.isascii() for text in found.headers.values())


@fuzzed(100)
@given(ADDRESSES.filter(lambda text: "\0" not in text))
def test_exceptions_from_the_proxy_are_read_whatever_is_set(entries: str) -> None:
    try:
        entries.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", "http://proxy:80")
        patch.setenv("NO_PROXY", entries)
        patch.setenv("no_proxy", entries)
        right_or_refused(lambda: proxy_for("https://bucket.example"))


@fuzzed(100)
@given(ODD_TEXT)
def test_a_key_is_itself_or_refused(text: str) -> None:
    assert right_or_refused(lambda: check_key(text), ValueError) in (text, None)
