"""Everything that opens connections, towards a server whose CA nobody knows, directly and through a proxy."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import certifi
import numpy as np
import pytest
import yaml

from embedder.errors import ConfigurationError, EmbedderError, TemporaryError
from embedder.explore.pictures.images import TilePictures, encode
from embedder.explore.pictures.wms import Wms
from embedder.grid import Chip, Window
from embedder.source.inventory import Inventory, Source, list_tiles, open_source
from embedder.source.strip import read_strip
from embedder.source.tiles import TileReader, enter_gdal_env
from embedder.storage import open_storage
from embedder.storage.download import fetch_checkpoint
from tests.faults import FaultyProxy
from tests.jobs import TILE
from tests.patience import limit_attempts
from tests.s3_server import PUBLIC_BUCKET, S3Server, aws_environment
from tests.tiles import write_tile
from tests.tls import CA, LOGIN, ForwardProxy, server_context
from workflows.clusters import ArgoServer, KubernetesApi, RefusedError

KEY = TILE.key(2020)
PREFIX = f"network-{uuid4().hex}"
NAMES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


@pytest.fixture(scope="module")
def server(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProxy]:
    """By https: a bucket with a tile and a picture that anyone may read. To what is no S3 it answers as S3 does, with an error."""
    tile = write_tile(tmp_path_factory.mktemp("source"), TILE, Window(x=0, y=0, width=1_200, height=600))
    s3.client().upload_file(str(tile), PUBLIC_BUCKET, f"{PREFIX}/{KEY}")
    picture = encode(np.arange(3 * 256 * 256, dtype=np.uint8).reshape(3, 256, 256))
    s3.client().put_object(Bucket=PUBLIC_BUCKET, Key=f"{PREFIX}/wms", Body=picture, ContentType="image/jpeg")
    with FaultyProxy(s3.endpoint, tls=server_context()) as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    limit_attempts(monkeypatch, 1)


@pytest.fixture(scope="module")
def inventory(s3: S3Server, server: FaultyProxy) -> Inventory:
    assert server
    return list_tiles(open_source(f"{s3.endpoint}/{PUBLIC_BUCKET}/{PREFIX}"), 2020)


class Place:
    """A server, and all that reaches one; each method raises where it does not."""

    def __init__(self, url: str, inventory: Inventory, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.url, self.inventory, self.monkeypatch, self.folder = url, inventory, monkeypatch, folder

    def storage(self) -> None:
        self._aws()
        assert open_storage(f"s3://{PUBLIC_BUCKET}/{PREFIX}").get("wms").data

    def weights(self) -> None:
        assert fetch_checkpoint(f"{self.url}/{PUBLIC_BUCKET}/{PREFIX}/wms", self.folder / "weights").stat().st_size

    def weights_in_s3(self) -> None:
        self._aws()
        assert fetch_checkpoint(f"s3://{PUBLIC_BUCKET}/{PREFIX}/wms", self.folder / "weights").stat().st_size

    def source(self) -> None:
        source = self._source()
        chips = list(read_strip(source, list_tiles(source, 2020), 2020, [0], 512))
        assert [chip.outcome for chip in chips[:2]] == ["e", "n"]

    def gdal(self) -> None:
        """GDAL alone: boto3 answers in place of the server where a tile is looked at."""
        source = self._source()
        [file] = self.inventory.values()
        self.monkeypatch.setattr(source, "stat", lambda _key: file)
        self.monkeypatch.setattr(source, "read_range", lambda *_: b"")
        reader = TileReader(source, KEY, TILE, file, threading.Event())
        with ThreadPoolExecutor(1, initializer=enter_gdal_env) as thread:
            assert thread.submit(lambda: reader._open().count).result() == 4

    def tile_picture(self) -> None:
        assert TilePictures(self._source(), {2020: self.inventory})(Chip(column=0, row=0, pixels=512), 2020)

    def wms(self) -> None:
        assert Wms(f"{self.url}/{PUBLIC_BUCKET}/{PREFIX}/wms", "layer").picture(Chip(column=0, row=0, pixels=512), 2020)

    def argo_server(self) -> None:
        with pytest.raises(RefusedError):
            ArgoServer(self.url, "argo").template("none")

    def kubernetes(self) -> None:
        cluster, user = {"name": "c", "cluster": {"server": self.url}}, {"name": "u", "user": {"token": "t"}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
        config = {"current-context": "x", "clusters": [cluster], "users": [user], "contexts": [context]}
        (self.folder / "kubeconfig").write_text(yaml.safe_dump(config))
        self.monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(self.folder / "kubeconfig"))
        with pytest.raises(RefusedError):
            KubernetesApi(None).template("none")

    def _source(self) -> Source:
        return open_source(f"{self.url}/{PUBLIC_BUCKET}/{PREFIX}")

    def _aws(self) -> None:
        for name, value in aws_environment(self.url).items():
            if name != "AWS_CONFIG_FILE":
                self.monkeypatch.setenv(name, value)


WAYS = [name for name, value in vars(Place).items() if callable(value) and not name.startswith("_")]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """What reaches the server."""
    name: str = request.param
    return name


@pytest.fixture
def place(server: FaultyProxy, inventory: Inventory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    return Place(server.url, inventory, monkeypatch, tmp_path)


@pytest.mark.parametrize("name", [*NAMES, "ca_bundle"])
def test_a_private_ca_is_trusted_by_all_when_one_variable_names_it(place: Place, way: str, name: str, tmp_path: Path) -> None:
    if name == "ca_bundle":
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {CA}\n")
        place.monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    else:
        place.monkeypatch.setenv(name, str(CA))
    getattr(place, way)()


@pytest.mark.parametrize("name", [None, "CURL_CA_BUNDLE"])
def test_the_variable_is_named_when_a_certificate_is_not_trusted(place: Place, way: str, name: str | None) -> None:
    if name:
        place.monkeypatch.setenv(name, certifi.where())
    with pytest.raises(ConfigurationError, match=rf"certificate is not trusted \(.+\): .*\b{name or 'AWS_CA_BUNDLE'}\b") as failure:
        getattr(place, way)()
    assert "signature" not in str(failure.value)  # of a source's advice


@pytest.mark.parametrize("trusted", [True, False])
def test_a_private_ca_is_trusted_by_what_fetches_credentials(place: Place, tmp_path: Path, trusted: bool) -> None:  # noqa: FBT001
    (tmp_path / "token").write_text("token")
    place._aws()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        place.monkeypatch.delenv(name)
    role = {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/none", "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token")}
    for name, value in (role | {"AWS_ENDPOINT_URL_STS": place.url, "CURL_CA_BUNDLE": str(CA) if trusted else certifi.where()}).items():
        place.monkeypatch.setenv(name, value)
    with pytest.raises(EmbedderError) as failure:
        open_storage(f"s3://{PUBLIC_BUCKET}").get("k")
    assert ("certificate is not trusted" in str(failure.value)) != trusted, failure.value


@pytest.fixture
def proxy(server: FaultyProxy, place: Place) -> Iterator[ForwardProxy]:
    """A proxy by which alone the server's name leads anywhere."""
    place.monkeypatch.setenv("AWS_CA_BUNDLE", str(CA))
    with ForwardProxy(urlsplit(server.url).port or 0) as running:
        place.url = "https://s3.example"
        yield running


