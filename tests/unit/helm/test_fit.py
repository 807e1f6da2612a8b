"""The chart on other people's clusters: what its values reach, and two releases side by side."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart import CASES, CHART, GOLDEN, RELEASES, helm, needs_helm, values_of
from tests.policy.pods import objects_of, pods_of

Object = dict[str, Any]
REQUIRED = "image=repo:tag,output=s3://bucket"
INSTANCE = "workflows.argoproj.io/controller-instanceid"


def golden(case: str) -> list[Object]:
    """The objects of a golden render, its workflow's pods among them."""
    return objects_of((GOLDEN / f"{case}.yaml").read_text())


def of_kind(case: str, kind: str) -> list[Object]:
    return [found for found in golden(case) if found["kind"] == kind]


def template_of(case: str) -> Object:
    [template] = of_kind(case, "WorkflowTemplate")
    return template


def pod_of(case: str, step: str) -> Object:
    [pod] = [pod for pod in of_kind(case, "Pod") if pod["metadata"]["name"].endswith(f"-{step}")]
    return pod


def render(*values: str) -> list[Object]:
    """With values of its own, for what no golden render shows."""
    rendered = helm("template", "worldcover", str(CHART), "--set", ",".join((REQUIRED, *values)))
    assert rendered.returncode == 0, rendered.stderr
    return objects_of(rendered.stdout)


@pytest.fixture
def notes(tmp_path: Path) -> Callable[..., str]:
    """What `helm install` says in the end. Helm alone says it to a cluster only: here it is an object in a copy of the chart."""
    chart = Path(shutil.copytree(CHART, tmp_path / "chart"))
    (chart / "templates/NOTES.txt").rename(chart / "notes.txt")
    (chart / "templates/notes.yaml").write_text('kind: Notes\ntext: {{ tpl (.Files.Get "notes.txt") . | toJson }}\n')

    def of(case: str, *arguments: str) -> str:
        name = RELEASES.get(case, "worldcover")
        shown = helm(
            "template", name, str(chart), "--namespace", "argo", "--show-only", "templates/notes.yaml", *values_of(case), *arguments
        )
        assert shown.returncode == 0, shown.stderr
        return str(yaml.safe_load(shown.stdout)["text"])

    return of


def test_two_releases_share_no_object_when_they_are_in_one_namespace() -> None:
    first, second = ({(found["kind"], found["metadata"]["name"]) for found in golden(case)} for case in ("default", "second"))
    assert len(first) == len(second)
    assert not first & second


@pytest.mark.parametrize("case", ["default", "second"])
def test_what_a_release_names_is_its_own_when_there_are_two(case: str) -> None:
    name = {"default": "worldcover-embeddings", "second": "trial-embeddings"}[case]
    spec = template_of(case)["spec"]
    assert spec["serviceAccountName"] == name
    assert [mutex["name"] for mutex in spec["synchronization"]["mutexes"]] == [
        f"{name}-{{{{workflow.parameters.year}}}}-{{{{workflow.parameters.recipe}}}}"
    ]
    accounts = {account["metadata"]["name"] for account in of_kind(case, "ServiceAccount")}
    assert accounts == {name, f"{name}-submitter"} == {role["metadata"]["name"] for role in of_kind(case, "Role")}
    for binding in of_kind(case, "RoleBinding"):
        assert [subject["name"] for subject in binding["subjects"]] == [binding["roleRef"]["name"]] == [binding["metadata"]["name"]]
    [looks_at] = [rule for role in of_kind(case, "Role") for rule in role["rules"] if "serviceaccounts" in rule["resources"]]
    assert looks_at["resourceNames"] == [name]


@pytest.mark.parametrize("case", CASES)
def test_the_network_policy_selects_all_pods_of_its_release_and_no_others(case: str) -> None:
    [policy] = of_kind(case, "NetworkPolicy")
    selected = policy["spec"]["podSelector"]["matchLabels"].items()
    for other in CASES:
        is_own = RELEASES.get(other) == RELEASES.get(case)
        assert [selected <= pod["metadata"]["labels"].items() for pod in of_kind(other, "Pod")] == [is_own] * 4


@pytest.mark.parametrize("case", CASES)
def test_no_variable_of_a_pod_stands_twice(case: str) -> None:
    for pod in of_kind(case, "Pod"):
        names = [variable["name"] for variable in pod["spec"]["containers"][0]["env"]]
        assert len(set(names)) == len(names)


