"""The weights' cache: used only where the output is no folder, and named where it can't be used."""

from dataclasses import replace
from pathlib import Path

import pytest

from embedder.errors import ConfigurationError, WeightsError
from embedder.steps.slim_weights import slim_weights
from embedder.storage import open_storage
from tests.jobs import place_of

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
