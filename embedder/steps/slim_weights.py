"""The run's weights on this machine, in a form that the encoder reads."""

from contextlib import suppress
from pathlib import Path

from embedder.console.start import start
from embedder.errors import NotFoundError, WeightsError
from embedder.models.weights import sha256_of
from embedder.output.run import Run, RunPlace
from embedder.storage import cache, retries
from embedder.storage.folder import FolderStorage
from embedder.storage.scratch import scratch_folder

BAKED = Path("/opt/weights")
"""Where the image has weights, if any were baked in."""


@start.part("weights")
def slim_weights(place: RunPlace, run: Run) -> Path:
    """A local file with the run's weights, verified: in place in a folder, baked into the image, or a download that later steps find again.

    Raises WeightsError where what the output holds is damaged or gone.
    """
    key = place.weights_key(run.weights_sha256)
    where = place.storage.where(key)

    def verified(scratch: Path) -> Path:
        path = place.storage.local_path(key, scratch)
        if (found := sha256_of(path)) != run.weights_sha256:
            raise WeightsError(f"{where} is damaged: it has SHA-256 {found}: remove it and run `embedder plan` again")
        return path

    try:
        if isinstance(place.storage, FolderStorage):
            return verified(Path())
        cached = cache.made_folder() / Path(key).name
        if cached.exists() and sha256_of(cached) == run.weights_sha256:
            return cached
        for path in (*sorted(BAKED.glob("*")), Path(run.weights)):
            with suppress(OSError):
                if path.is_file() and sha256_of(path) in {run.weights_sha256, run.checkpoint_sha256}:  # the encoder reads both
                    return path
        with scratch_folder(cached.parent) as scratch:
            # what arrives damaged may be whole the next time
            patience = retries.Patience(place.storage.url, thing=where, damaged=(WeightsError,))
            return patience(lambda: verified(scratch)).replace(cached)
    except NotFoundError as error:
        raise WeightsError(f"{where} is gone: run `embedder plan` again") from error
