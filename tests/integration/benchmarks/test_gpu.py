"""The command for a card, where there is none: it goes through everything that a card isn't needed for, and says that it had none."""

import os
import re
import subprocess
import sys
from pathlib import Path

GPU = Path(__file__).parents[3] / "benchmarks" / "gpu.py"


def test_the_command_for_a_card_says_that_it_had_none_and_ends_with_a_table_when_it_is_quick(tmp_path: Path) -> None:
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": "", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, str(GPU), "--quick"], capture_output=True, text=True, check=True, env=hidden)  # noqa: S603
    first, *_, table = done.stdout.split("\n", 1)[0], done.stdout.rpartition("\n\n")[2]
    assert first.startswith("NO CARD: ")
    assert "computed on the CPU" in first
    where = done.stdout.split("\n\n")[-2]
    assert where.startswith("no card: this CPU")
    head, rule, *rows = (line.strip("| ").split(" | ") for line in table.splitlines())
    assert head[0].startswith("clay-v1.5-tiny, 8.6 GFLOP a chip")
    assert rule == ["---", "---"]
    cells = dict(rows)
    assert re.fullmatch(r"[\d.e-]+ TFLOP/s", cells["torch.matmul, the model's shapes"])
    assert re.fullmatch(r"[\d.]+ chips/s, \d+ %", cells["eager, 2 chips at once"])
    assert float(cells["cosine to fp32, the least of a batch"]) > 0.999
    assert re.fullmatch(r"[\d.]+ s \(interpreter [\d.]+, .*first batch [\d.]+\)", cells["first chip after the process's start"])
    assert re.fullmatch(r"\d+ %", cells["busy in the embed step, columns together: 1"])
