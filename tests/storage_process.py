"""Another process that uses the storage."""

import subprocess
import sys
from pathlib import Path


def python(code: str, *arguments: Path) -> "subprocess.Popen[bytes]":
    code = f"import sys; from pathlib import Path; from embedder.storage import open_storage; {code}"
    return subprocess.Popen([sys.executable, "-c", code, *arguments])  # noqa: S603 - our own code
