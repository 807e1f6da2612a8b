"""How a pod can end, on a real controller: the rows of docs/retries.md, most of them by writing the pod's status as a kubelet would."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from embedder.grid import format_columns
from tests.e2e.bucket import YEAR, Output
from tests.e2e.cluster import NAME, ROOT, Cluster
from tests.e2e.conftest import Published
from tests.e2e.workflow import Object, Workflow
from tests.endings import endings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ENDINGS = endings()
FIRST = 200
"""Of the columns whose pods are made to end; none has a tile, and no pod of theirs gets a node."""
OCI = "failed to create containerd task: failed to create shim task: OCI runtime create failed"
FORBIDDEN = "workflowtaskresults.argoproj.io is forbidden: User cannot create resource"
Terminated = tuple[str, int] | tuple[str, int, str]
"""Reason, exit code and message of a container."""


def container(name: str, state: Object) -> Object:
    return {"name": name, "image": "image", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def ended(message: str = "", reason: str = "", *, init: Terminated | None = None, **containers: Terminated | str) -> Object:
    """The status of a pod that has failed; of main and wait either how they ended, or the state that they are still in."""
    status: Object = {"phase": "Failed", "containerStatuses": []} | ({"message": message, "reason": reason} if message else {})
    if init:
        status["initContainerStatuses"] = [container("init", terminated(*init))]
    for name, end in containers.items():
        state = {end: {"reason": "PodInitializing"} if end == "waiting" else {}} if isinstance(end, str) else terminated(*end)
        status["containerStatuses"].append(container(name, state))
    return status


def terminated(reason: str, code: int, message: str = "") -> Object:
    return {"terminated": {"reason": reason, "exitCode": code, "message": message}}


def main_ended(*end: str | int) -> Object:
    """Where Argo's own container went on to its regular end."""
    return ended(main=end, wait=("Completed", 0))  # type: ignore[arg-type]


STATUSES = {
    "its node shuts down (spot notice)": ended(
        "Pod was terminated in response to imminent node shutdown.", "Terminated", main=("Error", 143), wait=("Error", 143)
    ),
    "its node turns it away": ended(
        "Pod was rejected: Node didn't have enough resource: nvidia.com/gpu, requested: 1, used: 0, capacity: 0", "OutOfnvidia.com/gpu"
    ),
    "it is evicted from a node short of memory or disk": ended(
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi.",
        "Evicted",
        main=("Error", 137),
        wait=("Error", 143),
    ),
    "it makes room for a system pod": ended(
        "Preempted in order to admit critical pod", "Preempting", main=("Error", 137), wait=("Error", 137)
    ),
    "its node is gone, its containers never reported": ended(main="running", wait="running"),
    "it failed before it had a container": ended(),
    "it failed before main started": ended(main="waiting", wait="waiting"),
    "SIGTERM": main_ended("Error", 143),
    "SIGKILL, but not for its memory": main_ended("Error", 137),
    "the node's runtime has lost the container": ended(
        main=("ContainerStatusUnknown", 137, "The container could not be located when the pod was terminated"), wait=("Error", 137)
    ),
    "the container's end is unknown": ended(main=("Unknown", 255), wait=("Unknown", 255)),
    "the runtime or the device cannot start main": main_ended("StartError", 128, OCI),
    "the runtime cannot run main": main_ended("ContainerCannotRun", 127, OCI),
    "the runtime cannot start Argo's first container": ended(init=("StartError", 128, OCI), main="waiting", wait="waiting"),
    "Argo's first container fails": ended(init=("Error", 1, "no route to host"), main="waiting", wait="waiting"),
    "Argo's container beside main fails": ended(main=("Completed", 0), wait=("Error", 1, "no route to host")),
    "Argo's container beside main is gone": ended(main=("Completed", 0), wait="running"),
    "the step ends with 2: wrong usage": main_ended("Error", 2, "error: No such option: --colums"),
    "the step ends with 1: a fault of this program": main_ended("Error", 1, "error: unexpected ValueError"),
    "the image has no such program": main_ended("Error", 64),
    "main needs more memory than its limit": main_ended("OOMKilled", 137),
    "Argo's container needs more memory than its limit": ended(main=("Completed", 0), wait=("OOMKilled", 137)),
    "a step takes longer than it may": ended(
        "Pod was active on the node longer than the specified deadline", "DeadlineExceeded", main=("Error", 137), wait=("Error", 137)
    ),
    "its temporary files outgrow their limit": ended(
        'Usage of EmptyDir volume "tmp" exceeds the limit "10Gi". ', "Evicted", main=("Error", 137), wait=("Error", 137)
    ),
    "its disk outgrows its limit": ended(
        'Container main exceeded its local ephemeral storage limit "1Gi". ', "Evicted", main=("Error", 137), wait=("Error", 137)
    ),
    "the pod's account may not report its results": ended(main=("Completed", 0), wait=("Error", 1, FORBIDDEN)),
}
"""What a kubelet or the control plane would write, by the row."""
FOR_REAL = {
    "its object is gone: node reclaimed or drained, `kubectl delete pod`": "test_losses",
    "an admission webhook does not answer when the pod is created": "test_endings",
    "a quota is used up when the pod is created": "test_endings",
    "the step ends with 75: S3 or the source is away; a CUDA fault; no usable CUDA; credentials [as below](#credentials)": "test_endings",
    "the step ends with 78: wrong configuration or input": "test_failures",
    "a policy, or an account without the right, forbids the pod": "test_endings",
    "the pod's description is wrong": "test_endings",
}
"""The rows that come about by themselves, each with the tests in which they do."""
UNSEEN = {
    "the API server does not answer in time when the pod is created",
    "an admission webhook refuses the pod",
}
"""The rows that no test here can bring about."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the controller made of a pod's end."""

    phase: str
    message: str
    outcome: str
    """again or final."""


