"""One tile that is not given out, whatever the answer: that is its own fault, and neither the run's nor trouble that passes."""

from pathlib import Path

import pytest

from embedder.errors import ConfigurationError, SourceError, TemporaryError
from embedder.grid import Tile
from embedder.source.inventory import Source, list_tiles, open_source
from tests.faults import FaultyProxy, Refusal
from tests.four_tiles import YEAR, read
from tests.patience import limit_attempts, skip_waits

pytestmark = pytest.mark.usefixtures("_short_waits")
TILE = "N48W125"
PAGE = "<html><body>Welcome</body></html>"
REFUSALS = [
    *(Refusal(status) for status in (204, 301, 302, 304, 400, 401, 403, 404, 405, 406, 409, 410, 412, 416, 418, 451)),
    *(Refusal(status, code) for status, code in ((403, "AccessDenied"), (404, "NoSuchKey"), (404, "NoSuchBucket"), (400, "Unheard"))),
    *(Refusal(status, page=PAGE) for status in (200, 206, 302, 403, 404)),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: f"{refusal.status}{refusal.code}{'page' * bool(refusal.page)}")
def test_a_source_error_names_the_tile(refusal: Refusal, remote: Source, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_attempts(monkeypatch, 2)
    inventory = list_tiles(remote, YEAR)
    for method in ("GET", "HEAD"):
        proxy.inject(refusal, method=method, path=TILE, times=10_000)
    with pytest.raises(SourceError, match=TILE) as failure:
        read(remote, [22], inventory=inventory)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_source_error_names_the_tile_when_gdal_alone_is_refused(
    status: int, remote: Source, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_attempts(monkeypatch, 2)
    inventory = list_tiles(remote, YEAR)
    proxy.inject(Refusal(status), method="HEAD", path=TILE, times=10_000)
    with pytest.raises(SourceError, match=f"{TILE}.*HTTP response code.*{status}"):
        read(remote, [22], inventory=inventory)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_trouble_that_outlasts_the_retries_ends_with_75(
    status: int, remote: Source, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_attempts(monkeypatch, 2)
    inventory = list_tiles(remote, YEAR)
    for method in ("GET", "HEAD"):
        proxy.inject(Refusal(status), method=method, path=TILE, times=10_000)
    with pytest.raises(TemporaryError, match=TILE):
        read(remote, [22], inventory=inventory)


def test_pixels_are_read_when_a_refusal_passes(remote: Source, proxy: FaultyProxy) -> None:
    """As a CDN that throttles says it."""
    inventory = list_tiles(remote, YEAR)
    for method in ("GET", "HEAD"):
        proxy.inject(Refusal(403), method=method, path=TILE, times=2)  # one thread that meets them all waits for 8 s at most
    assert any(chip.outcome == "e" for chip in read(remote, [22], inventory=inventory))


def test_a_refused_tile_is_asked_for_once_more_when_the_next_column_needs_it(
    remote: Source, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year of columns must not wait for each."""
    waits = skip_waits(monkeypatch)
    inventory = list_tiles(remote, YEAR)
    for method in ("GET", "HEAD"):
        proxy.inject(Refusal(403), method=method, path=TILE, times=10_000)
    with pytest.raises(SourceError):
        read(remote, [22], inventory=inventory)
    assert 19 < sum(waits) < 90  # four threads
    waits.clear()
    with pytest.raises(SourceError):
        read(remote, [21], inventory=inventory)
    assert not waits


def test_a_listing_that_is_refused_is_final_at_once(remote: Source, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = skip_waits(monkeypatch)
    proxy.inject(Refusal(403, "AccessDenied"), times=10_000)
    with pytest.raises(ConfigurationError, match="may list it") as failure:
        list_tiles(remote, YEAR)
    assert not isinstance(failure.value, SourceError)
    assert not waits


def test_pixels_are_read_when_the_source_is_away_for_a_minute(remote: Source, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = skip_waits(monkeypatch)
    inventory = list_tiles(remote, YEAR)
    proxy.inject(Refusal(503), path=".tif", times=10)
    assert any(chip.outcome == "e" for chip in read(remote, [22], inventory=inventory))
    assert waits


def test_a_folder_is_not_waited_for_when_a_tile_is_damaged(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = skip_waits(monkeypatch)
    tile = Tile.from_name(TILE)
    path = tmp_path / tile.key(YEAR)
    path.parent.mkdir(parents=True)
    path.write_bytes((folder / tile.key(YEAR)).read_bytes()[:50_000])
    source = open_source(str(tmp_path))
    with pytest.raises(SourceError, match="is damaged"):
        read(source, [22], inventory=list_tiles(source, YEAR))
    assert not waits
