"""A workflow as it runs: what its nodes say, a bar for a person, and the exit code in the end."""

import base64
import gzip
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from embedder.errors import ConfigurationError, EmbedderError, TemporaryError
from embedder.grid import parse_columns
from workflows.clusters import Cluster, Object, RefusedError
from workflows.definition import LOST

POLL_S = 5
PATIENCE_S = 15 * 60
"""Without an answer of the cluster, until the watching is given up; the workflow doesn't mind."""
LINE_EVERY_S = 30
"""At most, where there is no terminal."""
NAMED = 20
"""Failed nodes that are named; the workflow's page shows all."""
USAGE_EXIT_CODES = {"2", "78"}
"""Of the steps, for what another attempt would not mend."""
FINISHED = {"Succeeded", "Failed", "Error"}
"""Argo's phases of a workflow that has ended."""
STOPPED = "workflow shutdown with strategy"
"""How the message begins of a step that somebody's `argo stop` or `argo terminate` ended: no failure of its own."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a workflow's nodes say of its run."""

    phase: str
    """Argo's: Pending, Running, Succeeded, Failed or Error; empty before the controller has seen it."""
    message: str
    columns: int | None
    """To be embedded; None until plan has said it."""
    done: int
    """Columns whose pods succeeded."""
    share: float
    """Of the columns, 0 to 1, those under way counted by their chips."""
    retries: int
    """Attempts after the first ones."""
    waiting: str
    """What the first pod that does not run yet waits for, such as its image or a node, or the whole workflow, such as for its turn."""
    failures: dict[str, str]
    """Message of each step that failed for good, by its display name, in the order of the run."""
    exit_codes: list[str | None]
    """Of those."""

    @property
    def is_finished(self) -> bool:
        """Whether the workflow has ended."""
        return self.phase in FINISHED

    def __str__(self) -> str:
        """In a few words, for a bar or a line."""
        words = [f"{self.done}/{'?' if self.columns is None else self.columns} columns"]
        if self.retries:
            words.append(f"{self.retries} {'retry' if self.retries == 1 else 'retries'}")
        if self.failures:
            words.append(f"{len(self.failures)} failed")
        return ", ".join(words) + (f" ({self.waiting})" if self.waiting else "")


def snapshot(workflow: Object) -> Snapshot:
    """What the workflow's nodes say."""
    status = workflow.get("status", {})
    nodes = nodes_of(workflow)
    steps = [node for node in nodes.values() if node.get("type") == "Retry"]
    pods = [node for node in steps if node.get("templateName") == "embed"]
    columns = _planned(nodes)
    sizes = {node["id"]: len(parse_columns(_parameter(node, "inputs", "shard") or "0")) for node in pods}
    done = sum(sizes[node["id"]] for node in pods if node.get("phase") == "Succeeded")
    under_way = sum(sizes[node["id"]] * _share(nodes, node) for node in pods if node.get("phase") == "Running")
    ended = sorted((node for node in steps if node.get("phase") in {"Failed", "Error"}), key=lambda node: str(node.get("finishedAt")))
    last = {node["id"]: _last_attempt(nodes, node) for node in ended}
    failed = [node for node in ended if not _message(node, last).startswith(STOPPED)]
    failed = [node for node in failed if node["templateName"] != "finalize"] or failed  # it only names what the others lack
    pending = (node["message"] for node in nodes.values() if node.get("phase") == "Pending" and node.get("message"))
    return Snapshot(
        phase=status.get("phase", ""),
        message=status.get("message", ""),
        columns=columns,
        done=done,
        share=(done + under_way) / columns if columns else 0.0,
        retries=sum(max(len(_attempts(nodes, node)) - 1, 0) for node in steps),
        waiting="" if status.get("phase") in FINISHED else next(pending, status.get("message", "")),
        failures={node["displayName"]: _message(node, last) for node in failed},
        exit_codes=[last[node["id"]].get("outputs", {}).get("exitCode") for node in failed],
    )


def nodes_of(workflow: Object) -> dict[str, Object]:
    """The workflow's nodes by their ids; the controller compresses many."""
    status = workflow.get("status", {})
    if packed := status.get("compressedNodes"):
        found: dict[str, Object] = json.loads(gzip.decompress(base64.b64decode(packed)))
        return found
    return status.get("nodes") or {}


