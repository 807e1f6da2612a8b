"""The chart's own test, and a pool of nodes with GPUs."""

import json

import pytest

from tests.e2e.cluster import ROOT, Cluster
from tests.e2e.conftest import Published
from tests.e2e.workflow import Object

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

GPU = "nvidia.com/gpu"
GPU_PATH = "nvidia.com~1gpu"
"""The same in a JSON patch."""
POOL = "worldcover-embeddings/pool"
"""The label in helm/gpu-spot.yaml."""


def test_helm_test_passes_when_output_source_and_weights_can_be_used(cluster: Cluster) -> None:
    shown = cluster.helm("test", "--logs", "--timeout", "120s")
    assert "Phase:          Succeeded" in shown
    for name in ("output", "source", "weights"):
        assert f"ok      {name}" in shown


def test_helm_test_fails_and_says_why_when_the_output_is_not_there(cluster: Cluster) -> None:
    cluster.helm("upgrade", str(ROOT / "helm"), "--reuse-values", "--set", "output=s3://no-such-bucket-here/prefix")
    try:
        done = cluster.run(*("helm", "test", "worldcover", "--logs", "--timeout", "120s", "--namespace", cluster.namespace))
        assert done.returncode != 0
        assert "failed  output    s3://no-such-bucket-here/prefix" in done.stdout
        assert "ok      source" in done.stdout
    finally:
        cluster.helm("rollback")


def test_embed_pods_alone_wait_for_the_gpu_pool_when_the_chart_names_it(cluster: Cluster, published: Published) -> None:
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    small = ["--set", "embed.resources.requests.cpu=100m,embed.resources.requests.memory=512Mi,embed.resources.limits.memory=4Gi"]
    small += ["--set", "embed.device=cpu,columnsPerPod=1"]  # the cards are not there; a pod for each column
    cluster.helm("upgrade", str(ROOT / "helm"), "--reuse-values", "--values", str(ROOT / "helm/gpu-spot.yaml"), *small)
    try:
        name = cluster.start(published.output.copy(), *published.options)
        # A single node can play both parts: an ordinary one, on which plan has run by then, and after that one of the pool.
        cluster.until("all embed pods to wait", lambda: len(unschedulable(cluster, name, "embed")) == len(published.columns))
        offer_gpus(cluster, node)
        try:
            placed = cluster.until("all columns", lambda: embedded_on(cluster, name, len(published.columns)))
            assert set(placed) == {node}
            cluster.until("finalize to end or to wait", lambda: is_over_or_waits(cluster, name))
        finally:
            withdraw_gpus(cluster, node)
    finally:
        cluster.helm("rollback")
    assert cluster.finished(name).phase == "Succeeded"


def unschedulable(cluster: Cluster, workflow: str, step: str) -> list[Object]:
    """The pods of a step for which there is no node."""
    return [
        pod
        for pod in cluster.pods(workflow, step)
        if any(found.get("reason") == "Unschedulable" for found in pod["status"].get("conditions", []))
    ]


def is_over_or_waits(cluster: Cluster, workflow: str) -> bool:
    """Whether finalize has ended, or waits for a node that it tolerates."""
    return cluster.workflow(workflow).is_finished or bool(unschedulable(cluster, workflow, "finalize"))


def embedded_on(cluster: Cluster, workflow: str, count: int) -> list[str] | None:
    """The nodes of the embed pods, once so many have succeeded."""
    found = [node for node in cluster.workflow(workflow).attempts("embed") if node["phase"] == "Succeeded"]
    return [node["hostNodeName"] for node in found] if len(found) == count else None


def offer_gpus(cluster: Cluster, node: str) -> None:
    """Make a node one of the pool, as the cluster sees it: label, taint, and cards that are not there."""
    cluster.kubectl("taint", "node", node, f"{GPU}=:NoSchedule")
    cluster.kubectl("label", "node", node, f"{POOL}=gpu")
    patch_status(cluster, node, [{"op": "add", "path": f"/status/capacity/{GPU_PATH}", "value": "2"}])


def withdraw_gpus(cluster: Cluster, node: str) -> None:
    """Undo that."""
    cluster.kubectl("taint", "node", node, f"{GPU}-")
    cluster.kubectl("label", "node", node, f"{POOL}-")
    patch_status(cluster, node, [{"op": "remove", "path": f"/status/{what}/{GPU_PATH}"} for what in ("capacity", "allocatable")])


def patch_status(cluster: Cluster, node: str, patch: list[dict[str, str]]) -> None:
    cluster.kubectl("patch", "node", node, "--subresource", "status", "--type", "json", "--patch", json.dumps(patch))
