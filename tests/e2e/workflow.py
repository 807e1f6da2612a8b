"""A Workflow's object, read."""

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object, as JSON."""


@dataclass(frozen=True)
class Workflow:
    """A Workflow as it was when it was asked for."""

    object: Object

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def phase(self) -> str:
        """Argo's: Pending, Running, Succeeded, Failed or Error; empty at first."""
        return str(self.object.get("status", {}).get("phase", ""))

    @property
    def message(self) -> str:
        return str(self.object.get("status", {}).get("message", ""))

    @property
    def is_finished(self) -> bool:
        return self.phase in {"Succeeded", "Failed", "Error"}

    @property
    def nodes(self) -> list[Object]:
        """In the order of their beginning."""
        nodes: dict[str, Object] = self.object.get("status", {}).get("nodes", {})
        return sorted(nodes.values(), key=lambda node: str(node.get("startedAt")))

    def attempts(self, step: str, shard: str | None = None) -> list[Object]:
        """The nodes that are pods of a step, plan, embed or finalize; where a shard is given, of these columns alone."""
        pods = [node for node in self.nodes if node.get("type") == "Pod" and node.get("templateName") == step]
        return [node for node in pods if shard is None or _shard(node) == shard]

    def shards(self) -> set[str]:
        """The columns for which pods were started."""
        return {_shard(node) for node in self.attempts("embed")}

    def __str__(self) -> str:
        lines = [f"  {node['type']:9} {node['phase']:9} {node['displayName']}: {node.get('message', '')}" for node in self.nodes]
        return "\n".join([f"workflow {self.name}: {self.phase} {self.message}", *lines])


def _shard(node: Object) -> str:
    return next(str(found["value"]) for found in node["inputs"]["parameters"] if found["name"] == "shard")
