"""The versions of what a run leaves behind. A new one is written by new runs alone; each says which older ones can still be read."""

from dataclasses import dataclass

from embedder.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Format:
    """Of one kind of file."""

    written: int
    """The version that this package writes."""
    older: tuple[int, ...] = ()
    """Versions that it reads all the same."""

    def check(self, version: object, where: str) -> None:
        """ConfigurationError where a file is of a version that this package cannot read."""
        if type(version) is int and version in {self.written, *self.older}:
            return
        readable = " and ".join(map(str, sorted({self.written, *self.older})))
        advice = "use the version of the package that wrote it, or another --output"
        raise ConfigurationError(f"{where} has format {version!s:.40}, this version reads {readable}: {advice}")


RUN_RECORD = Format(written=2, older=(1,))
"""1: said by one number for record and column files alike. 2: says the column files' own, and has a checksum."""
COLUMN_FILE = Format(written=2, older=(1,))
"""2: also `year` and `datetime`, the footer's key `emb`, licence, attribution, and when it was inferred."""
MANIFEST = Format(written=1)
