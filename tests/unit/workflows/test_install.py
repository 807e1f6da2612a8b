"""What submit.py advises to install is what the guide installs."""

from pathlib import Path

import yaml

from workflows.submission import INSTALL_ARGO

ROOT = Path(__file__).parents[3]


def test_the_advised_argo_is_the_guides() -> None:
    assert INSTALL_ARGO in (ROOT / "docs/eks.md").read_text()


def test_the_installed_argo_calls_no_run_succeeded_that_was_terminated_while_it_waited() -> None:
    values = yaml.safe_load((ROOT / "docs/eks/argo-values.yaml").read_text())
    version = tuple(int(part) for part in values["images"]["tag"].removeprefix("v").split("."))
    assert (4, 0, 10) <= version < (4, 1) or version >= (4, 1, 2)
