"""How long a process takes to its first embedding, from slim weights, against `import torch` alone; and how much memory.

    python benchmarks/startup.py [--recipe clay-v1.5] [--precision fp32]

Each round starts both kinds of process in turn; medians over the rounds are printed.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from embedder.models.weights import slim
from embedder.recipes import RECIPES

IMPORT = "import torch"
FIRST_EMBEDDING = """
import resource, sys
from pathlib import Path
import numpy as np
from embedder.models.encoder import Encoder
from embedder.recipes import RECIPES
recipe = RECIPES[sys.argv[2]]
encoder = Encoder(Path(sys.argv[1]), recipe, year=2020, device=sys.argv[3], precision=sys.argv[4])
pixels = np.full((1, 4, recipe.chip_pixels, recipe.chip_pixels), 1000, np.uint16)
next(encoder.encode([(pixels, np.array([[-75.5, 37.5]]))]))
print(encoder.device, encoder.precision, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def run(code: str, *arguments: str) -> tuple[float, str]:
    """Seconds that a new Python process takes for this code, and what it prints."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)  # noqa: S603 - ours
    return time.perf_counter() - start, done.stdout


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="clay-v0.1")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = slim("random:0", Path(folder) / "weights.safetensors", RECIPES[args.recipe]).path
        arguments = (str(weights), args.recipe, args.device, args.precision)
        run(FIRST_EMBEDDING, *arguments)  # warms the file cache
        rounds = [(run(IMPORT)[0], *run(FIRST_EMBEDDING, *arguments)) for _ in range(args.rounds)]
    device, precision, _ = rounds[0][2].rsplit(maxsplit=2)
    unit = 1 if sys.platform == "darwin" else 1024
    memory = max(int(output.rsplit(maxsplit=1)[1]) for _, _, output in rounds) * unit
    more = statistics.median(first - imported for imported, first, _ in rounds)
    print(f"{args.recipe} in {precision} on {device}; medians of {args.rounds} rounds:")
    print(f"  import torch      {statistics.median(imported for imported, _, _ in rounds):6.2f} s")
    print(f"  first embedding   {statistics.median(first for _, first, _ in rounds):6.2f} s: {more:.2f} s more")
    print(f"  peak memory       {memory / 1e9:6.2f} GB")


if __name__ == "__main__":
    main()
