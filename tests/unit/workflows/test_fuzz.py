"""Workflows as no Argo writes them."""

import base64
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given

from embedder.errors import ConfigurationError, EmbedderError
from tests.mutations import altered_json, damaged, fuzzed, right_or_refused
from workflows.clusters import Object, RefusedError
from workflows.watch import Snapshot, result, snapshot

WORKFLOW: Object = json.loads((Path(__file__).parents[2] / "golden/workflows.json").read_text())["succeeded"]
PACKED = gzip.compress(json.dumps(WORKFLOW["status"]["nodes"]).encode(), mtime=0)


def check(found: Snapshot | None) -> None:
    if found:
        assert isinstance(result(found), EmbedderError | None)
        assert str(found)


@fuzzed(100)
@given(altered_json(json.dumps(WORKFLOW).encode()))
def test_a_workflow_is_read_or_refused_when_it_is_altered(data: bytes) -> None:
    try:
        workflow = json.loads(data)
    except (ValueError, RecursionError):  # whoever asks the cluster says so
        return
    check(right_or_refused(lambda: snapshot(workflow)))


@fuzzed(60)
@given(damaged(PACKED))
def test_a_workflow_is_read_or_refused_when_its_packed_nodes_are_damaged(data: bytes) -> None:
    workflow = {"status": {"phase": "Running", "compressedNodes": base64.b64encode(data).decode()}}
    check(right_or_refused(lambda: snapshot(workflow)))


@pytest.mark.parametrize("nodes", ["x", 5, {"a": 5}, {"a": {"type": "Retry", "templateName": "embed"}}])
def test_a_workflow_is_refused_when_its_nodes_are_none(nodes: object) -> None:
    with pytest.raises(ConfigurationError, match="check ARGO_SERVER"):
        snapshot({"status": {"nodes": nodes}})


@pytest.mark.parametrize("status", [{"phase": None}, {"phase": 5, "message": []}, {"phase": "Failed", "message": {"a": 1}}])
def test_a_workflow_is_read_when_its_phase_or_message_is_no_text(status: Object) -> None:
    check(snapshot({"status": status}))


@pytest.mark.parametrize("body", ["[" * 100_000, '{"message": [' + "[" * 100_000])
def test_a_refusal_is_told_when_it_is_too_deep_for_a_parser(body: str) -> None:
    assert "\n" not in str(RefusedError(404, body))


@fuzzed(60)
@given(altered_json(b'{"code": 5, "message": "not found"}'))
def test_a_refusal_is_told_in_one_line_whatever_it_says(data: bytes) -> None:
    assert "\n" not in str(RefusedError(404, data.decode()))
