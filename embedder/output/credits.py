"""Whose work the embeddings rest on: licence and attribution of the composites and of the weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from embedder.output.run import Run
from embedder.recipes import Model


@dataclass(frozen=True, kw_only=True)
class Credit:
    """One work, and on what terms others may use it."""

    license: str
    """As SPDX calls it, where it does."""
    license_url: str
    attribution: str
    url: str
    """Where the work is described."""


COMPOSITES = Credit(
    license="CC-BY-4.0",
    license_url="https://creativecommons.org/licenses/by/4.0/",
    attribution="© ESA WorldCover project {year} / "
    "Contains modified Copernicus Sentinel data ({year}) processed by ESA WorldCover consortium",
    url="https://esa-worldcover.org/en/data-access",
)
"""Of the source; the attribution is that of a year."""
_CLAY = "https://github.com/Clay-foundation/model"
_CLAY_V15 = Credit(
    license="Apache-2.0",
    license_url=f"{_CLAY}/blob/main/LICENSE",
    attribution=f"Clay v1.5, © Clay.foundation, {_CLAY}",
    url="https://huggingface.co/made-with-clay/Clay",
)
WEIGHTS: Mapping[Model, Credit] = {
    "clay-v0.1": Credit(
        license="OpenRAIL-M",  # of the weights, as docs/clay-v0/specification-v0.md says; SPDX has no name for it
        license_url=f"{_CLAY}/blob/v0.0.1/LICENSE-MODEL.md",
        attribution=f"Clay v0.1, © 2023 Clay.foundation, {_CLAY}",
        url="https://huggingface.co/made-with-clay/Clay",
    ),
    "clay-v1.5": _CLAY_V15,
    "clay-v1.5-tiny": _CLAY_V15,
}
"""Of a model's public checkpoint."""


def composites_of(year: int) -> Credit:
    """The composites of a year, with its attribution."""
    return replace(COMPOSITES, attribution=COMPOSITES.attribution.format(year=year))


def credits_of(run: Run) -> dict[str, Credit]:
    """What a run's embeddings rest on: the composites, and the weights unless they are random, which are nobody's."""
    return {"composites": composites_of(run.year)} | ({"weights": WEIGHTS[run.recipe.model]} if run.seed is None else {})


def license_of(run: Run) -> dict[str, str]:
    """The licence of each work, as the files say it."""
    return {work: credit.license for work, credit in credits_of(run).items()}


def attribution_of(run: Run) -> dict[str, str]:
    """What to name each work by, as the files say it."""
    return {work: credit.attribution for work, credit in credits_of(run).items()}
