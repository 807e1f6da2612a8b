"""What the chart's two accounts may do: their work, and nothing else."""

import json

import pytest

from tests.e2e.cluster import NAME, SUBMITTER, Cluster
from tests.e2e.workflow import Object

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ASKED_BY_ALL = {"authentication.k8s.io", "authorization.k8s.io"}
"""API groups in which everyone may ask who they are and what they may do."""
ALLOWED = {
    NAME: {("workflowtaskresults", "", "create patch")},
    SUBMITTER: {
        ("workflows", "", "create get list watch"),
        ("workflowtemplates", "", "get list"),
        ("serviceaccounts", NAME, "get"),
    },
}
"""By account: resource, name and verbs."""
FORBIDDEN = {
    NAME: ["get secrets", "get pods", "get workflows", "get configmaps", f"delete serviceaccount {NAME}"],
    SUBMITTER: ["get secrets", "get pods", "get configmaps", f"delete workflowtemplate {NAME}"],
}


def rules(cluster: Cluster, account: str, namespace: str) -> set[tuple[str, str, str]]:
    """What the Kubernetes API says that an account may do."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    asked = cluster.run(
        *("kubectl", "create", "--validate=false", "--filename", "-", "--output", "json"),
        stdin=json.dumps(review),
        environment=cluster.as_account(account),
    )
    assert asked.returncode == 0, asked.stderr
    found: list[Object] = json.loads(asked.stdout)["status"]["resourceRules"]
    return {
        (resource, " ".join(rule.get("resourceNames", [])), " ".join(sorted(rule["verbs"])))
        for rule in found
        if not set(rule["apiGroups"]) <= ASKED_BY_ALL
        for resource in rule["resources"]
    }


@pytest.mark.parametrize("account", ALLOWED)
def test_an_account_may_do_its_work_and_nothing_else_when_asked(cluster: Cluster, account: str) -> None:
    assert rules(cluster, account, cluster.namespace) == ALLOWED[account]
    assert rules(cluster, account, "default") == set()


@pytest.mark.parametrize("account", FORBIDDEN)
def test_requests_are_refused_when_they_are_beyond_an_accounts_work(cluster: Cluster, account: str) -> None:
    environment = cluster.as_account(account)
    for request in FORBIDDEN[account]:
        done = cluster.run("kubectl", *request.split(), "--namespace", cluster.namespace, environment=environment)
        assert done.returncode == 1
        assert "Error from server (Forbidden)" in done.stderr
