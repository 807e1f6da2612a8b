"""What is tried again: each row of docs/retries.md, and Argo's expression as Python reads it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.endings import Ending, endings
from workflows.definition import ATTEMPTS, EXPRESSION, LOST, REFUSED, definition, is_lost

ENDINGS = endings()
STEPS = {template["name"]: template for template in definition().to_dict()["spec"]["templates"] if "container" in template}
CASES = [
    pytest.param(phase_and_message, ending, id=f"{ending.name[:40]}, Argo {version}")
    for ending in ENDINGS.values()
    for version, phase_and_message in ((3, ending.argo_3), (4, ending.argo_4))
    if phase_and_message
]


def test_the_table_is_read_whole() -> None:
    assert len(ENDINGS) > 30
    assert {ending.outcome for ending in ENDINGS.values()} == {"again", "final", "waits"}


@pytest.mark.parametrize(("said", "ending"), CASES)
def test_what_the_table_says_happens_when_a_pod_ends_so(said: tuple[str, str], ending: Ending) -> None:
    assert is_lost(*said) == (ending.outcome == "again")


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ("Failed", "Pod was rejected as the node is shutting down."),
        ("Failed", "main: Error (exit code 143): stopped by SIGTERM; the same command goes on from here"),
        (
            "Failed",
            'main: Error (exit code 143): {"time": "2026-01-01T00:00:00.000Z", "level": "warning", "message": "stopped by SIGTERM"}',
        ),
        ("Failed", "main: Error (exit code 75): error: s3://bucket/key: access is forbidden: denied the request"),
        ("Error", 'Internal error occurred: failed calling webhook "x": failed to call webhook: Post "…": context deadline exceeded'),
        ("Error", "Unexpected pod phase for run-17: Unknown"),
    ],
)
def test_an_attempt_is_repeated_when_infrastructure_was_lost(phase: str, message: str) -> None:
    assert is_lost(phase, message)


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ("Failed", "main: Error (exit code 78): error: pod deleted, exit code 75, exit code 137"),  # whatever the program says of itself
        ("Failed", "main: Error (exit code 255): no word of infrastructure"),
        ("Failed", ""),
        ("Error", 'pods "run-17" is forbidden: violates PodSecurity "restricted:latest"'),
        ("Error", 'pods "run-17" is forbidden: error looking up service account argo/gone: serviceaccount "gone" not found'),
        ("Error", "pods \"run-17\" is forbidden: ValidatingAdmissionPolicy 'x' with binding 'x' denied request: no"),
        ("Error", 'admission webhook "validate.kyverno.svc-fail" denied the request: no'),
        (
            "Error",
            'Pod "run-17" is invalid: spec.containers[0].resources.requests: Invalid value: "3": must be less than or equal to cpu limit',
        ),
    ],
)
def test_an_attempt_is_final_when_another_would_end_the_same(phase: str, message: str) -> None:
    assert not is_lost(phase, message)


@pytest.mark.parametrize("name", STEPS)
def test_the_expression_alone_decides_in_each_step(name: str) -> None:
    strategy = STEPS[name]["retryStrategy"]
    assert (strategy["limit"], strategy["retryPolicy"], strategy["expression"]) == (ATTEMPTS - 1, "Always", EXPRESSION)


def test_the_expression_is_what_python_reads_of_it() -> None:
    assert f"lastRetry.message matches '{LOST}' || lastRetry.status == 'Error' && !(lastRetry.message matches '{REFUSED}')" == EXPRESSION
    assert not {"'", "\\"} & set(LOST + REFUSED)  # they would end the string, or be read as an escape


def test_argo_itself_repeats_what_no_answer_came_to_and_no_refusal(argo_values: dict[str, Any]) -> None:
    pattern = {variable["name"]: variable["value"] for variable in argo_values["controller"]["extraEnv"]}["TRANSIENT_ERROR_PATTERN"]
    at_creation = {name: ending for name, ending in ENDINGS.items() if "when the pod is created" in name and ending.argo_3}
    assert len(at_creation) == 2
    for ending in ENDINGS.values():
        if ending.argo_3:
            assert bool(re.search(pattern, ending.argo_3[1])) == (ending.name in at_creation), ending.name


@pytest.fixture
def argo_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "docs/eks/argo-values.yaml").read_text())
    return values
