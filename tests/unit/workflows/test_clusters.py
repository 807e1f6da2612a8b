"""What a cluster's refusals mean: each gets its own true line, in the server's words."""

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from embedder.errors import ConfigurationError, TemporaryError
from tests.unit.workflows.argo_server import CREATE_PATH, TEMPLATE, TEMPLATE_PATH, Server
from workflows import submission
from workflows.clusters import RefusedError, find_cluster
from workflows.definition import NAME

KUBERNETES_PATH = f"/apis/argoproj.io/v1alpha1/namespaces/argo/workflowtemplates/{NAME}"
QUOTA = f'workflows.argoproj.io "{NAME}" is forbidden: exceeded quota: runs, requested: count/workflows.argoproj.io=1, used: 5, limited: 5'
WEBHOOK = 'admission webhook "validate.kyverno.svc" denied the request: label team is required'
POLICY = f"workflows.argoproj.io \"{NAME}\" is forbidden: ValidatingAdmissionPolicy 'owners' with binding 'all' denied request: no owner"
PAGE = b"<html><head><style>h1 {color: red}</style></head><body><h1>403&nbsp;Forbidden</h1>\n<p>Ask the gateway's team.</p></body></html>"


@pytest.fixture
def kubeconfig(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Write one for the server, with this user; no Argo server is named."""

    def write(user: dict[str, Any], **cluster: Any) -> None:  # noqa: ANN401 - whatever a kubeconfig holds
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "mine",
            "clusters": [{"name": "c", "cluster": {"server": server.url, **cluster}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "mine", "context": {"cluster": "c", "user": "u", "namespace": "argo"}}],
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.delenv("ARGO_SERVER")

    return write


def plugin(script: str, folder: Path) -> dict[str, Any]:
    """A user whose login is a command; the script counts its calls in `calls`."""
    (folder / "plugin.py").write_text(f"import json, sys\nfrom pathlib import Path\ncalls = Path({str(folder / 'calls')!r})\n{script}")
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(folder / "plugin.py")],
            "interactiveMode": "Never",
        }
    }


def said_of_creation() -> str:
    with pytest.raises(ConfigurationError) as raised:
        submission.create(find_cluster(None), submission.workflow_of({"year": "2020"}, "argo"))
    return str(raised.value)


@pytest.mark.parametrize(
    "message",
    [
        'workflows.argoproj.io is forbidden: User "me" cannot create resource "workflows" in API group "argoproj.io"',
        "permission denied",
        'Permission denied, you are not allowed to list workflows in namespace "argo".',
        "not allowed",
    ],
)
def test_the_role_is_advised_when_rbac_says_no(message: str, server: Server) -> None:
    server.replies["POST", CREATE_PATH] = [(403, {"code": 7, "message": message})]
    said = said_of_creation()
    assert f"kubectl create rolebinding submitter-YOU --role {NAME}-submitter" in said
    assert message in said


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": QUOTA}, QUOTA),
        ({"message": WEBHOOK}, WEBHOOK),
        ({"message": POLICY}, POLICY),
        (PAGE, "403 Forbidden Ask the gateway's team."),
        (b"", "without a word"),
        (b"RBAC: access denied", "RBAC: access denied"),  # a service mesh's
    ],
)
def test_the_servers_own_sentence_is_shown_without_a_role_when_it_is_no_rbac(body: Any, words: str, server: Server) -> None:  # noqa: ANN401
    server.replies["POST", CREATE_PATH] = server.replies["GET", TEMPLATE_PATH] = [(403, body)]
    assert said_of_creation().endswith(f" refuses the workflow: {words}")
    with pytest.raises(ConfigurationError) as raised:
        submission.find_template(find_cluster(None))
    assert str(raised.value).endswith(f" refuses to show the workflow template: {words}")


def test_a_servers_sentence_is_cut_when_it_is_a_novel(server: Server) -> None:
    server.replies["POST", CREATE_PATH] = [(403, {"message": "denied the request:\n" + "because " * 1000})]
    said = said_of_creation()
    assert "denied the request: because" in said
    assert said.endswith("...")
    assert len(said) < 600


def test_requests_go_below_the_base_href_when_one_is_set(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.replies["GET", f"/argo{TEMPLATE_PATH}"] = [(200, TEMPLATE)]
    for href in ("/argo", "argo/", "/argo/"):
        monkeypatch.setenv("ARGO_BASE_HREF", href)
        cluster = find_cluster(None)
        assert submission.find_template(cluster) == TEMPLATE
        assert cluster.page("run") == f"{server.url}/argo/workflows/argo/run"
    monkeypatch.setenv("ARGO_SERVER", f"{server.url}/argo")
    assert submission.find_template(find_cluster(None)) == TEMPLATE


@pytest.mark.parametrize("server_value", ["host:2746", "https://host:2746"])
def test_the_base_href_follows_host_and_port(server_value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGO_SERVER", server_value)
    monkeypatch.setenv("ARGO_BASE_HREF", "/argo/")
    assert find_cluster(None).page("run") == "https://host:2746/argo/workflows/argo/run"


def test_a_token_is_to_be_set_when_there_is_none_and_renewed_when_there_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.replies["GET", TEMPLATE_PATH] = [(401, {"code": 16, "message": "token not valid"})]
    with pytest.raises(ConfigurationError, match="does not accept ARGO_TOKEN: renew it"):
        submission.find_template(find_cluster(None))
    monkeypatch.delenv("ARGO_TOKEN")
    with pytest.raises(ConfigurationError, match="wants a login: set ARGO_TOKEN") as raised:
        submission.find_template(find_cluster(None))
    assert "renew" not in str(raised.value)


@pytest.mark.parametrize("token", ["abc\nSECRET", "SECRET\u20ac"])
def test_a_token_that_cannot_be_sent_is_blamed_and_not_shown(token: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGO_TOKEN", token)
    with pytest.raises(ConfigurationError, match=r"^ARGO_TOKEN holds a line break or a character that cannot be sent") as raised:
        find_cluster(None)
    assert "SECRET" not in str(raised.value)
    assert not server.requests


@pytest.mark.parametrize("reply", [{}, [], "x", {"metadata": {}, "spec": None}], ids=str)
def test_an_answer_that_is_no_template_is_said(reply: object, server: Server) -> None:
    server.replies["GET", TEMPLATE_PATH] = [(200, reply)]
    with pytest.raises(ConfigurationError, match="does not answer as one does: check"):
        submission.find_template(find_cluster(None))


SSO = "Error when retrieving token from sso: Token has expired and refresh failed"


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (SSO, "the AWS login has expired: `aws sso login`"),
        ("The SSO session associated with this profile has expired or is otherwise invalid.", "the AWS login has expired: `aws sso login`"),
        ("You must be logged in to the server", "log in again"),
    ],
)
def test_the_login_commands_own_failure_is_said_and_nothing_is_asked_without_a_login(
    said: str, advice: str, kubeconfig: Callable[..., None], server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kubeconfig(plugin(f"sys.exit({said!r})", tmp_path))
    with pytest.raises(ConfigurationError) as raised:
        find_cluster(None)
    assert str(raised.value).startswith(f"the kubeconfig's login to the cluster of the context mine failed: {advice}")
    assert said in str(raised.value)
    assert "ARGO_TOKEN" not in str(raised.value)
    assert not server.requests
    assert capfd.readouterr().err == ""


def test_a_login_command_that_is_not_there_is_to_be_installed(kubeconfig: Callable[..., None]) -> None:
    kubeconfig({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-aws", "interactiveMode": "Never"}})
    with pytest.raises(ConfigurationError, match=r"install the command that the kubeconfig names .*no-such-aws"):
        find_cluster(None)


def test_an_expired_aws_login_is_said_when_the_token_runs_out_under_way(
    kubeconfig: Callable[..., None], server: Server, tmp_path: Path
) -> None:
    token = {"token": "short", "expirationTimestamp": "2020-01-01T00:00:00Z"}
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": token}
    kubeconfig(plugin(f"if calls.exists():\n    sys.exit({SSO!r})\ncalls.touch()\nprint({json.dumps(credential)!r})", tmp_path))
    server.replies["GET", KUBERNETES_PATH] = [(401, {"message": "Unauthorized"})]
    cluster = find_cluster(None)
    with pytest.raises(ConfigurationError, match="the AWS login has expired: `aws sso login`"):
        cluster.template(NAME)


def test_the_kubeconfigs_own_step_is_advised_when_its_login_is_not_accepted(kubeconfig: Callable[..., None], server: Server) -> None:
    kubeconfig({"token": "old"})
    server.replies["GET", KUBERNETES_PATH] = [(401, {"message": "Unauthorized"})]
    with pytest.raises(ConfigurationError, match="does not accept the kubeconfig's user: log in again") as raised:
        submission.find_template(find_cluster(None))
    assert "step 7" not in str(raised.value)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What urllib3 would sleep, in place of sleeping."""
    found: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", found.append)
    return found


@pytest.mark.parametrize(("asked", "waited"), [("7", 7), ("3600", 60)])
def test_a_servers_wish_to_wait_is_said_and_obeyed_for_a_minute_at_most(
    asked: str, waited: int, server: Server, waits: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    server.replies["GET", TEMPLATE_PATH] = [(429, {"message": "busy"}, {"Retry-After": asked}), (200, TEMPLATE)]
    assert submission.find_template(find_cluster(None)) == TEMPLATE
    assert waits == [waited]
    assert capsys.readouterr().err == f"the server answers 429, Retry-After: {asked}: waiting {waited} s\n"


def test_a_wish_that_is_no_time_is_none(server: Server, waits: list[float]) -> None:
    server.replies["GET", TEMPLATE_PATH] = [(503, {"message": "busy"}, {"Retry-After": "soon"})]
    with pytest.raises(TemporaryError, match="still answers 503: busy"):
        submission.find_template(find_cluster(None))
    assert not waits


def test_the_wish_is_obeyed_by_the_kubernetes_api_too(kubeconfig: Callable[..., None], server: Server, waits: list[float]) -> None:
    kubeconfig({"token": "token"})
    server.replies["GET", KUBERNETES_PATH] = [(429, {"message": "busy"}, {"Retry-After": "3600"}), (200, TEMPLATE)]
    assert submission.find_template(find_cluster(None)) == TEMPLATE
    assert waits == [60]


@pytest.mark.parametrize("setting", ["ARGO_INSECURE_SKIP_VERIFY", "insecure-skip-tls-verify of the kubeconfig"])
def test_one_line_says_that_no_certificate_is_checked(
    setting: str, kubeconfig: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if setting.startswith("ARGO"):
        monkeypatch.setenv("ARGO_SERVER", "https://host:2746")
        monkeypatch.setenv(setting, "true")
    else:
        kubeconfig({"token": "token"}, server="https://host:6443", **{"insecure-skip-tls-verify": True})
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        cluster = find_cluster(None)
        for _ in range(3):  # as urllib3 does at each request
            warnings.warn("Unverified HTTPS request", urllib3.exceptions.InsecureRequestWarning, stacklevel=1)
    assert not warned
    assert capsys.readouterr().err == f"{setting}: the certificate of {cluster.name} is not checked\n"


def test_refusals_keep_whether_they_were_a_page() -> None:
    assert RefusedError(404, "404 page not found").is_page
    assert not RefusedError(404, '{"message": "not found"}').is_page
