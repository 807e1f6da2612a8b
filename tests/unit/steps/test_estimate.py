"""What a run takes, by columns a pod: counted by hand on a few tiles, and as a person reads it."""

import re
from itertools import product
from pathlib import Path

import pytest
import yaml

from embedder.grid import COLUMN_COUNT, TILES_HIGH, TILES_WIDE, Tile
from embedder.recipes import RECIPES
from embedder.source.inventory import Inventory, TileFile
from embedder.steps.estimate import COMPARED, POD_START_SECONDS, READ_MB_S, Estimate, Pod, comparison, estimate
from workflows.submit import submit

ROOT = Path(__file__).parents[3]

SIZE = 144_000_000
"""Bytes of a made-up tile: 10^6 for each of its blocks, were they equally large."""
HEADERS = 2 * 32_768
"""Bytes, ours and GDAL's."""
BLOCK = 1024 * 1024 * 4 * 2
"""Bytes of a block's pixels."""


def tiles(*names: str) -> Inventory:
    return {Tile.from_name(name): TileFile(etag="x", size=SIZE) for name in names}


def of(inventory: Inventory, columns: list[int], together: int = 1) -> Estimate:
    return estimate(RECIPES["clay-v0.1"], inventory, columns, [together])[together]


def test_whole_blocks_are_counted_and_once_where_adjacent_columns_share_them() -> None:
    inventory = tiles("N49W125")
    width = SIZE * 1024 / 12_000 + HEADERS  # of a column of blocks
    assert of(inventory, [0]).source_bytes == round(width)
    assert of(inventory, [0, 1]).source_bytes == round(2 * width)  # each pod fetches the blocks that they share
    assert of(inventory, [0, 1], 2).source_bytes == round(width)
    assert of(inventory, [22]).source_bytes == round(SIZE * 736 / 12_000 + HEADERS)  # the tile's last, narrower blocks
    assert [(pod.chips, pod.pixel_bytes) for pod in of(inventory, [22]).pods] == [(23, 12 * BLOCK)]
    assert of(inventory, [100]) == Estimate(columns=1, columns_with_tiles=0, pods=(Pod(chips=0, source_bytes=0, pixel_bytes=0),))


def test_nothing_is_read_of_a_tile_in_which_no_chip_of_the_strip_lies() -> None:
    inventory = tiles("N49W125")  # column 23 reaches into W124, which does not exist
    assert of(inventory, [23]).pods == (Pod(chips=0, source_bytes=0, pixel_bytes=0),)
    assert of(inventory, [22, 23], 2).pods[0].pixel_bytes == 12 * BLOCK


def test_a_pod_takes_its_start_and_then_the_longer_of_reading_and_computing() -> None:
    two = of(tiles("N49W125"), [0, 1])
    reading, computing = (2 * 12 * BLOCK / (READ_MB_S * 1e6 * 4), 46 / 20)  # seconds of both pods
    start = 2 * POD_START_SECONDS
    slow = two.hours(4, 20)
    assert (slow.start, slow.read, slow.compute) == pytest.approx((start / 3600, reading / 3600, computing / 3600))
    assert slow.total == pytest.approx((start + computing) / 3600)
    assert two.hours(4, 1e6).total == pytest.approx((start + reading) / 3600)
    assert two.hours(2, 1e6).read == pytest.approx(2 * reading / 3600)
    unknown = two.hours(4, None)
    assert unknown.compute is None
    assert unknown.total == pytest.approx((start + reading) / 3600)


def test_each_pod_is_as_slow_as_its_own_slower_half() -> None:
    pods = (Pod(chips=100, source_bytes=0, pixel_bytes=0), Pod(chips=0, source_bytes=0, pixel_bytes=READ_MB_S * 10**6 * 100))
    took = Estimate(columns=2, columns_with_tiles=2, pods=pods).hours(1, 1)
    assert took.total == pytest.approx((2 * POD_START_SECONDS + 100 + 100) / 3600)


def rows(text: str) -> list[list[str]]:
    """The cells of the table's lines, its head left out."""
    return [line.replace("* ", "*").split() for line in text.splitlines() if re.match(r" +(\* )?\d", line)]


