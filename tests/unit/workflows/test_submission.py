"""A submission to a cluster, against a cluster in memory and an HTTP server that misbehaves."""

import gzip
import json
import re
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml

from embedder import __version__
from embedder.cli.command import exit_code_of
from embedder.errors import ConfigurationError, EmbedderError, TemporaryError
from embedder.grid import Tile, Window
from embedder.recipes import RECIPES
from embedder.steps.estimate import POD_START_SECONDS
from tests.tiles import write_tile
from tests.unit.workflows.argo_server import CREATE_PATH, TEMPLATE, TEMPLATE_PATH, Server
from workflows import clusters, submission
from workflows import watch as watch_module
from workflows.clusters import Cluster, Object, RefusedError
from workflows.definition import NAME
from workflows.submit import submit
from workflows.watch import nodes_of, result, snapshot

ROOT = Path(__file__).parents[3]


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["submit.py", "--year", "2020", *arguments])
    return exit_code_of(submit, "submit.py")


def test_only_what_was_given_is_in_the_workflow(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.replies["POST", CREATE_PATH] = [(200, {})]
    assert run("--columns", "1158,1155-1157", "--force", "--no-preflight", monkeypatch=monkeypatch) == 0
    (body,) = [body for method, _, body, _ in server.requests if method == "POST"]
    workflow = body["workflow"]
    assert body["namespace"] == workflow["metadata"]["namespace"] == "argo"
    assert workflow["spec"] == {
        "workflowTemplateRef": {"name": NAME},
        "arguments": {
            "parameters": [{"name": "year", "value": "2020"}, {"name": "columns", "value": "1155-1158"}, {"name": "force", "value": "true"}]
        },
    }
    name = workflow["metadata"]["name"]
    assert re.fullmatch(f"{NAME}-2020-[0-9a-f]{{6}}", name)
    assert all(authorization == "Bearer token" for *_, authorization in server.requests)
    shown = capsys.readouterr().out
    assert f"submitted {name}\n" in shown
    assert f"{server.url}/workflows/argo/{name}" in shown


@pytest.mark.parametrize("arguments", [("--no-preflight",), (), ("--dry-run",)], ids=str)
def test_nothing_is_submitted_when_the_template_does_not_know_an_option(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    template = json.loads(json.dumps(TEMPLATE))
    declared = template["spec"]["arguments"]["parameters"]
    declared[:] = [parameter for parameter in declared if parameter["name"] not in ("columns", "force")]
    server.replies["GET", TEMPLATE_PATH] = [(200, template)]
    assert run("--columns", "7", "--force", "--precision", "fp32", *arguments, monkeypatch=monkeypatch) == 78
    shown = capsys.readouterr()
    line = shown.err.splitlines()[-1]
    assert line.startswith("error: the workflow template in argo of the Argo server ")
    assert "does not know --columns and --force and would ignore it: leave it out, or helm upgrade worldcover" in line
    assert not shown.out
    assert all(method == "GET" for method, *_ in server.requests)


def test_a_dry_run_prints_the_manifest_and_an_estimate_and_creates_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_tile(tmp_path, Tile.from_name("N49W125"), Window(x=0, y=0, width=16, height=16))
    template = json.loads(json.dumps(TEMPLATE))
    for parameter in template["spec"]["arguments"]["parameters"]:  # a source that the parameters could not name
        parameter["value"] = {"source": str(tmp_path), "columns-per-pod": "3"}.get(parameter["name"], parameter.get("value", ""))
    server.replies["GET", TEMPLATE_PATH] = [(200, template)]
    options = ("--chips-per-second", "2", "--cpus", "4", "--price", "0.6")
    assert run("--columns", "0-3", "--dry-run", *options, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr()
    manifest = yaml.safe_load(shown.out)
    assert (manifest["kind"], manifest["metadata"]["namespace"]) == ("Workflow", "argo")
    assert {"name": "columns", "value": "0-3"} in manifest["spec"]["arguments"]["parameters"]
    assert "columns  4, 4 of them with tiles" in shown.err
    assert "chips    92 at most" in shown.err  # 23 of 512 pixels in the 12000 of each column
    assert "from " + str(tmp_path) + ", 2 pods" in shown.err  # 0-2 and 3
    assert "of the source: a guess from file sizes" in shown.err
    assert f"  a pod    {POD_START_SECONDS} s to start" in shown.err
    assert "pods that decode with 4 CPUs and embed 2 chips/s:" in shown.err
    assert re.search(r"^ +\* 3  +2  +[0-9.]+ MB  +0.02  +0.00  +0.01  +0.04  +0.02$", shown.err, re.MULTILINE)
    assert shown.err.splitlines()[-1] == "  cheapest: 4 columns a pod, --columns-per-pod 4; this run (*) has 3"
    assert not [method for method, *_ in server.requests if method == "POST"]


def test_an_area_goes_to_the_pods_as_a_box_or_packed_for_the_templates_recipe(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_tile(tmp_path, Tile.from_name("N49W125"), Window(x=0, y=0, width=16, height=16))
    square = {"type": "Polygon", "coordinates": [[[-124.9, 49.99], [-124.9, 49.9], [-124.8, 49.9], [-124.8, 49.99], [-124.9, 49.99]]]}
    (tmp_path / "area.geojson").write_text(json.dumps(square))
    template = json.loads(json.dumps(TEMPLATE))
    for parameter in template["spec"]["arguments"]["parameters"]:
        parameter["value"] = {"source": str(tmp_path), "recipe": "clay-v1.5"}.get(parameter["name"], parameter.get("value", ""))
    for given, sent in (
        (["--area", str(tmp_path / "area.geojson")], {"area": "256;4-9:0-4"}),
        (["--bbox", "-124.9,49.9,-124.8,49.99"], {"bbox": "-124.9,49.9,-124.8,49.99"}),
    ):
        server.replies["GET", TEMPLATE_PATH] = [(200, template)]
        assert run("--dry-run", *given, monkeypatch=monkeypatch) == 0
        shown = capsys.readouterr()
        parameters = {each["name"]: each["value"] for each in yaml.safe_load(shown.out)["spec"]["arguments"]["parameters"]}
        assert parameters == {"year": "2020"} | sent
        assert "area     30 chips of 256 pixels in 3 columns" in shown.err
        assert "columns  3, 3 of them with tiles" in shown.err
    server.replies["GET", TEMPLATE_PATH] = [(200, template)]
    assert run("--dry-run", "--columns", "9-11", "--bbox", "-124.9,49.9,-124.8,49.99", monkeypatch=monkeypatch) == 2
    assert "--columns 9-11 are outside the area, which has 2-4" in capsys.readouterr().err


def test_a_dry_run_needs_no_cluster(server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    server.replies["GET", TEMPLATE_PATH] = [(404, b"404 page not found")]
    monkeypatch.setattr(submission, "estimate_text", lambda *_, **__: "an estimate")
    assert run("--dry-run", monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr()
    assert yaml.safe_load(shown.out)["spec"]["workflowTemplateRef"] == {"name": NAME}
    assert "without the template's values" in shown.err


@pytest.mark.parametrize(
    "option", [["--output", "folder"], ["--source", "/data"], ["--device", "cpu"], ["--weights", "https://u:p@host/w"]]
)
def test_what_a_cluster_cannot_use_is_wrong_usage(option: list[str], server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(*option, monkeypatch=monkeypatch) == 2
    assert not server.requests


def test_a_creation_whose_reply_was_lost_counts_once(server: Server) -> None:
    """The second request is refused, as the name is taken; it is this submission's own."""
    server.replies["POST", CREATE_PATH] = [(503, {"message": "try again"}), (409, {"code": 6, "message": "already exists"})]
    workflow = submission.workflow_of({"year": "2020"}, "argo")
    server.replies["GET", f"{CREATE_PATH}/{workflow.name}"] = [(200, workflow.to_dict())]
    submission.create(clusters.find_cluster(None), workflow)
    assert [method for method, *_ in server.requests] == ["POST", "POST", "GET"]


def test_a_name_that_is_another_workflows_is_worth_another_attempt(server: Server) -> None:
    workflow, other = (submission.workflow_of({"year": "2020"}, "argo") for _ in range(2))
    server.replies["POST", CREATE_PATH] = [(409, {"message": "already exists"})]
    server.replies["GET", f"{CREATE_PATH}/{workflow.name}"] = [(200, other.to_dict())]
    with pytest.raises(TemporaryError, match="another workflow is called"):
        submission.create(clusters.find_cluster(None), workflow)


@pytest.mark.parametrize(
    ("status", "body", "code", "command"),
    [
        (404, {"message": f'workflowtemplates.argoproj.io "{NAME}" not found'}, 78, "helm install worldcover helm/ --namespace argo"),
        (404, {"message": "the server could not find the requested resource"}, 78, "helm install argo argo/argo-workflows"),
        (404, b"404 page not found", 78, "check ARGO_SERVER and ARGO_BASE_HREF"),
        (
            403,
            {"message": 'User "me" cannot get resource "workflowtemplates"'},
            78,
            f"kubectl create rolebinding submitter-YOU --role {NAME}-submitter",
        ),
        (401, {"message": "token not valid"}, 78, "docs/eks.md, step 7"),
        (503, {"message": "busy"}, 75, "try again later"),
        (200, b"<!doctype html>", 78, "check ARGO_SERVER"),
    ],
)
def test_a_missing_template_is_one_line_with_the_command_that_mends_it(
    status: int,
    body: Any,  # noqa: ANN401
    code: int,
    command: str,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.replies["GET", TEMPLATE_PATH] = [(status, body)]
    assert run(monkeypatch=monkeypatch) == code
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert command in line
    assert not [method for method, *_ in server.requests if method == "POST"]


class Memory(Cluster):
    """A cluster in memory."""

    def __init__(self, template: Object, *, accounts: set[str]) -> None:
        super().__init__(name="a cluster", namespace="argo", login="the login")
        self._template, self._accounts = template, accounts

    def template(self, name: str) -> Object:  # noqa: ARG002
        return self._template

    def workflow(self, name: str) -> Object:
        raise RefusedError(404, f"{name} not found")

    def create(self, workflow: Object) -> None:
        raise RefusedError(403, f'{workflow["metadata"]["name"]} is forbidden: User "me" cannot create resource "workflows"')

    def page(self, workflow: str) -> str:
        return workflow

    def has_service_account(self, name: str) -> bool | None:
        return name in self._accounts


def test_the_cluster_passes_its_checks_when_all_is_installed() -> None:
    checks = list(submission.check_cluster(Memory(TEMPLATE, accounts={NAME}), TEMPLATE))
    assert [(made.name, made.error) for made in checks] == [("template", None), ("account", None)]


def test_another_version_and_a_missing_account_are_each_mended_by_an_upgrade() -> None:
    old = json.loads(json.dumps(TEMPLATE))
    old["metadata"]["labels"]["app.kubernetes.io/version"] = "0.0.1"
    for made in submission.check_cluster(Memory(old, accounts=set()), old):
        assert made.error
        assert f"helm upgrade worldcover helm/ --namespace argo --reset-then-reuse-values --set image=REPO:{__version__}" in made.detail


def test_a_submitter_without_the_right_is_told_the_role() -> None:
    with pytest.raises(ConfigurationError, match="kubectl create rolebinding"):
        submission.create(Memory(TEMPLATE, accounts=set()), submission.workflow_of({"year": "2020"}, "argo"))


def test_what_the_pods_will_see_is_what_was_given_then_the_templates_then_the_programs() -> None:
    template = json.loads(json.dumps(TEMPLATE))
    for parameter in template["spec"]["arguments"]["parameters"]:
        if parameter["name"] == "output":
            parameter["value"] = "s3://installed/prefix"
    values = submission.effective({"year": "2021", "weights": "s3://own/weights"}, template)
    assert values["output"] == "s3://installed/prefix"
    assert values["weights"] == "s3://own/weights"
    assert values["source"] == "https://esa-worldcover-s2.s3.amazonaws.com"
    assert values["recipe"] == "clay-v0.1"
    assert submission.effective({"recipe": "clay-v1.5"}, None)["weights"] == RECIPES["clay-v1.5"].weights


WORKFLOWS: dict[str, Object] = json.loads((ROOT / "tests/golden/workflows.json").read_text())
"""Two that Argo 3.7 ran: one succeeded, in one plan found another configuration."""


def embed_nodes(workflow: Object, column: int) -> tuple[Object, Object]:
    """The step of a column, and its pod."""
    nodes = workflow["status"]["nodes"].values()
    step, pod = sorted(
        (node for node in nodes if re.search(rf"embed\(\d:{column}\)", node["name"])), key=lambda node: len(str(node["name"]))
    )
    return step, pod


def running() -> Object:
    """The first, as it would have looked in the middle: 1155 done, 1156 at its second attempt, 1157 failed, 1158 not begun."""
    workflow: Object = json.loads(json.dumps(WORKFLOWS["succeeded"]))
    workflow["status"]["phase"] = "Running"
    nodes = workflow["status"]["nodes"]
    step, pod = embed_nodes(workflow, 1156)
    pod |= {"phase": "Error", "message": "pod deleted", "progress": "3/4"}
    nodes["second"] = pod | {"id": "second", "name": f"{step['name']}(1)", "phase": "Running", "message": "", "progress": "1/4"}
    step |= {"phase": "Running", "children": [*step["children"], "second"]}
    step, pod = embed_nodes(workflow, 1157)
    failed = {"phase": "Failed", "message": "main: Error (exit code 78): error: damaged", "outputs": {"exitCode": "78"}}
    step |= failed | {"message": "No more retries left"}
    pod |= failed
    for node in embed_nodes(workflow, 1158):
        del nodes[node["id"]]
    return workflow


def test_a_finished_workflow_has_all_columns() -> None:
    found = snapshot(WORKFLOWS["succeeded"])
    assert (found.columns, found.done, found.share, found.retries, found.failures) == (4, 4, 1.0, 0, {})
    assert found.is_finished
    assert result(found) is None


def test_a_running_workflow_shows_columns_chips_retries_and_failures() -> None:
    found = snapshot(running())
    assert not found.is_finished
    assert (found.columns, found.done, found.retries) == (4, 1, 1)
    assert found.share == pytest.approx((1 + 1 / 4) / 4)
    assert found.failures == {"embed(2:1157)": "main: Error (exit code 78): error: damaged"}
    assert str(found) == "1/4 columns, 1 retry, 1 failed"


def test_nodes_that_the_controller_has_compressed_are_the_same() -> None:
    packed: Object = json.loads(json.dumps(WORKFLOWS["succeeded"]))
    nodes = packed["status"].pop("nodes")
    packed["status"]["compressedNodes"] = b64encode(gzip.compress(json.dumps(nodes).encode())).decode()
    assert nodes_of(packed) == nodes
    assert snapshot(packed) == snapshot(WORKFLOWS["succeeded"])


def test_a_workflow_that_nobody_has_seen_yet_is_pending() -> None:
    found = snapshot({"metadata": {}})
    assert (found.phase, found.columns, found.done, str(found)) == ("", None, 0, "0/? columns")


def test_a_failed_plan_ends_with_its_exit_code_and_reason() -> None:
    found = snapshot(WORKFLOWS["failed"])
    assert str(found) == "0/? columns, 1 failed"
    error = result(found)
    assert isinstance(error, ConfigurationError)
    assert "plan: main: Error (exit code 78): error: s3://mine/conus/clay-v0.1/2020/ holds another run" in str(error)


def test_a_workflow_that_somebody_stopped_has_no_failed_columns() -> None:
    workflow = running()
    workflow["status"] |= {"phase": "Failed", "message": "Stopped with strategy 'Terminate'"}
    for step in embed_nodes(workflow, 1157):
        step["message"] = "workflow shutdown with strategy: Terminate"
    found = snapshot(workflow)
    assert not found.failures
    assert str(result(found)) == "the workflow failed: Stopped with strategy 'Terminate'"


@pytest.mark.parametrize(
    ("message", "code", "exit_code"),
    [
        ("pod deleted", "-1", 75),
        ("main: Error (exit code 75): error: S3 still answers 503", "75", 75),
        ("main: OOMKilled (exit code 137)", "137", 1),
        ("main: Error (exit code 78): error: damaged", "78", 78),
        ("main: Error (exit code 2): error: no such option", "2", 78),
    ],
)
def test_the_exit_code_is_that_of_what_failed(message: str, code: str, exit_code: int) -> None:
    workflow: Object = json.loads(json.dumps(WORKFLOWS["failed"]))
    for node in workflow["status"]["nodes"].values():
        node |= {"message": message, "outputs": {"exitCode": code}}
    error = result(snapshot(workflow))
    assert isinstance(error, EmbedderError)
    assert error.exit_code == exit_code

    columns = running()  # of which one failed, so that finalize had to refuse
    columns["status"]["phase"] = "Failed"
    for node in embed_nodes(columns, 1157):
        node |= {"message": message, "outputs": {"exitCode": code}}
    for node in columns["status"]["nodes"].values():
        if node["templateName"] == "finalize":
            node |= {
                "phase": "Failed",
                "message": "main: Error (exit code 78): error: nothing new is published",
                "outputs": {"exitCode": "78"},
            }
    error = result(snapshot(columns))
    assert isinstance(error, EmbedderError)
    assert error.exit_code == exit_code
    assert f"embed(2:1157): {message}" in str(error)


def test_what_a_run_waits_for_is_shown_while_it_does() -> None:
    workflow = running()
    _, pod = embed_nodes(workflow, 1155)
    pod |= {"phase": "Pending", "message": "ImagePullBackOff: Back-off pulling image"}
    assert str(snapshot(workflow)).endswith(" (ImagePullBackOff: Back-off pulling image)")
    waits = {"status": {"phase": "Pending", "message": "Waiting for argo/Mutex/2020 lock. Lock status: 0/1"}}
    assert str(snapshot(waits)) == "0/? columns (Waiting for argo/Mutex/2020 lock. Lock status: 0/1)"
    workflow["status"]["phase"] = "Failed"
    assert "(" not in str(snapshot(workflow))


def test_waiting_shows_the_end_and_has_its_exit_code(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow = submission.workflow_of({"year": "2020"}, "argo")
    monkeypatch.setattr(submission, "workflow_of", lambda *_: workflow)
    monkeypatch.setattr(watch_module, "POLL_S", 0)
    server.replies["POST", CREATE_PATH] = [(200, {})]
    path = f"{CREATE_PATH}/{workflow.name}"
    failed = running()
    failed["status"]["phase"] = "Failed"
    server.replies["GET", path] = [(200, {"metadata": {}}), (200, running()), *[(503, {})] * 7, (200, failed)]
    assert run("--wait", "--no-preflight", monkeypatch=monkeypatch) == 78
    lines = capsys.readouterr().err.splitlines()
    assert "pending: 0/? columns, 0%" in lines
    assert any(line.endswith("try again later; trying again") for line in lines)  # 6 of the 503 are one request
    assert "failed: 1/4 columns, 1 retry, 1 failed, 31%" in lines
    assert "embed(2:1157): main: Error (exit code 78): error: damaged" in lines
    assert lines[-1].startswith("error: the workflow failed: embed(2:1157): main: Error (exit code 78)")


def test_waiting_ends_and_the_workflow_goes_on_when_the_login_has_expired(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.replies["POST", CREATE_PATH] = [(200, {})]
    server.otherwise = [(401, {"message": "token not valid"})]
    assert run("--wait", "--no-preflight", monkeypatch=monkeypatch) == 75
    last = capsys.readouterr().err.splitlines()[-1]
    assert "goes on without being watched" in last
    assert "renew it" in last


def test_what_others_say_is_shown_as_it_is_on_a_terminal(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for a terminal
    monkeypatch.setattr(watch_module, "POLL_S", 0.2)
    waits = {"status": {"phase": "Running", "message": "failed [/var/lib] again"}}
    server.replies["GET", f"{CREATE_PATH}/name"] = [(200, waits), (200, WORKFLOWS["succeeded"])]
    assert watch_module.watch(clusters.find_cluster(None), "name").phase == "Succeeded"
    assert "failed [/var/lib] again" in capsys.readouterr().err


def test_the_token_goes_before_what_netrc_says(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    submission.find_template(clusters.find_cluster(None))
    assert [authorization for *_, authorization in server.requests] == ["Bearer token"]


def test_waiting_ends_when_the_workflow_is_deleted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.replies["POST", CREATE_PATH] = [(200, {})]
    assert run("--wait", "--no-preflight", monkeypatch=monkeypatch) == 78


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_waiting_leaves_the_workflow_running_and_says_so(number: signal.Signals, server: Server) -> None:
    server.replies["POST", CREATE_PATH] = [(200, {})]
    server.otherwise = [(200, running())]
    command = [sys.executable, "workflows/submit.py", "--year", "2020", "--wait", "--no-preflight"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stdout
    assert process.stderr
    name = process.stdout.readline().removeprefix("submitted ").strip()
    while "running: 1/4 columns" not in (line := process.stderr.readline()):
        assert line, "it ended before it showed the workflow"
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert said.endswith(
        f"stopped by {number.name}; {name} goes on in the cluster; who may change workflows can end it: argo stop {name} --namespace argo\n"
    )
    assert {method for method, *_ in server.requests} == {"GET", "POST"}  # nothing was stopped or deleted
