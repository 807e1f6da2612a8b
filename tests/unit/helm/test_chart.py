"""The chart: what it renders is in the repository, so that a change shows in review."""

import json
import re

import pytest
from cfnlint.api import lint

from embedder import __version__
from tests.chart import CASES, CHART, GOLDEN, ROOT, helm, needs_helm, render, values_of


@needs_helm
@pytest.mark.parametrize("case", CASES)
def test_the_render_is_the_golden_one(case: str) -> None:
    golden = GOLDEN / f"{case}.yaml"
    assert render(case) == golden.read_text(), f"if that is meant: python -m tests.unit.helm.test_chart writes {GOLDEN} anew"


@needs_helm
@pytest.mark.parametrize("case", CASES)
def test_lint_finds_nothing(case: str) -> None:
    linted = helm("lint", "--strict", str(CHART), *values_of(case))
    assert linted.returncode == 0, linted.stdout + linted.stderr


@needs_helm
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("output=s3://bucket", "an image is needed"),
        ("image=repo:tag", "an output is needed"),
        ("image=repo:tag,output=/tmp/output", "/output"),
        ("image=repo:tag,output=s3://bucket,columnsPerPod=65", "/columnsPerPod"),
        ("image=repo:tag,output=s3://bucket,paralelism=3", "paralelism"),
    ],
)
def test_wrong_values_are_refused_by_name(values: str, message: str) -> None:
    rendered = helm("template", "worldcover", str(CHART), "--set", values)
    assert rendered.returncode != 0
    assert message in rendered.stderr


def test_every_value_is_described() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def check(node: dict[str, object], path: str) -> None:
        reference = str(node.get("$ref", "")).removeprefix("#/definitions/")
        whole = {**schema["definitions"].get(reference, {}), **node}
        assert whole.get("description"), f"{path} has no description"
        for name, below in whole.get("properties", {}).items():
            check(below, f"{path}.{name}")

    for name, below in schema["properties"].items():
        check(below, name)


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = (CHART / "Chart.yaml").read_text()
    assert re.findall("^(?:version|appVersion): (.*)$", chart, re.MULTILINE) == [__version__, __version__]


POLICIES = ["worker", "finalize", "explorer"]


@pytest.mark.parametrize("policy", POLICIES)
def test_aws_own_linter_finds_nothing_in_a_policy(policy: str) -> None:
    document = json.loads((ROOT / f"docs/eks/{policy}.json").read_text())

    def findings() -> list[str]:
        resource = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
        return [str(match) for match in lint(json.dumps({"Resources": {"Policy": resource}}))]

    assert findings() == []
    document["Statement"][0]["Action"] = "s3:ListBuckets"  # which is none
    assert len(findings()) == 1


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_allows_no_more_than_its_prefix_and_never_to_delete(policy: str) -> None:
    for statement in json.loads((ROOT / f"docs/eks/{policy}.json").read_text())["Statement"]:
        actions, resources = ([value] if isinstance(value, str) else value for value in (statement["Action"], statement["Resource"]))
        assert set(actions) <= {"s3:ListBucket", "s3:GetObject", "s3:PutObject"}
        assert all(resource.startswith("arn:aws:s3:::BUCKET/PREFIX/") or actions == ["s3:ListBucket"] for resource in resources)


if __name__ == "__main__":
    for each in CASES:
        (GOLDEN / f"{each}.yaml").write_text(render(each))
