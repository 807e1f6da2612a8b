#!/usr/bin/env python3
"""Run docs/notebook.ipynb anew on what `make demo` left, and keep what it shows: `make notebook`."""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("notebook.ipynb")
ROOT = NOTEBOOK.parents[1]


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run all cells, in a kernel that starts in the folder, as Jupyter's does in the notebook's own; their outputs are kept in them."""
    place = {"metadata": {"path": str(folder)}}
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    NotebookClient(notebook, timeout=300, kernel_name="python3", record_timing=False, resources=place).execute(env=environment)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}  # nothing of this machine


if __name__ == "__main__":
    made = nbformat.read(NOTEBOOK, as_version=4)
    run(made, NOTEBOOK.parent)
    nbformat.write(made, NOTEBOOK)