def test_each_row_is_seen_somewhere_or_said_to_be_unseen() -> None:
    assert set(ENDINGS) == {*STATUSES, *FOR_REAL, *UNSEEN}


@pytest.fixture(scope="module")
def seen(cluster: Cluster, published: Published) -> dict[str, Seen]:
    """By the row: a fan-out of pods that wait for a node that there is not, each of which is made to end in its own way."""
    output = published.output.copy(planned_only=True)
    columns = dict(zip(STATUSES, range(FIRST, FIRST + len(STATUSES)), strict=True))
    with chart(cluster, "embed.nodeSelector.nowhere=yes", f"parallelism={len(columns) + 1}"):
        name = cluster.start(output, *published.options, "--columns", format_columns(list(columns.values())))
        try:
            pods = cluster.until("the pods to wait", lambda: waiting_pods(cluster, name, len(columns)))
            for row, column in columns.items():
                cluster.kubectl(
                    "patch",
                    "pod",
                    pods[str(column)],
                    "--subresource",
                    "status",
                    "--type",
                    "merge",
                    "--patch",
                    json.dumps({"status": STATUSES[row]}),
                )

            def decided() -> dict[str, Seen] | None:
                found = cluster.workflow(name)
                verdicts = {row: verdict(found, found.attempts("embed", str(column))) for row, column in columns.items()}
                decisions = {row: each for row, each in verdicts.items() if each}
                return decisions if len(decisions) == len(verdicts) else None

            return cluster.until("the controller to decide on each", decided)
        finally:
            cluster.kubectl("delete", "workflow", name)


@pytest.mark.parametrize("row", STATUSES)
def test_what_the_table_says_happens_when_a_pod_ends_so(row: str, seen: dict[str, Seen]) -> None:
    assert_says(seen[row], row)
    assert seen[row].outcome == ENDINGS[row].outcome


def test_the_pod_is_tried_again_when_an_admission_webhook_does_not_answer(cluster: Cluster, published: Published) -> None:
    with cluster.silent_webhook():
        workflow = start_embed(cluster, published.output.copy(), published.with_chips[0])
        first = cluster.until("a pod that is not created", lambda: next(iter(ended_attempts(cluster.workflow(workflow))), None))
    done = cluster.finished(workflow)
    assert_says(first, "an admission webhook does not answer when the pod is created")
    assert done.phase == "Succeeded"
    assert len(done.attempts("embed")) > 1


def test_the_pod_waits_and_is_created_when_a_quota_is_used_up(cluster: Cluster, published: Published) -> None:
    cluster.create("ResourceQuota", "none", spec={"hard": {"count/pods": "0"}})
    try:
        workflow = start_embed(cluster, published.output.copy(), published.with_chips[0])

        def told() -> bool:
            return any("exceeded quota" in node.get("message", "") for node in cluster.workflow(workflow).attempts("embed"))

        cluster.until("the step to wait", told)
    finally:
        cluster.kubectl("delete", "resourcequota", "none")
    done = cluster.finished(workflow)
    assert done.phase == "Succeeded"
    assert len(done.attempts("embed")) == 1


def test_the_pod_is_final_when_a_policy_forbids_it(cluster: Cluster, published: Published) -> None:
    name = f"no-{cluster.namespace}"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods", "configmaps"]}]
    version = "admissionregistration.k8s.io/v1"
    policy = {"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": "false", "message": "no pods here"}]}
    selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": cluster.namespace}}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": selector}
    cluster.create("ValidatingAdmissionPolicy", name, version=version, spec=policy)
    cluster.create("ValidatingAdmissionPolicyBinding", name, version=version, spec=binding)
    try:
        trial = ("kubectl", "--namespace", cluster.namespace, "create", "configmap", "trial", "--dry-run=server")
        cluster.until("the policy to hold", lambda: "no pods here" in cluster.run(*trial).stderr)
        assert_final(cluster, published, "a policy, or an account without the right, forbids the pod")
    finally:
        cluster.kubectl("delete", "validatingadmissionpolicybinding", name)
        cluster.kubectl("delete", "validatingadmissionpolicy", name)


