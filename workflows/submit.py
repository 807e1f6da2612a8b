#!/usr/bin/env python3
"""Run the embeddings of a year: on a cluster, or on this machine with --local. See --help."""

import sys
from itertools import chain
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # a script sees its own folder alone

try:
    from embedder.machine import prepare

    if __name__ == "__main__":
        prepare()
    from embedder.console.signals import exit_on_signals, say_when_stopped

    if __name__ == "__main__":
        exit_on_signals()  # before the slower imports
    import click

    from embedder import __version__
    from embedder.cli.command import run_command
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing.name} is not installed here: run `make .venv/.ready`, then .venv/bin/python workflows/submit.py")

from click.core import ParameterSource

from embedder.area import parse_box, within
from embedder.cli.options import (
    MOST_TOGETHER,
    Amount,
    area_options,
    columns_option,
    debug_option,
    device_option,
    example,
    option,
    plan_options,
    recipe_option,
    year_option,
)
from embedder.cli.steps import plan_options_of, published, summary
from embedder.console.progress import Progress
from embedder.errors import EmbedderError, UsageError
from embedder.grid import format_columns
from embedder.steps.local import describe, run_local
from embedder.steps.preflight import failure
from embedder.storage.download import without_secrets

PLAN_OPTIONS = ("year", "recipe", "columns", "source", "weights", "weights_sha256", "precision", "bbox", "area")


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog=example(
        "python workflows/submit.py --year 2020 --local --columns 74 --source build/demo/source --weights random:0",
    ),
)
@year_option
@columns_option("all", "Columns to embed: all, or numbers and ranges such as 1155-1158,17.")
@area_options
@recipe_option
@option("--output", help="Where the files go: s3://bucket/prefix or, with --local, a folder.  [default: the template's, or ./output]")
@plan_options
@option(
    "--columns-per-pod",
    type=click.IntRange(1, MOST_TOGETHER),
    help="Adjacent columns read together.  [default: the template's; with --local: what suits the device]",
)
@option("--force", is_flag=True, help="Embed again what is finished.")
@click.option("--missing-only", is_flag=True, help="Embed only what is missing or invalid; with --local that is always so.")
@click.option("--local", is_flag=True, help="Run on this machine, without a cluster.")
@device_option
@click.option(
    "--namespace", envvar="ARGO_NAMESPACE", show_envvar=True, help="Of the installed template.  [default: the kubeconfig's, or argo]"
)
@option("--template", default="worldcover-embeddings", show_default=True, help="Name of the installed template: RELEASE-embeddings.")
@click.option("--wait", is_flag=True, help="Watch the workflow to its end, and exit with its result. Ctrl-C leaves it running.")
@click.option("--no-preflight", is_flag=True, help="Submit unchecked: where only the pods can reach output, source and weights.")
@click.option("--dry-run", is_flag=True, help="Print the Workflow and an estimate, or with --local what would be done, and do nothing.")
@click.option(
    "--chips-per-second",
    type=Amount(above_zero=True),
    multiple=True,
    help="That a pod embeds, for the dry run's estimate; several may be given. benchmarks/gpu.py measures them.",
)
@click.option(
    "--cpus",
    type=Amount(above_zero=True),
    default=3.0,
    show_default=True,
    help="Of a pod, which decode what it reads, for the dry run's estimate.",
)
@click.option(
    "--price",
    type=Amount(),
    help="Money for an hour of a node that runs one pod: the dry run's estimate then has a cost.",
)
@click.version_option(__version__, prog_name="submit.py")
@debug_option
@click.pass_context
def submit(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Embed a year of the WorldCover composites: plan, embed each column, finalize.

    Submits the installed WorkflowTemplate to the Argo server of ARGO_SERVER (with ARGO_TOKEN), or through the Kubernetes API
    of the kubeconfig. What is not given is as the template has it.

    The same command goes on where a stopped or failed run left off. Exit codes: 0 done, 1 a failed workflow, 2 wrong usage,
    75 try again later, 78 wrong configuration or input, 143 stopped by SIGTERM.
    """
    if options["force"] and options["missing_only"]:
        raise UsageError("--force embeds everything again, --missing-only what is missing: give one of them")
    given = {name: options[name] for name in options if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    if options["local"]:
        _run_here(options, given)
    else:
        _run_on_cluster(options, given)


def _run_here(options: dict[str, Any], given: dict[str, Any]) -> None:
    for name in ("wait", "no_preflight", "chips_per_second", "cpus", "price"):  # not namespace and template: the environment may hold them
        if name in given:
            raise UsageError(f"--{name.replace('_', '-')} is for a cluster: leave it out, or --local")
    chosen = plan_options_of(**{name: options[name] for name in PLAN_OPTIONS})
    output = "./output" if options["output"] is None else options["output"]
    together = options["columns_per_pod"]
    if options["dry_run"]:
        click.echo(describe(chosen, together))
        click.echo(f"  output   {output}")
        return
    done = run_local(output, chosen, Progress(), force=options["force"], device=options["device"], columns_together=together)
    click.echo(summary(done.embedded))
    if done.manifest:
        click.echo(published(done.place, done.manifest))
    done.raise_failures()


def _run_on_cluster(options: dict[str, Any], given: dict[str, Any]) -> None:
    from workflows import submission  # noqa: PLC0415 - Hera takes a second, which --local does without
    from workflows.clusters import find_cluster  # noqa: PLC0415
    from workflows.watch import result, watch, when_stopped  # noqa: PLC0415

    parameters, progress = _parameters(given), Progress()
    if options["dry_run"]:
        _dry_run(parameters, options, progress)
        return
    cluster = find_cluster(options["namespace"])
    progress.say(f"submitting to {cluster.name}, namespace {cluster.namespace}")
    template = submission.find_template(cluster, options["template"])
    submission.check_declared(cluster, template, parameters)
    parameters, area = submission.with_area(parameters, template)
    values, columns = submission.effective(parameters, template), within(area, options["columns"])
    if not options["no_preflight"]:
        checks = []
        for made in chain(submission.check_cluster(cluster, template), submission.check_data(values)):
            progress.say(f"  {'failed' if made.error else 'ok':6}  {made.name:8}  {made.detail}")
            checks.append(made)
        if error := failure(checks, "nothing was submitted"):
            raise error
        if options["missing_only"] and not submission.is_anything_missing(values, columns, progress, area):
            return
    workflow = submission.workflow_of(parameters, cluster.namespace, options["template"], template)
    name, place = workflow.name, f"--namespace {cluster.namespace}"
    say_when_stopped(f"look whether {name} was submitted: argo get {name} {place}")
    submission.create(cluster, workflow)
    click.echo(f"submitted {name}")
    click.echo(f"  watch  argo watch {name} {place}")
    click.echo(f"  page   {cluster.page(str(name))}")
    if options["wait"]:
        say_when_stopped(when_stopped(str(name), cluster.namespace))
        found = watch(cluster, str(name))
        if failed := result(found):
            raise failed
        say_when_stopped(f"{name} has succeeded; only its manifest was not compared")
        click.echo(f"succeeded: {found}")
        difference = submission.manifest_difference(values, columns)
        click.echo(f"  manifest  {f'not compared: {difference}' if difference else 'compared: it lists what was asked for'}")
        click.echo(f"  files  {values['output'].rstrip('/')}/{values['recipe']}/{values['year']}/")


def _dry_run(parameters: dict[str, str], options: dict[str, Any], progress: Progress) -> None:
    """The manifest goes to standard output, fit for `kubectl create -f -`; what it will take is for a person."""
    from workflows import submission  # noqa: PLC0415
    from workflows.clusters import find_cluster  # noqa: PLC0415

    namespace, template = options["namespace"], None
    try:
        cluster = find_cluster(namespace)
        namespace, template = cluster.namespace, submission.find_template(cluster, options["template"])
    except EmbedderError as error:
        progress.say(f"without the template's values: {error}")
    else:
        submission.check_declared(cluster, template, parameters)
    parameters, area = submission.with_area(parameters, template)
    columns = within(area, options["columns"])
    click.echo(submission.workflow_of(parameters, namespace, options["template"], template).to_yaml(), nl=False)
    values = submission.effective(parameters, template)
    rates, cpus, price = options["chips_per_second"], options["cpus"], options["price"]
    progress.say(submission.estimate_text(values, columns, rates, cpus, price, area=area))


def _parameters(given: dict[str, Any]) -> dict[str, str]:
    """The workflow's parameters that were given; what isn't is the template's business."""
    from workflows.definition import PARAMETERS  # noqa: PLC0415 - imports Hera

    if "device" in given:
        raise UsageError("--device is for --local: in a cluster, the chart's embed.gpu decides")
    options = {str(parameter.name): str(parameter.name).replace("-", "_") for parameter in PARAMETERS}
    parameters = {name: _text(given[option]) for name, option in options.items() if option in given}
    output, source, weights = (parameters.get(name) for name in ("output", "source", "weights"))
    if "bbox" in parameters:
        parse_box(parameters["bbox"])
    if output is not None and not output.startswith("s3://"):
        raise UsageError(f"--output {output}: a cluster's pods write to s3://bucket/prefix; a folder is for --local")
    if source is not None and "://" not in source:
        raise UsageError(f"--source {source}: a cluster's pods read an https or s3 address; a folder is for --local")
    if weights is not None and without_secrets(weights) != weights:
        raise UsageError("--weights holds a password or a query, which all who see the workflow would read: put the checkpoint in S3")
    return parameters


def _text(value: object) -> str:
    """An option's value as the workflow's parameter has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return format_columns(value) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    run_command(submit, "submit.py")
