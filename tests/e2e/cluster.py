"""A cluster with Argo Workflows as the tests use it: through kubectl, helm, submit.py and the Argo server alone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import requests

from tests.e2e.bucket import Bucket, Output
from tests.e2e.settings import Settings
from tests.e2e.workflow import Object, Workflow
from tests.s3_server import NO_AWS

ROOT = Path(__file__).parents[2]
NAME = "worldcover-embeddings"
"""Of the template and, with endings, of all else in the chart."""
RELEASE = "worldcover"
SUBMITTER = f"{NAME}-submitter"
OPERATOR = "operator"
"""An account of the tests' own, which may press all of the Argo UI's buttons."""
POLL_S = 0.5
RUN_LIMIT_S = 420
"""No workflow here takes longer, also on two cores."""
LOG_LINES = 40
NO_WEBHOOK = "https://198.51.100.1/"
"""Nobody's address (RFC 5737)."""
SHOW_PROGRESS = ("python", "-c", "import os; print(open(os.environ['ARGO_PROGRESS_FILE']).read())")

Completed = subprocess.CompletedProcess[str]
Found = TypeVar("Found")


@dataclass(kw_only=True)
class Cluster:
    """The tests' own namespace in it."""

    settings: Settings
    namespace: str
    folder: Path
    """For kubeconfigs."""
    submitted: list[str] = field(default_factory=list)
    """The workflows of the running test, for its report."""

    @classmethod
    @contextmanager
    def installed(cls, settings: Settings, bucket: Bucket, source: str, folder: Path, parallelism: int = 2) -> "Iterator[Cluster]":
        """A namespace of the bucket's name that enforces the `restricted` standard, with the chart in it; gone afterwards."""
        made = cls(settings=settings, namespace=bucket.name, folder=folder)
        small = {"resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "4Gi"}}}
        values = {
            "image": settings.image,
            "output": f"s3://{bucket.name}/default",
            "source": source,
            "weights": "random:0",
            "parallelism": parallelism,
            "aws": {"region": settings.region, "endpointUrl": settings.s3_endpoint, "credentialsSecret": "s3"},
            **dict.fromkeys(("plan", "embed", "finalize"), small),
        }
        made.create("Namespace", made.namespace, labels={"pod-security.kubernetes.io/enforce": "restricted"})
        try:
            keys = {"AWS_ACCESS_KEY_ID": settings.access_key, "AWS_SECRET_ACCESS_KEY": settings.secret_key}
            made.create("Secret", "s3", stringData=keys)
            made.create("ServiceAccount", OPERATOR)
            workflows = {"apiGroups": ["argoproj.io"], "resources": ["workflows", "workflowtemplates"], "verbs": ["*"]}
            pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "delete"]}
            made.create("Role", OPERATOR, version="rbac.authorization.k8s.io/v1", rules=[workflows, pods])
            made.kubectl("create", "rolebinding", OPERATOR, "--role", OPERATOR, "--serviceaccount", f"{made.namespace}:{OPERATOR}")
            (folder / "values.json").write_text(json.dumps(values))
            made.helm("install", str(ROOT / "helm"), "--values", str(folder / "values.json"))
            yield made
        finally:
            made.run("helm", "uninstall", RELEASE, "--namespace", made.namespace)
            made.run("kubectl", "delete", "namespace", made.namespace, "--timeout", "120s")

    # Commands

    def run(
        self, *command: str, stdin: str | None = None, environment: Mapping[str, str] | None = None, limit_s: float = RUN_LIMIT_S
    ) -> Completed:
        """A command, whatever its end; as the admin where no environment is given."""
        env = dict(environment) if environment is not None else {**self.environment, "KUBECONFIG": self.settings.kubeconfig}
        return subprocess.run(  # noqa: S603
            command,
            input=stdin,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
            start_new_session=True,  # Ctrl-C is not for what brings a node back
        )

    @cached_property
    def environment(self) -> dict[str, str]:
        """Of commands: the way to S3, and none to the cluster."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ARGO_", "KUBE", "E2E_"))}
        return kept | {
            "AWS_ENDPOINT_URL_S3": self.settings.s3_endpoint,
            "AWS_ACCESS_KEY_ID": self.settings.access_key,
            "AWS_SECRET_ACCESS_KEY": self.settings.secret_key,
            "AWS_REGION": self.settings.region,
            **NO_AWS,
        }

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints; AssertionError where it fails."""
        done = self.run("kubectl", "--namespace", self.namespace, *arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def create(self, kind: str, name: str, *, version: str = "v1", **fields: object) -> Object:
        """Create an object."""
        metadata = {"generateName": name} if name.endswith("-") else {"name": name}
        labels = fields.pop("labels", None)
        manifest = {"apiVersion": version, "kind": kind, "metadata": metadata | ({"labels": labels} if labels else {}), **fields}
        created: Object = json.loads(self.kubectl("create", "--filename", "-", "--output", "json", stdin=json.dumps(manifest)))
        return created

    def get(self, *what: str) -> Object:
        """An object, or a list of them."""
        found: Object = json.loads(self.kubectl("get", *what, "--output", "json"))
        return found

    def helm(self, command: str, *arguments: str) -> str:
        """What helm prints; AssertionError where it fails."""
        done = self.run("helm", command, RELEASE, *arguments, "--namespace", self.namespace)
        assert done.returncode == 0, f"helm {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def as_account(self, account: str) -> dict[str, str]:
        """An environment whose kubeconfig holds an account's token, and no other login."""
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "--flatten", "--output", "json"))
        config["users"] = [{"name": account, "user": {"token": self.token(account)}}]
        config["contexts"][0]["context"] |= {"user": account, "namespace": self.namespace}
        path = self.folder / f"{account}.json"
        path.write_text(json.dumps(config))
        return {**self.environment, "KUBECONFIG": str(path)}

    @contextmanager
    def silent_webhook(self) -> "Iterator[None]":
        """While it lasts, each pod's creation waits for an admission webhook that does not answer, and fails."""
        webhook = {
            "name": "silent.example.com",
            "clientConfig": {"url": NO_WEBHOOK},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "timeoutSeconds": 1,
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        kind, name = "ValidatingWebhookConfiguration", f"silent-{self.namespace}"
        self.create(kind, name, version="admissionregistration.k8s.io/v1", webhooks=[webhook])
        try:
            yield
        finally:
            self.kubectl("delete", kind, name)

    def ready_nodes(self) -> list[str]:
        """The names of the nodes that are there."""
        conditions = {node["metadata"]["name"]: node["status"]["conditions"] for node in self.get("nodes")["items"]}
        return [name for name, found in conditions.items() if any(each["type"] == "Ready" and each["status"] == "True" for each in found)]

    def token(self, account: str) -> str:
        """A service account's."""
        return self.kubectl("create", "token", account, "--duration", "12h").strip()

    @cached_property
    def tokens(self) -> dict[str, str]:
        """Of the accounts that talk to the Argo server."""
        return {account: self.token(account) for account in (SUBMITTER, OPERATOR)}

    # Workflows

    @property
    def submitter(self) -> dict[str, str]:
        """The environment of one who submits through the Argo server."""
        return {**self.environment, "ARGO_SERVER": self.settings.argo_server, "ARGO_TOKEN": self.tokens[SUBMITTER]}

    def submit(
        self, output: Output, *options: str, environment: Mapping[str, str] | None = None, limit_s: float = RUN_LIMIT_S
    ) -> Completed:
        """submit.py as the submitter, through the Argo server where no environment says another way."""
        command = ("workflows/submit.py", "--year", str(output.year), "--namespace", self.namespace, "--output", output.url, *options)
        done = self.run(sys.executable, *command, environment=self.submitter if environment is None else environment, limit_s=limit_s)
        print(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}exit code {done.returncode}")  # noqa: T201 - pytest shows it of a test that fails
        self.submitted += [line.removeprefix("submitted ") for line in done.stdout.splitlines() if line.startswith("submitted ")]
        return done

    def start(self, output: Output, *options: str) -> str:
        """The name of a workflow that has been submitted."""
        done = self.submit(output, *options)
        assert done.returncode == 0, done.stderr
        return self.submitted[-1]

    def run_to_the_end(self, output: Output, *options: str) -> Workflow:
        """A workflow that has succeeded."""
        done = self.submit(output, "--wait", *options)
        assert done.returncode == 0, done.stderr
        return self.workflow(self.submitted[-1])

    def press(self, button: str, workflow: str, account: str) -> str:
        """What the Argo UI's buttons `resubmit` and `retry` do; the name of the workflow that runs then."""
        reply = requests.put(
            f"{self.settings.argo_server}/api/v1/workflows/{self.namespace}/{workflow}/{button}",
            headers={"Authorization": f"Bearer {self.tokens[account]}"},
            json={"namespace": self.namespace, "name": workflow},
            timeout=60,
        )
        assert reply.status_code == HTTPStatus.OK, f"{button} {workflow}: {reply.status_code} {reply.text}"
        self.submitted.append(reply.json()["metadata"]["name"])
        return self.submitted[-1]

    def workflow(self, name: str) -> Workflow:
        """As it is now."""
        return Workflow(self.get("workflow", name))

    def finished(self, name: str, limit_s: float = RUN_LIMIT_S) -> Workflow:
        """As it is in the end."""

        def ended() -> Workflow | None:
            found = self.workflow(name)
            return found if found.is_finished else None

        return self.until(f"{name} to end", ended, limit_s)

    def pods(self, workflow: str, step: str) -> list[Object]:
        """The pods of a step that are there now."""
        pods: list[Object] = self.get("pods", "--selector", f"workflows.argoproj.io/workflow={workflow}")["items"]
        return [pod for pod in pods if f".{step}" in pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"]]

    def embedding_pod(self, workflow: str) -> str:
        """The name of a pod that has embedded some of its chips."""

        def embedding() -> str | None:
            for pod in self.pods(workflow, "embed"):
                name: str = pod["metadata"]["name"]
                if pod["status"]["phase"] == "Running" and self.is_embedding(name):
                    return name
            return None

        return self.until("a pod to embed", embedding)

    def is_embedding(self, pod: str) -> bool:
        """Whether a pod tells Argo's executor that it has read and embedded some of its chips, and not all."""
        progress = self.run("kubectl", "--namespace", self.namespace, "exec", pod, "--container", "main", "--", *SHOW_PROGRESS)
        done, _, total = progress.stdout.strip().partition("/")
        return done.isdigit() and 0 < int(done) < int(total)

    def until(self, what: str, look: Callable[[], Found | None], limit_s: float = RUN_LIMIT_S) -> Found:
        """What `look` returns once that is something; AssertionError where it takes too long."""
        deadline = time.monotonic() + limit_s
        while not (found := look()):
            assert time.monotonic() < deadline, f"waited {limit_s:.0f} s for {what}"
            time.sleep(POLL_S)
        return found

    def report(self) -> str:
        """The nodes of the running test's workflows, the pods that are there with their logs, and the namespace's warnings."""
        here = ("kubectl", "--namespace", self.namespace)
        lines = []
        for workflow in dict.fromkeys(self.submitted):
            found = self.run(*here, "get", "workflow", workflow, "--output", "json")
            lines.append(str(Workflow(json.loads(found.stdout))) if found.returncode == 0 else found.stderr)
        lines.append(self.run(*here, "get", "pods", "--output", "wide").stdout)
        for pod in self.run(*here, "get", "pods", "--output", "name").stdout.split():
            logs = self.run(*here, "logs", pod, "--container=main", f"--tail={LOG_LINES}")
            lines.append(f"-- {pod}\n{logs.stdout}{logs.stderr}")
        lines.append(self.run(*here, "get", "events", "--field-selector", "type=Warning,reason!=MissingClusterDNS").stdout)
        return "\n".join(lines)
