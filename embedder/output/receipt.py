"""What embedding a column cost, said in its file's footer, and the sums of several, in the manifest."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from embedder.grid import COLUMN_COUNT
from embedder.output.fields import Kind, check_fields, is_amount, is_count, is_line, optional

MOST = 2**52
"""More than any column's amount: the sum of all columns can be read again."""
FIELDS: dict[str, Kind] = {
    "columns": lambda value: type(value) is int and 1 <= value <= COLUMN_COUNT,
    "device": optional(is_line),
    **dict.fromkeys(("cpus", "bytes", "requests", "retries"), is_count),
    **dict.fromkeys(("elapsed_s", "read_s", "inference_duration_s"), is_amount),
    "energy_kwh": optional(is_amount),
}
"""What a receipt says."""
AMOUNTS = ("elapsed_s", "read_s", "inference_duration_s", "bytes", "requests", "retries", "energy_kwh")
"""What is summed up beside the columns."""


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a column cost up to the put of its file, or several columns on one kind of machine. Money is no part of it."""

    columns: int = 1
    """How many this is the sum of."""
    device: str | None = None
    """What computed: cpu, mps, or cuda with the card's name; None where there was nothing to compute."""
    cpus: int
    """That the process was allowed to use."""
    elapsed_s: float
    """Seconds of the step, busy or not, in which it had its device and its CPUs."""
    read_s: float
    """Seconds of the reading threads, fetching and decoding; threads that read at once each count."""
    inference_duration_s: float
    """Seconds in which the device computed."""
    bytes: int
    """Fetched from the source."""
    requests: int
    """For them, also those that failed."""
    retries: int
    """Reads that were tried again."""
    energy_kwh: float | None = None
    """Drawn by the card in `elapsed_s`; None where nobody measured it, or others shared the card."""

    def __add__(self, other: "Receipt") -> "Receipt":
        """Of both, on one kind of machine."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in ("columns", *AMOUNTS) if getattr(self, name) is not None}
        return replace(self, **{name: round(value, 9) for name, value in sums.items()})  # without a sum's 0.30000000000000004

    def to_record(self) -> dict[str, Any]:
        """What JSON says; what is not known is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_record(cls, record: object) -> Self:
        """What JSON says, without what a later package may have added; ValueError or TypeError where it can't be a receipt."""
        if not isinstance(record, dict):
            raise TypeError(f"a receipt can't be {record!r:.40}")
        receipt = cls(**{each.name: record[each.name] for each in fields(cls) if each.name in record})
        check_fields(vars(receipt), FIELDS)
        if any((getattr(receipt, name) or 0) > receipt.columns * MOST for name in AMOUNTS):
            raise ValueError(f"{receipt.columns} columns can't cost so much")
        return receipt


def total(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """Their sums, one for each kind of machine; those whose energy is known stay apart."""
    sums: dict[tuple[str | None, int, bool], Receipt] = {}
    for receipt in receipts:
        kind = receipt.device, receipt.cpus, receipt.energy_kwh is None
        sums[kind] = sums[kind] + receipt if kind in sums else receipt
    return tuple(sums.values())


def money(receipts: Iterable[Receipt], price: float) -> float:
    """For the hours of these columns, at a price an hour."""
    return sum(receipt.elapsed_s for receipt in receipts) / 3600 * price


def describe(receipts: Iterable[Receipt], *, columns: int, chips: int, price: float | None = None) -> dict[str, str]:
    """Three lines for a person, by what they are about, and one where no column says what it cost.

    `columns` and `chips` are counted with those that have no receipt; `price` is money for an hour.
    """
    receipts = list(receipts)
    lines = {"chips": f"{chips:,} embedded; {sum(each.columns for each in receipts):,} of {columns:,} columns have a receipt"}
    if receipts:
        hours = ", ".join(_on_device(device, receipts) for device in dict.fromkeys(receipt.device for receipt in receipts))
        lines["hours"] = hours + ("" if price is None else f": {money(receipts, price):,.2f} at {price:g} an hour")
        size, requests, retries, read_s = (
            sum(getattr(each, name) for each in receipts) for name in ("bytes", "requests", "retries", "read_s")
        )
        fetched = f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004
        lines["bytes"] = f"{fetched} in {requests:,} requests, {retries:,} tried again; {read_s / 3600:,.3f} thread-hours of reading"
    return lines


def _on_device(device: str | None, receipts: Iterable[Receipt]) -> str:
    """Its hours, those in which it computed, and its energy."""
    of_device = [receipt for receipt in receipts if receipt.device == device]
    elapsed, computing = (sum(getattr(each, name) for each in of_device) / 3600 for name in ("elapsed_s", "inference_duration_s"))
    if device is None:
        return f"{elapsed:,.3f} without a device"
    text = f"{elapsed:,.3f} device-hours on {device} ({computing:,.3f} computing"
    if measured := [receipt for receipt in of_device if receipt.energy_kwh is not None]:
        energy = sum(receipt.energy_kwh or 0 for receipt in measured)
        text += f", {energy:,.3f} kWh" if energy >= 1 else f", {energy * 1000:.2f} Wh"
        if len(measured) < len(of_device):
            text += f" for {sum(receipt.columns for receipt in measured):,} of its columns"
    return f"{text})"
