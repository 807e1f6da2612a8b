#!/usr/bin/env python3
"""The WorkflowTemplate: plan, then a pod for each shard of columns, then finalize.

`python workflows/definition.py` prints it as YAML; helm/files/workflowtemplate.yaml is that output, and the chart adds what
differs from cluster to cluster: image, accounts, node pools, resources, defaults of the parameters.
"""

import re
from typing import Any, get_args

from hera.workflows import DAG, Container, EmptyDirVolume, Env, Parameter, RetryStrategy, Task, WorkflowTemplate
from hera.workflows.models import (
    Backoff,
    Capabilities,
    IntOrString,
    Metadata,
    Mutex,
    PodGC,
    PodSecurityContext,
    SeccompProfile,
    SecurityContext,
    Synchronization,
    TTLStrategy,
    ValueFrom,
)

from embedder import __version__
from embedder.grid import VERSIONS
from embedder.recipes import RECIPES, Precision

NAME = "worldcover-embeddings"
USER = 10001
"""The image's user, given by number so that Kubernetes can see that it is not root."""
ATTEMPTS = 5
HOUR = 3600

LOST = (
    "^(pod deleted"  # reclaimed node, kubectl delete
    "|Pod was terminated in response to imminent node shutdown"  # spot notice
    "|Pod was rejected|Preempted in order to|The node was low on resource"  # the kubelet's evictions
    "|pod failed: |Pod failed before |can.t find failed message"  # an orphan of a node that is gone
    "|(init|main|wait|supervisor): (Error [(]exit code (65|75|137|143)[)]"  # 65 is Argo's own where its supervisor is gone
    "|StartError|ContainerCannotRun|Unknown|ContainerStatusUnknown))"  # the runtime or the device
)
"""How Argo's message of a failed attempt begins where the infrastructure was lost; 75 is this program's own "try again".

An OOMKilled container, a deadline or a full disk has another beginning: another attempt would end the same way.
"""
REFUSED = "OOMKilled|denied the request|is forbidden|is invalid"
"""What the message of an attempt in Argo's phase Error holds where another would end the same way: no memory, or a policy's no.

Error is Argo's word for what it could not do itself, such as to create the pod or to run its own containers in it: all else of it is
trouble of the control plane, in ever new words.
"""
EXPRESSION = f"lastRetry.message matches '{LOST}' || lastRetry.status == 'Error' && !(lastRetry.message matches '{REFUSED}')"
"""Which attempts are repeated; docs/retries.md lists how they can end."""

PARAMETERS = [
    Parameter(name="year", enum=[str(year) for year in VERSIONS], description="Year of the composites."),
    Parameter(name="columns", value="all", description="Columns to embed: all, or numbers and ranges such as 1155-1158,17."),
    Parameter(name="bbox", value="", description="Embed only the chips that this box overlaps: W,S,E,N in degrees. Empty: all."),
    Parameter(name="area", value="", description="Embed only these chips: the text that submit.py --area packs a file into. Empty: all."),
    Parameter(name="recipe", value=next(iter(RECIPES)), enum=list(RECIPES), description="Model, preprocessing and chip size."),
    Parameter(name="output", value="", description="Where the files go: s3://bucket/prefix."),
    Parameter(name="weights", value="", description="Checkpoint: an https or s3 URL, or a path in the image. Empty: Clay's public one."),
    Parameter(name="weights-sha256", value="", description="Refuse a checkpoint with another SHA-256. Empty: take any."),
    Parameter(name="source", value="", description="Where the tiles are: an https or s3 URL. Empty: the public bucket."),
    Parameter(
        name="precision",
        value="auto",
        enum=list(get_args(Precision)),
        description="Of the model's arithmetic; auto takes the fastest that the device has natively.",
    ),
    Parameter(name="columns-per-pod", value="1", description="Adjacent columns that one pod embeds, 1 to 64."),
    Parameter(name="force", value="false", enum=["false", "true"], description="Embed again what is finished."),
    Parameter(name="missing-only", value="false", enum=["false", "true"], description="Start pods only for what is missing or invalid."),
]


