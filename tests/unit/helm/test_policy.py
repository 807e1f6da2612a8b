"""What `make policy` leaves out: each rule with its reason, and none of the `restricted` standard."""

from pathlib import Path

import yaml

CONFIGURATION = Path(__file__).parents[2] / "policy/checkov.yaml"
RESTRICTED = {
    "CKV_K8S_16",  # privileged
    "CKV_K8S_17",  # the node's process ids
    "CKV_K8S_18",  # its inter-process communication
    "CKV_K8S_19",  # its network
    "CKV_K8S_20",  # privilege escalation
    "CKV_K8S_23",  # root
    "CKV_K8S_26",  # the node's ports
    "CKV_K8S_31",  # seccomp
    "CKV_K8S_37",  # capabilities
}
"""Checkov's names for the rules of that standard that it knows."""


def test_no_rule_of_the_restricted_standard_is_skipped_and_each_other_has_its_reason() -> None:
    text = CONFIGURATION.read_text()
    skipped = yaml.safe_load(text)["skip-check"]
    assert not RESTRICTED & set(skipped)
    lines = [line.strip() for line in text.splitlines() if line.lstrip().startswith("- ")]
    assert [line.partition(" # ")[0] for line in lines if line.partition(" # ")[2]] == [f"- {rule}" for rule in skipped]
