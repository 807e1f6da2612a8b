"""The weights' cache: used only where the output is no folder, and named where it can't be used."""

from dataclasses import replace
from pathlib import Path

import pytest

from embedder.errors import ConfigurationError, WeightsError
from embedder.models.weights import sha256_of
from embedder.steps.slim_weights import slim_weights
from embedder.storage import open_storage
from embedder.storage.retries import DOUBT_S
from tests.faults import FaultyProxy, Flipped
from tests.jobs import place_of
from tests.patience import skip_waits
from tests.s3_server import S3Server

pytestmark = pytest.mark.usefixtures("scratch")


def test_no_cache_is_needed_when_the_output_is_a_folder(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_of(done)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    monkeypatch.chdir(tmp_path)
    assert slim_weights(place, place.load()) == done / place.weights_key(place.load().weights_sha256)


def test_the_cache_is_named_and_not_the_weights_when_it_cannot_be_made(done: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = place_of(done).load()
    place = replace(place_of(done), storage=open_storage(f"s3://{bucket}/out"))
    place.storage.put(place.weights_key(run.weights_sha256), done / place.weights_key(run.weights_sha256))
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    with pytest.raises(ConfigurationError, match="the cache /proc/nowhere/worldcover-embeddings can't be made") as error:
        slim_weights(place, run)
    assert not isinstance(error.value, WeightsError)


def test_weights_are_fetched_again_for_longer_than_doubt_lasts_when_they_arrive_damaged_in_another_way_each_time(
    done: Path, bucket: str, s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, weights = place_of(done).load(), place_of(done).weights_key(place_of(done).load().weights_sha256)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    half = (done / weights).stat().st_size // 2 + 1
    monkeypatch.setattr("embedder.storage.s3.PART_BYTES", half)  # of a whole object S3 tells a checksum, of a part it does not
    waits = skip_waits(monkeypatch)
    with FaultyProxy(s3.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        place = replace(place_of(done), storage=open_storage(f"s3://{bucket}/out"))
        place.storage.put(weights, done / weights)
        for at in range(40):
            proxy.inject(Flipped(at=at), path="_weights")
        assert sha256_of(slim_weights(place, run)) == run.weights_sha256
    assert sum(waits) > DOUBT_S