def test_all_go_through_a_proxy_with_a_password_and_without_a_scheme(place: Place, way: str, proxy: ForwardProxy) -> None:
    place.monkeypatch.setenv("HTTPS_PROXY", f"{LOGIN}@{proxy.address}")
    getattr(place, way)()
    assert set(proxy.asked) == {"s3.example:443"}


@pytest.mark.parametrize("entries", ["*", "10.0.0.1, 127.0.0.0/8"])
def test_all_go_without_the_proxy_when_no_proxy_says_so(place: Place, way: str, entries: str) -> None:
    for name, value in (("AWS_CA_BUNDLE", str(CA)), ("HTTPS_PROXY", "http://127.0.0.1:9"), ("NO_PROXY", entries)):
        place.monkeypatch.setenv(name, value)
    getattr(place, way)()


def test_a_wrong_password_for_the_proxy_is_said_and_not_shown(place: Place, way: str, proxy: ForwardProxy) -> None:
    place.monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@{proxy.address}")
    with pytest.raises(ConfigurationError, match="the proxy wants another user or password") as failure:
        getattr(place, way)()
    assert "hunter2" not in str(failure.value)


def test_a_proxy_that_is_not_there_is_temporary_and_its_password_not_shown(place: Place, way: str, proxy: ForwardProxy) -> None:
    del proxy
    place.monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:9")
    with pytest.raises(TemporaryError) as failure:
        getattr(place, way)()
    assert "hunter2" not in str(failure.value)


def test_a_socks_proxy_is_refused_in_one_line(place: Place, way: str) -> None:
    place.monkeypatch.setenv("ALL_PROXY", "socks5://user:hunter2@127.0.0.1:1080")
    with pytest.raises(ConfigurationError, match=r"ALL_PROXY is a socks5 proxy.*NO_PROXY") as failure:
        getattr(place, way)()
    assert "hunter2" not in str(failure.value)
