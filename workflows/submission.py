"""A submission to a cluster: the Workflow, and what is checked before it is created."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from uuid import uuid4

from hera.workflows import Parameter, Workflow
from hera.workflows.models import WorkflowTemplateRef

from embedder import __version__
from embedder.area import Area
from embedder.area_file import area_of
from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, EmbedderError, TemporaryError
from embedder.grid import format_columns
from embedder.output.manifest import find_manifest, find_manifest_of
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from embedder.source.inventory import PUBLIC_SOURCE, list_tiles, open_source
from embedder.steps.estimate import COMPARED, POD_START_SECONDS, comparison, estimate
from embedder.steps.inspect import missing_columns
from embedder.steps.preflight import Check, check, check_output, check_source, check_weights
from embedder.storage import open_storage
from workflows.clusters import Cluster, Object, RefusedError
from workflows.definition import NAME
from workflows.watch import INSTANCE_ID, FailedError

SUBMISSION = f"{NAME}/submission"
"""The annotation that tells this submission's workflow from another's of the same name."""
INSTALL_ARGO = (
    "helm install argo argo/argo-workflows --version 1.0.18 --namespace argo --create-namespace --values docs/eks/argo-values.yaml"
)
INSTALL = "helm install {release} helm/ --namespace {namespace} --set image=REPO:TAG --set output=s3://bucket/prefix"
UPGRADE = "helm upgrade {release} helm/ --namespace {namespace} --reset-then-reuse-values --set {setting}"
ENDING = "-embeddings"
"""After a release's name, that of its template."""
SAME_S3 = "look whether this machine's AWS_ENDPOINT_URL_S3 is the pods' S3, then submit again"
LONGEST_NAME = 63
"""Of a workflow: its pods have it as a label's value."""


def workflow_of(parameters: Mapping[str, str], namespace: str, name: str = NAME, template: Object | None = None) -> Workflow:
    """The Workflow: nothing but the template's name and the parameters that differ from the template's.

    `template` is the installed one, where it is known: a controller with an instance id looks only at workflows that have it.
    """
    identifier = uuid4().hex
    ending = f"-{parameters['year']}-{identifier[:6]}"
    instance = instance_id(template) if template else ""
    return Workflow(
        name=name[: LONGEST_NAME - len(ending)].rstrip("-.") + ending,
        namespace=namespace,
        labels={"app.kubernetes.io/name": NAME, "app.kubernetes.io/version": __version__} | ({INSTANCE_ID: instance} if instance else {}),
        annotations={SUBMISSION: identifier},
        workflow_template_ref=WorkflowTemplateRef(name=name),
        arguments=[Parameter(name=name, value=value) for name, value in parameters.items()],
    )


def instance_id(template: Object) -> str:
    """Of the controller that is to run this template's workflows; empty for one without."""
    places = template["metadata"].get("labels"), (template["spec"].get("workflowMetadata") or {}).get("labels")
    return next((str(labels[INSTANCE_ID]) for labels in places if labels and labels.get(INSTANCE_ID)), "")


def release_of(name: str, template: Object | None = None) -> str:
    """The Helm release to which the template of this name belongs, or would."""
    labels = (template or {}).get("metadata", {}).get("labels") or {}
    return str(labels.get("app.kubernetes.io/instance") or name.removesuffix(ENDING))


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
        if error.is_missing_role:
            template = manifest["spec"]["workflowTemplateRef"]["name"]
            raise ConfigurationError(_forbidden(cluster, template, "create workflows", error)) from error
        raise ConfigurationError(f"{cluster.name} refuses the workflow: {error.message}") from error


def find_template(cluster: Cluster, name: str = NAME) -> Object:
    """The installed template; ConfigurationError says how to install it."""
    try:
        template = cluster.template(name)
    except RefusedError as error:
        namespace = cluster.namespace
        if error.is_missing_role:
            raise ConfigurationError(_forbidden(cluster, name, "read the workflow template", error)) from error
        if error.status != HTTPStatus.NOT_FOUND:
            raise ConfigurationError(f"{cluster.name} refuses to show the workflow template: {error.message}") from error
        if cluster.has_namespace() is False:
            create = f"kubectl create namespace {namespace}"
            raise ConfigurationError(f"{cluster.name} has no namespace {namespace}: give --namespace, or {create}") from error
        if name not in error.message:  # the kind itself is unknown
            raise ConfigurationError(f"{cluster.name} has no Argo Workflows: {INSTALL_ARGO}") from error
        advice = INSTALL.format(release=release_of(name), namespace=namespace)
        if not name.endswith(ENDING):
            advice += f" --set fullnameOverride={name}"
        raise ConfigurationError(
            f"no workflow template {name} in namespace {namespace}: give --namespace or --template, or {advice}"
        ) from error
    if not isinstance(template, dict) or not all(isinstance(template.get(part), dict) for part in ("metadata", "spec")):
        raise ConfigurationError(f"{cluster.name} does not answer as one does: check its address, and ARGO_BASE_HREF")
    return template


def check_declared(cluster: Cluster, template: Object, parameters: Mapping[str, str]) -> None:
    """ConfigurationError where the template does not know a parameter: Argo would ignore it, an area as well, and embed the continent."""
    if unknown := sorted(parameters.keys() - defaults_of(template).keys()):
        options = " and ".join(f"--{name}" for name in unknown)
        advice = _upgrade(cluster, template, f"image=REPO:{__version__}")
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