def test_the_pods_say_what_the_values_say_when_all_are_given() -> None:
    expected = {"plan": ("example-batch", "example-runtime"), "embed": ("example-bulk", "example-gpu")}
    expected |= dict.fromkeys(("finalize", "preflight"), expected["plan"])
    for step, (priority, runtime) in expected.items():
        pod = pod_of("everything", step)
        spec, labels = pod["spec"], pod["metadata"]["labels"]
        assert (spec["priorityClassName"], spec["runtimeClassName"], spec["serviceAccountName"]) == (priority, runtime, "from-terraform")
        assert [found["topologyKey"] for found in spec["topologySpreadConstraints"]] == ["topology.kubernetes.io/zone"]
        assert set(spec["affinity"]) == {"nodeAffinity"}
        assert spec["imagePullSecrets"] == [{"name": "registry"}]
        assert (labels["kueue.x-k8s.io/queue-name"], labels["cost-center"]) == ("science", "maps")
        assert pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "false"
        environment = {variable["name"]: variable["value"] for variable in spec["containers"][0]["env"]}
        assert (environment["AWS_CA_BUNDLE"], environment["LOG_FORMAT"]) == ("/etc/example/ca.crt", "console")
        assert [mount["name"] for mount in spec["containers"][0]["volumeMounts"]] == [volume["name"] for volume in spec["volumes"]]


def test_a_controllers_instance_id_is_on_the_template_and_on_its_workflows_when_it_has_one() -> None:
    template = template_of("everything")
    assert template["metadata"]["labels"][INSTANCE] == "science"  # the server shows no other template
    assert template["spec"]["workflowMetadata"]["labels"] == {INSTANCE: "science"}
    assert "workflowMetadata" not in template_of("default")["spec"]


def test_argos_containers_have_limits_when_a_quota_asks_for_them() -> None:
    for step in template_of("everything")["spec"]["templates"]:
        if "container" in step:
            patch = json.loads(step["podSpecPatch"])
            [init], [wait] = patch["initContainers"], patch["containers"]
            assert (init["name"], wait["name"]) == ("init", "wait")
            assert init["resources"]["limits"] == wait["resources"]["limits"] == {"cpu": "500m", "memory": "256Mi"}


