"""Two ways to a cluster that runs Argo Workflows: its Argo server, or the Kubernetes API."""

import html
import json
import logging
import os
import re
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

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, TemporaryError
from embedder.storage import network
from embedder.storage.download import without_secrets

DEFAULT_NAMESPACE = "argo"
"""Where docs/eks.md installs everything."""
TIMEOUT_S = (10, 60)
"""To connect, and of silence."""
LONGEST_WAIT_S = 60
"""However long a server's Retry-After asks for."""
MESSAGE_LENGTH = 400
"""Of a server's own words that are repeated."""
NOT_ALLOWED = re.compile(
    r"""\bUser "[^"]*" cannot """  # Kubernetes' own RBAC, also through the Argo server
    r"|^permission denied(, you are not allowed .*)?$|^not allowed$",  # the Argo server's, the last where its SSO finds no account
    re.IGNORECASE | re.DOTALL,
)
"""What a 403 says where it is a missing role; quotas, admission policies and load balancers say something else."""


class Retries(urllib3.Retry):
    """As urllib3's, but a server's Retry-After is neither obeyed in silence nor for hours."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        """Seconds, LONGEST_WAIT_S at most; None where the server asks for none that can be understood."""
        try:
            asked = super().get_retry_after(response)
        except urllib3.exceptions.InvalidHeader:
            return None
        return asked and min(asked, LONGEST_WAIT_S)

    def sleep(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        """Wait, as the server asks or else as the back-off says."""
        if response and (wait := self.get_retry_after(response)):
            asked = response.headers["Retry-After"]
            Progress().say(f"the server answers {response.status}, Retry-After: {asked}: waiting {wait:.0f} s")
        super().sleep(response)


RETRIES = Retries(
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
            said, self.is_page = str(json.loads(body)["message"]), False
        except (ValueError, KeyError, TypeError, RecursionError):
            said, self.is_page = _text_of(body), True
        self.status = status
        self.message = _shortened(" ".join(said.split()) or "without a word")
        """The server's own, on one line."""
        super().__init__(f"{status}: {self.message}")

    @property
    def is_missing_role(self) -> bool:
        """Whether it is RBAC that said no."""
        return self.status == HTTPStatus.FORBIDDEN and NOT_ALLOWED.search(self.message) is not None


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

    def unauthorized(self) -> str:
        """What a 401 means, and what to do."""
        return f"{self.name} does not accept {self.login}: renew it (docs/eks.md, step 7)"


def find_cluster(namespace: str | None) -> Cluster:
    """The Argo server that ARGO_SERVER names; without it, the cluster of the kubeconfig, or the one that this runs in."""
    server = os.environ.get("ARGO_SERVER", "")
    return ArgoServer(server, namespace or DEFAULT_NAMESPACE) if server else KubernetesApi(namespace)


class ArgoServer(Cluster):
    """By ARGO_SERVER, a URL or host:port, with ARGO_TOKEN.

    ARGO_BASE_HREF, ARGO_SECURE and ARGO_INSECURE_SKIP_VERIFY are as the argo command reads them.
    """

    def __init__(self, server: str, namespace: str) -> None:
        if "://" not in server:
            server = f"{'http' if os.environ.get('ARGO_SECURE') == 'false' else 'https'}://{server}"
        server, path = server.rstrip("/"), os.environ.get("ARGO_BASE_HREF", "").strip("/")
        self._url = f"{server}/{path}" if path and not server.endswith(f"/{path}") else server
        super().__init__(name=f"the Argo server {without_secrets(self._url)}", namespace=namespace, login="ARGO_TOKEN")
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=RETRIES))
        skips = os.environ.get("ARGO_INSECURE_SKIP_VERIFY") == "true"
        if skips and self._url.startswith("https://"):
            _say_unverified(f"ARGO_INSECURE_SKIP_VERIFY: the certificate of {self.name} is not checked")
        self._verify = not skips and (network.ca_file() or True)
        self._proxies = network.proxy_addresses(self._url)
        if token := os.environ.get("ARGO_TOKEN", "").strip():
            if not (token.isascii() and token.isprintable()):  # http.client's error would show it
                raise ConfigurationError("ARGO_TOKEN holds a line break or a character that cannot be sent: set it again")
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
        return f"{without_secrets(self._url)}/workflows/{self.namespace}/{workflow}"

    def unauthorized(self) -> str:
        """What a 401 means, and what to do."""
        return super().unauthorized() if self._session.auth else f"{self.name} wants a login: set ARGO_TOKEN (docs/eks.md, step 7)"

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
        try:
            if not reply.ok:
                _raise_refused(self, reply.status_code, reply.text)
            found: Object = reply.json()
        except (ValueError, RecursionError, RefusedError) as error:
            if isinstance(error, RefusedError) and not (error.is_page and error.status == HTTPStatus.NOT_FOUND):
                raise
            raise ConfigurationError(f"{self.name} does not answer as one does: check ARGO_SERVER and ARGO_BASE_HREF") from error
        return found


