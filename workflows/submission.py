"""A submission to a cluster: the Workflow, and what is checked before it is created."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from uuid import uuid4

from hera.workflows import Parameter, Workflow
from hera.workflows.models import WorkflowTemplateRef

from embedder import __version__
from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, TemporaryError
from embedder.grid import format_columns
from embedder.output.manifest import find_manifest_of
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from embedder.source.inventory import PUBLIC_SOURCE, list_tiles, open_source
from embedder.steps.embed import adjacent
from embedder.steps.estimate import POD_START_SECONDS, estimate
from embedder.steps.inspect import missing_columns
from embedder.steps.preflight import Check, check, check_output, check_source, check_weights
from embedder.storage import open_storage
from workflows.clusters import Cluster, Object, RefusedError
from workflows.definition import NAME

SUBMISSION = f"{NAME}/submission"
"""The annotation that tells this submission's workflow from another's of the same name."""
INSTALL_ARGO = (
    "helm install argo argo/argo-workflows --version 1.0.18 --namespace argo --create-namespace --values docs/eks/argo-values.yaml"
)
INSTALL = "helm install worldcover helm/ --namespace {namespace} --set image=REPO:TAG --set output=s3://bucket/prefix"
UPGRADE = "helm upgrade worldcover helm/ --namespace {namespace} --reset-then-reuse-values --set image=REPO:{version}"


def workflow_of(parameters: Mapping[str, str], namespace: str) -> Workflow:
    """The Workflow: nothing but the template's name and the parameters that differ from the template's."""
    identifier = uuid4().hex
    return Workflow(
        name=f"{NAME}-{parameters['year']}-{identifier[:6]}",
        namespace=namespace,
        labels={"app.kubernetes.io/name": NAME, "app.kubernetes.io/version": __version__},
        annotations={SUBMISSION: identifier},
        workflow_template_ref=WorkflowTemplateRef(name=NAME),
        arguments=[Parameter(name=name, value=value) for name, value in parameters.items()],
    )


def create(cluster: Cluster, workflow: Workflow) -> None:
    """Create it, once, however often the request had to be sent."""
    manifest: Object = workflow.to_dict()
    name = manifest["metadata"]["name"]
    try:
        cluster.create(manifest)
    except RefusedError as error:
        if error.status == HTTPStatus.CONFLICT:
            there = cluster.workflow(name)["metadata"].get("annotations", {})
            if there.get(SUBMISSION) == manifest["metadata"]["annotations"][SUBMISSION]:
                return
            raise TemporaryError(f"another workflow is called {name}: submit again") from error
        if error.status == HTTPStatus.FORBIDDEN:
            raise ConfigurationError(_forbidden(cluster, "create workflows")) from error
        raise ConfigurationError(f"{cluster.name} refuses the workflow: {error.message}") from error


def find_template(cluster: Cluster) -> Object:
    """The installed template; ConfigurationError says how to install it."""
    try:
        return cluster.template(NAME)
    except RefusedError as error:
        namespace = cluster.namespace
        if error.status == HTTPStatus.FORBIDDEN:
            raise ConfigurationError(_forbidden(cluster, "read the workflow template")) from error
        if error.status != HTTPStatus.NOT_FOUND:
            raise ConfigurationError(f"{cluster.name} refuses to show the workflow template: {error.message}") from error
        if cluster.has_namespace() is False:
            create = f"kubectl create namespace {namespace}"
            raise ConfigurationError(f"{cluster.name} has no namespace {namespace}: give --namespace, or {create}") from error
        if NAME not in error.message:  # the kind itself is unknown
            raise ConfigurationError(f"{cluster.name} has no Argo Workflows: {INSTALL_ARGO}") from error
        advice = INSTALL.format(namespace=namespace)
        raise ConfigurationError(f"no workflow template {NAME} in namespace {namespace}: give --namespace, or {advice}") from error


def check_declared(cluster: Cluster, template: Object, parameters: Mapping[str, str]) -> None:
    """ConfigurationError where the template does not know a parameter: Argo would ignore it, an area as well, and embed the continent."""
    if unknown := sorted(parameters.keys() - defaults_of(template).keys()):
        options = " and ".join(f"--{name}" for name in unknown)
        advice = UPGRADE.format(namespace=cluster.namespace, version=__version__)
        raise ConfigurationError(
            f"the workflow template in {cluster.namespace} of {cluster.name} does not know {options} and would ignore it: "
            f"leave it out, or {advice}"
        )


def defaults_of(template: Object) -> dict[str, str]:
    """The template's own values of its parameters."""
    return {found["name"]: found.get("value", "") for found in template["spec"].get("arguments", {}).get("parameters", [])}


