"""Watching a run to its end: it has succeeded when its finalize step has, and what keeps it waiting is said."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedder.cli.command import exit_code_of
from embedder.console import signals
from embedder.errors import ConfigurationError
from embedder.grid import parse_columns
from embedder.output.manifest import Manifest, PublishedColumn
from embedder.output.run import Run
from embedder.recipes import RECIPES
from tests.unit.workflows.argo_server import CREATE_PATH, TEMPLATE, TEMPLATE_PATH, Server
from workflows import clusters, submission, watch
from workflows.clusters import Object
from workflows.submit import submit
from workflows.watch import FailedError, result, snapshot

WORKFLOW: Object = json.loads((Path(__file__).parents[2] / "golden/workflows.json").read_text())["succeeded"]
"""That Argo 3.7 ran to its end."""
NEVER_RAN: Object = {"metadata": {"name": "run"}, "status": {"phase": "Succeeded", "message": ""}}
"""As Argo 3.7 leaves one that was terminated while it waited for its mutex."""
WAITS: Object = {"status": {"phase": "Pending", "message": "Waiting for argo/Mutex/2020 lock. Lock status: 0/1"}}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_S", 0)
    monkeypatch.setattr(signals, "_advice", ["the same command goes on from here"])


@pytest.fixture
def waited(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Submit and wait; the workflow looks like each of these in turn. Returns the exit code."""

    def run(*looks: Object, output: Path | None = None) -> int:
        template = json.loads(json.dumps(TEMPLATE))
        for parameter in template["spec"]["arguments"]["parameters"]:
            if parameter["name"] == "output" and output:
                parameter["value"] = str(output)
        workflow = submission.workflow_of({"year": "2020"}, "argo")
        monkeypatch.setattr(submission, "workflow_of", lambda *_: workflow)
        server.replies["GET", TEMPLATE_PATH] = [(200, template)]
        server.replies["POST", CREATE_PATH] = [(200, {})]
        server.replies["GET", f"{CREATE_PATH}/{workflow.name}"] = [(200, look) for look in looks]
        monkeypatch.setattr("sys.argv", ["submit.py", "--year", "2020", "--columns", "1155-1158", "--wait", "--no-preflight"])
        return exit_code_of(submit, "submit.py")

    return run


def node(workflow: Object, template: str) -> Object:
    """The step that is retried."""
    nodes = workflow["status"]["nodes"].values()
    return next(found for found in nodes if found.get("templateName") == template and found["type"] == "Retry")


def publish(output: Path, columns: str, **record: Any) -> None:  # noqa: ANN401 - a field's value
    """Run record and manifest of these columns, as far as submit.py looks at them."""
    run = Run(
        recipe=RECIPES["clay-v0.1"],
        year=2020,
        source="source",
        inventory={},
        weights="random:1",
        checkpoint_sha256=None,
        weights_sha256="0" * 64,
        precision="fp32",
        columns=tuple(range(1155, 1159)),
    )
    folder = output / "clay-v0.1/2020"
    folder.mkdir(parents=True)
    (folder / "_run.json").write_bytes(run.to_json())
    manifest = Manifest(
        recipe="clay-v0.1",
        year=2020,
        config_digest=run.config_digest,
        weights=run.weights,
        weights_sha256=run.weights_sha256,
        complete=False,
        chips={},
        columns={column: PublishedColumn(file="file", rows=0, bytes=1, sha256="0" * 64) for column in parse_columns(columns)},
    )
    (folder / "_manifest.json").write_bytes(replace(manifest, **record).to_json())


