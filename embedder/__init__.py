"""Clay embeddings of the ESA WorldCover Sentinel-2 composites: the steps that run in each pod and on a laptop.

In a notebook, `import embedder` gives the names below, which `embedder.api` documents; each is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedder.api import Embeddings, embed, open, run  # noqa: A004 - as in rasterio.open
    from embedder.errors import (
        AccessDeniedError,
        ConfigurationError,
        ConflictError,
        ConnectionSettingsError,
        CredentialsError,
        DeviceError,
        EmbedderError,
        InvalidFileError,
        NoCheckpointError,
        NoListingError,
        NonFiniteError,
        NoS3Error,
        NotFoundError,
        RefusedTileError,
        SourceError,
        TemporaryError,
        UsageError,
        WeightsError,
    )

__version__ = "0.1.0"
__all__ = [
    "AccessDeniedError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionSettingsError",
    "CredentialsError",
    "DeviceError",
    "EmbedderError",
    "Embeddings",
    "InvalidFileError",
    "NoCheckpointError",
    "NoListingError",
    "NoS3Error",
    "NonFiniteError",
    "NotFoundError",
    "RefusedTileError",
    "SourceError",
    "TemporaryError",
    "UsageError",
    "WeightsError",
    "embed",
    "open",
    "run",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name is of
    if name not in __all__:
        raise AttributeError(f"module 'embedder' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - no pod needs it

    value = getattr(import_module("embedder.errors" if name.endswith("Error") else "embedder.api"), name)
    globals()[name] = value  # the next time it is found at once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
