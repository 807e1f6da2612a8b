"""Where runs are when they are not where somebody looked: under another recipe or year, or folders above."""

from embedder.errors import EmbedderError
from embedder.grid import VERSIONS
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES, Recipe
from embedder.storage import Storage


def advice(storage: Storage, recipe: Recipe) -> str | None:
    """What to give instead of these; None where nothing is found. Files are asked for by name: not every place can be listed."""
    places = [RunPlace(storage=storage, recipe=each, year=year) for each in RECIPES.values() for year in VERSIONS]
    if found := [f"{place.recipe.name} {place.year}" for place in places if _has(storage, place.manifest_key)]:
        return f"there is {' and '.join(found)}: give that --recipe and year"
    if begun := [str(place.year) for place in places if place.recipe == recipe and _has(storage, place.record_key)]:
        return f"the run of {' and '.join(begun)} is not finalized: embed it, and finalize it first"
    *above, one, two = ["", "", *storage.url.rstrip("/").split("/")]
    for place in places:
        name, year = place.recipe.name, str(place.year)
        if (one, two) == (name, year) and _has(storage, place.manifest_key.removeprefix(place.prefix)):
            return _higher(above, name, year)
        if two == name and _has(storage, place.manifest_key.removeprefix(f"{name}/")):
            return _higher([*above, one], name, year)
    return None


def _higher(folders: list[str], recipe: str, year: str) -> str:
    return f"this is a folder of {recipe} {year}: give --output {'/'.join(folders[2:]) or '/'} --recipe {recipe}"


def _has(storage: Storage, key: str) -> bool:
    """Whether a file lies there, as far as can be told."""
    try:
        storage.get(key)
    except EmbedderError:
        return False
    return True
