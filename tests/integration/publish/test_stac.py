"""The catalogue against the schemas: the core's, which pystac brings along, and `emb`, whose copy is in tests/golden."""

import json
from pathlib import Path

import pystac
import pytest
from jsonschema import Draft7Validator

from embedder.output.receipt import Receipt
from embedder.publish import stac
from embedder.publish.record import Part, Record
from embedder.publish.stac_check import fault
from embedder.recipes import RECIPES
from tests.emb import emb_validator
from tests.published import json_of, made

CARD = "cuda NVIDIA H100"


@pytest.fixture(scope="module")
def emb() -> Draft7Validator:
    return emb_validator("1.1.0")


def test_the_catalogue_is_valid_and_pystac_walks_it(tmp_path: Path, emb: Draft7Validator) -> None:
    place = made(tmp_path, "geoparquet", "int8")
    collection = pystac.Collection.from_file(str(place / "collection.json"))
    items = list(collection.get_items())
    assert [item.id for item in items] == ["clay-v0.1_2020_c0060-c0065", "clay-v0.1_2020_c0060-c0065_int8"]
    for thing in (collection, *items):
        path = Path(str(thing.self_href))
        said = json.loads(path.read_bytes())
        assert fault(said) is None
        assert list(emb.iter_errors(said)) == []
    for item in items:
        assert item.get_collection() is collection
        assert Path(str(item.assets["embeddings"].get_absolute_href())).exists()
        for link in item.get_links("describedby"):
            assert Path(str(link.get_absolute_href())).exists()


def test_a_lost_field_is_found(emb: Draft7Validator, tmp_path: Path) -> None:
    collection = json_of(made(tmp_path))
    assert "license" in str(fault({name: value for name, value in collection.items() if name != "license"}))
    del collection["emb:dimensions"]
    assert list(emb.iter_errors(collection))
    assert fault([]) == fault({"type": "Catalog"}) == "it is neither a STAC item nor a collection"


def record_with(*receipts: Receipt) -> tuple[Record, Part]:
    facts = {
        "bounds": [-120, 40, -119, 41],
        "tiles": {"N40W120": '"etag"'},
        "receipt": [each.to_record() for each in receipts],
        "inferred": "2026-11-01T00:00:00Z",
    }
    part = Part(file="a.parquet", source="s", columns="1", sha256="a" * 64, bytes=1, rows=1, facts=facts)
    record = Record(
        form="geoparquet",
        year=2020,
        recipe="clay-v0.1",
        config_digest="c" * 64,
        weights="https://host/clay.ckpt",
        weights_sha256="b" * 64,
        package_version="1.2.3",
        complete=True,
        chips={},
        parts=(part,),
    )
    return record, part


def cost(device: str | None, energy: float | None = None) -> Receipt:
    return Receipt(
        device=device, cpus=1, elapsed_s=2, read_s=1, inference_duration_s=0.5, bytes=1, requests=1, retries=0, energy_kwh=energy
    )


@pytest.mark.parametrize(
    ("receipts", "energy"),
    [
        ([cost("cpu"), cost(None)], {"device_type": "cpu", "name": "cpu", "inference_duration_s": 0.5}),
        (
            [cost(CARD, 0.25), cost(CARD, 0.5)],
            {"device_type": "gpu", "name": CARD, "inference_duration_s": 1.0, "energy_kwh": 0.75},
        ),
        (
            [cost(CARD, 0.25), cost(CARD)],
            {"device_type": "gpu", "name": CARD, "inference_duration_s": 1.0},
        ),
        ([cost("cpu"), cost("mps")], None),
        ([], None),
    ],
    ids=["cpu", "a card", "a card half known", "two kinds", "nothing"],
)
def test_an_item_says_whence_it_comes_and_what_it_cost(emb: Draft7Validator, receipts: list[Receipt], energy: object) -> None:
    record, part = record_with(*receipts)
    item = stac.item(record, part, RECIPES["clay-v0.1"])
    assert fault(item) is None
    assert list(emb.iter_errors(item)) == []
    said = item["properties"]
    assert said.get("emb:energy") == energy
    assert said["embedder:source_tiles"] == {"N40W120": '"etag"'}
    assert said["processing:datetime"] == "2026-11-01T00:00:00Z"
    assert said["processing:version"] == "1.2.3"
    (model,) = (link for link in item["links"] if link["rel"] == "emb:model")
    assert (model["href"], model["embedder:weights_sha256"]) == ("https://host/clay.ckpt", "b" * 64)


def test_a_chip_of_512_pixels_is_4742_metres_of_latitude() -> None:
    record, _ = record_with()
    assert stac.collection([record], RECIPES["clay-v0.1"])["gsd"] == 4742