def with_area(parameters: Mapping[str, str], template: Object | None) -> tuple[dict[str, str], Area | None]:
    """The parameters with a file's area packed in its place, as pods have neither the file nor GeoPandas, and the area itself, if any."""
    values = effective(parameters, template)
    bbox, area = (parameters.get(name, values.get(name) or None) for name in ("bbox", "area"))
    found = area_of(bbox, area, RECIPES[values["recipe"]].chip_pixels)
    return dict(parameters) | ({"area": str(found)} if "area" in parameters else {}), found


def check_cluster(cluster: Cluster, template: Object) -> Iterator[Check]:
    """That the template is this version's, and the account of its pods is there."""
    yield check("template", lambda: _version(cluster, template))
    yield check("account", lambda: _account(cluster, template))


def check_data(values: Mapping[str, str]) -> Iterator[Check]:
    """That this machine can use what the pods will."""
    yield check_output(values["output"])
    yield check_source(values["source"], int(values["year"]))
    yield check_weights(values["weights"], in_image=True)


def is_anything_missing(values: Mapping[str, str], columns: Sequence[int], progress: Progress, area: Area | None = None) -> bool:
    """Ask the bucket, and say what it lacks; ConfigurationError where it holds another area."""
    place = RunPlace(storage=open_storage(values["output"]), recipe=RECIPES[values["recipe"]], year=int(values["year"]))
    run = place.find()
    if run:
        place.check_current(run)
        place.merge(replace(run, area=area), run)
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


def manifest_difference(values: Mapping[str, str], columns: Sequence[int]) -> str:
    """Compare the manifest with what was asked for: an empty text where it lists that, otherwise why this machine can't read it.

    Raises FailedError where there is no such manifest, though `finalize` succeeded.
    """
    try:
        place = RunPlace(storage=open_storage(values["output"]), recipe=RECIPES[values["recipe"]], year=int(values["year"]))
        run, published = place.find(), find_manifest(place)
    except EmbedderError as error:
        return str(error)
    where = place.storage.where(place.manifest_key)
    if not run or not published or published.manifest.config_digest != run.config_digest:
        raise FailedError(f"finalize succeeded, but this machine sees no manifest of that run at {where}; {SAME_S3}")
    if lacks := set(columns) - published.manifest.columns.keys():
        raise FailedError(f"finalize succeeded, but {where} lacks the columns {format_columns(lacks)}; {SAME_S3}")
    return ""


def estimate_text(
    values: Mapping[str, str],
    columns: Sequence[int],
    rates: Sequence[float | None],
    cpus: float,
    price: float | None,
    *,
    area: Area | None = None,
) -> str:
    """What the run will read, compute and take, and what with more or fewer columns a pod, from the listing of the source."""
    source = open_source(values["source"])
    chosen = int(values.get("columns-per-pod") or 1)
    estimates = estimate(RECIPES[values["recipe"]], list_tiles(source, int(values["year"])), columns, {*COMPARED, chosen}, area)
    expected = estimates[chosen]
    return "\n".join(
        (
            f"estimate for {values['recipe']} {values['year']} from {source.location}, {len(expected.pods)} pods",
            str(expected),
            f"  a pod    {POD_START_SECONDS} s to start, then the longer of reading and computing, which overlap",
            *(comparison(estimates, chosen, cpus=cpus, chips_per_second=rate, price=price) for rate in rates or [None]),
        )
    )


def _version(cluster: Cluster, template: Object) -> str:
    found = template["metadata"].get("labels", {}).get("app.kubernetes.io/version", "another version")
    name = template["metadata"]["name"]
    if found != __version__:
        advice = _upgrade(cluster, template, f"image=REPO:{__version__}")
        raise ConfigurationError(f"the workflow template {name} in {cluster.namespace} is of {found}, this is {__version__}: {advice}")
    return f"{name} {found} in namespace {cluster.namespace} of {cluster.name}"


def _account(cluster: Cluster, template: Object) -> str:
    account = template["spec"].get("serviceAccountName", "default")
    found = cluster.has_service_account(account)
    if found is False:
        is_own = account == template["metadata"]["name"]  # the chart's; others are made elsewhere
        advice = _upgrade(cluster, template, f"image=REPO:{__version__}" if is_own else "serviceAccount.name=ANOTHER")
        raise ConfigurationError(
            f"no service account {account} in namespace {cluster.namespace}: {'' if is_own else 'create it, or '}{advice}"
        )
    return f"service account {account}" if found else f"service account {account}, not to be seen from here"


def _upgrade(cluster: Cluster, template: Object, setting: str) -> str:
    release = release_of(template["metadata"]["name"], template)
    return UPGRADE.format(release=release, namespace=cluster.namespace, setting=setting)


def _forbidden(cluster: Cluster, template: str, what: str, error: RefusedError) -> str:
    role = f"kubectl create rolebinding submitter-YOU --role {template}-submitter --user YOU --namespace {cluster.namespace}"
    place = f"in namespace {cluster.namespace} of {cluster.name}"
    return f"{cluster.login} may not {what} {place} ({error.message}): give --namespace, or {role}"
