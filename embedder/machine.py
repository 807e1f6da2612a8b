"""What a command takes from the machine that it runs on, and what it does not. Imports little, as it comes before everything else."""

import os
import sys

FOREIGN = ("CPL_", "GDAL_", "GTIFF_", "OGR_", "OSR_", "PROJ_", "VSI")
"""How the names of GDAL's and PROJ's settings begin: those of a PostGIS, QGIS or conda lead ours to another release's data and drivers."""
CGROUPS = "/sys/fs/cgroup"
QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
"""Files with quota and period of this container's CPU time, microseconds: of cgroup v2 and v1. Without a quota it is `max`, or -1."""


def prepare() -> None:
    """End the process with 78 on a system that can't run it, and forget other programs' settings of GDAL and PROJ."""
    if os.name == "nt":
        sys.stderr.write("error: this does not run on Windows itself: run it in WSL, as README.md says\n")
        sys.exit(78)
    open_standard_streams()
    forget_other_installs()


def open_standard_streams() -> None:
    """Let those that are closed lead nowhere: the next file opened would get their number, and what libraries print."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            setattr(sys, name, open(number, "w" if number else "r", closefd=False, encoding="utf-8"))  # noqa: SIM115


def forget_other_installs() -> None:
    """Drop GDAL's and PROJ's settings from this process's environment, before rasterio is imported, which brings its own data."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    os.environ["GDAL_CONFIG_FILE"] = os.devnull  # or GDAL reads ~/.gdal/gdalrc


def cpu_count() -> int:
    """The CPUs that this process may use: others count the machine's, which in a container can be many more than its quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for names in QUOTAS:
        try:
            quota, period = (int(number) for name in names for number in _words(f"{CGROUPS}/{name}"))
        except (OSError, ValueError):
            continue
        if quota > 0:
            count = min(count, max(1, quota // period))
    return count


def _words(path: str) -> list[str]:
    with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to import
        return file.read().split()
