import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedder.area import Area
from embedder.errors import ConfigurationError, ConflictError
from embedder.output.run import Run, RunPlace
from embedder.recipes import RECIPES
from embedder.source.inventory import TileFile
from embedder.storage import open_storage
from embedder.storage.folder import FolderStorage
from tests.runs import OTHER_TILE, RUN, TILE


@pytest.fixture
def place(tmp_path: Path) -> RunPlace:
    return RunPlace(storage=open_storage(str(tmp_path)), recipe=RUN.recipe, year=RUN.year)


def test_a_record_reads_as_the_run_that_wrote_it() -> None:
    assert Run.from_json(RUN.to_json(), "here") == RUN


def test_a_record_has_the_area_only_where_it_is_given() -> None:
    assert b'"area"' not in RUN.to_json()
    assert "area" not in RUN.config
    of_area = replace(RUN, area=Area.parse("512;7:1-9"))
    assert Run.from_json(of_area.to_json(), "here") == of_area
    assert (of_area.whole, RUN.whole) == (1, 1359)
    with pytest.raises(ConfigurationError, match="is not a run record"):
        Run.from_json(of_area.to_json().replace(b"512;7:1-9", b"512;7:1-999"), "here")
    without = of_area.to_json().replace(b' "area": "512;7:1-9",\n', b"")  # what a version that knows no areas makes of it
    with pytest.raises(ConfigurationError, match="its config digest does not fit"):
        Run.from_json(without, "here")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"recipe": RECIPES["clay-v1.5"]}, "recipe clay-v0.1 (now clay-v1.5)"),
        ({"year": 2021}, "year 2020 (now 2021)"),
        ({"source": "/folder"}, "source s3://bucket (now /folder)"),
        ({"weights_sha256": "b" * 64, "weights": "other.ckpt"}, "weights_sha256 " + "a" * 64 + " (now " + "b" * 64),
        ({"precision": "fp32"}, "precision auto (now fp32)"),
        ({"area": Area.parse("512;7:1-9")}, "area: the whole grid (now 9 chips of 512 pixels in 1 columns, within -124.7,49.573,"),
        ({"inventory": {TILE: TileFile(etag='"new"', size=30)}}, "tile N37W076 changed"),
        ({"inventory": {OTHER_TILE: TileFile(etag='"x"', size=1)}}, "tile N30W100 and 1 more changed"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_configuration_is_refused_and_its_field_named(place: RunPlace, change: dict[str, Any], named: str) -> None:
    other = replace(RUN, **change)
    assert other.config_digest != RUN.config_digest
    place.record(RUN)
    stored = place.storage.get(place.record_key)
    with pytest.raises(ConfigurationError) as failure:
        place.record(other)
    assert named in str(failure.value)
    assert place.storage.where(place.prefix) in str(failure.value)
    assert place.storage.get(place.record_key) == stored


@pytest.mark.parametrize("change", [{"columns": (9,)}, {"weights": "https://host/the-same.ckpt"}, {"checkpoint_sha256": None}], ids=str)
def test_what_does_not_change_the_embeddings_is_no_other_configuration(change: dict[str, Any]) -> None:
    assert replace(RUN, **change).config_digest == RUN.config_digest
    assert not replace(RUN, **change).differences(RUN)


def test_columns_are_added_when_a_run_is_recorded_again(place: RunPlace) -> None:
    place.record(RUN)
    assert place.record(replace(RUN, columns=(5, 2))).columns == (1, 2, 3, 5, 7)
    assert place.load().columns == (1, 2, 3, 5, 7)


def test_nothing_is_written_when_the_record_says_it_already(place: RunPlace) -> None:
    place.record(RUN)
    before = place.storage.get(place.record_key)
    assert place.record(replace(RUN, columns=(2,))) == RUN
    assert place.storage.get(place.record_key) == before


def test_the_record_has_the_columns_of_both_when_a_rival_plans_at_the_same_time(place: RunPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    put, rivals = FolderStorage.put, [replace(RUN, columns=(20,)), replace(RUN, columns=(21,))]

    def put_after_a_rival(self: FolderStorage, key: str, data: bytes, *, replaces: str | None = None) -> str:
        if rivals:
            rival = rivals.pop()
            place.record(rival)
        return put(self, key, data, replaces=replaces)

    monkeypatch.setattr(FolderStorage, "put", put_after_a_rival)
    assert place.record(RUN).columns == (1, 2, 3, 7, 20, 21)
    assert place.load().columns == (1, 2, 3, 7, 20, 21)


def test_recording_ends_with_75_when_others_write_without_end(place: RunPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise ConflictError("written by another")

    monkeypatch.setattr(FolderStorage, "put", refuse)
    with pytest.raises(ConflictError, match="try again") as failure:
        place.record(RUN)
    assert failure.value.exit_code == 75


def test_nothing_is_found_when_nothing_was_planned(place: RunPlace) -> None:
    assert place.find() is None
    with pytest.raises(ConfigurationError, match="run `embedder plan`"):
        place.load()


def altered(**fields: object) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps(json.loads(data) | fields).encode()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[: len(data) // 2], "is not a run record"),
        (lambda _: b"", "is not a run record"),
        (lambda _: b"\xff\xfe", "is not a run record"),
        (lambda _: b"[]", "is not a run record"),
        (lambda _: b"{}", "is not a run record"),
        (altered(recipe="clay-v9"), "is not a run record"),
        (altered(inventory={"N90W000": {"etag": "x", "size": 1}}), "is not a run record"),
        (altered(columns="7-3"), "is not a run record"),
        (altered(format=99), "has format 99, this version reads 1"),
        (altered(source="elsewhere"), "was altered"),
        (altered(year=2021), "was altered: its config digest"),
        (altered(seed=3), "was altered: its SHA-256"),
        (altered(weights="other.ckpt"), "was altered: its SHA-256"),
        (altered(checkpoint_sha256="d" * 64), "was altered: its SHA-256"),
        (altered(columns="all"), "was altered: its SHA-256"),
        (altered(record_sha256=None), "was altered: its SHA-256"),
        (altered(more=1), "was altered: its SHA-256"),
    ],
)
def test_a_record_is_refused_when_it_is_damaged(place: RunPlace, damage: Callable[[bytes], bytes], reason: str) -> None:
    place.storage.put(place.record_key, damage(RUN.to_json()))
    with pytest.raises(ConfigurationError, match=reason) as failure:
        place.load()
    assert place.storage.where(place.record_key) in str(failure.value)


def test_a_record_is_refused_when_it_was_moved(place: RunPlace) -> None:
    place.storage.put(place.record_key, replace(RUN, year=2021).to_json())
    with pytest.raises(ConfigurationError, match=r"is the record of clay-v0\.1 2021: it was moved"):
        place.load()


def test_the_config_digest_stays_what_it_was() -> None:
    """A new option must not orphan the runs that do not set it."""
    assert RUN.config_digest == "17f3038034eba91740bba37474312a5ea009bf3470e7b29cfa681c78b77ddeff"
    assert replace(RUN, column_format=1).config_digest == "eeaa5d5a465602ad20cc22b4ee3636bd1e9a5847e090f7ffc50b921f5ff36b70"


def test_what_is_not_set_is_no_part_of_the_configuration() -> None:
    assert None not in RUN.config.values()
    assert "column_format" not in replace(RUN, format=1).config


def test_a_record_is_refused_when_its_columns_are_of_a_later_form() -> None:
    with pytest.raises(ConfigurationError, match=r"^here has format 99, this version reads 1 and 2: use the version"):
        Run.from_json(replace(RUN, column_format=99).to_json(), "here")


@pytest.mark.parametrize(("change", "named"), [({"format": 1}, "record format 1"), ({"column_format": 1}, "column format 1")], ids=str)
def test_a_run_of_an_older_form_is_not_extended(place: RunPlace, change: dict[str, Any], named: str) -> None:
    place.check_current(RUN)
    with pytest.raises(ConfigurationError, match=rf"{named}.* use another --output$"):
        place.check_current(replace(RUN, **change))
