"""How long a process takes to its first embedding, part by part, against `import torch` alone; and how much memory.

    python benchmarks/startup.py [--recipe clay-v1.5] [--precision fp32] [--latency-ms 30] [--mb-a-second 80]

The weights lie in a folder, where they are verified in place, as are those baked into an image; and in a bucket, whose server runs on
this machine too and answers each connection after the delay, and at the rate, of a distant one. Each round starts each kind of process
in turn; medians over the rounds are printed.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from read import MB, serving

from embedder.models.weights import slim
from embedder.recipes import RECIPES

IMPORT = "import torch"
FIRST_EMBEDDING = """
from embedder.console.start import start
with start.part("imports"):
    import json, resource, sys
    import numpy as np
    from embedder.models.checkpoint import recipe_for
    from embedder.models.encoder import Encoder
    from embedder.output.run import Run, RunPlace
    from embedder.recipes import RECIPES
    from embedder.steps.slim_weights import slim_weights
    from embedder.storage import open_storage
output, sha256, recipe, device, precision = sys.argv[1:]
settings = {"recipe": RECIPES.get(recipe) or recipe_for(recipe), "year": 2020}
place = RunPlace(storage=open_storage(output), **settings)
weights = {"weights": "random:0", "checkpoint_sha256": None, "weights_sha256": sha256}
run = Run(**settings, **weights, source="", inventory={}, precision="auto", columns=())
path = slim_weights(place, run)
with start.part("model and device"):
    encoder = Encoder(path, run.recipe, year=2020, device=device, precision=precision)
pixels = np.full((1, 4, run.recipe.chip_pixels, run.recipe.chip_pixels), 1000, np.uint16)
next(encoder.encode([(pixels, np.array([[-75.5, 37.5]]))]))
_, seconds = start.report()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"seconds": seconds, "where": f"{encoder.precision} on {encoder.device}", "memory": memory}))
"""


def run(code: str, *arguments: str, **environment: str) -> tuple[float, str]:
    """Seconds that a new Python process takes for this code, and what it prints."""
    start = time.perf_counter()
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | environment)  # noqa: S603 - ours
    return time.perf_counter() - start, done.stdout


def first_embedding(*arguments: str, **environment: str) -> dict[str, Any]:
    """What such a process says of its start; `wall`: its seconds. Its cache is empty."""
    with tempfile.TemporaryDirectory() as cache:
        wall, said = run(FIRST_EMBEDDING, *arguments, XDG_CACHE_HOME=cache, **environment)
    return {"wall": wall, **json.loads(said)}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="clay-v0.1")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency-ms", type=float, default=30, help="before each reply of the bucket")
    parser.add_argument("--mb-a-second", type=float, default=80, help="of each connection to the bucket")
    args = parser.parse_args()
    imported: list[float] = []
    started: dict[str, list[dict[str, Any]]] = {"folder": [], "bucket": []}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = slim("random:0", folder / args.recipe / "_weights" / "slim.safetensors", RECIPES[args.recipe])
        made.path.rename(made.path.with_stem(made.sha256))
        server = stack.enter_context(serving(folder, latency=args.latency_ms / 1_000, rate=args.mb_a_second * MB))
        keys = {"AWS_ENDPOINT_URL_S3": server.url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
        arguments = (made.sha256, args.recipe, args.device, args.precision)
        first_embedding(str(folder), *arguments)  # warms the file cache
        for _ in range(args.rounds):
            imported.append(run(IMPORT)[0])
            started["folder"].append(first_embedding(str(folder), *arguments))
            started["bucket"].append(first_embedding("s3://bucket", *arguments, **keys))
    print(f"{args.recipe} in {started['folder'][0]['where']}; medians of {args.rounds} rounds:")
    print(f"  import torch      {statistics.median(imported):6.2f} s")
    for where, starts in started.items():
        more = statistics.median(start["wall"] - alone for start, alone in zip(starts, imported, strict=True))
        print(f"  first embedding   {statistics.median(start['wall'] for start in starts):6.2f} s: {more:.2f} s more, weights in a {where}")
        for part in starts[0]["seconds"]:
            print(f"    {part:16}{statistics.median(start['seconds'][part] for start in starts):6.2f} s")
    print(f"  peak memory       {max(start['memory'] for starts in started.values() for start in starts) / 1e9:6.2f} GB")


if __name__ == "__main__":
    main()
