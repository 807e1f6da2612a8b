"""Two ways to a cluster that runs Argo Workflows: its Argo server, or the Kubernetes API."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

import requests
import urllib3
from requests.adapters import HTTPAdapter

from embedder.errors import ConfigurationError, TemporaryError
from embedder.storage import network

DEFAULT_NAMESPACE = "argo"
"""Where docs/eks.md installs everything."""
TIMEOUT_S = (10, 60)
"""To connect, and of silence."""
RETRIES = urllib3.Retry(
    total=5,
    connect=2,
    other=0,
    backoff_factor=0.5,
    backoff_jitter=1.0,
    backoff_max=20,
    status_forcelist=[429, 500, 502, 503, 504],
    allowed_methods=None,  # a creation too: its name is ours, so that a second one is refused
    raise_on_status=False,
)
API = {"group": "argoproj.io", "version": "v1alpha1"}
POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where a pod finds its own."""

Object = dict[str, Any]
"""A Kubernetes object, as JSON."""


class RefusedError(Exception):
    """The API answered, but not with success."""

    def __init__(self, status: int, body: str) -> None:
        try:
            message = str(json.loads(body)["message"])
        except (ValueError, KeyError, TypeError):
            message = " ".join(body.split())[:200]
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Cluster(ABC):
    """What a submission needs of a cluster. Besides the project's errors, methods raise RefusedError."""

    def __init__(self, *, name: str, namespace: str, login: str) -> None:
        self.name = name
        """For messages."""
        self.namespace = namespace
        self.login = login
        """What says who asks."""

    @abstractmethod
    def template(self, name: str) -> Object:
        """A WorkflowTemplate."""

    @abstractmethod
    def workflow(self, name: str) -> Object:
        """A Workflow. Its nodes may be compressed."""

    @abstractmethod
    def create(self, workflow: Object) -> None:
        """Create a Workflow."""

    @abstractmethod
    def page(self, workflow: str) -> str:
        """Where the Argo UI shows a workflow."""

    def has_service_account(self, name: str) -> bool | None:  # noqa: ARG002
        """Whether there is such an account; None where that can't be told."""
        return None

    def has_namespace(self) -> bool | None:
        """Whether the namespace is there; None where that can't be told."""
        return None


def find_cluster(namespace: str | None) -> Cluster:
    """The Argo server that ARGO_SERVER names; without it, the cluster of the kubeconfig, or the one that this runs in."""
    server = os.environ.get("ARGO_SERVER", "")
    return ArgoServer(server, namespace or DEFAULT_NAMESPACE) if server else KubernetesApi(namespace)


