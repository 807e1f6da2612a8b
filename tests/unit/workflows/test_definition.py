"""The WorkflowTemplate: what the chart installs is what the definition says. What is tried again: test_retries.py."""

from pathlib import Path
from typing import Any

import pytest

from embedder.cli.steps import embed_command, finalize_command, plan_command
from workflows.definition import NAME, PARAMETERS, definition

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
