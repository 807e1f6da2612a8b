"""Every way in which a step ends without success, with its exit code. A message says what, where, and what to do."""

from importlib.util import find_spec

LONGEST = 2_000
"""Characters of a message, which may quote what others have written."""


def one_line(text: str) -> str:
    """The text as one line that a terminal and a log can show, without its middle where it is too long: what to do stands at its end."""
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 3 :]}"


class EmbedderError(Exception):
    """Root of the errors that end a command with one line and `exit_code`."""

    exit_code = 78

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


class UsageError(EmbedderError):
    """The command line itself is wrong."""

    exit_code = 2


class TemporaryError(EmbedderError):
    """Trouble that outlasted its retries, and may be gone at the next attempt."""

    exit_code = 75


class ConfigurationError(EmbedderError):
    """A wrong setting or input: another attempt would end the same way."""


class CredentialsError(ConfigurationError):
    """No credentials, or a role that could not be assumed."""


class AccessDeniedError(ConfigurationError):
    """The credentials may not do this."""


class DeviceError(ConfigurationError):
    """The device that was asked for is not there, or cannot be used."""


class ConnectionSettingsError(ConfigurationError):
    """A setting of this machine that keeps connections from being made: certificates to trust, or a proxy."""


class SourceError(ConfigurationError):
    """A tile is not what the grid or the inventory says."""


class RefusedTileError(SourceError):
    """A tile that the listing has is not given out."""


class WeightsError(ConfigurationError):
    """A checkpoint that cannot be used: damaged, not a checkpoint, or of another model."""


class NoCheckpointError(WeightsError):
    """No checkpoint at an address, or none that everybody may have."""


class InvalidFileError(ConfigurationError):
    """A column's file that does not hold what its run promises."""


class NotFoundError(ConfigurationError):
    """No object at this key."""


class NoListingError(ConfigurationError):
    """What can be read there can't be listed."""


class NoS3Error(ConfigurationError):
    """What answers at an S3 endpoint's address is something else."""


class ConflictError(EmbedderError):
    """The object at this key is not the version that the writer expected: somebody else wrote it."""

    exit_code = 75


class NonFiniteError(ConfigurationError):
    """The model gave NaN or infinite numbers for a chip."""

    def __init__(self, index: int, *, precision: str) -> None:
        advice = "check the weights and this chip's pixels" if precision == "fp32" else "try --precision fp32"
        super().__init__(f"the embedding of chip {index} of a batch is not finite in {precision}: {advice}")
        self.index = index
        """Place in its batch, from 0: the caller knows the chip's name."""
        self.precision = precision
        """fp32, bf16 or fp16: what it was last computed in."""


def require_extra(extra: str, *modules: str) -> None:
    """ConfigurationError where modules that only an extra of this package brings are not installed."""
    if missing := [module for module in modules if find_spec(module) is None]:
        names = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'}"
        raise ConfigurationError(f"{names} not installed: pip install '.[{extra}]'")
