"""The quota that a container's CPU time has by cgroup v1, which older nodes have."""

import sys
from pathlib import Path

import pytest

from embedder.models import encoder


@pytest.mark.skipif(sys.platform != "linux", reason="containers and CPU affinity are Linux's")
@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [("-1", "100000", 8), ("250000", "100000", 2), ("20000", "100000", 1), ("6400000", "100000", 8), ("", "", 8)],
)
def test_the_quota_of_cgroup_v1_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, period: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text(f"{period}\n")
    monkeypatch.setattr(encoder, "CGROUPS", tmp_path)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)))
    assert encoder.cpu_count() == expected
