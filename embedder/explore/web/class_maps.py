"""Maps of classes, learnt from chips that are marked on the page: one at a time, and the last one kept."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Any

import numpy as np

from embedder.errors import ConfigurationError, TemporaryError, UsageError
from embedder.explore.classification import METHODS, Classification, check_method, classify
from embedder.explore.explorer import Explorer
from embedder.explore.labels import Labels, label_chips, place_labels
from embedder.explore.layers import Layer, chip_km2
from embedder.explore.places import PACK, parse_box, parse_chips
from embedder.explore.web.answers import MOST_EXAMPLES
from embedder.grid import Chip

MOST_CLASSES = 10
"""Of a map."""
LONGEST_NAME = 60
"""Of a class, characters."""
NOT_IN_NAMES = {"Cc", "Cs", "Cn", "Zl", "Zp"}
"""Unicode's categories of what ends lines, steers terminals, or is no character. Joiners and spaces of all kinds are parts of names."""
MARK = "name~chips, a class and a pack of its chips: four characters of base64url each"

Key = tuple[int, tuple[str, ...], str | None]
"""Year, marks and box."""


@dataclass(frozen=True, kw_only=True)
class ClassMap:
    """What came out, with what goes with it."""

    found: Classification
    metadata: dict[str, Any]

    @property
    def layer(self) -> Layer:
        """As a file has it."""
        layer = self.found.layer
        return replace(layer, metadata=self.metadata | layer.metadata)


class ClassMaps:
    """Makes them. Safe to use from several threads."""

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer
        self._busy = Lock()
        self._last: tuple[Key, ClassMap] | None = None
        self._cleared = 0

    def clear(self) -> None:
        """Forget the last one, and don't keep the one that is being made: it is of what was there before."""
        self._cleared += 1
        self._last = None

    def get(self, year: int, marks: Sequence[str], bbox: str | None = None) -> ClassMap:
        """The map of a year, or of a box of it, that is learnt from these; UsageError where it can't be.

        TemporaryError while another one is made, ConfigurationError where scikit-learn is missing or the cache is damaged.
        """
        key, last, cleared = (year, tuple(marks), bbox), self._last, self._cleared
        if last and last[0] == key:
            return last[1]
        labels, bounds = parse_marks(marks, self.explorer.recipe.chip_pixels), None if bbox is None else parse_box(bbox)
        database = self.explorer.searcher(year).database
        check_method(METHODS[0])
        try:
            place_labels(database, labels)
        except ConfigurationError as error:  # of the marks, which are the question here
            raise UsageError(str(error)) from error
        if not self._busy.acquire(blocking=False):
            raise TemporaryError("another classification is under way: try again in a moment")
        try:
            made = ClassMap(found=classify(database, labels, bounds=bounds), metadata=self.explorer.metadata())
            if cleared == self._cleared:
                self._last = key, made
        finally:
            self._busy.release()
        return made


def parse_marks(marks: Sequence[str], pixels: int) -> Labels:
    """Labels from texts such as `forest~AAAB`; UsageError says what is wrong with them."""
    chips = dict[str, Sequence[Chip]]()
    for mark in marks:
        name, there, pack = mark.rpartition(PACK)
        if not there or not name.strip() or len(name) > LONGEST_NAME or NOT_IN_NAMES & {*map(unicodedata.category, name)}:
            raise UsageError(f"mark can't be {mark[:40]!r}: give {MARK}, the name of 1 to {LONGEST_NAME} characters")
        if name in chips:
            raise UsageError(f"class {name} is given twice: give all its chips in one")
        chips[name] = parse_chips([PACK + pack], pixels)
    if not 1 < len(chips) <= MOST_CLASSES:
        raise UsageError(f"a map takes 2 to {MOST_CLASSES} classes, {len(chips)} are given")
    if (count := sum(map(len, chips.values()))) > MOST_EXAMPLES:
        raise UsageError(f"{count:,} chips are marked: {MOST_EXAMPLES:,} are the most")
    try:
        return label_chips(chips, pixels, "the marks")
    except ConfigurationError as error:
        raise UsageError(str(error)) from error


def class_bytes(made: ClassMap) -> tuple[bytes, str]:
    """What /api/classify says: a byte a chip, 0 for none, then 1 more than the class's place; and where they lie and what they mean."""
    found, layer = made.found, made.found.layer
    (west, north), (east, south) = layer.chips.min(axis=0).tolist(), layer.chips.max(axis=0).tolist()
    codes = np.zeros((south - north + 1, east - west + 1), np.uint8)
    codes[layer.chips[:, 1] - north, layer.chips[:, 0] - west] = layer.fields["class"] + 1
    ground = chip_km2(layer.chips[:, 1], layer.recipe.chip_pixels)
    classes = [
        {
            "name": name,
            "labelled": found.labelled[name],
            "chips": int(mask.sum()),
            "km2": round(float(ground[mask].sum()), 1),
            "probability": round(float(layer.fields["probability"][mask].mean()), 4) if mask.any() else None,
        }
        for name, mask in found.by_class().items()
    ]
    place = {"column": west, "row": north, "columns": codes.shape[1], "rows": len(codes)}
    said = {
        "classes": classes,
        "validation": None if isinstance(found.validation, str) else asdict(found.validation),
        "accuracy": found.accuracy,
        "notes": list(found.notes),
    }
    return codes.tobytes(), json.dumps(place | said)
