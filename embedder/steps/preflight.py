"""Preflight: whether output, source and weights can be used from here, found out before anything is started."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from embedder.errors import ConfigurationError, EmbedderError, TemporaryError
from embedder.models.weights import check_readable, random_seed
from embedder.source.inventory import list_tiles, open_source
from embedder.storage import open_storage
from embedder.storage.download import without_secrets


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that a run needs."""

    name: str
    detail: str
    """In a few words, or why it can't be used and what to do."""
    error: EmbedderError | None = None


def preflight(output: str, source: str, weights: str, year: int) -> Iterator[Check]:
    """Each check, once it is made. Nothing is left behind."""
    yield check_output(output)
    yield check_source(source, year)
    yield check_weights(weights)


def check(name: str, probe: Callable[[], str]) -> Check:
    """What `probe` returns or raises."""
    try:
        return Check(name=name, detail=probe())
    except EmbedderError as error:
        return Check(name=name, detail=str(error), error=error)


def failure(checks: Sequence[Check], consequence: str) -> EmbedderError | None:
    """One error for the checks that failed, if any did; worth another attempt only where each of them is."""
    failed = [made for made in checks if made.error]
    if not failed:
        return None
    kind = TemporaryError if all(isinstance(made.error, TemporaryError) for made in failed) else ConfigurationError
    return kind(f"{consequence}: {'; '.join(made.detail for made in failed)}")


def check_output(url: str) -> Check:
    """That files can be put there."""

    def probe() -> str:
        storage = open_storage(url)
        storage.check_writable()
        return f"{storage.url} can be written"

    return check("output", probe)


def check_source(location: str, year: int) -> Check:
    """That it can be listed, and holds tiles of the year."""

    def probe() -> str:
        source = open_source(location)
        return f"{source.location} has {len(list_tiles(source, year))} tiles of {year}"

    return check("source", probe)


def check_weights(location: str, *, in_image: bool = False) -> Check:
    """That there is a file to be read, unless it is a path `in_image`, not here; what is in it shows only when it is."""

    def probe() -> str:
        if random_seed(location) is not None:
            return f"{location}: made up, for a demonstration"
        if in_image and "://" not in location:
            return f"{location}: a path in the image, which plan will check"
        check_readable(location)
        return f"{without_secrets(location)} can be read"

    return check("weights", probe)
