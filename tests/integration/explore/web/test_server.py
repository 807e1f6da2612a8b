"""The API as a browser meets it."""

import json
from pathlib import Path
from urllib.parse import quote, urlsplit

import geopandas
import numpy as np
import pytest
import rasterio
import urllib3

from embedder.explore.colours import principal_colours
from embedder.explore.explorer import Explorer
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.places import pack_chips
from embedder.explore.search import Question
from embedder.explore.web.answers import MOST_EXAMPLES
from embedder.explore.web.server import Basemap
from embedder.grid import Chip
from tests.explore_output import CHIP
from tests.explore_site import get, served
from tests.pictures import TILE, chip_pictures, fake_wms, picture


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
    scores = [feature["properties"]["score"] for feature in found["features"]]
    assert scores == sorted(scores, reverse=True)
    nearest = get(f"{page}/api/search?year=2020&like=c0001r0003&k=1")[2]["features"][0]["properties"]
    assert 0 <= nearest["percentile"] <= 100
    assert "score" not in nearest


def test_every_chip_has_a_rank_and_the_levels_say_what_they_leave(page: str, explorer: Explorer) -> None:
    status, headers, body = get(f"{page}/api/layer?year=2020&like=c0001r0003")
    place = json.loads(headers["X-Layer"])
    ranks = np.frombuffer(body, "<u2").reshape(place["rows"], place["columns"])
    answer = explorer.searcher(2020).scores(Question(like=[Chip(column=1, row=3, pixels=512)]))
    assert (status, (ranks > 0).sum()) == (200, len(answer.values))
    assert ranks[3 - place["row"], 1 - place["column"]] == 0xFFFF
    nearest = answer.chips[np.argsort(answer.values)]
    found = ranks[nearest[:, 1] - place["row"], nearest[:, 0] - place["column"]]
    assert (np.diff(found.astype(int)) <= 0).all()
    for percentile, value, chips, km2 in place["levels"]:
        mask = answer.above(percentile)
        assert (chips, value) == (mask.sum(), pytest.approx(answer.threshold(percentile), abs=1e-6))
        assert km2 == pytest.approx(answer.km2(mask), abs=0.1)


def test_a_year_has_a_colour_for_every_chip(page: str, explorer: Explorer) -> None:
    _, headers, body = get(f"{page}/api/colours?year=2020")
    place = json.loads(headers["X-Layer"])
    pixels = np.frombuffer(body, np.uint8).reshape(place["rows"], place["columns"], 4)
    expected = principal_colours(explorer.searcher(2020).database)
    assert (pixels[..., 3] > 0).sum() == 83
    shown = pixels[expected.chips[:, 1] - place["row"], expected.chips[:, 0] - place["column"]]
    np.testing.assert_array_equal(shown[:, :3], expected.colours)


@pytest.mark.parametrize(("form", "driver"), [("parquet", None), ("csv", None), ("tif", "GTiff")])
def test_every_chip_can_be_downloaded(page: str, tmp_path: Path, form: str, driver: str | None) -> None:
    status, headers, body = get(f"{page}/api/layer/download?years=2020,2021&above=0&format={form}")
    assert status == 200, body
    assert "change-2020-2021-every-chip" in headers["Content-Disposition"]
    (tmp_path / f"layer.{form}").write_bytes(body)
    if driver:
        with rasterio.open(tmp_path / f"layer.{form}") as tiff:
            assert (tiff.driver, np.isfinite(tiff.read(1)).sum()) == (driver, 80)
    else:
        reader = geopandas.read_parquet if form == "parquet" else geopandas.read_file
        assert len(reader(tmp_path / f"layer.{form}")) == 80


def test_a_place_finds_its_chip_or_says_why_not(page: str) -> None:
    place = "&".join(f"{name}={value}" for name, value in zip(("lon", "lat"), CHIP.bounds.center, strict=True))
    assert get(f"{page}/api/chip?year=2020&{place}")[2]["chip_id"] == CHIP.id
    for chip, reason in (
        ("c0009r0002", "no data"),
        ("c0009r0003", "no tile"),
        ("c0009r0006", "outside the area"),
        ("c0008r0003", "not embedded yet"),
    ):
        status, _, answer = get(f"{page}/api/chip?year=2020&chip={chip}")
        assert status == 404
        assert reason in answer["detail"]
        assert "the nearest embedded chip is c" in answer["detail"]


