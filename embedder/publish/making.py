"""What every form's files are made by: a plan of what is to be there, and a file with what is said of it."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedder.output.receipt import Receipt, total
from embedder.publish.record import FORMAT, Part, Record
from embedder.publish.source import FinishedYear


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One file, or the few that are made together."""

    columns: tuple[int, ...]
    """Of the run, that are read for it."""
    source: str
    """What it is made of, as in `Part`."""


Made = Iterator[tuple[Part, bytes | Path]]
"""The files of a plan. A path is there until the next is asked for."""


def source_of(year: FinishedYear, record: Record, columns: Sequence[int], settings: object = None) -> str:
    """SHA-256 of all that makes a file what it is: the columns' own sums, the form, how it is coded."""
    coding = json.dumps([record.quantisation, settings], sort_keys=True)
    return hashlib.sha256(f"{FORMAT} {record.form} {coding} {year.digest(columns)}".encode()).hexdigest()


def facts_of(footers: Sequence[dict[str, Any]], bounds: Sequence[float]) -> dict[str, Any]:
    """`Part.facts` of the columns whose footers these are, and whose chips lie in these bounds."""
    receipts = total(Receipt.from_record(footer["receipt"]) for footer in footers if "receipt" in footer)
    return {
        "bounds": list(bounds),
        "tiles": dict(sorted({name: etag for footer in footers for name, etag in footer.get("tiles", {}).items()}.items())),
        "receipt": [each.to_record() for each in receipts],
        "inferred": max((footer.get("inferred_at") or "" for footer in footers), default="") or None,
    }
