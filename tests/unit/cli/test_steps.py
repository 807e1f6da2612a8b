import subprocess
import sys


def test_the_steps_import_nothing_of_search() -> None:
    code = "import sys, embedder.cli.steps; print([name for name in ('lancedb', 'fastapi', 'embedder.explore') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - our own code
    assert found.stdout.strip() == "[]"
