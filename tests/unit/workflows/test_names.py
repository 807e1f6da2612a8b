"""Names come from the installed template: the release's, its account, its role and its controller's instance id."""

import json

import pytest
import yaml

from embedder import __version__
from embedder.cli.command import exit_code_of
from embedder.errors import ConfigurationError
from tests.unit.workflows.argo_server import CREATE_PATH, Server
from tests.unit.workflows.argo_server import TEMPLATE as DEFAULT
from workflows import submission
from workflows.clusters import Cluster, Object, RefusedError, find_cluster
from workflows.submit import submit

NAME = "spring-embeddings"
PATH = f"/api/v1/workflow-templates/argo/{NAME}"
LABEL = "workflows.argoproj.io/controller-instanceid"


def template_of(**labels: str) -> Object:
    """As the chart installs it for the release `april` that has been given another name."""
    found: Object = json.loads(json.dumps(DEFAULT))
    found["metadata"]["name"] = found["spec"]["serviceAccountName"] = NAME
    found["metadata"]["labels"] |= {"app.kubernetes.io/instance": "april", **labels}
    return found


class Memory(Cluster):
    """A cluster without an account, in which a submitter may do nothing."""

    def __init__(self) -> None:
        super().__init__(name="a cluster", namespace="argo", login="the login")

    def template(self, name: str) -> Object:
        raise RefusedError(403, f'{name} is forbidden: User "me" cannot get resource "workflowtemplates"')

    def workflow(self, name: str) -> Object:
        raise RefusedError(404, f"{name} not found")

    def create(self, workflow: Object) -> None:
        raise RefusedError(403, f'{workflow["metadata"]["name"]} is forbidden: User "me" cannot create resource "workflows"')

    def page(self, workflow: str) -> str:
        return workflow

    def has_service_account(self, name: str) -> bool | None:  # noqa: ARG002
        return False


@pytest.mark.parametrize("how", ["option", "environment"])
def test_another_releases_template_is_submitted_when_it_is_named(how: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.replies["GET", PATH] = [(200, template_of())]
    server.replies["POST", CREATE_PATH] = [(200, {})]
    if how == "environment":
        monkeypatch.setenv("TEMPLATE", NAME)
    monkeypatch.setattr("sys.argv", ["submit.py", "--year", "2020", "--no-preflight", *(["--template", NAME] if how == "option" else [])])
    assert exit_code_of(submit, "submit.py") == 0
    (workflow,) = [body["workflow"] for method, _, body, _ in server.requests if method == "POST"]
    assert workflow["spec"]["workflowTemplateRef"] == {"name": NAME}
    assert workflow["metadata"]["name"].startswith(f"{NAME}-2020-")
    assert LABEL not in workflow["metadata"]["labels"]


@pytest.mark.parametrize("place", ["labels", "workflowMetadata"])
def test_the_workflow_has_the_controllers_instance_id_when_the_template_has(
    place: str, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    template = template_of(**({LABEL: "blue"} if place == "labels" else {}))
    if place == "workflowMetadata":
        template["spec"]["workflowMetadata"] = {"labels": {LABEL: "blue"}}
    server.replies["GET", PATH] = [(200, template)]
    monkeypatch.setattr(submission, "estimate_text", lambda *_, **__: "an estimate")
    monkeypatch.setattr("sys.argv", ["submit.py", "--year", "2020", "--template", NAME, "--dry-run"])
    assert exit_code_of(submit, "submit.py") == 0
    assert yaml.safe_load(capsys.readouterr().out)["metadata"]["labels"][LABEL] == "blue"


def test_a_workflows_name_fits_a_label_when_the_releases_is_long() -> None:
    name = submission.workflow_of({"year": "2020"}, "argo", "a" * 48 + "-embeddings", None).name
    assert name
    assert len(name) <= 63
    assert "--" not in name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "0.0.1"}, f"helm upgrade april helm/ --namespace argo --reset-then-reuse-values --set image=REPO:{__version__}"),
        ({}, f"no service account {NAME} in namespace argo: helm upgrade april helm/"),
        ({"account": "eksctl"}, "no service account eksctl in namespace argo: create it, or helm upgrade april helm/"),
    ],
)
def test_checks_advise_the_release_that_the_template_is_of(change: dict[str, str], said: str) -> None:
    template = template_of()
    if "version" in change:
        template["metadata"]["labels"]["app.kubernetes.io/version"] = change["version"]
    if "account" in change:
        template["spec"]["serviceAccountName"] = change["account"]
    assert any(said in made.detail for made in submission.check_cluster(Memory(), template) if made.error)


def test_the_role_is_the_templates_own() -> None:
    role = f"kubectl create rolebinding submitter-YOU --role {NAME}-submitter"
    with pytest.raises(ConfigurationError, match=role):
        submission.find_template(Memory(), NAME)
    with pytest.raises(ConfigurationError, match=role):
        submission.create(Memory(), submission.workflow_of({"year": "2020"}, "argo", NAME, template_of()))


@pytest.mark.parametrize(
    ("name", "command"),
    [
        (NAME, "helm install spring helm/ --namespace argo --set image=REPO:TAG --set output=s3://bucket/prefix"),
        ("odd", "helm install odd helm/ --namespace argo --set image=REPO:TAG --set output=s3://bucket/prefix --set fullnameOverride=odd"),
    ],
)
def test_a_missing_template_is_installed_under_the_name_that_was_given(name: str, command: str, server: Server) -> None:
    body = {"message": f'workflowtemplates.argoproj.io "{name}" not found'}
    server.replies["GET", f"/api/v1/workflow-templates/argo/{name}"] = [(404, body)]
    with pytest.raises(ConfigurationError) as raised:
        submission.find_template(find_cluster(None), name)
    assert str(raised.value).endswith(command)
