"""The image, in a pod as the chart's, and as it was built."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from embedder import __version__
from tests.e2e.cluster import ROOT, Cluster
from tests.e2e.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

LOOK = """
import hashlib, json, os, shutil
from pathlib import Path

import embedder

def size(folder):
    try:
        return sum(len(files) for _, _, files in os.walk(folder))
    except PermissionError:
        return 0

def is_writable(folder):
    try:
        Path(folder, "probe").write_text("")
    except OSError:
        return False
    return True

def digest(folder):
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py")))).hexdigest()

print(json.dumps({
    "package": digest(Path(embedder.__file__).parent),
    "user": os.getuid(),
    "tools": [name for name in ("gcc", "cc", "g++", "ld", "make", "git", "curl", "nvcc") if shutil.which(name)],
    "caches": [name for name in ("/var/lib/apt/lists", "/var/cache/apt/archives", "/tmp", "/build", "/dist", "/wheels") if size(name)],
    "writable": [name for name in ("/", "/opt/venv", "/usr", "/etc", "/tmp", "/var/tmp") if is_writable(name)],
}))
"""


def test_the_image_runs_as_a_user_without_tools_caches_or_places_to_write_when_its_root_is_read_only(cluster: Cluster) -> None:
    restricted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "main", "image": cluster.settings.image, "command": ["python", "-c", LOOK], "securityContext": restricted}
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}  # and no user's number: the image has one
    cluster.create("Pod", "look", spec={"restartPolicy": "Never", "securityContext": security, "containers": [container]})
    cluster.until("the pod to end", lambda: cluster.get("pod", "look")["status"]["phase"] in {"Succeeded", "Failed"})
    found = json.loads(cluster.kubectl("logs", "look"))
    cluster.kubectl("delete", "pod", "look", "--wait=false")
    package = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((ROOT / "embedder").rglob("*.py")))).hexdigest()
    assert found.pop("package") == package, "the image holds another version of the code"
    assert found == {"user": 10001, "tools": [], "caches": [], "writable": []}


def test_the_image_says_what_it_is_when_inspected(settings: Settings) -> None:
    if not settings.image_archive:
        pytest.skip("needs E2E_IMAGE_ARCHIVE, the image as `docker save` writes it")
    with tarfile.open(Path(settings.image_archive)) as archive:
        [entry] = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest.json"))
        config = json.load(archive.extractfile(entry["Config"]) or pytest.fail("no configuration"))["config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["embedder"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels["title"] == "worldcover-embeddings"
    assert labels["version"] == __version__
    assert len(labels["revision"]) == 40