def test_a_cluster_can_have_each_value_when_the_golden_renders_are_right() -> None:
    """A value that no golden render sets could do nothing at all."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    files = [*GOLDEN.glob("*.values.yaml"), CHART / "gpu-spot.yaml"]
    given = {path for file in files for path in paths(yaml.safe_load(file.read_text()))}

    def leaves(node: Object, path: str) -> Iterator[str]:
        reference = str(node.get("$ref", "")).removeprefix("#/definitions/")
        below = {**schema["definitions"].get(reference, {}), **node}.get("properties")
        if below is None:
            yield path
        for name, child in (below or {}).items():
            yield from leaves(child, f"{path}.{name}")

    # Whatever one step can have is tested with one; a network policy less is the test below.
    unset = {leaf for name, node in schema["properties"].items() for leaf in leaves(node, name)} - given
    assert {leaf for leaf in unset if leaf.split(".")[0] not in {"plan", "embed", "finalize"}} == {
        *("global", "rbac.create", "networkPolicy.enabled", "networkPolicy.egress", "submitter.annotations")
    }
    step = {path.partition(".")[2] for path in given if path.split(".")[0] in {"plan", "embed", "finalize"}}
    assert {*schema["definitions"]["step"]["properties"], "gpu"} - step == {"affinity", "topologySpreadConstraints"}


def paths(values: Object, above: str = "") -> Iterator[str]:
    """Of all keys in values, as a.b.c."""
    for name, value in values.items():
        yield above + name
        if isinstance(value, dict):
            yield from paths(value, f"{above}{name}.")


@needs_helm
def test_no_role_and_no_account_is_made_when_the_values_say_so() -> None:
    kinds = {found["kind"] for found in render("rbac.create=false", "serviceAccount.create=false", "serviceAccount.name=mine")}
    assert kinds == {"ServiceAccount", "NetworkPolicy", "WorkflowTemplate", "Pod"}
    without = render("networkPolicy.enabled=false", "submitter.create=false")
    assert [found["metadata"]["name"] for found in without if found["kind"] in {"NetworkPolicy", "ServiceAccount"}] == [
        "worldcover-embeddings"
    ]
    bindings = [found for found in without if found["kind"] == "RoleBinding"]
    assert [found["metadata"]["name"] for found in bindings] == ["worldcover-embeddings"]
    assert len([found for found in without if found["kind"] == "Role"]) == 2  # the submitter's is for people


@needs_helm
def test_an_account_of_the_charts_has_the_given_name() -> None:
    objects = render("serviceAccount.name=pods", "submitter.name=people")
    assert {found["metadata"]["name"] for found in objects if found["kind"] == "ServiceAccount"} == {"pods", "people"}
    subjects = {found["metadata"]["name"]: found["subjects"][0]["name"] for found in objects if found["kind"] == "RoleBinding"}
    assert subjects == {"worldcover-embeddings": "pods", "worldcover-embeddings-submitter": "people"}


@needs_helm
@pytest.mark.parametrize(
    ("value", "port"),
    [
        ("http://user:secret@proxy:3128", 3128),
        ("proxy:3128", 3128),
        ("http://proxy/", 80),
        ("https://proxy", 443),
        ("socks5h://proxy", 1080),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_network_policy_lets_a_proxy_be_reached_when_a_variable_names_it(name: str, value: str, port: int) -> None:
    variables = f"extraEnv[0].name={name},extraEnv[0].value={value},extraEnv[1].name=NO_PROXY,extraEnv[1].value=other:99"
    [policy] = [found for found in render(variables) if found["kind"] == "NetworkPolicy"]
    assert policy["spec"]["egress"][-1] == {"ports": [{"port": port, "protocol": "TCP"}]}


@needs_helm
@pytest.mark.parametrize(
    ("release", "values", "message"),
    [
        ("worldcover", "serviceAccount.create=false", "--set serviceAccount.name=NAME"),
        ("a" * 41, "parallelism=1", "longer than 51 characters: --set fullnameOverride=NAME"),
        ("worldcover", f"fullnameOverride={'a' * 52}", "/fullnameOverride"),
        ("worldcover", "fullnameOverride=With_Case", "/fullnameOverride"),
        ("worldcover", "extraVolumes[0].name=tmp", "/extraVolumes/0/name"),
        ("worldcover", "extraEnv[0].value=1", "/extraEnv/0"),
        ("worldcover", "imagePullSecrets[0]=registry", "/imagePullSecrets/0"),
        ("worldcover", "serviceAccount.crate=false", "crate"),
    ],
)
def test_values_that_no_cluster_would_take_are_refused_by_name(release: str, values: str, message: str) -> None:
    rendered = helm("template", release, str(CHART), "--set", f"{REQUIRED},{values}")
    assert rendered.returncode != 0
    assert message in rendered.stderr


@needs_helm
def test_the_longest_name_leaves_room_for_a_workflows() -> None:
    rendered = helm("template", "a" * 40, str(CHART), "--set", REQUIRED)
    assert rendered.returncode == 0, rendered.stderr
    assert len(f"{'a' * 40}-embeddings-2020-abcdef") == 63  # Argo takes no more


@needs_helm
def test_the_notes_name_what_the_release_is_called(notes: Callable[..., str]) -> None:
    assert "--template" not in notes("default")
    assert "service account worldcover-embeddings," in notes("default")
    second = notes("second")
    assert "worldcover" not in second
    assert "python workflows/submit.py --namespace argo --template trial-embeddings --year 2020\n" in second
    assert "rolebinding trial-embeddings-YOU --role trial-embeddings-submitter --user YOU --namespace argo" in second
    assert "kubectl create token trial-embeddings-submitter --namespace argo" in second
    everything = notes("everything")
    assert "service account from-terraform," in everything
    assert "kubectl create token from-eksctl" in everything
    bare = notes("second", "--set", "rbac.create=false,submitter.create=false")
    assert "No Role was made" in bare
    assert "rolebinding" not in bare
    assert "ARGO_TOKEN" not in bare


def test_a_patch_of_a_container_that_is_not_known_here_is_refused() -> None:
    template = template_of("everything")
    template["spec"]["templates"][0]["podSpecPatch"] = '{"containers": [{"name": "main", "securityContext": {"privileged": true}}]}'
    with pytest.raises(ValueError, match="the patch of plan changes"):
        pods_of(template)