def result(found: Snapshot) -> EmbedderError | None:
    """The workflow's own result: None, or an error; 78 where a step's input was wrong, otherwise by what failed first."""
    if found.phase == "Succeeded":
        return None
    first, message = next(iter(found.failures.items()), ("", found.message))
    more = f" ({len(found.failures) - 1} more failed)" if len(found.failures) > 1 else ""
    text = f"the workflow {found.phase.lower()}: {f'{first}: ' if first else ''}{message or 'without a message'}{more}"
    if USAGE_EXIT_CODES & set(filter(None, found.exit_codes)):
        return ConfigurationError(text)
    if re.search(LOST, message):
        return TemporaryError(text)
    return FailedError(text)


class FailedError(EmbedderError):
    """A workflow that failed for another reason than its input or lost infrastructure."""

    exit_code = 1


def watch(cluster: Cluster, name: str) -> Snapshot:
    """Show the workflow until it has ended, and return its end."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[counts]}", markup=False),  # it repeats what others say
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("pending", total=1.0, counts="")
            for found in _snapshots(cluster, name, console):
                bar.update(task, description=found.phase.lower() or "pending", completed=found.share, counts=str(found))
    else:
        shown, shown_at = "", 0.0
        for found in _snapshots(cluster, name, console):
            line = f"{found.phase.lower() or 'pending'}: {found}, {found.share:.0%}"
            if line != shown and (found.is_finished or time.monotonic() - shown_at >= LINE_EVERY_S):
                console.print(line, markup=False)
                shown, shown_at = line, time.monotonic()
    for step, message in list(found.failures.items())[:NAMED]:
        console.print(f"{step}: {message}", markup=False)
    return found


def _snapshots(cluster: Cluster, name: str, console: Console) -> Iterator[Snapshot]:
    """The workflow as it is now and then, until it has ended."""
    answered = time.monotonic()
    while True:
        try:
            found = snapshot(cluster.workflow(name))
        except TemporaryError as error:
            if time.monotonic() - answered > PATIENCE_S:
                raise TemporaryError(f"the workflow {name} goes on without being watched: {error}") from error
            console.print(f"{error}; trying again", markup=False)
        except (ConfigurationError, RefusedError) as error:  # as once the login has expired
            if isinstance(error, RefusedError) and error.status == HTTPStatus.NOT_FOUND:
                raise ConfigurationError(f"the workflow {name} was deleted before it ended") from error
            raise TemporaryError(f"the workflow {name} goes on without being watched: {error}") from error
        else:
            answered = time.monotonic()
            yield found
            if found.is_finished:
                return
        time.sleep(POLL_S)


def _planned(nodes: dict[str, Object]) -> int | None:
    """How many columns plan handed out; None before it has."""
    for node in nodes.values():
        if node.get("templateName") == "plan" and node.get("phase") == "Succeeded" and (shards := _parameter(node, "outputs", "shards")):
            return sum(len(parse_columns(shard)) for shard in json.loads(shards))
    return None


def _attempts(nodes: dict[str, Object], step: Object) -> list[Object]:
    """The pods of a step, in the order of their creation."""
    children = (nodes.get(child, {}) for child in step.get("children", []))
    return [child for child in children if child.get("name", "").startswith(f"{step['name']}(")]


def _last_attempt(nodes: dict[str, Object], step: Object) -> Object:
    """The step's last pod; the step itself where it has none."""
    return [step, *_attempts(nodes, step)][-1]


def _message(step: Object, last: dict[str, Object]) -> str:
    """Of the step's last attempt: the step's own only counts them."""
    return str(last[step["id"]].get("message") or step.get("message", ""))


def _share(nodes: dict[str, Object], step: Object) -> float:
    """How much of a pod's chips its last attempt has done, 0 to 1."""
    done, _, total = str(_last_attempt(nodes, step).get("progress", "")).partition("/")
    return int(done) / int(total) if total.isdigit() and int(total) else 0.0


def _parameter(node: Object, side: str, name: str) -> str | None:
    return next((found.get("value") for found in node.get(side, {}).get("parameters", []) if found["name"] == name), None)
