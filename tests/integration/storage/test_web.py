"""Public data at an address of the web."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedder.errors import ConfigurationError, NoListingError, NotFoundError, TemporaryError, UsageError
from embedder.storage import ANY, open_readable
from tests.faults import Fault, FaultyProxy, Refusal
from tests.patience import limit_attempts
from tests.web_server import serving

pytestmark = pytest.mark.usefixtures("_no_waiting")
DATA = os.urandom(3_000_000)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[FaultyProxy]:
    folder = tmp_path / "public"
    (folder / "a b").mkdir(parents=True)
    (folder / "a b/c+d.bin").write_bytes(DATA)
    with serving(folder) as address, FaultyProxy(address) as proxy:
        yield proxy


def test_an_object_is_read_whole(web: FaultyProxy, tmp_path: Path) -> None:
    for root in (web.url, f"{web.url}/"):
        storage = open_readable(root)
        assert storage.get("a b/c+d.bin").data == DATA
        assert storage.local_path("a b/c+d.bin", tmp_path / "scratch").read_bytes() == DATA
        assert storage.where("k") == f"{web.url}/k"
        assert storage.remark is None
    assert {request.path for request in web.served} == {"/a%20b/c%2Bd.bin"}


@pytest.mark.parametrize("fault", [Fault.HALF_BODY, Fault.LOST_REPLY, Refusal(503), Refusal(500)])
def test_what_breaks_once_is_read_again(web: FaultyProxy, tmp_path: Path, fault: Fault | Refusal) -> None:
    storage = open_readable(web.url)
    web.inject(fault)
    assert storage.get("a b/c+d.bin").data == DATA
    web.inject(fault)
    assert storage.local_path("a b/c+d.bin", tmp_path).read_bytes() == DATA


def test_it_is_temporary_when_it_stays_broken(web: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_attempts(monkeypatch, 2)
    web.inject(Refusal(503), times=2)
    with pytest.raises(TemporaryError, match=r"c\+d\.bin answers 503: try again later"):
        open_readable(web.url).get("a b/c+d.bin")


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_means_that_nothing_is_there(web: FaultyProxy, tmp_path: Path, status: int) -> None:
    storage = open_readable(web.url)
    web.inject(Refusal(status, "AccessDenied"), times=2)
    for read in (storage.get, lambda key: storage.local_path(key, tmp_path)):
        with pytest.raises(NotFoundError, match=f"/none answers {status}: it does not exist, or is not public"):
            read("none")


def test_another_answer_is_an_error(web: FaultyProxy) -> None:
    web.inject(Refusal(418))
    with pytest.raises(ConfigurationError, match="/k answers 418: check the address"):
        open_readable(web.url).get("k")


def test_nothing_is_listed_or_written(web: FaultyProxy) -> None:
    storage = open_readable(web.url)
    with pytest.raises(NoListingError, match="can't be listed"):
        list(storage.list("a/"))
    for write in (lambda: storage.put("k", b"", replaces=ANY), storage.check_writable):
        with pytest.raises(ConfigurationError, match="is read by https alone"):
            write()
    assert not web.served


@pytest.mark.parametrize(
    "url", ["https://", "https://user:hunter2@host/x", "https://host/x?key=hunter2", "https://host/#x", "https://[bad", "http://h:0/"]
)
def test_usage_is_refused_when_it_is_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="no address: write https://host/path") as refused:
        open_readable(url)
    assert "hunter2" not in str(refused.value)
