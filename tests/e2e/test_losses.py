"""What a run survives: a pod, and the node."""

import re
import shlex
import time

import pytest

from embedder.grid import format_columns
from tests.e2e.bucket import Output
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import WITHOUT_TILES, Published
from workflows.definition import LOST

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

LOST_S = 60
"""How long the node is away."""


def start(cluster: Cluster, published: Published, output: Output) -> tuple[str, str, dict[int, str]]:
    """A workflow's name, the name of its pod for all chips once it embeds them, and what has been written by then: one column."""
    name = cluster.start(output, *published.options, "--columns-per-pod", str(len(published.with_chips)))
    writes = cluster.until("the column without chips", output.writes)
    pod = cluster.embedding_pod(name)
    assert list(writes) == list(output.writes()) == [WITHOUT_TILES]
    return name, pod, writes


def assert_complete(cluster: Cluster, name: str, output: Output, published: Published, before: dict[int, str]) -> None:
    """The workflow succeeded at another attempt, which wrote what was missing and nothing else."""
    workflow = cluster.finished(name)
    assert workflow.phase == "Succeeded"
    first, *_, last = workflow.attempts("embed", format_columns(list(published.with_chips)))
    assert first["phase"] in {"Failed", "Error"}
    assert re.search(LOST, first["message"])
    assert last["phase"] == "Succeeded"
    assert output.names() == published.output.names()
    assert output.writes().items() > before.items()
    rows = [{column: entry["rows"] for column, entry in each.manifest()["columns"].items()} for each in (output, published.output)]
    assert rows[0] == rows[1]


def test_the_run_is_complete_and_nothing_is_written_twice_when_a_pod_is_deleted(cluster: Cluster, published: Published) -> None:
    output = published.output.copy(planned_only=True)
    name, pod, before = start(cluster, published, output)
    cluster.kubectl("delete", "pod", pod, "--wait=false")
    assert_complete(cluster, name, output, published, before)


def test_the_run_is_complete_when_the_node_is_away_for_a_minute(cluster: Cluster, published: Published) -> None:
    lose, return_ = cluster.settings.lose_node, cluster.settings.return_node
    if not (lose and return_):
        pytest.skip("needs E2E_LOSE_NODE and E2E_RETURN_NODE, commands that take the cluster's node away and bring it back")
    output = published.output.copy(planned_only=True)
    name, _, before = start(cluster, published, output)
    try:
        assert cluster.run(*shlex.split(lose)).returncode == 0
        back_at = time.monotonic() + LOST_S
        cluster.until("the node to be missed", lambda: not ready_nodes(cluster))
        cluster.until("the minute to pass", lambda: time.monotonic() >= back_at)
    finally:
        returned = cluster.run(*shlex.split(return_))
    assert returned.returncode == 0, returned.stderr
    cluster.until("the node to be ready", lambda: ready_nodes(cluster))
    assert_complete(cluster, name, output, published, before)


def ready_nodes(cluster: Cluster) -> list[str]:
    """The names of the nodes that are there."""
    conditions = {node["metadata"]["name"]: node["status"]["conditions"] for node in cluster.get("nodes")["items"]}
    return [name for name, found in conditions.items() if any(each["type"] == "Ready" and each["status"] == "True" for each in found)]
