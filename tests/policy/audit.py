"""pip-audit over the locks, but for the dated exceptions. Torch, which stands outside them, is looked up by its version alone."""

import argparse
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

LONGEST = timedelta(days=100)
"""Until when an exception may hold, from today."""
COMMAND = [sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--progress-spinner", "off"]
"""Strict: what the service does not know is no success. Without pip: the locks name all there is, so that nothing is installed."""


def exceptions_in(file: Path, today: date) -> list[str]:
    """The ids to pass over; ValueError where one has no reason, or no date, or one that is past or too far away."""
    found = tomllib.loads(file.read_text())
    for name, exception in found.items():
        reason, until = (exception.get(field) if isinstance(exception, dict) else None for field in ("reason", "until"))
        if not isinstance(reason, str) or not reason.strip() or type(until) is not date:
            raise ValueError(f"{file}: {name} needs a reason, and a date as `until`")
        if until < today:
            raise ValueError(f"{file}: {name} held until {until}: mend it, or say why it still holds")
        if until > today + LONGEST:
            raise ValueError(f"{file}: {name} holds until {until}, which is more than {LONGEST.days} days away")
    return list(found)


def commands(locks: Sequence[Path], ignored: Sequence[str], unlocked: Path) -> list[list[str]]:
    """One for each lock, and one for what stands outside them."""
    passed_over = [word for name in ignored for word in ("--ignore-vuln", name)]
    return [
        *([*COMMAND, "--require-hashes", "--requirement", str(lock), *passed_over] for lock in locks),
        [*COMMAND, "--no-deps", "--requirement", str(unlocked), *passed_over],
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where nothing is known of any package, otherwise 1; all of them are asked about."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exceptions", type=Path, required=True)
    parser.add_argument("--also", required=True, help="a requirement beside the locks, NAME==VERSION")
    parser.add_argument("locks", type=Path, nargs="+")
    given = parser.parse_args(arguments)
    try:
        ignored = exceptions_in(given.exceptions, datetime.now(UTC).date())
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    with TemporaryDirectory() as folder:
        unlocked = Path(folder) / "unlocked.txt"
        unlocked.write_text(f"{given.also}\n")
        codes = [subprocess.run(command, check=False).returncode for command in commands(given.locks, ignored, unlocked)]  # noqa: S603
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
