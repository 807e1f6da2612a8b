"""The quota that a container's CPU time has, by cgroup v1, which older nodes have, and v2."""

import sys
from pathlib import Path

import pytest

from embedder import machine


@pytest.mark.skipif(sys.platform != "linux", reason="containers and CPU affinity are Linux's")
@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [("-1", "100000", 8), ("250000", "100000", 2), ("20000", "100000", 1), ("6400000", "100000", 8), ("", "", 8)],
)
def test_the_quota_of_cgroup_v1_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, period: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text(f"{period}\n")
    monkeypatch.setattr(machine, "CGROUPS", str(tmp_path))
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)))
    assert machine.cpu_count() == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("200000 100000", 2), ("50000 100000", 1), ("350000 100000", 3), ("max 100000", 8), (None, 8)]
)
@pytest.mark.skipif(sys.platform != "linux", reason="containers and CPU affinity are Linux's")
def test_the_quota_of_cgroup_v2_is_kept(text: str | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if text is not None:
        (tmp_path / "cpu.max").write_text(f"{text}\n")
    monkeypatch.setattr(machine, "CGROUPS", str(tmp_path))
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)))
    assert machine.cpu_count() == expected
