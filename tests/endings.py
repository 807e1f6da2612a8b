"""How a pod can end: the table of docs/retries.md, read."""

import re
from dataclasses import dataclass
from pathlib import Path

RETRIES = Path(__file__).parents[1] / "docs/retries.md"
SAID = re.compile(r"(?P<phase>Error|Failed): (?P<messages>`.+`)")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A row."""

    name: str
    """Its first cell."""
    argo_3: tuple[str, str] | None
    """Phase and message in Argo 3.7; a message's variable parts are `…`. None where Argo itself waits."""
    argo_4: tuple[str, str] | None
    outcome: str
    """again, final or waits."""


def endings() -> dict[str, Ending]:
    """The rows by their names."""
    table = RETRIES.read_text().partition("| how a pod can end")[2].partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {
        name: Ending(name=name, argo_3=_said(argo_3), argo_4=_said(argo_4 or argo_3), outcome=outcome)
        for name, argo_3, argo_4, outcome in rows
    }


def _said(cell: str) -> tuple[str, str] | None:
    found = SAID.match(cell)
    return (found["phase"], "".join(re.findall("`(.+?)`", found["messages"]))) if found else None