def test_change_is_ranked_and_its_note_given(page: str) -> None:
    status, _, found = get(f"{page}/api/change?years=2020,2021&k=20")
    assert status == 200
    assert {feature["id"][:5] for feature in found["features"]} == {"c0002"}
    assert "v100" in found["note"]


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
        "search?year=2020&" + "&".join(["like=c0001r0003"] * 1_001),
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
        "search?year=2020&like=~AAA",
        "search?year=2020&like=~",
        "layer/download?format=csv&year=2020&like=~",
        "classify?year=2020&mark=a~&mark=b~",
        "classify?year=2020&mark=a%C2%85~AAJN&mark=b~AAJOAAJP",
        "classify?year=2020&mark=a~AAJNAAJO&mark=b~AAJPAAJQ&bbox=1,2,3",
        "search?year=2020&like=~" + "AAJN" * 1_001,
        "classify?year=2020",
        "classify?year=2020&mark=a~AAJN",
        "classify?year=2020&mark=a~AAJNAAJO&mark=a~AAJPAAJQ",
        "classify?year=2020&mark=a~AAJNAAJO&mark=b~AAJOAAJP",
        "classify?year=2020&mark=a~AAJN&mark=b~AAJOAAJP",
        "classify?year=2020&mark=a~____&mark=b~AAJOAAJP",
        "classify?year=2020&mark=~AAJN&mark=b~AAJOAAJP",
        "classify?year=2020&mark=a%0A~AAJN&mark=b~AAJOAAJP",
        "classify?year=2020&mark=" + "a" * 61 + "~AAJN&mark=b~AAJOAAJP",
        "classify?year=2020&mark=aAAJN&mark=b~AAJOAAJP",
        "classify?year=2020&" + "&".join(f"mark=c{name}~AAJN" for name in range(11)),
        "classify?year=2020&mark=b~AAJOAAJP&mark=a~" + "AAJN" * 1_001,
        "classify/download?format=exe&year=2020&mark=a~AAJN&mark=b~AAJO",
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


def test_quoted_names_are_no_chips(page: str) -> None:
    assert get(f"{page}/api/chip?year=2020&chip={quote('c0001r0003/../..')}")[0] == 422


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
    many = "&".join(["like=c0001r0003"] * 1_001)
    assert get(f"{page}/api/search?year=2020&{many}")[2]["detail"].startswith("like is given too often: give 1 to 1,000 chip ids")


def test_a_thousand_likes_and_unlikes_are_taken_packed_or_not(page: str, explorer: Explorer) -> None:
    database = explorer.searcher(2020).database
    like, unlike = [database.chip(0)], [database.chip(1)]
    once = get(f"{page}/api/search?year=2020&like={like[0].id}&unlike={unlike[0].id}")[2]["features"]
    packs = f"like={pack_chips(like * MOST_EXAMPLES)}&unlike={pack_chips(unlike * MOST_EXAMPLES)}"
    status, _, packed = get(f"{page}/api/search?year=2020&{packs}")
    assert status == 200
    assert [hit["id"] for hit in packed["features"]] == [hit["id"] for hit in once]
    ids = "&".join([f"like={like[0].id}"] * MOST_EXAMPLES)
    assert get(f"{page}/api/search?year=2020&{ids}&unlike={unlike[0].id}")[2]["features"] == once


def test_files_have_the_ids_of_what_was_packed(page: str, explorer: Explorer, tmp_path: Path) -> None:
    like, unlike = ([explorer.searcher(2020).database.chip(row) for row in rows] for rows in (range(3), range(3, 5)))
    packs = f"year=2020&like={pack_chips(like[:2])}&like={like[2].id}&unlike={pack_chips(unlike)}"
    ids = [[chip.id for chip in chips] for chips in (like, unlike)]
    _, headers, content = get(f"{page}/api/download?format=geojson&{packs}")
    assert headers["Content-Disposition"] == f'attachment; filename="similar-{like[0].id}-2020.geojson"'
    assert [content["like"], content["unlike"]] == ids
    _, headers, content = get(f"{page}/api/layer/download?format=tif&{packs}")
    assert headers["Content-Disposition"] == f'attachment; filename="similar-{like[0].id}-2020-every-chip.tif"'
    (tmp_path / "a.tif").write_bytes(content)
    with rasterio.open(tmp_path / "a.tif") as tiff:
        assert [json.loads(tiff.tags()[name]) for name in ("LIKE", "UNLIKE")] == ids


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


def test_a_picture_that_is_missing_is_an_error_or_empty(page: str) -> None:
    address = f"{page}/api/picture/2020/{CHIP.id}.jpg"
    assert get(address)[0] == 404
    assert get(f"{address}?missing=empty")[::2] == (204, b"")


def test_a_base_map_is_the_only_other_host_in_the_policy(explorer: Explorer, tmp_path: Path) -> None:
    no_pictures = Pictures(tmp_path, None, lambda _chip, _year: None)
    basemap = Basemap(tiles="https://tiles.example/{z}/{x}/{y}.png")
    with served(explorer, no_pictures, basemap=basemap, allowed_hosts=["Hub.Example"], root_path="/user/ada/proxy/8000") as url:
        headers = get(url)[1]
        policy = headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "strict-origin"  # which tile servers want
        picture = get(f"{url}/api/chip?year=2020&chip={CHIP.id}", headers={"Host": "hub.example:443"})[2]["picture"]
        assert picture == f"/user/ada/proxy/8000/api/picture/2020/{CHIP.id}.jpg"
        for path in ("", "/user/ada/proxy/8000"):  # proxies leave it on, or take it off
            assert get(f"{url}{path}/api/info")[0] == get(f"{url}{path}/js/app.js")[0] == get(f"{url}{path}/")[0] == 200
        refused = get(url, headers={"Host": "evil.example"})[2]["detail"]
        assert "127.0.0.1, ::1, hub.example, localhost only: start it with --allow-host evil.example too" in refused
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
