"""The chart on a cluster with rules of its own: the restricted standard, a quota, another release beside it."""

import json
from collections.abc import Iterator

import pytest
import yaml

from embedder.grid import format_columns
from tests.chart import CASES, render
from tests.e2e.bucket import YEAR, Output
from tests.e2e.cluster import NAME, RELEASE, ROOT, Cluster
from tests.e2e.conftest import Published
from tests.e2e.workflow import Object
from tests.policy.pods import objects_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SECOND = "trial"
"""Another release, as in the golden render."""
ACCOUNTS = [f"{SECOND}-embeddings", "from-terraform"]
"""That the golden renders' pods need besides the installed release's."""
PRIORITIES = ["example-batch", "example-bulk"]
RUNTIMES = ["example-runtime", "example-gpu"]
LIMITS = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "2", "memory": "4Gi"}}


@pytest.fixture(scope="module")
def classes(cluster: Cluster) -> Iterator[None]:
    """The PriorityClasses and RuntimeClasses of the golden renders; all run as this cluster's pods always do."""
    remove = ("delete", "priorityclass,runtimeclass", *PRIORITIES, *RUNTIMES, "--ignore-not-found")
    cluster.kubectl(*remove)  # of a run that was killed
    for name in PRIORITIES:
        cluster.create("PriorityClass", name, version="scheduling.k8s.io/v1", value=0)
    for name in RUNTIMES:
        cluster.create("RuntimeClass", name, version="node.k8s.io/v1", handler="runc")
    yield
    cluster.kubectl(*remove)


@pytest.fixture
def accounts(cluster: Cluster) -> Iterator[None]:
    for name in ACCOUNTS:
        cluster.create("ServiceAccount", name)
    yield
    cluster.kubectl("delete", "serviceaccount", *ACCOUNTS)


def test_a_restricted_namespace_refuses_a_pod_that_is_not(cluster: Cluster) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loose"}, "spec": {"containers": [{"name": "main", "image": "example"}]}}
    refused = cluster.run(
        *("kubectl", "--namespace", cluster.namespace, "create", "--dry-run=server", "--filename", "-"), stdin=json.dumps(pod)
    )
    assert refused.returncode == 1
    assert 'violates PodSecurity "restricted:latest"' in refused.stderr


@pytest.mark.usefixtures("accounts", "classes")
@pytest.mark.parametrize("case", CASES)
def test_a_restricted_namespace_takes_what_the_chart_renders_and_the_pods_in_its_template(cluster: Cluster, case: str) -> None:
    objects = objects_of(render(case))
    assert sum(found["kind"] == "Pod" for found in objects) == 4  # of preflight, and of three steps
    cluster.kubectl("delete", "pod", f"{NAME}-preflight", "--ignore-not-found")  # a pod can't be changed, not even as a trial
    taken = cluster.kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "--filename", "-"), stdin=yaml.safe_dump_all(objects)
    )
    assert taken.count("(server dry run)") == len(objects)


def test_two_releases_publish_the_same_when_they_run_on_one_output(cluster: Cluster, published: Published) -> None:
    values = cluster.folder / "second.json"
    values.write_text(cluster.run("helm", "get", "values", RELEASE, "--namespace", cluster.namespace, "--output", "json").stdout)
    install = ("helm", "install", SECOND, str(ROOT / "helm"), "--values", str(values), "--namespace", cluster.namespace)
    installed = cluster.run(*install)
    assert installed.returncode == 0, installed.stderr
    try:
        output = published.output.copy(planned_only=True)
        parameters = {"columns": format_columns(published.columns), "weights": published.weights}
        names = [start(cluster, template, output, "run", parameters) for template in (NAME, f"{SECOND}-embeddings")]
        ended = [cluster.finished(name) for name in names]
        assert [workflow.phase for workflow in ended] == ["Succeeded", "Succeeded"]
        both = [(found.object["status"]["startedAt"], found.object["status"]["finishedAt"]) for found in ended]
        assert max(start for start, _ in both) < min(end for _, end in both), "they took turns"
        assert list(output.writes()) == published.columns
        assert [int(column) for column in output.manifest()["columns"]] == published.columns
    finally:
        cluster.run("helm", "uninstall", SECOND, "--namespace", cluster.namespace)


@pytest.mark.usefixtures("classes")
def test_a_pod_is_as_the_values_say_when_a_quota_asks_for_limits(cluster: Cluster, published: Published) -> None:
    spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    selector = {"labelSelector": {"matchLabels": {"app.kubernetes.io/instance": RELEASE}}}
    values = {
        "podLabels": {"cost-center": "maps"},
        "podAnnotations": {"example.com/owner": "maps"},
        "extraEnv": [{"name": "LOG_FORMAT", "value": "console"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "kube-root-ca.crt"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/example", "readOnly": True}],
        "topologySpreadConstraints": [{**spread, **selector}],
        "priorityClassName": PRIORITIES[0],
        "runtimeClassName": RUNTIMES[0],
        "executor": {"resources": {"limits": {"cpu": "100m", "memory": "256Mi"}}},
        "finalize": {"resources": LIMITS},
    }
    file = cluster.folder / "fit.json"
    file.write_text(json.dumps(values))
    cluster.helm("upgrade", str(ROOT / "helm"), "--reuse-values", "--values", str(file))
    try:
        cluster.create("ResourceQuota", "limits", spec={"hard": {"limits.cpu": "50", "limits.memory": "100Gi"}})
        cluster.until("the quota to count", lambda: cluster.get("resourcequota", "limits")["status"].get("used"))
        name = start(cluster, NAME, published.output.copy(), "finalize", {"columns": format_columns(published.columns)})
        ended = cluster.finished(name)
        assert ended.phase == "Succeeded", ended
        [pod] = cluster.get("pods", "--selector", f"workflows.argoproj.io/workflow={name}")["items"]
    finally:
        cluster.kubectl("delete", "resourcequota", "limits", "--ignore-not-found")
        cluster.helm("rollback")
    spec, metadata = pod["spec"], pod["metadata"]
    assert (metadata["labels"]["cost-center"], metadata["annotations"]["example.com/owner"]) == ("maps", "maps")
    assert (spec["priorityClassName"], spec["runtimeClassName"]) == (PRIORITIES[0], RUNTIMES[0])
    assert spec["topologySpreadConstraints"] == [{**spread, **selector}]
    assert spec["terminationGracePeriodSeconds"] == 60  # the workflow's own patch
    containers = {found["name"]: found for found in (*spec["initContainers"], *spec["containers"])}
    assert {name: found["resources"]["limits"]["cpu"] for name, found in containers.items()} == {
        "init": "100m",
        "wait": "100m",
        "main": "2",
    }
    assert "/etc/example" in [mount["mountPath"] for mount in containers["main"]["volumeMounts"]]
    assert [found["value"] for found in containers["main"]["env"] if found["name"] == "LOG_FORMAT"] == ["console"]


def start(cluster: Cluster, template: str, output: Output, entrypoint: str, parameters: dict[str, str]) -> str:
    """The name of a workflow of a template, begun at one of its steps or at their DAG."""
    arguments = {"year": str(YEAR), "output": output.url, "precision": "fp32", **parameters}
    spec: Object = {
        "entrypoint": entrypoint,
        "workflowTemplateRef": {"name": template},
        "arguments": {"parameters": [{"name": name, "value": value} for name, value in arguments.items()]},
    }
    made = cluster.create("Workflow", f"{entrypoint}-", version="argoproj.io/v1alpha1", spec=spec)
    name: str = made["metadata"]["name"]
    cluster.submitted.append(name)
    return name
