"""What a run survives: a pod, and the node."""

import re
import shlex
import time
from collections.abc import Iterator

import pytest

from embedder.grid import format_columns
from tests.e2e.bucket import Output
from tests.e2e.cluster import ROOT, Cluster
from tests.e2e.conftest import WITHOUT_TILES, Published
from workflows.definition import LOST

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

LOST_S = 60
"""How long the node is away."""


@pytest.fixture(scope="module", autouse=True)
def _slow_embedding(cluster: Cluster, published: Published) -> Iterator[None]:  # noqa: ARG001 - embeds at full speed before
    """Pods that embed for long enough to be hit."""
    cluster.helm("upgrade", str(ROOT / "helm"), "--reuse-values", "--set", "embed.resources.limits.cpu=300m")
    yield
    cluster.helm("rollback")


def test_the_run_is_complete_and_nothing_is_written_twice_when_a_pod_is_deleted(cluster: Cluster, published: Published) -> None:
    output = published.output.copy(planned_only=True)
    name = cluster.start(output, *published.options)
    cluster.until("a column with chips", lambda: set(output.writes()) - {WITHOUT_TILES})
    pod = cluster.embedding_pod(name)
    before = output.writes()
    assert len(before) < len(published.columns)
    cluster.kubectl("delete", "pod", pod, "--wait=false")
    [lost] = lost_shards(cluster, name, output, published, before)
    assert int(lost) not in before


def test_argo_shows_the_chips_of_a_pod_while_it_embeds(cluster: Cluster, published: Published) -> None:
    output = published.output.copy(planned_only=True)
    together = format_columns(published.with_chips)
    # Argo's executor reports once a minute.
    cluster.helm("upgrade", str(ROOT / "helm"), "--reuse-values", "--set", "embed.resources.limits.cpu=150m")
    name = cluster.start(output, *published.options, "--columns", together, "--columns-per-pod", str(len(published.with_chips)))

    def shown() -> tuple[int, int] | None:
        """Chips done and to do, once some are done."""
        for pod in cluster.workflow(name).attempts("embed"):
            done, total = map(int, pod.get("progress", "0/1").split("/"))
            if done and total > 1:
                return done, total
        return None

    try:
        done, total = cluster.until("Argo to show chips", shown)
    finally:
        cluster.helm("rollback")
        cluster.kubectl("delete", "workflow", name)
    assert done < total


def test_the_run_is_complete_when_the_node_is_away_for_a_minute(cluster: Cluster, published: Published) -> None:
    """Two pods of five at a time: after the last ones, Argo would look again only when it looks at everything, every 20 minutes."""
    lose, return_ = cluster.settings.lose_node, cluster.settings.return_node
    if not (lose and return_):
        pytest.skip("needs E2E_LOSE_NODE and E2E_RETURN_NODE, commands that take the cluster's node away and bring it back")
    output = published.output.copy(planned_only=True)
    name = cluster.start(output, *published.options)
    cluster.embedding_pod(name)
    before = output.writes()
    assert len(before) <= len(published.columns) - 3, "too late: too few pods are left"
    try:
        assert cluster.run(*shlex.split(lose)).returncode == 0
        back_at = time.monotonic() + LOST_S
        cluster.until("the node to be missed", lambda: not cluster.ready_nodes())
        cluster.until("the minute to pass", lambda: time.monotonic() >= back_at)
    finally:
        returned = cluster.run(*shlex.split(return_))
    assert returned.returncode == 0, returned.stderr
    cluster.until("the node to be ready", cluster.ready_nodes)
    assert lost_shards(cluster, name, output, published, before)


def lost_shards(cluster: Cluster, name: str, output: Output, published: Published, before: dict[int, str]) -> list[str]:
    """The shards that took another attempt, once the workflow has succeeded, written what was missing, and nothing else."""
    workflow = cluster.finished(name)
    assert workflow.phase == "Succeeded"
    assert output.names() == published.output.names()
    assert output.writes().items() > before.items()
    rows = [{column: entry["rows"] for column, entry in each.manifest()["columns"].items()} for each in (output, published.output)]
    assert rows[0] == rows[1]
    attempts = {shard: workflow.attempts("embed", shard) for shard in sorted(workflow.shards())}
    lost = [shard for shard in attempts if len(attempts[shard]) > 1]
    for shard in lost:
        first, *_, last = attempts[shard]
        assert first["phase"] in {"Failed", "Error"}
        assert re.search(LOST, first["message"])
        assert last["phase"] == "Succeeded"
    return lost