def definition() -> WorkflowTemplate:
    """The template, without anything that is one cluster's own."""
    with WorkflowTemplate(
        name=NAME,
        labels={"app.kubernetes.io/name": NAME, "app.kubernetes.io/version": __version__},
        annotations={
            "workflows.argoproj.io/title": "WorldCover embeddings",
            "workflows.argoproj.io/description": "Clay embeddings of a year of the ESA WorldCover composites. "
            "Finished columns are skipped, so submitting again redoes only what is missing.",
        },
        entrypoint="run",
        arguments=PARAMETERS,
        service_account_name=NAME,
        security_context=PodSecurityContext(
            run_as_non_root=True, run_as_user=USER, run_as_group=USER, seccomp_profile=SeccompProfile(type="RuntimeDefault")
        ),
        pod_metadata=Metadata(
            labels={"app.kubernetes.io/name": NAME},
            annotations={"karpenter.sh/do-not-disrupt": "true"},  # consolidation would only repeat the work; spot reclaims pass anyway
        ),
        pod_spec_patch='{"terminationGracePeriodSeconds": 60}',  # for the executor's last report; the program itself ends at once
        synchronization=Synchronization(  # runs of one year and recipe take turns
            mutexes=[Mutex(name=NAME + "-{{workflow.parameters.year}}-{{workflow.parameters.recipe}}")]
        ),
        parallelism=100,
        active_deadline_seconds=7 * 24 * HOUR,
        pod_gc=PodGC(strategy="OnPodSuccess", delete_delay_duration="60s"),  # the logs of failed pods stay
        ttl_strategy=TTLStrategy(seconds_after_success=24 * HOUR, seconds_after_failure=14 * 24 * HOUR),  # `retry` needs the object
    ) as template:
        plan = step(
            "plan",
            ["--shards", "/tmp/shards.json"],  # noqa: S108 - the pod's own
            {name: parameter(name) for name in ("weights", "weights-sha256", "columns", "bbox", "area", "columns-per-pod", "missing-only")},
            outputs=[Parameter(name="shards", value_from=ValueFrom(path="/tmp/shards.json", default="[]"))],  # noqa: S108
        )
        embed = step(
            "embed",
            [],
            {"column": "{{inputs.parameters.shard}}", "force": parameter("force")},
            inputs=[Parameter(name="shard", description="Columns of this pod, such as 17 or 1155-1158.")],
            hours=24,
        )
        finalize = step("finalize", [], {"columns": parameter("columns")})
        # fail_fast would stop the other columns when one fails; the parallelism stands here and above as the UI's retry needs it here.
        with DAG(name="run", fail_fast=False, parallelism=100):
            Task(name="plan", template=plan)
            Task(
                name="embed",
                template=embed,
                depends="plan.Succeeded",
                with_param="{{tasks.plan.outputs.parameters.shards}}",
                arguments={"shard": "{{item}}"},
            )
            # Whatever became of the pods, the bucket alone says what is done. Skipped: there was nothing to embed.
            Task(
                name="finalize",
                template=finalize,
                depends="plan.Succeeded && (embed.Succeeded || embed.Failed || embed.Errored || embed.Skipped)",
            )
    return template


def step(
    name: str,
    arguments: list[str],
    environment: dict[str, str],
    *,
    hours: int = 2,
    **settings: Any,  # noqa: ANN401 - Hera's own
) -> Container:
    """A pod that runs one of the embedder's commands, with its options as environment variables.

    It may last some hours from when it has a node: an image that can't be pulled must not hold up the runs that wait their turn.
    """
    shared = {option: parameter(option) for option in ("year", "recipe", "output", "source", "precision")}
    return Container(
        name=name,
        image=NAME,
        command=["embedder", name, *arguments],
        env=[
            *(Env(name=variable(option), value=value) for option, value in (shared | environment).items()),
            Env(name="TERMINATION_LOG", value="/dev/termination-log"),  # the error's one line becomes the node's message
            Env(name="LOG_FORMAT", value="json"),
        ],
        active_deadline_seconds=hours * HOUR,
        termination_message_policy="FallbackToLogsOnError",  # where it died without a word
        security_context=SecurityContext(
            allow_privilege_escalation=False, read_only_root_filesystem=True, capabilities=Capabilities(drop=["ALL"])
        ),
        volumes=[EmptyDirVolume(name="tmp", mount_path="/tmp")],  # noqa: S108
        retry_strategy=RetryStrategy(
            limit=ATTEMPTS - 1,
            retry_policy="Always",  # the expression alone decides
            expression=EXPRESSION,
            backoff=Backoff(duration="10s", factor=IntOrString(root=3)),  # it also delays the verdict on a final failure
        ),
        **settings,
    )


def is_lost(phase: str, message: str) -> bool:
    """What EXPRESSION says of an attempt that ended in Argo's phase `phase`, Failed or Error, with this message."""
    return bool(re.search(LOST, message)) or (phase == "Error" and not re.search(REFUSED, message))


def parameter(name: str) -> str:
    """The value of one of the workflow's parameters."""
    return f"{{{{workflow.parameters.{name}}}}}"


def variable(option: str) -> str:
    """The environment variable that stands for an option; not COLUMNS, where shells keep the width of the terminal."""
    return "RUN_COLUMNS" if option == "columns" else option.replace("-", "_").upper()


if __name__ == "__main__":
    print(definition().to_yaml(width=1000), end="")  # noqa: T201 - what the command is for
