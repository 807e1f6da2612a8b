"""The pods inside a rendered WorkflowTemplate, as Argo would create them, so that a policy linter can see them.

`python tests/policy/pods.py RENDERS FOLDER` writes each of the chart's renders and its pods to a folder; it needs PyYAML alone.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
"""A Kubernetes object."""

OF_THE_POD = ("serviceAccountName", "securityContext", "imagePullSecrets")
"""Fields that the workflow's spec has for all its pods."""
OF_A_STEP = ("volumes", "nodeSelector", "tolerations", "affinity", "priorityClassName", "activeDeadlineSeconds")
"""Fields that a template has for its own."""
ARGOS = ("init", "wait")
"""Containers that Argo adds, as its controller is configured; the chart at most patches them."""


def pods_of(template: Object) -> list[Object]:
    """The pods of a WorkflowTemplate, one a step, without what Argo adds."""
    spec = template["spec"]
    return [_pod(template["metadata"]["name"], spec, step) for step in spec["templates"] if "container" in step]


def objects_of(render: str) -> list[Object]:
    """The objects in what Helm rendered, and the pods in its WorkflowTemplates."""
    objects = [found for found in yaml.safe_load_all(render) if found]
    return objects + [pod for found in objects if found["kind"] == "WorkflowTemplate" for pod in pods_of(found)]


def _pod(name: str, spec: Object, step: Object) -> Object:
    pod = {key: spec[key] for key in OF_THE_POD if key in spec} | {key: step[key] for key in OF_A_STEP if key in step}
    pod |= {"restartPolicy": "Never", "containers": [{"name": "main", **step["container"]}]}
    for patch in (json.loads(found.get("podSpecPatch", "{}")) for found in (spec, step)):
        patched = [container["name"] for key in ("initContainers", "containers") for container in patch.pop(key, [])]
        if not set(patched) <= set(ARGOS):
            raise ValueError(f"the patch of {step['name']} changes {patched}, which is not known here")
        pod |= patch
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-{step['name']}", **spec["podMetadata"]}, "spec": pod}


def main(renders: Path, folder: Path) -> None:
    """Write a file for each render."""
    folder.mkdir(parents=True)
    for render in sorted(renders.glob("*.yaml")):
        if not render.name.endswith(".values.yaml"):
            (folder / render.name).write_text(yaml.safe_dump_all(objects_of(render.read_text())))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
