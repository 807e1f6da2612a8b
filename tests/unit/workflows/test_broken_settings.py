"""Kubeconfigs and addresses that nobody can use: one line, 78, and no secret in it."""

from pathlib import Path

import pytest

from embedder.errors import ConfigurationError
from embedder.explore.web.serve import listen
from workflows.clusters import find_cluster


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a: [\n  token: secret",
        b"[1, 2]",
        b"secret",
        b"\xff\xfe",
        b"clusters: null\ncontexts: []\ncurrent-context: x",
        b"current-context: x\ncontexts: [{name: x}]\nclusters: []\nusers: []",
        b"current-context: x\ncontexts: [{name: x, context: secret}]\nclusters: []\nusers: []",
        b"current-context: x\ncontexts: {x: 1}",
        b"current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: 5}]\nusers: [{name: u}]",
    ],
)
def test_refused_in_one_line_when_a_kubeconfig_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config").write_bytes(content)
    monkeypatch.delenv("ARGO_SERVER", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    with pytest.raises(ConfigurationError, match=r"^no cluster: .*: set ARGO_SERVER .*KUBECONFIG") as error:
        find_cluster("argo")
    assert "secret" not in str(error.value)


def test_no_password_is_shown_when_the_argo_servers_address_holds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGO_SERVER", "https://user:secret@127.0.0.1:1")
    assert "secret" not in find_cluster("argo").name


@pytest.mark.parametrize("host", ["a\udcff", "x" * 300, "a\0b", ""])
def test_a_host_is_refused_in_one_line_when_it_is_none(host: str) -> None:
    with pytest.raises(ConfigurationError, match="can't listen at"):
        listen(host, 0)