def test_a_run_has_not_succeeded_when_argo_says_so_of_one_that_never_ran(
    waited: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert waited(WAITS, NEVER_RAN) == 1
    shown = capsys.readouterr()
    assert "succeeded:" not in shown.out
    (line,) = [line for line in shown.err.splitlines() if line.startswith("error: ")]
    assert "its finalize step did not run" in line


@pytest.mark.parametrize("phase", ["Omitted", "Skipped", "Failed", None])
def test_a_run_has_not_succeeded_when_finalize_has_not(phase: str | None) -> None:
    workflow = json.loads(json.dumps(WORKFLOW))
    finalize = node(workflow, "finalize")
    assert result(snapshot(workflow)) is None
    if phase:
        finalize["phase"] = phase
    else:
        del workflow["status"]["nodes"][finalize["id"]]
    assert isinstance(result(snapshot(workflow)), FailedError)


def test_steps_in_argos_database_are_no_success_that_can_be_told() -> None:
    error = result(snapshot({"status": {"phase": "Succeeded", "offloadNodeStatusVersion": "fnv:1"}}))
    assert isinstance(error, ConfigurationError)
    assert "set ARGO_SERVER" in str(error)


def test_the_manifest_is_compared_when_this_machine_can_read_it(
    waited: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, "1150-1160")
    assert waited(WORKFLOW, output=tmp_path) == 0
    assert "  manifest  compared: it lists what was asked for\n" in capsys.readouterr().out


def test_a_line_says_so_when_the_manifest_cannot_be_read_from_here(
    waited: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "clay-v0.1/2020"
    place.parent.mkdir()
    place.write_text("a file where the folder would be")
    assert waited(WORKFLOW, output=tmp_path) == 0
    assert f"  manifest  not compared: {place}/_run.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("listed", "record", "code", "said"),
    [
        ("1155-1156,1158", {}, 1, "lacks the columns 1157"),
        ("1155-1158", {"config_digest": "another"}, 1, "sees no manifest of that run at"),
        ("", {}, 1, "sees no manifest of that run at"),
    ],
)
def test_it_is_no_success_when_the_manifest_is_not_the_runs(
    listed: str,
    record: dict[str, Any],
    code: int,
    said: str,
    waited: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if listed:
        publish(tmp_path, listed, **record)
    assert waited(WORKFLOW, output=tmp_path) == code
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("look", "command"),
    [
        ({"metadata": {}}, "argo terminate"),
        (WAITS, "argo terminate"),
        ({"status": {"phase": "Running"}}, "argo stop"),
    ],
)
def test_the_command_that_ends_it_is_the_one_that_can_when_the_watching_stops(look: Object, command: str, server: Server) -> None:
    server.replies["GET", f"{CREATE_PATH}/run"] = [(200, look), (404, {"message": "not found"})]
    with pytest.raises(ConfigurationError, match="was deleted"):
        watch.watch(clusters.find_cluster(None), "run")
    assert signals._advice == [f"run goes on in the cluster; who may change workflows can end it: {command} run --namespace argo"]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({}, "no instanceID, as this workflow has none"),
        ({"workflows.argoproj.io/controller-instanceid": "mine"}, "the instanceID mine, which is this workflow's"),
    ],
)
def test_what_to_look_at_is_said_once_when_no_controller_picks_the_run_up(
    labels: dict[str, str], said: str, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "PICKED_UP_S", 0)
    unseen = {"metadata": {"labels": labels}}
    server.replies["GET", f"{CREATE_PATH}/run"] = [(200, unseen), (200, unseen), (200, WORKFLOW)]
    assert watch.watch(clusters.find_cluster(None), "run").phase == "Succeeded"
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "no controller has picked run up" in line]
    assert "kubectl get deployments --all-namespaces | grep workflow-controller" in line
    assert said in line


@pytest.mark.parametrize("look", [WAITS, {"status": {"phase": "Running"}}, WORKFLOW])
def test_nothing_is_said_of_a_controller_when_it_has_picked_the_run_up(
    look: Object, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "PICKED_UP_S", 0)
    server.replies["GET", f"{CREATE_PATH}/run"] = [(200, look), (200, WORKFLOW)]
    watch.watch(clusters.find_cluster(None), "run")
    assert "no controller" not in capsys.readouterr().err


def test_nothing_is_said_of_a_controller_within_the_first_minute(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.replies["GET", f"{CREATE_PATH}/run"] = [(200, {"metadata": {}}), (200, WORKFLOW)]
    watch.watch(clusters.find_cluster(None), "run")
    assert "no controller" not in capsys.readouterr().err


@pytest.mark.parametrize(("phase", "code"), [("Error", 75), ("Failed", 1)])
def test_a_step_that_argo_could_not_run_is_worth_another_attempt(phase: str, code: int) -> None:
    workflow = json.loads((Path(__file__).parents[2] / "golden/workflows.json").read_text())["failed"]
    for each in workflow["status"]["nodes"].values():
        each |= {"phase": phase, "message": 'Internal error occurred: failed calling webhook "policy.example.com"', "outputs": {}}
    error = result(snapshot(workflow))
    assert error
    assert error.exit_code == code


def test_a_workflow_without_steps_is_judged_by_its_own_message() -> None:
    error = result(snapshot({"status": {"phase": "Error", "message": "pod deleted"}}))
    assert error
    assert error.exit_code == 75
