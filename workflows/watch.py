"""A workflow as it runs: what its nodes say, a bar for a person, and the exit code in the end."""

import base64
import gzip
import json
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from embedder.console.signals import say_when_stopped
from embedder.errors import ConfigurationError, EmbedderError, TemporaryError
from embedder.grid import parse_columns
from workflows.clusters import Cluster, Object, RefusedError
from workflows.definition import is_lost

POLL_S = 5
TROUBLE_POLLS = 12
"""That are left out after an answer that was none: the server has something else to do."""
PICKED_UP_S = 60
"""Within which a controller says something of a workflow: it runs, or what it waits for."""
PATIENCE_S = 15 * 60
"""Without an answer of the cluster, until the watching is given up; the workflow doesn't mind."""
LINE_EVERY_S = 30
"""At most, where there is no terminal."""
NAMED = 20
"""Failed nodes that are named; the workflow's page shows all."""
USAGE_EXIT_CODES = {"2", "78"}
"""Of the steps, for what another attempt would not mend."""
INSTANCE_ID = "workflows.argoproj.io/controller-instanceid"
"""The label by which a controller that has an instance id knows its workflows."""
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
    is_published: bool
    """Whether `finalize` succeeded: only then did the run."""
    is_hidden: bool
    """Whether its nodes are in Argo's database, which the Kubernetes API does not show."""
    failures: dict[str, str]
    """Message of each step that failed for good, by its display name, in the order of the run."""
    exit_codes: list[str]
    """Of those."""
    is_lost: bool
    """Whether the first of those was lost, however often, and nothing was wrong with it."""

    @property
    def is_finished(self) -> bool:
        """Whether the workflow has ended."""
        return self.phase in FINISHED

    @property
    def is_picked_up(self) -> bool:
        """Whether a controller has seen it."""
        return self.phase not in {"", "Pending"} or bool(self.waiting)

    @property
    def ended_by(self) -> str:
        """The command that ends it now: `argo stop` would leave one that still waits as it is."""
        return "argo terminate" if self.phase in {"", "Pending"} else "argo stop"

    def __str__(self) -> str:
        """In a few words, for a bar or a line."""
        words = [f"{self.done}/{'?' if self.columns is None else self.columns} columns"]
        if self.retries:
            words.append(f"{self.retries} {'retry' if self.retries == 1 else 'retries'}")
        if self.failures:
            words.append(f"{len(self.failures)} failed")
        return ", ".join(words) + (f" ({self.waiting})" if self.waiting else "")


def snapshot(workflow: Object) -> Snapshot:
    """What the workflow's nodes say; ConfigurationError where it is none as Argo writes it."""
    try:
        return _snapshot(workflow)
    except (ArithmeticError, AttributeError, EOFError, LookupError, OSError, RecursionError, TypeError, ValueError, zlib.error) as error:
        raise ConfigurationError(
            f"what answers as the cluster gives no workflow as Argo writes it ({error!r:.200}): check ARGO_SERVER, and Argo's version"
        ) from error


def _snapshot(workflow: Object) -> Snapshot:
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
    first = (str(last[failed[0]["id"]].get("phase")), _message(failed[0], last)) if failed else ("", str(status.get("message") or ""))
    return Snapshot(
        phase=str(status.get("phase") or ""),
        message=str(status.get("message") or ""),
        columns=columns,
        done=done,
        share=(done + under_way) / columns if columns else 0.0,
        retries=sum(max(len(_attempts(nodes, node)) - 1, 0) for node in steps),
        waiting="" if status.get("phase") in FINISHED else str(next(pending, status.get("message")) or ""),
        is_published=any(node.get("templateName") == "finalize" and node.get("phase") == "Succeeded" for node in steps),
        is_hidden=bool(status.get("offloadNodeStatusVersion")) and not nodes,
        failures={str(node["displayName"]): _message(node, last) for node in failed},
        exit_codes=[str(last[node["id"]].get("outputs", {}).get("exitCode")) for node in failed],
        is_lost=is_lost(*first),
    )


def nodes_of(workflow: Object) -> dict[str, Object]:
    """The workflow's nodes by their ids; the controller compresses many."""
    status = workflow.get("status", {})
    if packed := status.get("compressedNodes"):
        found: dict[str, Object] = json.loads(gzip.decompress(base64.b64decode(packed)))
        return found
    return status.get("nodes") or {}


def result(found: Snapshot) -> EmbedderError | None:
    """The run's own result: None, or an error; 78 where a step's input was wrong, otherwise by what failed first."""
    if found.phase == "Succeeded":
        return None if found.is_published else _unpublished(found)
    first, message = next(iter(found.failures.items()), ("", found.message))
    more = f" ({len(found.failures) - 1} more failed)" if len(found.failures) > 1 else ""
    text = f"the workflow {found.phase.lower()}: {f'{first}: ' if first else ''}{message or 'without a message'}{more}"
    if USAGE_EXIT_CODES & set(found.exit_codes):
        return ConfigurationError(text)
    if found.is_lost:
        return TemporaryError(text)
    return FailedError(text)


def _unpublished(found: Snapshot) -> EmbedderError:
    """Of a workflow that Argo calls Succeeded."""
    if found.is_hidden:
        return ConfigurationError(
            "Argo calls the workflow succeeded, but its steps are in Argo's database, which the Kubernetes API does not show: "
            "whether finalize succeeded is told by the Argo server alone: set ARGO_SERVER"
        )
    return FailedError(
        "Argo calls the workflow succeeded, but its finalize step did not run, so that nothing was published; before 4.0.10 and "
        "4.1.2 Argo does so when one is terminated while it waits for its turn: submit again"
    )


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
    began = answered = time.monotonic()
    is_warned = False
    while True:
        pause = POLL_S
        try:
            workflow = cluster.workflow(name)
        except TemporaryError as error:
            if time.monotonic() - answered > PATIENCE_S:
                raise TemporaryError(f"the workflow {name} goes on without being watched: {error}") from error
            console.print(f"{error}; trying again", markup=False)
            pause = POLL_S * TROUBLE_POLLS
        except (ConfigurationError, RefusedError) as error:  # as once the login has expired
            if isinstance(error, RefusedError) and error.status == HTTPStatus.NOT_FOUND:
                raise ConfigurationError(f"the workflow {name} was deleted before it ended") from error
            raise TemporaryError(f"the workflow {name} goes on without being watched: {error}") from error
        else:
            answered, found = time.monotonic(), snapshot(workflow)
            say_when_stopped(when_stopped(name, cluster.namespace, found.ended_by))
            if not is_warned and not found.is_picked_up and answered - began >= PICKED_UP_S:
                console.print(_not_picked_up(name, workflow), markup=False)
                is_warned = True
            yield found
            if found.is_finished:
                return
        time.sleep(pause)


def when_stopped(name: str, namespace: str, ended_by: str = "argo terminate") -> str:
    """What becomes of the workflow once nobody watches it."""
    return f"{name} goes on in the cluster; who may change workflows can end it: {ended_by} {name} --namespace {namespace}"


def _not_picked_up(name: str, workflow: Object) -> str:
    """What a workflow waits for of which no controller has said a word."""
    label = (workflow.get("metadata", {}).get("labels") or {}).get(INSTANCE_ID)
    expected = f"the instanceID {label}, which is this workflow's" if label else "no instanceID, as this workflow has none"
    return (
        f"no controller has picked {name} up yet. Look whether one runs: kubectl get deployments --all-namespaces | "
        f"grep workflow-controller; and whether it has {expected} (the chart's value instanceId): "
        "kubectl get configmaps --all-namespaces --output yaml | grep instanceID"
    )


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