class ArgoServer(Cluster):
    """By ARGO_SERVER, a URL or host:port, with ARGO_TOKEN; ARGO_SECURE and ARGO_INSECURE_SKIP_VERIFY as the argo command reads them."""

    def __init__(self, server: str, namespace: str) -> None:
        if "://" not in server:
            server = f"{'http' if os.environ.get('ARGO_SECURE') == 'false' else 'https'}://{server}"
        self._url = server.rstrip("/")
        super().__init__(name=f"the Argo server {self._url}", namespace=namespace, login="ARGO_TOKEN")
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=RETRIES))
        self._verify = os.environ.get("ARGO_INSECURE_SKIP_VERIFY") != "true" and (network.ca_file() or True)
        self._proxies = network.proxy_addresses(self._url)
        if token := os.environ.get("ARGO_TOKEN", "").strip():
            self._session.auth = partial(_authorized, token if " " in token else f"Bearer {token}")

    def template(self, name: str) -> Object:
        """A WorkflowTemplate."""
        return self._ask("GET", f"workflow-templates/{self.namespace}/{name}")

    def workflow(self, name: str) -> Object:
        """A Workflow, its nodes as they are."""
        return self._ask("GET", f"workflows/{self.namespace}/{name}")

    def create(self, workflow: Object) -> None:
        """Create a Workflow."""
        self._ask("POST", f"workflows/{self.namespace}", {"namespace": self.namespace, "workflow": workflow})

    def page(self, workflow: str) -> str:
        """Its address."""
        return f"{self._url}/workflows/{self.namespace}/{workflow}"

    def _ask(self, method: str, path: str, body: Object | None = None) -> Object:
        try:
            reply = self._session.request(
                method, f"{self._url}/api/v1/{path}", json=body, timeout=TIMEOUT_S, verify=self._verify, proxies=self._proxies
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise ConfigurationError("ARGO_SERVER is not an address: write https://host:port") from error
        except requests.exceptions.SSLError as error:
            if refusal := network.refusal(error, self.name):
                raise refusal from error
            advice = "set REQUESTS_CA_BUNDLE, write http:// in ARGO_SERVER, or set ARGO_INSECURE_SKIP_VERIFY=true"
            raise ConfigurationError(f"{self.name} has no trusted certificate, or speaks plain http: {advice}") from error
        except requests.RequestException as error:
            if refusal := network.refusal(error, self.name):
                raise refusal from error
            raise TemporaryError(f"{self.name} does not answer: check ARGO_SERVER, and that it is forwarded or exposed") from error
        if not reply.ok:
            _raise_refused(self, reply.status_code, reply.text)
        try:
            found: Object = reply.json()
        except ValueError as error:
            raise ConfigurationError(f"{self.name} does not answer as one does: check ARGO_SERVER") from error
        return found


class KubernetesApi(Cluster):
    """By the kubeconfig or, in a pod, as its account."""

    def __init__(self, namespace: str | None) -> None:
        from kubernetes import client, config  # noqa: PLC0415 - a second, which an Argo server does not need

        settings = client.Configuration()
        settings.proxy = None  # what is set below is a kubeconfig's own, which goes before the environment's
        try:
            if POD_NAMESPACE.exists() and not os.environ.get("KUBECONFIG"):
                config.load_incluster_config(client_configuration=settings)
                context, own = "this cluster", POD_NAMESPACE.read_text().strip()
            else:
                config.load_kube_config(client_configuration=settings)
                active = config.list_kube_config_contexts()[1]
                context, own = f"the cluster of the context {active['name']}", active["context"].get("namespace", "")
        except (config.ConfigException, OSError) as error:
            advice = "set ARGO_SERVER (and ARGO_TOKEN) or KUBECONFIG, or run on this machine with --local"
            raise ConfigurationError(f"no cluster: {' '.join(str(error).split())}: {advice}") from error
        super().__init__(name=context, namespace=namespace or own or DEFAULT_NAMESPACE, login="the kubeconfig's user")
        settings.retries = RETRIES
        settings.ssl_ca_cert = settings.ssl_ca_cert or network.ca_file()
        if not settings.proxy and (proxy := network.proxy_for(settings.host)):
            settings.proxy, settings.proxy_headers, settings.no_proxy = proxy.url, proxy.headers, None
        api = client.ApiClient(settings)
        self._api_exception = client.ApiException
        self._objects = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)

    def template(self, name: str) -> Object:
        """A WorkflowTemplate."""
        return self._get("workflowtemplates", name)

    def workflow(self, name: str) -> Object:
        """A Workflow, its nodes compressed where they are many."""
        return self._get("workflows", name)

    def create(self, workflow: Object) -> None:
        """Create a Workflow."""
        with self._errors():
            self._objects.create_namespaced_custom_object(
                **API, namespace=self.namespace, plural="workflows", body=workflow, _request_timeout=TIMEOUT_S
            )

    def page(self, workflow: str) -> str:
        """Where it is once the Argo server is forwarded to this machine."""
        return f"http://localhost:2746/workflows/{self.namespace}/{workflow} (kubectl port-forward to the Argo server, port 2746)"

    def has_service_account(self, name: str) -> bool | None:
        """Whether there is such an account."""
        return self._is_there(self._core.read_namespaced_service_account, name, self.namespace)

    def has_namespace(self) -> bool | None:
        """Whether the namespace is there."""
        return self._is_there(self._core.read_namespace, self.namespace)

    def _get(self, plural: str, name: str) -> Object:
        with self._errors():
            found: Object = self._objects.get_namespaced_custom_object(
                **API, namespace=self.namespace, plural=plural, name=name, _request_timeout=TIMEOUT_S
            )
        return found

    def _is_there(self, read: Callable[..., object], *names: str) -> bool | None:
        try:
            with self._errors():
                read(*names, _request_timeout=TIMEOUT_S)
        except RefusedError as error:
            return False if error.status == HTTPStatus.NOT_FOUND else None
        return True

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._api_exception as error:
            _raise_refused(self, error.status or 0, error.body or error.reason or "")
        except urllib3.exceptions.HTTPError as error:
            if refusal := network.refusal(error, self.name):
                raise refusal from error
            reason = getattr(error, "reason", None) or error
            raise TemporaryError(f"{self.name} does not answer ({type(reason).__name__}): check KUBECONFIG and the network") from error


def _authorized(login: str, request: requests.PreparedRequest) -> requests.PreparedRequest:
    """As requests' own `auth`, which goes before what ~/.netrc says of the host."""
    request.headers["Authorization"] = login
    return request


def _raise_refused(cluster: Cluster, status: int, body: str) -> NoReturn:
    refused = RefusedError(status, body)
    if status == HTTPStatus.UNAUTHORIZED:
        raise ConfigurationError(f"{cluster.name} does not accept {cluster.login}: renew it (docs/eks.md, step 7)") from refused
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TemporaryError(f"{cluster.name} still answers {refused}: try again later") from refused
    raise refused
