"""What versions of the files are written and read."""

import pytest

from embedder.errors import ConfigurationError
from embedder.output.formats import COLUMN_FILE, MANIFEST, RUN_RECORD, Format

FORMAT = Format(written=3, older=(1, 2))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_version_is_read_when_it_is_written_or_older(version: int) -> None:
    FORMAT.check(version, "file")


@pytest.mark.parametrize("version", [0, 4, None, "1", 1.0, True])
def test_a_version_is_refused_when_it_is_not_known(version: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"^file has format {version}, this version reads 1 and 2 and 3: use the version"):
        FORMAT.check(version, "file")


@pytest.mark.parametrize("kind", [RUN_RECORD, COLUMN_FILE, MANIFEST])
def test_the_first_version_stays_readable(kind: Format) -> None:
    kind.check(1, "file")
