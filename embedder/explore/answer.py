"""What every chip answers to a question, and where a threshold cuts it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from embedder.errors import UsageError
from embedder.explore.layers import Layer, chip_km2
from embedder.explore.vectors.database import Database, Mask
from embedder.output.chip_ids import Chips

Values = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Of every chip of a year, or of a box."""

    database: Database
    positions: NDArray[np.int64]
    """(n,): the chips' rows there, from west to east, then from north to south."""
    measure: Literal["distance", "score", "change"]
    """Distances are 1 - cosine, to the question's direction; a score is the cosine; a change is the distance between two years."""
    values: Values
    """(n,)."""
    percentiles: Values | None = None
    """(n,): of a distance, among those of random pairs; of a change, among all changes. Not of a score."""

    @property
    def nearest_first(self) -> bool:
        """Whether a small value is a good one."""
        return self.measure == "distance"

    @property
    def side(self) -> str:
        """Of a threshold, in words."""
        return "at most" if self.nearest_first else "at least"

    @cached_property
    def chips(self) -> Chips:
        """(n, 2): column, row."""
        found: Chips = self.database.chips[self.positions]
        return found

    @cached_property
    def goodness(self) -> Values:
        """(n,): the larger, the more it is what was asked for."""
        return -self.values if self.nearest_first else self.values

    def threshold(self, percentile: float) -> float:
        """The value that so many percent of the chips do not exceed in being what was asked for; NaN without a chip."""
        if not 0 <= percentile <= 100:  # noqa: PLR2004 - percent
            raise UsageError(f"percentile {percentile:g} can't be: give 0 to 100; 99 keeps the best hundredth")
        if not len(self.values):
            return float("nan")
        found = float(np.percentile(self.goodness, percentile, method="higher"))
        return -found if self.nearest_first else found

    def above(self, percentile: float) -> Mask:
        """The chips at or above a percentile of all."""
        threshold = self.threshold(percentile)
        mask: Mask = self.values <= threshold if self.nearest_first else self.values >= threshold
        return mask

    def within(self, distance: float) -> Mask:
        """The chips at most so far; UsageError where there are no distances."""
        if self.measure != "distance":
            raise UsageError(f"a {self.measure} is no distance from something: give --above instead of --within")
        if not 0 <= distance <= 2:  # noqa: PLR2004 - opposite
            raise UsageError(
                f"distance {distance:g} can't be: give 0 (the same) to 2 (opposite); 1 - cosine of near ones is often 0.0001 to 0.1"
            )
        mask: Mask = self.values <= np.float32(distance)
        return mask

    def km2(self, mask: Mask) -> float:
        """The ground that some of its chips cover, km2."""
        return float(chip_km2(self.chips[mask, 1], self.database.recipe.chip_pixels).sum())

    def layer(self, metadata: dict[str, Any]) -> Layer:
        """As a file has it."""
        fields: dict[str, Any] = {"score" if self.measure == "score" else "distance": self.values}
        if self.percentiles is not None:
            fields["percentile"] = self.percentiles
        return Layer(year=self.database.year, recipe=self.database.recipe, chips=self.chips, fields=fields, metadata=metadata)