def effective(parameters: Mapping[str, str], template: Object | None) -> dict[str, str]:
    """What the pods will see: the given parameters over the template's, and where both are silent the program's own."""
    values = {**(defaults_of(template) if template else {}), **parameters}
    recipe = values.setdefault("recipe", next(iter(RECIPES)))
    values["source"] = values.get("source") or PUBLIC_SOURCE
    values["weights"] = values.get("weights") or RECIPES[recipe].weights
    return values


def check_cluster(cluster: Cluster, template: Object) -> Iterator[Check]:
    """That the template is this version's, and the account of its pods is there."""
    yield check("template", lambda: _version(cluster, template))
    yield check("account", lambda: _account(cluster, template))


def check_data(values: Mapping[str, str]) -> Iterator[Check]:
    """That this machine can use what the pods will."""
    yield check_output(values["output"])
    yield check_source(values["source"], int(values["year"]))
    yield check_weights(values["weights"], in_image=True)


def is_anything_missing(values: Mapping[str, str], columns: Sequence[int], progress: Progress) -> bool:
    """Ask the bucket, and say what it lacks."""
    place = RunPlace(storage=open_storage(values["output"]), recipe=RECIPES[values["recipe"]], year=int(values["year"]))
    run = place.find()
    missing = missing_columns(place, run, columns, progress) if run else list(columns)
    if missing:
        progress.say(f"{len(missing)} of {len(columns)} columns are missing or invalid: {format_columns(missing)}")
        return True
    published = find_manifest_of(place, run) if run else None
    if published and published.manifest.columns.keys() >= set(columns):
        progress.say(
            f"nothing is missing: {len(columns)} columns are published at {place.storage.where(place.prefix)}; nothing was submitted"
        )
        return False
    progress.say(f"all {len(columns)} columns are there, and only to be published")
    return True


def estimate_text(values: Mapping[str, str], columns: Sequence[int], chips_per_second: Sequence[float]) -> str:
    """What the run will read, compute and take, from the listing of the source."""
    source = open_source(values["source"])
    shards = list(adjacent(columns, int(values.get("columns-per-pod") or 1)))
    expected = estimate(RECIPES[values["recipe"]], list_tiles(source, int(values["year"])), shards)
    start = f"{POD_START_SECONDS} s a pod to start"
    hours = [f"  at {rate:g} chips/s a pod, {start}: {expected.pod_hours(rate):.1f} pod-hours" for rate in chips_per_second]
    return "\n".join(
        (f"estimate for {values['recipe']} {values['year']} from {source.location}, {expected.pods} pods", str(expected), *hours)
    )


def _version(cluster: Cluster, template: Object) -> str:
    found = template["metadata"].get("labels", {}).get("app.kubernetes.io/version", "another version")
    if found != __version__:
        advice = UPGRADE.format(namespace=cluster.namespace, version=__version__)
        raise ConfigurationError(f"the workflow template in {cluster.namespace} is of {found}, this is {__version__}: {advice}")
    return f"{NAME} {found} in namespace {cluster.namespace} of {cluster.name}"


def _account(cluster: Cluster, template: Object) -> str:
    account = template["spec"].get("serviceAccountName", "default")
    found = cluster.has_service_account(account)
    if found is False:
        advice = UPGRADE.format(namespace=cluster.namespace, version=__version__)
        raise ConfigurationError(f"no service account {account} in namespace {cluster.namespace}: {advice}")
    return f"service account {account}" if found else f"service account {account}, not to be seen from here"


def _forbidden(cluster: Cluster, what: str) -> str:
    role = f"kubectl create rolebinding submitter-YOU --role {NAME}-submitter --user YOU --namespace {cluster.namespace}"
    return f"{cluster.login} may not {what} in namespace {cluster.namespace} of {cluster.name}: give --namespace, or {role}"
