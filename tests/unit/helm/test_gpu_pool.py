"""The GPU pool and the values for it: pods that fit its nodes, no more of them than it has cards, all of one kind, and no other device."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart import helm, needs_helm

ROOT = Path(__file__).parents[3]
SMALLEST = {"g4dn.xlarge": (3920, 14481), "g6.xlarge": (3920, 14162)}
"""What pods may use of a node, millicores and MiB: Karpenter's reference, "Instance Types", for AL2023."""
SYSTEM = (600, 1024)
"""Set aside for a node's own pods: network, proxy, storage, device plugin, logs and monitoring ask for less."""


def read(path: str) -> Any:  # noqa: ANN401 - whatever YAML holds
    return yaml.safe_load((ROOT / path).read_text())


def quantity(resources: dict[str, str]) -> tuple[int, int]:
    """CPU in millicores and memory in MiB."""
    cpu, memory = resources["cpu"], resources["memory"]
    millicores = int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000
    return millicores, int(memory[:-2]) * {"Mi": 1, "Gi": 1024}[memory[-2:]]


@pytest.mark.parametrize("instance", SMALLEST)
def test_a_pod_fits_the_smallest_node_with_the_systems_share(instance: str) -> None:
    asked = quantity(read("helm/gpu-spot.yaml")["embed"]["resources"]["requests"])
    executor = quantity(read("docs/eks/argo-values.yaml")["executor"]["resources"]["requests"])
    for need, beside, system, there in zip(asked, executor, SYSTEM, SMALLEST[instance], strict=True):
        assert need + beside + system <= there


def test_there_are_no_more_pods_than_the_pool_has_cards() -> None:
    values = read("helm/gpu-spot.yaml")
    assert values["parallelism"] * values["embed"]["gpu"] <= read("docs/eks/gpu-pool.yaml")["spec"]["limits"]["nvidia.com/gpu"]


def test_the_pool_is_of_one_kind_of_card() -> None:
    requirements = {each["key"]: each["values"] for each in read("docs/eks/gpu-pool.yaml")["spec"]["template"]["spec"]["requirements"]}
    assert requirements["eks.amazonaws.com/instance-family"] == ["g6"]
    assert requirements["eks.amazonaws.com/instance-gpu-count"] == ["1"]


def devices(*values: str) -> dict[str, str | None]:
    """DEVICE of each step, by its name."""
    rendered = helm("template", "worldcover", str(ROOT / "helm"), "--set", "image=repo:tag,output=s3://bucket", *values)
    assert rendered.returncode == 0, rendered.stderr
    [template] = [each for each in yaml.safe_load_all(rendered.stdout) if each and each["kind"] == "WorkflowTemplate"]
    containers = {step["name"]: step["container"] for step in template["spec"]["templates"] if "container" in step}
    environment = {name: {each["name"]: each["value"] for each in container["env"]} for name, container in containers.items()}
    return {name: given.get("DEVICE") for name, given in environment.items()}


@needs_helm
@pytest.mark.parametrize(
    ("values", "device"),
    [
        ([], None),
        (["--values", str(ROOT / "helm/gpu-spot.yaml")], "cuda"),
        (["--set", "embed.gpu=1"], "cuda"),
        (["--set", "embed.gpu=1,embed.device=cpu"], "cpu"),
        (["--set", "embed.device=cuda"], "cuda"),
    ],
)
def test_embed_computes_on_the_card_or_not_at_all_when_it_asks_for_one(values: list[str], device: str | None) -> None:
    assert devices(*values) == {"plan": None, "embed": device, "finalize": None}


@needs_helm
@pytest.mark.parametrize(("value", "message"), [("embed.gpu=2", "/embed/gpu"), ("embed.device=tpu", "/embed/device")])
def test_what_no_pod_could_use_is_refused(value: str, message: str) -> None:
    rendered = helm("template", "worldcover", str(ROOT / "helm"), "--set", f"image=repo:tag,output=s3://bucket,{value}")
    assert rendered.returncode != 0
    assert message in rendered.stderr


def test_every_device_of_the_chart_is_one_of_the_commands() -> None:
    schema = json.loads((ROOT / "helm/values.schema.json").read_text())
    assert schema["properties"]["embed"]["properties"]["device"]["enum"] == ["", "auto", "cpu", "cuda"]
