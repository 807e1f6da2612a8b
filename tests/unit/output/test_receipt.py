"""What columns cost: read strictly, summed up, and said in three lines."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.errors import ConfigurationError, InvalidFileError
from embedder.output import column_file
from embedder.output.manifest import Manifest, PublishedColumn
from embedder.output.receipt import MOST, Receipt, describe, money, total
from embedder.output.run import Run
from tests.mutations import fuzzed, mutated, right_or_refused
from tests.runs import MANIFEST, RUN

RECEIPT = Receipt(
    device="cuda:NVIDIA L4",
    cpus=4,
    elapsed_s=1800.0,
    read_s=5400.0,
    inference_duration_s=900.0,
    bytes=2_500_000_000,
    requests=1_200,
    retries=3,
    energy_kwh=0.035,
)
AT_SEA = Receipt(cpus=4, elapsed_s=36.0, read_s=0.0, inference_duration_s=0.0, bytes=0, requests=0, retries=0)
PUBLISHED = replace(
    MANIFEST,
    columns={column: PublishedColumn(file=f"{column}.parquet", rows=2, bytes=10, sha256="7" * 64) for column in range(3)},
    receipt=(RECEIPT + RECEIPT, AT_SEA),
)
NO_COUNTS: list[Any] = [-1, 1.5, True, "2", None, 2**63]
NO_AMOUNTS: list[Any] = [-0.1, float("nan"), float("inf"), True, "2", [], 1e300]
NO_COLUMNS: list[Any] = [0, -1, True, 1.0, 1360, None]
NO_DEVICES: list[Any] = [5, "two\nlines", "\ud800", ["cpu"]]
WRONG = [
    *({name: value} for name in ("bytes", "requests", "retries", "cpus") for value in NO_COUNTS),
    *({name: value} for name in ("elapsed_s", "read_s", "inference_duration_s", "energy_kwh") for value in NO_AMOUNTS),
    *({"columns": value} for value in NO_COLUMNS),
    *({"device": value} for value in NO_DEVICES),
    {"bytes": MOST + 1},
]


def file_with(receipt: object, run: Run = RUN) -> bytes:
    """A column's file with this in its footer in the receipt's place, sealed as its writer does."""

    class Said(Receipt):
        def to_record(self) -> Any:  # noqa: ANN401 - whatever JSON can hold
            return receipt

    no_chips = np.empty((0, run.recipe.width), np.float32)
    return column_file.write(run, 7, "t" * 586, no_chips, device=None, precision=None, receipt=Said(**vars(AT_SEA)))


def test_a_file_says_what_its_column_cost() -> None:
    assert column_file.check(file_with(RECEIPT.to_record()), RUN, 7).receipt == RECEIPT


def test_a_file_is_valid_when_it_has_no_receipt() -> None:
    data = column_file.write(RUN, 7, "t" * 586, np.empty((0, RUN.recipe.width), np.float32), device=None, precision=None)
    checked = column_file.check(data, RUN, 7)
    assert checked.receipt is None
    assert "receipt" not in checked.footer


def test_what_a_later_package_added_is_passed_over() -> None:
    assert Receipt.from_record(RECEIPT.to_record() | {"water_l": 5}) == RECEIPT


def test_what_is_not_known_is_left_out() -> None:
    assert not {"energy_kwh", "device"} & AT_SEA.to_record().keys()


@pytest.mark.parametrize("change", WRONG, ids=repr)
def test_a_file_and_a_manifest_are_refused_when_a_field_of_their_receipt_is_of_another_kind(change: dict[str, Any]) -> None:
    record = RECEIPT.to_record() | change
    with pytest.raises(InvalidFileError, match=r"^of another form: its receipt is none"):
        column_file.check(file_with(record), RUN, 7)
    with pytest.raises(ConfigurationError, match=r"^here is not a manifest"):
        Manifest.from_json(json.dumps(json.loads(MANIFEST.to_json()) | {"receipt": [record]}).encode(), "here")


@pytest.mark.parametrize("receipt", [None, [], {}, "x", 5, {"bytes": 5}, [1]])
def test_a_file_is_refused_when_its_receipt_is_none(receipt: object) -> None:
    with pytest.raises(InvalidFileError, match="its receipt is none"):
        column_file.check(file_with(receipt), RUN, 7)


@pytest.mark.parametrize("receipt", [None, {}, "", 5, ["x"], [RECEIPT.to_record(), AT_SEA.to_record()]])
def test_a_manifest_is_refused_when_its_receipt_is_none_or_of_more_columns_than_it_has(receipt: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^here is not a manifest"):
        Manifest.from_json(json.dumps(json.loads(MANIFEST.to_json()) | {"receipt": receipt}).encode(), "here")


@fuzzed(100)
@given(st.sampled_from([RECEIPT, AT_SEA]).flatmap(lambda receipt: mutated(json.dumps(receipt.to_record()).encode())))
def test_a_files_receipt_is_right_or_refused_when_it_is_altered(data: bytes) -> None:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return
    if checked := right_or_refused(lambda: column_file.check(file_with(record), RUN, 7)):
        assert checked.receipt
        assert_right(checked.receipt)


@fuzzed(100)
@given(mutated(PUBLISHED.to_json()))
def test_a_manifests_receipt_is_right_or_refused_when_it_is_altered(data: bytes) -> None:
    if manifest := right_or_refused(lambda: Manifest.from_json(data, "here")):
        for receipt in manifest.receipt:
            assert_right(receipt)
        assert sum(receipt.columns for receipt in manifest.receipt) <= len(manifest.columns)
        assert Manifest.from_json(manifest.to_json(), "here") == manifest


def assert_right(receipt: Receipt) -> None:
    assert 1 <= receipt.columns <= 1359
    assert receipt.device is None or receipt.device.isprintable()
    for name in ("cpus", "bytes", "requests", "retries"):
        assert type(getattr(receipt, name)) is int
        assert getattr(receipt, name) >= 0
    for name in ("elapsed_s", "read_s", "inference_duration_s"):
        assert 0 <= getattr(receipt, name) < 2**63
    assert len(describe([receipt], columns=1, chips=1, price=1)) == 3


def test_a_manifest_with_a_receipt_is_the_same_when_it_is_read_again() -> None:
    assert Manifest.from_json(PUBLISHED.to_json(), "here") == PUBLISHED


def test_a_manifest_says_nothing_when_no_column_has_a_receipt() -> None:
    assert "receipt" not in json.loads(MANIFEST.to_json())


def test_sums_are_kept_apart_for_each_kind_of_machine_and_where_the_energy_is_not_known() -> None:
    unmeasured = replace(RECEIPT, energy_kwh=None)
    more_cpus = replace(RECEIPT, cpus=8)
    assert total([RECEIPT, AT_SEA, unmeasured, more_cpus, RECEIPT]) == (
        Receipt(
            columns=2,
            device="cuda:NVIDIA L4",
            cpus=4,
            elapsed_s=3600.0,
            read_s=10800.0,
            inference_duration_s=1800.0,
            bytes=5_000_000_000,
            requests=2_400,
            retries=6,
            energy_kwh=0.07,
        ),
        AT_SEA,
        unmeasured,
        more_cpus,
    )


def test_the_sum_of_the_largest_receipts_can_be_read_again() -> None:
    most = replace(RECEIPT, elapsed_s=float(MOST), bytes=MOST, energy_kwh=MOST)
    (summed,) = total([most] * 1359)
    assert Receipt.from_record(json.loads(json.dumps(summed.to_record()))) == summed


def test_three_lines_say_chips_hours_and_bytes() -> None:
    unmeasured = replace(RECEIPT, energy_kwh=None)
    assert describe(total([RECEIPT, RECEIPT, unmeasured, AT_SEA]), columns=1_359, chips=1_234, price=2) == {
        "chips": "1,234 embedded; 4 of 1,359 columns have a receipt",
        "hours": "1.500 device-hours on cuda:NVIDIA L4 (0.750 computing, 70.00 Wh for 2 of its columns), 0.010 without a device: "
        "3.02 at 2 an hour",
        "bytes": "7.50 GB in 3,600 requests, 9 tried again; 4.500 thread-hours of reading",
    }


def test_nothing_is_guessed_when_no_column_has_a_receipt() -> None:
    assert describe([], columns=2, chips=9, price=3.0) == {"chips": "9 embedded; 0 of 2 columns have a receipt"}


def test_money_is_for_the_hours_of_all_columns() -> None:
    assert money([RECEIPT, RECEIPT], 0.8) == pytest.approx(0.8)
    assert "money" not in PUBLISHED.to_json().decode()