class KubernetesApi(Cluster):
    """By the kubeconfig or, in a pod, as its account."""

    def __init__(self, namespace: str | None) -> None:
        from kubernetes import client, config  # noqa: PLC0415 - a second, which an Argo server does not need
        from yaml import YAMLError  # noqa: PLC0415

        settings, login = client.Configuration(), "the kubeconfig's user"
        settings.proxy = None  # what is set below is a kubeconfig's own, which goes before the environment's
        try:
            if POD_NAMESPACE.exists() and not os.environ.get("KUBECONFIG"):
                config.load_incluster_config(client_configuration=settings)
                context, own, login = "this cluster", POD_NAMESPACE.read_text().strip(), "this pod's account"
            else:
                active = config.list_kube_config_contexts()[1]
                context, own = f"the cluster of the context {active['name']}", active["context"].get("namespace", "")
                with _root_errors() as said:
                    config.load_kube_config(client_configuration=settings)
                if said:  # it would go on without a login
                    raise ConfigurationError(_login_failed(context, said))
        except (config.ConfigException, OSError, YAMLError, ValueError, TypeError, AttributeError, KeyError) as error:
            # What a broken kubeconfig makes others say may show a token.
            reason = (
                str(error) if isinstance(error, config.ConfigException | OSError) else f"the kubeconfig is none ({type(error).__name__})"
            )
            advice = "set ARGO_SERVER (and ARGO_TOKEN) or KUBECONFIG, or run on this machine with --local"
            raise ConfigurationError(f"no cluster: {reason}: {advice}") from error
        super().__init__(name=context, namespace=namespace or own or DEFAULT_NAMESPACE, login=login)
        if not settings.verify_ssl:
            _say_unverified(f"insecure-skip-tls-verify of the kubeconfig: the certificate of {self.name} is not checked")
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

    def unauthorized(self) -> str:
        """What a 401 means, and what to do."""
        return f"{self.name} does not accept {self.login}: log in again (EKS: `aws sso login`, `aws eks update-kubeconfig --name CLUSTER`)"

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
            with _root_errors() as said:  # a token that has expired is renewed before a request
                yield
        except self._api_exception as error:
            if said and error.status == HTTPStatus.UNAUTHORIZED:
                raise ConfigurationError(_login_failed(self.name, said)) from error
            _raise_refused(self, error.status or 0, error.body or error.reason or "")
        except urllib3.exceptions.HTTPError as error:
            if refusal := network.refusal(error, self.name):
                raise refusal from error
            reason = getattr(error, "reason", None) or error
            raise TemporaryError(f"{self.name} does not answer ({type(reason).__name__}): check KUBECONFIG and the network") from error
        except ValueError:  # http.client's of a header, which its text shows
            advice = "holds a character that cannot be sent: log in again"
            raise ConfigurationError(f"the token or password of {self.login} for {self.name} {advice}") from None


def _authorized(login: str, request: requests.PreparedRequest) -> requests.PreparedRequest:
    """As requests' own `auth`, which goes before what ~/.netrc says of the host."""
    request.headers["Authorization"] = login
    return request


def _raise_refused(cluster: Cluster, status: int, body: str) -> NoReturn:
    refused = RefusedError(status, body)
    if status == HTTPStatus.UNAUTHORIZED:
        raise ConfigurationError(cluster.unauthorized()) from refused
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TemporaryError(f"{cluster.name} still answers {refused}: try again later") from refused
    raise refused


class _Said(logging.Handler):
    """Collects what the kubernetes package says of a failed login, which it only logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "root":
            self.lines.append(record.getMessage())


@contextmanager
def _root_errors() -> Iterator[list[str]]:
    handler = _Said()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.lines
    finally:
        logging.getLogger().removeHandler(handler)


def _login_failed(cluster: str, said: list[str]) -> str:
    """What the kubeconfig's login command said; on a terminal, its own words went there."""
    text = _shortened(" ".join(" ".join(said).split()))
    if re.search(r"\bsso\b", text, re.IGNORECASE):
        advice = "the AWS login has expired: `aws sso login`, with --profile NAME where the kubeconfig names one"
    elif "No such file" in text:
        advice = "install the command that the kubeconfig names"
    else:
        advice = "log in again (EKS: `aws sso login`, or renew what `aws sts get-caller-identity` uses)"
    return f"the kubeconfig's login to {cluster} failed: {advice} ({text})"


def _say_unverified(text: str) -> None:
    """Once, in place of a warning for each request."""
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    Progress().say(text)


def _text_of(page: str) -> str:
    """The words of an HTML page, or the text as it is."""
    if "<" not in page:
        return page
    return html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"(?is)<(script|style)\b.*?</\1>", " ", page)))


def _shortened(text: str) -> str:
    return text if len(text) <= MESSAGE_LENGTH else f"{text[:MESSAGE_LENGTH]}..."
