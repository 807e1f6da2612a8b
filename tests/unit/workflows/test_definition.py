"""The WorkflowTemplate: what the chart installs is what the definition says, and only what infrastructure broke is tried again."""

import re
from pathlib import Path
from typing import Any

import pytest

from embedder.cli.steps import embed_command, finalize_command, plan_command
from workflows.definition import LOST, NAME, PARAMETERS, definition

GOLDEN = Path(__file__).parents[3] / "helm/files/workflowtemplate.yaml"
STEPS = {"plan": plan_command, "embed": embed_command, "finalize": finalize_command}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    found: dict[str, Any] = definition().to_dict()["spec"]
    return found


@pytest.fixture(scope="module")
def templates(spec: dict[str, Any]) -> dict[str, Any]:
    return {template["name"]: template for template in spec["templates"]}


def test_the_chart_holds_the_definition() -> None:
    assert definition().to_yaml(width=1000) == GOLDEN.read_text(), f"run: python workflows/definition.py > {GOLDEN}"


@pytest.mark.parametrize(
    "message",
    [
        "pod deleted",
        "Pod was terminated in response to imminent node shutdown.",
        "Pod was rejected as the node is shutting down.",
        "Pod was rejected: Node didn't have enough resource: nvidia.com/gpu, requested: 1, used: 0, capacity: 0",
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi.",
        "Preempted in order to admit critical pod",
        "main: Error (exit code 143)",
        "main: Error (exit code 143): stopped by SIGTERM; the same command goes on from here",
        'main: Error (exit code 143): {"time": "2026-01-01T00:00:00.000Z", "level": "warning", "message": "stopped by SIGTERM"}',
        "main: Error (exit code 137)",
        "main: ContainerStatusUnknown (exit code 137): The container could not be located when the pod was terminated",
        "main: Unknown (exit code 255)",
        "main: Error (exit code 75): error: s3://bucket/key: the server answered 503 for ten minutes: try again later",
        "init: Error (exit code 143)",
        "wait: Error (exit code 137)",
        "Pod failed before main container starts due to PodInitializing: ",
        "pod failed: neither main nor wait container completed successfully",
        "can't find failed message for pod run-17 namespace argo",
    ],
)
def test_an_attempt_is_repeated_when_infrastructure_was_lost(message: str, templates: dict[str, Any]) -> None:
    assert all(is_repeated(templates[name], message) for name in STEPS)


@pytest.mark.parametrize(
    "message",
    [
        "main: OOMKilled (exit code 137)",
        "wait: OOMKilled (exit code 137)",
        "main: Error (exit code 1): error: unexpected ValueError",
        "main: Error (exit code 2): error: No such option: --colums",
        "main: Error (exit code 78): error: pod deleted, exit code 75, exit code 137",  # whatever the program says of itself
        "main: Error (exit code 78): error: column 17: the tile N37W076 is damaged",
        "main: Error (exit code 64): command not found",
        "main: Error (exit code 255): no word of infrastructure",
        "main: StartError (exit code 128): exec format error",
        "wait: Error (exit code 1): workflowtaskresults.argoproj.io is forbidden",
        "Pod was active on the node longer than the specified deadline",
        'Usage of EmptyDir volume "tmp" exceeds the limit "10Gi".',
        "Container main exceeded its local ephemeral storage limit",
        'pods "run-17" is forbidden: violates PodSecurity "restricted:latest"',
        "",
    ],
)
def test_an_attempt_is_final_when_another_would_end_the_same(message: str, templates: dict[str, Any]) -> None:
    assert not any(is_repeated(templates[name], message) for name in STEPS)


def is_repeated(template: dict[str, Any], message: str) -> bool:
    """What Argo makes of the expression: one search, in a syntax that Go's and Python's regular expressions share."""
    strategy = template["retryStrategy"]
    assert (strategy["limit"], strategy["retryPolicy"]) == (4, "Always")
    assert strategy["expression"] == f"lastRetry.message matches '{LOST}'"
    assert not {"'", "\\"} & set(LOST)  # they would end the string, or be read as an escape
    return re.search(LOST, message) is not None


@pytest.mark.parametrize("name", STEPS)
def test_every_variable_of_a_step_is_an_option_of_its_command(name: str, templates: dict[str, Any]) -> None:
    known = {option.envvar for option in STEPS[name].params}
    given = {variable["name"] for variable in templates[name]["container"]["env"]}
    assert given <= known | {"TERMINATION_LOG", "LOG_FORMAT"}
    assert templates[name]["container"]["command"][:2] == ["embedder", name]


@pytest.mark.parametrize("name", STEPS)
def test_every_step_leaves_its_error_to_argo_and_logs_objects(name: str, templates: dict[str, Any]) -> None:
    given = {variable["name"]: variable["value"] for variable in templates[name]["container"]["env"]}
    assert given.items() >= {"TERMINATION_LOG": "/dev/termination-log", "LOG_FORMAT": "json"}.items()


def test_every_parameter_is_described_and_used(spec: dict[str, Any]) -> None:
    text = str(spec["templates"])
    for parameter in spec["arguments"]["parameters"]:
        assert parameter["description"].endswith(".")
        assert f"workflow.parameters.{parameter['name']}}}}}" in text
    assert [parameter.name for parameter in PARAMETERS if parameter.value is None] == ["year"]


def test_finalize_runs_whatever_became_of_the_columns_but_not_without_a_plan(templates: dict[str, Any]) -> None:
    tasks = {task["name"]: task for task in templates["run"]["dag"]["tasks"]}
    assert tasks["finalize"]["depends"] == "plan.Succeeded && (embed.Succeeded || embed.Failed || embed.Errored || embed.Skipped)"
    assert "arguments" not in tasks["finalize"]  # never the pods' outputs: 1359 of them would be one argument
    assert templates["run"]["dag"]["failFast"] is False
    assert templates["run"]["failFast"] is False


def test_both_argo_3_7_and_4_0_know_the_form_of_the_mutex(spec: dict[str, Any]) -> None:
    assert spec["synchronization"] == {"mutexes": [{"name": NAME + "-{{workflow.parameters.year}}-{{workflow.parameters.recipe}}"}]}


def test_every_pod_fits_the_restricted_standard(spec: dict[str, Any], templates: dict[str, Any]) -> None:
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for name in STEPS:
        assert templates[name]["container"]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
