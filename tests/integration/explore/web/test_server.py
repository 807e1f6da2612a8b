"""The API as a browser meets it, pictures with a WMS that behaves and ones that do not, and the commands."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import click
import geopandas
import numpy as np
import pytest
import rasterio
import urllib3
import uvicorn
from click.testing import CliRunner

from embedder.cli.command import exit_code_of
from embedder.cli.steps import cli
from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, EmbedderError, NotFoundError, TemporaryError, UsageError
from embedder.explore.explorer import Explorer, PictureOptions, open_explorer
from embedder.explore.pictures import images, pictures
from embedder.explore.pictures.images import TilePictures, encode
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.pictures.rest import Rest
from embedder.explore.pictures.wms import Wms
from embedder.explore.vectors import index
from embedder.explore.web.coverage import coverage
from embedder.explore.web.serve import listen
from embedder.explore.web.server import make_app
from embedder.grid import Chip, Tile, Window
from embedder.source.inventory import PUBLIC_SOURCE, TileFile, open_source
from tests.explore_output import a_run, some, vectors, write_output
from tests.tiles import REAL, REAL_TILE, write_tile

CHIP = Chip(column=1, row=3, pixels=512)


class FakeWms(BaseHTTPRequestHandler):
    """Answers each request with `answer`: status, type, body, further headers."""

    answer: tuple[int, str, bytes, dict[str, str]]
    asked: list[dict[str, list[str]]]

    def do_GET(self) -> None:
        self.asked.append(parse_qs(urlsplit(self.path).query))
        status, kind, body, headers = self.answer
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body))}.items() | headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def fake_wms(status: int = 200, kind: str = "image/png", body: bytes = b"", **headers: str) -> Iterator[tuple[str, list[Any]]]:
    handler = type("Handler", (FakeWms,), {"answer": (status, kind, body, headers), "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/wms", handler.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


def picture(colour: int, *, driver: str = "PNG", width: int = 256) -> bytes:
    """A picture whose left half has another colour."""
    pixels = np.full((3, 300, width), colour, np.uint8)
    pixels[:, :, : width // 2] = 10
    with rasterio.MemoryFile() as memory:
        with memory.open(driver=driver, width=width, height=300, count=3, dtype="uint8") as dataset:
            dataset.write(pixels)
        data: bytes = memory.read()
        return data


def brightness(data: bytes) -> float:
    with rasterio.MemoryFile(data) as memory, memory.open() as dataset:
        assert dataset.driver == "JPEG"
        assert dataset.width == 256
        return float(dataset.read()[:, :, 200:].mean())


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    folder = tmp_path_factory.mktemp("explore")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        before, after = dict(some(range(4))), dict(some(range(4)))
        after[2] = ("e" * 20, vectors(50, 20))
        before[9] = ("eentte", vectors(9, 3))
        write_output(folder / "out", before, weights="random:0")
        write_output(folder / "out", after, year=2021, weights="random:0")
        yield open_explorer(str(folder / "out"), "clay-v0.1", [], Progress())


@contextmanager
def served(explorer: Explorer, pictures: Pictures, **options: Any) -> Iterator[str]:  # noqa: ANN401
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(make_app(explorer, pictures, **options), log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def page(explorer: Explorer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(explorer, Pictures(tmp_path_factory.mktemp("pictures"), None, lambda _chip, _year: None)) as url:
        yield url


def get(url: str, **settings: Any) -> tuple[int, Any, Any]:  # noqa: ANN401
    """Status, headers, and what JSON says, or the bytes."""
    reply = urllib3.request(settings.pop("method", "GET"), url, redirect=False, retries=False, **settings)
    kind = reply.headers.get("Content-Type", "")
    return reply.status, reply.headers, reply.json() if "json" in kind else reply.data


def test_info_says_what_can_be_searched_and_warns(page: str) -> None:
    status, headers, info = get(f"{page}/api/info")
    assert status == 200
    assert [(year["year"], year["chips"], year["composite"]) for year in info["years"]] == [(2020, 83, "v100"), (2021, 80, "v200")]
    assert "mean nothing" in info["warnings"][0]
    assert "some of the change is processing" in info["change_note"]
    assert info["grid"] == [-125, 24.9973333, -67.016, 50]
    assert all(value == round(value, 7) for year in info["years"] for value in year["bounds"])
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "http" not in headers["Content-Security-Policy"]


def test_a_search_is_geojson_without_the_examples(page: str) -> None:
    status, _, found = get(f"{page}/api/search?year=2020&like=c0001r0003&like=c0001r0004&unlike=c0002r0001&k=7")
    assert status == 200
    assert found["type"] == "FeatureCollection"
    assert [feature["properties"]["rank"] for feature in found["features"]] == list(range(1, 8))
    ids = {feature["id"] for feature in found["features"]}
    assert len(ids) == 7
    assert not ids & {"c0001r0003", "c0001r0004", "c0002r0001"}
    distances = [feature["properties"]["distance"] for feature in found["features"]]
    assert distances == sorted(distances)


def test_a_place_finds_its_chip_or_says_why_not(page: str) -> None:
    place = "&".join(f"{name}={value}" for name, value in zip(("lon", "lat"), CHIP.bounds.center, strict=True))
    assert get(f"{page}/api/chip?year=2020&{place}")[2]["chip_id"] == CHIP.id
    for chip, reason in (("c0009r0002", "no data"), ("c0009r0003", "no tile"), ("c0008r0003", "not embedded yet")):
        status, _, answer = get(f"{page}/api/chip?year=2020&chip={chip}")
        assert status == 404
        assert reason in answer["detail"]
        assert "the nearest embedded chip is c" in answer["detail"]


def test_change_is_ranked_and_its_note_given(page: str) -> None:
    status, _, found = get(f"{page}/api/change?years=2020,2021&k=20")
    assert status == 200
    assert {feature["id"][:5] for feature in found["features"]} == {"c0002"}
    assert "v100" in found["note"]


def test_coverage_is_light_and_whole(explorer: Explorer, page: str) -> None:
    _, _, found = get(f"{page}/api/coverage?year=2020")
    rings = found["features"][0]["geometry"]["coordinates"]
    area = sum((ring[0][2][0] - ring[0][0][0]) * (ring[0][2][1] - ring[0][0][1]) for ring in rings)
    assert area == pytest.approx(83 * (512 / 12000) ** 2, rel=1e-3)
    assert len(rings) == 3
    assert len(json.dumps(coverage(explorer.searcher(2020).database))) < 1_000


@pytest.mark.parametrize(
    "path",
    [
        "search?year=2020&like=nonsense",
        "search?year=2020&like=c9999r0000",
        "search?year=2020",
        "search?like=c0001r0003",
        "search?year=abc&like=c0001r0003",
        "search?year=2020&like=c0001r0003&k=0",
        "search?year=2020&like=c0001r0003&k=1000000000",
        "search?year=2020&like=c0001r0003&k=1e3",
        "search?year=2020&like=c0001r0003&bbox=0,0,1,1",
        "search?year=2020&like=c0001r0003&bbox=1,2,3",
        "search?year=2020&like=c0001r0003&bbox=-121,30,-122,31",
        "search?year=2020&like=c0001r0003&unlike=c0001r0003",
        "search?year=2020&" + "&".join(["like=c0001r0003"] * 51),
        "chip?year=2020",
        "chip?year=2020&lon=-100",
        "chip?year=2020&lon=nan&lat=40",
        "chip?year=2020&lon=0&lat=0",
        "chip?year=2020&chip=c0001r0003&lon=-100&lat=40",
        "change?years=2020",
        "change?years=2020,2020",
        "download?format=csv",
        "download?format=csv&years=\u0662\u0660\u0662\u0660,\u0662\u0660\u0662\u0661",
        "download?format=exe&year=2020&like=c0001r0003",
        "download?format=csv&year=2020",
        "picture/2020/passwd.jpg",
        "picture/x/c0001r0003.jpg",
        "coverage",
    ],
)
def test_an_invalid_request_is_answered_with_one_sentence(page: str, path: str) -> None:
    status, _, answer = get(f"{page}/api/{path}")
    assert status == 422
    assert list(answer) == ["detail"]
    assert 10 < len(answer["detail"]) < 250
    assert "\n" not in answer["detail"]


@pytest.mark.parametrize("path", ["search?year=2019&like=c0001r0003", "search?year=2020&like=c0500r0003", "change?years=2019,2020", "none"])
def test_what_is_not_there_is_answered_404(page: str, path: str) -> None:
    status, _, answer = get(f"{page}/api/{path}")
    assert status == 404
    assert answer["detail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(page: str, method: str) -> None:
    for path in ("/api/info", "/api/search", "/", "/index.html", "/api/picture/2020/c0001r0003.jpg"):
        assert get(page + path, method=method)[0] == 405


@pytest.mark.parametrize("path", ["../commands.py", "%2e%2e/commands.py", "..%2fcommands.py", "/etc/passwd", "....//commands.py", "%00"])
def test_no_path_leads_out_of_the_page(page: str, path: str) -> None:
    for prefix in ("/", "/api/picture/2020/", "/api/picture/"):
        for suffix in ("", ".jpg"):
            address = urlsplit(page)
            connection = urllib3.HTTPConnectionPool(address.hostname or "", address.port)
            reply = connection.request("GET", f"{prefix}{path}{suffix}", retries=False, redirect=False)
            assert reply.status in {400, 404, 422, 307}, reply.data
            assert b"click" not in reply.data
            assert b"root:" not in reply.data


def test_another_hosts_name_is_refused(page: str) -> None:
    assert get(f"{page}/api/info", headers={"Host": "evil.example"})[0] == 400


@pytest.mark.parametrize(
    ("host", "name", "status"),
    [
        ("::1", "evil.example", 400),
        ("::1", "[::2]:8000", 400),
        ("::1", "[::1", 400),
        ("::1", "", 400),
        ("::1", "[::1]:8000", 200),
        ("::1", "[0:0:0:0:0:0:0:1]", 200),
        ("::1", "LocalHost:8000", 200),
        ("laptop.example", "laptop.example:8000", 200),
        ("laptop.example", "evil.example", 400),
        ("::", "evil.example", 200),
    ],
)
def test_only_its_own_names_are_answered(explorer: Explorer, tmp_path: Path, host: str, name: str, status: int) -> None:
    with served(explorer, Pictures(tmp_path, None, None), host=host) as url:
        found, headers, answer = get(f"{url}/api/chip?year=2020&chip={CHIP.id}", headers={"Host": name})
        assert found == status
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert ("detail" in answer) == (status == 400)


def test_too_many_examples_are_said_to_be_too_many(page: str) -> None:
    many = "&".join(["like=c0001r0003"] * 51)
    assert get(f"{page}/api/search?year=2020&{many}")[2]["detail"].startswith("like is given too often: give 1 to 50 chip ids")


def test_what_is_no_json_is_described_as_what_it_is(page: str) -> None:
    paths = get(f"{page}/openapi.json")[2]["paths"]
    for name, kinds in (
        ("coverage", ["application/geo+json"]),
        ("download", ["application/geo+json", "text/csv; charset=utf-8", "application/vnd.apache.parquet"]),
        ("picture/{year}/{chip}.jpg", ["image/jpeg"]),
    ):
        content = paths[f"/api/{name}"]["get"]["responses"]["200"]["content"]
        assert list(content) == kinds
        assert all(each["schema"] for each in content.values())


def test_a_base_map_is_the_only_other_host_in_the_policy(explorer: Explorer, tmp_path: Path) -> None:
    no_pictures = Pictures(tmp_path, None, lambda _chip, _year: None)
    with served(explorer, no_pictures, basemap="https://tiles.example/{z}/{x}/{y}.png") as url:
        policy = get(url)[1]["Content-Security-Policy"]
        assert policy.count("https://") == 2
        assert "img-src 'self' data: blob: https://tiles.example;" in policy


@pytest.mark.parametrize("form", ["geojson", "csv", "parquet"])
def test_downloads_are_read_by_geopandas(page: str, form: str, tmp_path: Path) -> None:
    for query in ("year=2020&like=c0001r0003&k=5", "years=2020,2021&k=5"):
        status, headers, content = get(f"{page}/api/download?format={form}&{query}")
        assert status == 200
        name = "change-2020-2021" if "years" in query else "similar-c0001r0003-2020"
        assert headers["Content-Disposition"] == f'attachment; filename="{name}.{form}"'
        path = tmp_path / f"chips.{form}"
        path.write_bytes(json.dumps(content).encode() if form == "geojson" else content)
        frame = geopandas.read_parquet(path) if form == "parquet" else geopandas.read_file(path)
        assert len(frame) == 5
        assert "distance" in frame


# Pictures


TILE = encode(np.full((3, 320, 256), 77, np.uint8))


class PartialWms(Wms):
    """Without a layer of 2020."""

    def picture(self, chip: Chip, year: int) -> bytes | None:
        if year == 2020:
            raise TemporaryError("the WMS does not answer")
        return super().picture(chip, year)


def chip_pictures(folder: Path, url: str | None, tile: bytes | None = None) -> Pictures:
    return Pictures(folder, Wms(url, "LAYER_{year}") if url else None, lambda _chip, _year: tile)


@pytest.mark.parametrize("driver", ["PNG", "JPEG"])
def test_a_picture_is_the_wms_s_and_is_kept(tmp_path: Path, driver: str) -> None:
    with fake_wms(kind=f"image/{driver.lower()}", body=picture(200, driver=driver)) as (url, asked):
        found = chip_pictures(tmp_path, url).get(CHIP, 2021)
        assert found.origin == "wms"
        assert brightness(found.jpeg) == pytest.approx(200, abs=3)
        assert chip_pictures(tmp_path, url).get(CHIP, 2021) == found
    assert len(asked) == 1
    assert asked[0]["LAYERS"] == ["LAYER_2021"]
    assert asked[0]["CRS"] == ["EPSG:3857"]


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (500, "text/html", b"no"),
        (404, "image/png", b""),
        (200, "application/xml", b"<ServiceException/>"),
        (200, "image/png", b"\x89PNG and nothing more"),
        (200, "image/png", b"<svg/>"),
        (200, "image/png", b"\x89PNG" + bytes(5_000_000)),
        (200, "image/png", picture(10)),
        (200, "image/png", picture(200, width=3_000)),
    ],
    ids=["error", "absent", "exception", "broken", "another kind", "endless", "of one colour", "larger than asked"],
)
def test_the_tile_stands_in_when_the_wms_has_no_picture(tmp_path: Path, status: int, kind: str, body: bytes) -> None:
    with fake_wms(status, kind, body) as (url, _):
        found = chip_pictures(tmp_path, url, TILE).get(CHIP, 2020)
        assert found.origin == "tile"
        assert brightness(found.jpeg) == pytest.approx(77, abs=2)


def test_a_redirect_is_not_followed_to_another_host(tmp_path: Path) -> None:
    with fake_wms(body=picture(200)) as (elsewhere, asked_elsewhere), fake_wms(302, "text/plain", Location=elsewhere) as (url, asked):
        with pytest.raises(TemporaryError, match="the WMS does not answer, and the source has none"):
            chip_pictures(tmp_path, url).get(CHIP, 2020)
        assert len(asked) == 1
        assert not asked_elsewhere


def test_the_wms_is_left_alone_for_a_while_when_it_failed(tmp_path: Path) -> None:
    with fake_wms(503, "text/plain") as (url, asked):
        pictures = chip_pictures(tmp_path, url, TILE)
        for row in range(5):
            pictures.get(Chip(column=1, row=row, pixels=512), 2020)
        assert len(asked) == 1


def test_one_year_s_missing_layer_leaves_the_other_its_wms(tmp_path: Path) -> None:
    with fake_wms(200, body=picture(200)) as (url, _):
        pictures = Pictures(tmp_path, PartialWms(url, "LAYER_{year}"), lambda _chip, _year: TILE)
        assert [pictures.get(CHIP, year).origin for year in (2020, 2021, 2020)] == ["tile", "wms", "tile"]


def test_pictures_beside_each_other_are_of_one_origin(tmp_path: Path) -> None:
    with fake_wms(200, body=picture(200)) as (url, asked):
        both = chip_pictures(tmp_path / "both", url, TILE)
        assert [both.get(CHIP, year, beside).origin for year, beside in ((2020, 2021), (2021, 2020))] == ["wms", "wms"]
        assert len(asked) == 2
        one = Pictures(tmp_path / "one", PartialWms(url, "LAYER_{year}"), lambda _chip, _year: TILE)
        assert one.get(CHIP, 2021).origin == "wms"
        assert [one.get(CHIP, year, beside).origin for year, beside in ((2020, 2021), (2021, 2020))] == ["tile", "tile"]


def test_both_pictures_are_kept_and_the_tile_s_is_shown_while_the_wms_rests(tmp_path: Path) -> None:
    cut = []

    def from_tile(chip: Chip, _year: int) -> bytes:
        cut.append(chip)
        return TILE

    with fake_wms(503) as (down, _):
        pictures = Pictures(tmp_path, Wms(down, "any"), from_tile)
        assert [pictures.get(CHIP, 2020).origin for _ in range(3)] == ["tile"] * 3
    assert cut == [CHIP]
    with fake_wms(body=picture(200)) as (up, _):
        assert Pictures(tmp_path, Wms(up, "any"), from_tile).get(CHIP, 2020).origin == "wms"
    assert {path.name for path in tmp_path.iterdir()} == {f"2020-512-{CHIP.id}-{origin}.jpg" for origin in ("tile", "wms")}
    with fake_wms(503) as (down, asked):
        assert Pictures(tmp_path, Wms(down, "any"), from_tile).get(CHIP, 2020).origin == "wms"
        assert not asked


def test_after_a_rest_one_asks_and_the_others_when_it_was_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rest = Rest()
    assert rest.may_ask()
    rest.failed()
    rest.failed()
    assert not rest.may_ask()
    now += 16
    assert [rest.may_ask() for _ in range(3)] == [True, False, False]
    rest.failed()
    now += 16
    assert not rest.may_ask()
    now += 16
    assert rest.may_ask()
    rest.answered()
    assert [rest.may_ask() for _ in range(3)] == [True] * 3


@contextmanager
def silent_server() -> Iterator[tuple[str, list[socket.socket]]]:
    """Accepts, and never answers."""
    connected: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_accept, args=(listening, connected), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/bucket", connected
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    for each in connected:
        each.close()


def _accept(listening: socket.socket, connected: list[socket.socket]) -> None:
    with suppress(OSError):  # the end
        while True:
            connected.append(listening.accept()[0])


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.timeout(60)
def test_a_source_that_never_answers_is_left_alone(
    explorer: Explorer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_listed: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(images, "SILENCE_S", 1)
    with silent_server() as (url, connected):
        inventory = {Tile.from_name("N49W125"): TileFile(etag="any", size=1)}
        from_tile = TilePictures(open_source(url, silence_s=1), {2020: inventory} if is_listed else {})
        with served(explorer, Pictures(tmp_path, None, from_tile)) as page:
            for column in range(3):
                status, headers, answer = get(f"{page}/api/picture/2020/c{column:04d}r0003.jpg", timeout=60)
                assert (status, headers["Retry-After"]) == (503, "15")
                assert "there is no WMS, and " in answer["detail"]
        assert 1 <= len(connected) <= 2  # GDAL asks twice


def test_the_oldest_pictures_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "CACHE_BYTES", 10 * len(TILE))
    kept = chip_pictures(tmp_path, None, TILE)
    for row in range(30):
        kept.get(Chip(column=1, row=row, pixels=512), 2020)
        assert len(list(tmp_path.iterdir())) <= 10
    assert (tmp_path / "2020-512-c0001r0029-tile.jpg").exists()


def test_no_picture_for_good_is_answered_404_and_none_now_503(page: str, explorer: Explorer, tmp_path: Path) -> None:
    status, headers, answer = get(f"{page}/api/picture/2020/c0001r0003.jpg")
    assert status == 404
    assert answer["detail"] == "no picture of chip c0001r0003 in 2020: there is no WMS, and the source has none"
    assert "Retry-After" not in headers
    with fake_wms(503) as (url, _), served(explorer, chip_pictures(tmp_path, url)) as other:
        status, headers, _ = get(f"{other}/api/picture/2020/c0001r0003.jpg")
        assert (status, headers["Retry-After"]) == (503, "15")


def test_a_browser_asks_whether_its_picture_is_still_the_one(explorer: Explorer, tmp_path: Path) -> None:
    with fake_wms(body=picture(200)) as (url, _), served(explorer, chip_pictures(tmp_path, url, TILE)) as page:
        address = f"{page}/api/picture/2020/{CHIP.id}.jpg"
        _, headers, _ = get(f"{address}?beside=2021")
        assert headers["X-Picture-Source"] == "wms"
        assert "no-cache" in headers["Cache-Control"]
        assert get(address, headers={"If-None-Match": headers["ETag"]})[0] == 304
        assert get(address, headers={"If-None-Match": '"another"'})[0] == 200
        assert get(f"{address}?beside=1999")[0] == 404
        assert get(f"{address}?beside=0")[0] == 404


def test_esa_s_wms_is_asked_only_for_its_own_ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    explorer = open_explorer(str(write_output(tmp_path / "out", some(range(1)))), "clay-v0.1", [], Progress())
    for source, has_wms in ((PUBLIC_SOURCE, True), (str(tmp_path), False)):
        run = replace(a_run(explorer.recipe, 2020, "none"), source=source)
        explorer.published[2020] = replace(explorer.published[2020], run=run)
        assert bool(explorer.pictures(PictureOptions())._from_wms) == has_wms
        assert explorer.pictures(PictureOptions(wms="https://host/wms"))._from_wms


def test_the_page_opens_without_the_run_s_tiles_when_their_folder_is_gone(
    explorer: Explorer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replace(a_run(explorer.recipe, 2020, "none"), source=str(tmp_path / "gone"))
    monkeypatch.setitem(explorer.published, 2020, replace(explorer.published[2020], run=run))
    found = explorer.pictures(PictureOptions())
    assert f"no pictures from the run's tiles: source {tmp_path / 'gone'} is not a folder" in capsys.readouterr().err
    with pytest.raises(NotFoundError, match="there is no WMS, and there is no source"):
        found.get(CHIP, 2020)
    with pytest.raises(ConfigurationError, match="check --source"):
        PictureOptions(source=str(tmp_path / "gone"))


def test_a_picture_is_cut_from_the_source_s_tiles(explorer: Explorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tile = Tile.from_name("N49W125")
    write_tile(tmp_path / "source", tile, Window(x=0, y=0, width=3_000, height=3_000))
    found = explorer.pictures(PictureOptions(wms="none", source=str(tmp_path / "source"))).get(CHIP, 2020).jpeg
    assert brightness(found) > 20
    with rasterio.MemoryFile(found) as memory, memory.open() as dataset:
        assert dataset.height == round(256 / np.cos(np.radians(CHIP.bounds.center[1])))


@pytest.mark.skipif(not (REAL / REAL_TILE.key(2020)).exists(), reason="the real tile is on the developers' machines only")
def test_a_picture_of_the_real_tile_shows_ground() -> None:
    made = TilePictures(open_source(str(REAL)), {})(Chip(column=1156, row=288, pixels=512), 2020)
    assert made is not None
    with rasterio.MemoryFile(made) as memory, memory.open() as dataset:
        assert 20 < dataset.read().mean() < 230
        assert dataset.read().std() > 5


# The commands


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_output(tmp_path / "out", some(range(3)), weights="random:0")
    return str(write_output(tmp_path / "out", some(range(3), seed=1), year=2021, weights="random:0"))


def run(*arguments: str) -> click.testing.Result:
    return CliRunner().invoke(cli, ["search", *arguments])


def test_search_prints_a_table_and_says_of_what(output: str) -> None:
    found = run("--output", output, "--chip", "c0001r0003", "--unlike", "c0002r0003", "-k", "4")
    assert found.exit_code == 0, found.output
    assert len(found.stdout.splitlines()) == 5
    assert "mean nothing" in found.stderr
    assert "like c0001r0003 and unlike c0002r0003 in 2021" in found.stderr.splitlines()


def test_a_box_without_a_hit_is_said_to_be_empty(output: str) -> None:
    found = run("--output", output, "--year", "2020", "--chip", "c0001r0003", "--bbox", "-80,30,-79,31")
    assert (found.exit_code, found.stdout) == (0, "")
    assert "nothing was found in this box: choose a larger one" in found.stderr


def test_change_takes_no_notice_of_the_environment_s_year(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YEAR", "2020")
    assert run("--output", output, "--change", "2020", "2021").exit_code == 0
    assert isinstance(run("--output", output, "--change", "2020", "2021", "--year", "2020").exception, UsageError)


@pytest.mark.parametrize("form", ["geojson", "csv", "parquet"])
def test_search_writes_files_that_geopandas_reads(output: str, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"hits.{form}"
    lon, lat = CHIP.bounds.center
    found = run("--output", output, "--lon", str(lon), "--lat", str(lat), "--to", str(path), "-k", "6", "--unlike", "c0002r0002")
    assert found.exit_code == 0, found.output
    frame = geopandas.read_parquet(path) if form == "parquet" else geopandas.read_file(path)
    assert len(frame) == 6
    if form != "csv":
        assert frame.crs.to_epsg() == 4326
        assert frame.geometry.iloc[0].area == pytest.approx((512 / 12000) ** 2)


@pytest.mark.parametrize("form", ["geojson", "csv"])
def test_search_prints_forms_that_geopandas_reads(output: str, tmp_path: Path, form: str) -> None:
    found = run("--output", output, "--change", "2020", "2021", "-k", "3", "--format", form)
    assert found.exit_code == 0, found.output
    (tmp_path / f"hits.{form}").write_bytes(found.stdout_bytes)
    assert len(geopandas.read_file(tmp_path / f"hits.{form}")) == 3
    assert "2020 is composite v100 and 2021 is v200" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--chip", "c0001r0300"], 78, "no tile there"),
        (["--lon", "-100", "--lat", "40"], 78, "not embedded yet; the nearest embedded chip is c0002r0019"),
        (["--chip", "c0001r0003", "--year", "2019"], 78, "nothing is published for 2019"),
    ],
)
def test_a_wrong_search_ends_with_one_clear_line(
    output: str, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["embedder", "search", "--output", output, *arguments])
    assert exit_code_of(cli, "embedder") == code
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["search", "--chip", "zzz"], 2, "not a chip id"),
        (["search", "--chip", "c0001r0003", "--unlike", "zzz"], 2, "not a chip id"),
        (["search", "--lat", "40"], 2, "give the other one too"),
        (["search", "--lon", "0", "--lat", "0"], 2, "off the grid"),
        (["search"], 2, "no chip is given"),
        (["search", "--change", "2020", "2020"], 2, "both are 2020"),
        (["search", "--chip", "c0001r0003", "-k", "1001"], 2, "ask for 1 to 1000"),
        (["search", "--chip", "c0001r0003", "--to", "hits.xlsx"], 2, "end it with .geojson, .csv or .parquet"),
        (["search", "--chip", "c0001r0003", "--to", "no/such/hits.csv"], 2, "there is no folder no/such for hits.csv: make it"),
        (["search", "--chip", "c0001r0003", "--to", "hits.csv", "--format", "csv"], 2, "leave out --format"),
        (["explore", "--wms", "ftp://host/x"], 2, "the WMS's address is none"),
        (["explore", "--source", "no/such"], 78, "source no/such is not a folder"),
        (["explore", "--basemap", "tiles"], 2, "the base map's address is none"),
        (["explore", "--port", "TAKEN"], 78, "choose another --port"),
    ],
)
def test_wrong_usage_is_found_before_anything_is_read(
    tmp_path: Path, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with listen("127.0.0.1", 0) as taken:
        given = [str(taken.getsockname()[1]) if each == "TAKEN" else each for each in arguments]
        monkeypatch.setattr("sys.argv", ["embedder", *given, "--output", str(tmp_path / "nothing")])
        assert exit_code_of(cli, "embedder") == code
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_missing_extra_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "find_spec", lambda _name: None)
    with pytest.raises(EmbedderError, match=r"lancedb and fastapi are not installed: pip install '.\[explore\]'"):
        index.require("lancedb", "fastapi")


def test_recall_is_printed(output: str) -> None:
    found = CliRunner().invoke(cli, ["explore", "--output", output, "--recall"])
    assert found.exit_code == 0, found.output
    assert found.stdout.count("recall@10 1.000") == 2


def test_no_recall_is_printed_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    output = write_output(tmp_path / "out", {5: ("e", vectors(1, 1))})
    found = CliRunner().invoke(cli, ["explore", "--output", str(output), "--recall"])
    assert found.stdout == "2020: fewer than two chips are embedded: there is nothing to measure\n"


def test_quoted_names_are_no_chips(page: str) -> None:
    assert get(f"{page}/api/chip?year=2020&chip={quote('c0001r0003/../..')}")[0] == 422


def test_the_page_is_served_until_a_signal_ends_it(output: str) -> None:
    command = [sys.executable, "-m", "embedder", "explore", "--output", output, "--port", "0", "--no-open", "--wms", "none"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        assert process.stdout
        line = process.stdout.readline()
        url = line.split()[4]
        assert url.startswith("http://127.0.0.1:")
        assert get(url)[0] == 200
        assert b"<!doctype html>" in get(url)[2]
        assert get(f"{url}openapi.json")[2]["paths"]["/api/search"].keys() == {"get"}
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10)[1].splitlines()[-1] == "stopped by SIGTERM; the page is closed"
        assert process.returncode == 143


def test_a_taken_port_is_one_clear_line() -> None:
    taken = listen("127.0.0.1", 0)
    with pytest.raises(EmbedderError, match=r"choose another --port, or 0 for a free one"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_years_of_different_weights_are_not_compared(explorer: Explorer) -> None:
    runs = {year: a_run(explorer.recipe, year, f"random:{year}") for year in (2020, 2021)}
    published = [replace(each, run=runs[each.year]) for each in explorer.published.values()]
    mixed = Explorer(explorer.recipe, published, explorer.searchers)
    with pytest.raises(EmbedderError, match="embedded with different weights"):
        mixed.changes(2020, 2021, 5)