def test_the_pod_is_final_when_its_description_is_wrong(cluster: Cluster, published: Published) -> None:
    with chart(cluster, "embed.resources.requests.memory=5Gi", "embed.resources.limits.memory=4Gi"):
        assert_final(cluster, published, "the pod's description is wrong")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("embed.device=cuda", "device cuda cannot be used on this machine: card none, driver none; torch "),
        ("aws.credentialsSecret=", "no AWS credentials"),
    ],
)
def test_the_step_is_tried_again_and_says_why_when_its_pod_lacks_what_plan_had(
    value: str, said: str, cluster: Cluster, published: Published
) -> None:
    output = published.output.copy(planned_only=True)
    with chart(cluster, value):
        workflow = start_embed(cluster, output, published.with_chips[0])
        try:
            again = cluster.until("another attempt", lambda: attempts_once(cluster.workflow(workflow), 2))
        finally:
            cluster.kubectl("delete", "workflow", workflow)
    first = Seen(phase=again[0]["phase"], message=again[0]["message"], outcome="again")
    assert_says(
        first, "the step ends with 75: S3 or the source is away; a CUDA fault; no usable CUDA; credentials [as below](#credentials)"
    )
    assert said in first.message
    assert output.writes() == {}


@contextmanager
def chart(cluster: Cluster, *values: str) -> Iterator[None]:
    """The chart with other values."""
    cluster.helm("upgrade", str(ROOT / "helm"), "--reuse-values", *(argument for value in values for argument in ("--set", value)))
    try:
        yield
    finally:
        cluster.helm("rollback")


def start_embed(cluster: Cluster, output: Output, column: int) -> str:
    """The name of a workflow of a single step, for a run that is planned, and of a column that is not there."""
    if column in output.writes():
        output.remove(column)
    parameters = {"year": YEAR, "output": output.url, "precision": "fp32", "shard": column}
    arguments = {"parameters": [{"name": name, "value": str(value)} for name, value in parameters.items()]}
    spec = {"entrypoint": "embed", "workflowTemplateRef": {"name": NAME}, "arguments": arguments}
    made = cluster.create("Workflow", "embed-", version="argoproj.io/v1alpha1", spec=spec)
    cluster.submitted.append(made["metadata"]["name"])
    return cluster.submitted[-1]


def assert_final(cluster: Cluster, published: Published, row: str) -> None:
    """A step ends after one attempt, with the row's words."""
    done = cluster.finished(start_embed(cluster, published.output.copy(), published.with_chips[0]))
    assert done.phase in {"Failed", "Error"}
    [only] = ended_attempts(done)
    assert_says(only, row)


def assert_says(found: Seen, row: str) -> None:
    """The controller says what the table says."""
    said = ENDINGS[row].argo_3
    assert said
    phase, message = said
    assert found.phase == phase
    assert re.match(".*".join(map(re.escape, message.split("…"))), found.message, re.DOTALL), found.message


def waiting_pods(cluster: Cluster, workflow: str, count: int) -> dict[str, str] | None:
    """The names of the embed pods by their columns, once all are there."""
    found = {}
    for pod in cluster.pods(workflow, "embed"):
        environment = next(each for each in pod["spec"]["containers"] if each["name"] == "main")["env"]
        found[next(each["value"] for each in environment if each["name"] == "COLUMN")] = pod["metadata"]["name"]
    return found if len(found) == count else None


def verdict(workflow: Workflow, attempts: list[Object]) -> Seen | None:
    """What became of a step after its first pod; None while that is open."""
    first = attempts[0]
    [step] = [node for node in workflow.nodes if node["type"] == "Retry" and first["id"] in node.get("children", [])]
    outcome = "again" if len(attempts) > 1 else "final" if step["phase"] in {"Failed", "Error"} else None
    return Seen(phase=first["phase"], message=first.get("message", ""), outcome=outcome) if outcome else None


def ended_attempts(workflow: Workflow) -> list[Seen]:
    """The attempts that have failed."""
    ended_ones = [node for node in workflow.attempts("embed") if node["phase"] in {"Failed", "Error"}]
    return [Seen(phase=node["phase"], message=node["message"], outcome="") for node in ended_ones]


def attempts_once(workflow: Workflow, count: int) -> list[Object] | None:
    """The attempts, once there are so many."""
    found = workflow.attempts("embed")
    return found if len(found) >= count else None