def test_the_table_has_a_line_for_each_number_of_columns_and_names_the_cheapest() -> None:
    found = estimate(RECIPES["clay-v0.1"], tiles("N49W125"), list(range(16)), COMPARED)
    text = comparison(found, 1, cpus=3, chips_per_second=50, price=0.9)
    assert [row[:2] for row in rows(text)] == [["*1", "16"], ["4", "4"], ["8", "2"], ["16", "1"]]
    for (_, pods, size, unit, *numbers), estimated in zip(rows(text), found.values(), strict=True):
        took = estimated.hours(3, 50)
        assert (size, unit) == (f"{estimated.source_bytes / 1e6:.1f}", "MB") or unit == "GB"
        assert took.compute == pytest.approx(16 * 23 / 50 / 3600)
        assert numbers == [f"{each:.2f}" for each in (int(pods) * 40 / 3600, took.read, took.compute, took.total, took.total * 0.9)]
    assert "3 CPUs and embed 50 chips/s" in text
    assert text.endswith("cheapest: 16 columns a pod, --columns-per-pod 16; this run (*) has 1")


def test_the_table_has_no_cost_without_a_price_and_no_computing_without_a_rate() -> None:
    found = estimate(RECIPES["clay-v0.1"], tiles("N49W125"), list(range(16)), COMPARED)
    text = comparison(found, 16, cpus=3, chips_per_second=None, price=None)
    assert "give --chips-per-second" in text
    assert "cost" not in text
    assert [row[6] for row in rows(text)] == ["-"] * 4
    assert text.endswith("cheapest: 16 columns a pod, as this run (*)")


@pytest.mark.parametrize(("chosen", "cheapest"), [(8, 8), (1, 4)])
def test_of_equally_cheap_ones_the_runs_own_is_named_and_else_the_fewest(chosen: int, cheapest: int) -> None:
    found = estimate(RECIPES["clay-v0.1"], tiles("N49W125"), list(range(4)), COMPARED)  # 4, 8 and 16 are all one pod
    assert f"cheapest: {cheapest} columns a pod" in comparison(found, chosen, cpus=3, chips_per_second=50, price=None)


@pytest.fixture(scope="module")
def year() -> dict[int, Estimate]:
    """Of all columns, with every tile there."""
    places = product(range(TILES_HIGH), range(TILES_WIDE))
    inventory = {Tile(row=row, column=column): TileFile(etag="x", size=400_000_000) for row, column in places}
    return estimate(RECIPES["clay-v0.1"], inventory, list(range(COLUMN_COUNT)), {*COMPARED, 64})


def test_the_table_of_a_whole_year_is_narrow_and_aligned(year: dict[int, Estimate]) -> None:
    text = comparison(year, 64, cpus=0.5, chips_per_second=0.01, price=99.5)
    lines = text.splitlines()
    assert max(map(len, lines)) < 100
    assert len({len(line) for line in lines[1:-1]}) == 1
    assert [row[0] for row in rows(text)] == ["1", "4", "8", "16", "*64"]


@pytest.mark.parametrize("chips_per_second", [None, 20, 500])
def test_the_values_for_spot_gpus_have_the_columns_a_pod_that_are_cheapest(
    year: dict[int, Estimate], chips_per_second: float | None
) -> None:
    values = yaml.safe_load((ROOT / "helm/gpu-spot.yaml").read_text())
    [cpus] = [option.default for option in submit.params if option.name == "cpus"]
    assert float(values["embed"]["resources"]["requests"]["cpu"]) == cpus
    compared = {most: year[most] for most in COMPARED}
    text = comparison(compared, values["columnsPerPod"], cpus=cpus, chips_per_second=chips_per_second, price=None)
    assert text.endswith("as this run (*)")


def test_the_guides_table_is_what_the_dry_run_prints(year: dict[int, Estimate]) -> None:
    guide = (ROOT / "docs/eks.md").read_text()
    compared = {most: year[most] for most in COMPARED}
    assert comparison(compared, 16, cpus=3, chips_per_second=50, price=0.8) in guide
    totals = {most: f"{compared[most].hours(3, 500).total:.1f}" for most in (1, 16)}
    assert f"at 500 chips/s one column a pod takes {totals[1]} hours and sixteen {totals[16]}." in guide
    assert f"{POD_START_SECONDS} s a pod" in guide
    assert f"read at {READ_MB_S} MB a CPU second" in guide
