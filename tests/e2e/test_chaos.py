"""A short campaign on the cluster, and that a campaign would see what it looks for."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from embedder.output.column_file import FOOTER_KEY
from tests.e2e.chaos import KINDS, campaign, rounds
from tests.e2e.promises import INCOMPLETE, LOST, TWICE, WRONG, Broken, Reference, check_rows
from tests.e2e.settings import Settings
from tests.e2e.storm import BURST, CLUSTER, CONTROLLER, NODE, REQUESTS, S3, SILENT, STOPPED, StormyProxy, Trouble, troubles
from tests.s3_server import PUBLIC_BUCKET, S3Server

SEEDS = (7,)
"""A seed that has broken something is kept here, with its minutes and what it broke."""
MINUTES = 3


@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
def test_each_promise_is_kept_when_all_goes_wrong(seed: int, settings: Settings) -> None:
    with campaign(settings, seed) as under_way:
        under_way.run(MINUTES)
    print(under_way.table())  # noqa: T201 - pytest shows it of a test that fails
    assert under_way.broken.seen == Broken().seen
    assert under_way.outputs >= 2
    assert under_way.faults.total() >= 20


def test_the_same_goes_wrong_when_the_seed_is_the_same() -> None:
    for kinds in (S3, CLUSTER):
        first, again, other = (list(islice(troubles(seed, kinds, 8), 500)) for seed in ("1", "1", "2"))
        assert first == again != other
        assert {trouble.kind for trouble in first} == set(kinds)
    assert list(islice(rounds("1", set(KINDS)), 20)) == list(islice(rounds("1", set(KINDS)), 20))


def test_the_controller_ends_after_the_node_was_lost() -> None:
    """Argo 3.7 would miss the pods of a node that comes back for up to 20 minutes (docs/verification.md)."""
    drawn = [trouble.kind for trouble in islice(troubles("1", CLUSTER, 8), 500)]
    assert {after for kind, after in pairwise(drawn) if kind == NODE} == {CONTROLLER}


@pytest.mark.parametrize("kind", REQUESTS)
def test_each_request_is_hit_and_counted_when_the_burst_has_a_share_of_all(kind: str, s3: S3Server) -> None:
    with StormyProxy(s3.endpoint, "127.0.0.1", "1", [kind]) as proxy:
        assert listed(proxy) == (HTTPStatus.OK, True)
        with proxy.spoilt(Trouble(kind=BURST, pause_s=0, lasts_s=0, share=1)):
            spoilt = listed(proxy)
        hit = "GET" in REQUESTS[kind][1]
        assert (spoilt != (HTTPStatus.OK, True)) == hit
        assert proxy.counts == (Counter({kind: 1}) if hit else Counter())
        assert listed(proxy) == (HTTPStatus.OK, True)


def test_s3_refuses_connections_and_ends_those_that_there_are_while_it_is_not_there(s3: S3Server) -> None:
    with StormyProxy(s3.endpoint, "127.0.0.1", "1") as proxy, requests.Session() as kept:
        assert kept.get(f"{proxy.url}/{PUBLIC_BUCKET}").status_code == HTTPStatus.OK
        with proxy.spoilt(Trouble(kind=STOPPED, pause_s=0, lasts_s=0, share=0)):
            for client in (kept, requests):
                with pytest.raises(requests.ConnectionError):
                    client.get(f"{proxy.url}/{PUBLIC_BUCKET}", timeout=10)
        assert kept.get(f"{proxy.url}/{PUBLIC_BUCKET}").status_code == HTTPStatus.OK


def test_s3_answers_late_what_it_was_asked_while_it_was_silent(s3: S3Server) -> None:
    with StormyProxy(s3.endpoint, "127.0.0.1", "1") as proxy, ThreadPoolExecutor(1) as pool:
        with proxy.spoilt(Trouble(kind=SILENT, pause_s=0, lasts_s=0, share=0)):
            with pytest.raises(requests.ReadTimeout):
                requests.get(f"{proxy.url}/{PUBLIC_BUCKET}", timeout=0.2)
            late = pool.submit(listed, proxy)
        assert late.result() == (HTTPStatus.OK, True)


def listed(proxy: StormyProxy) -> tuple[int, bool]:
    """The status of a listing, and whether all of it came as it is; 0 where there was no answer."""
    try:
        reply = requests.get(f"{proxy.url}/{PUBLIC_BUCKET}", timeout=10)
    except requests.RequestException:
        return 0, False
    return reply.status_code, reply.content.endswith(b"</ListBucketResult>")


class Year:
    """A published year of one column with two rows, as files by their names."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, list[float]]] = [("c0001r0001", [1.0, 0.0]), ("c0001r0002", [0.0, 1.0])]
        self.outcomes = "eet"
        self.digest = "d"
        self.files: dict[str, bytes] = {}

    def publish(self) -> "Year":
        table = pa.table({"chip_id": [name for name, _ in self.rows], "embeddings": [vector for _, vector in self.rows]})
        out = io.BytesIO()
        pq.write_table(table.replace_schema_metadata({FOOTER_KEY: json.dumps({"outcomes": self.outcomes})}), out)
        data = out.getvalue()
        entry = {"file": "1.parquet", "rows": len(self.rows), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        manifest = {"config_digest": self.digest, "weights_sha256": "w", "columns": {"1": entry}}
        self.files = {"1.parquet": data, "_manifest.json": json.dumps(manifest).encode()}
        return self

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.files["_manifest.json"])
        return found


def lose_row(year: Year) -> None:
    year.rows.pop()


def double_row(year: Year) -> None:
    year.rows.append(year.rows[0])


def turn_vector(year: Year) -> None:
    year.rows[0] = ("c0001r0001", [0.9, 0.1])


def spoil_vector(year: Year) -> None:
    year.rows[0] = ("c0001r0001", [np.nan, 0.0])


def change_outcomes(year: Year) -> None:
    year.outcomes = "een"


def change_configuration(year: Year) -> None:
    year.digest = "other"


def unchanged(year: Year) -> None:
    del year


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        (lose_row, LOST),
        (double_row, TWICE),
        (turn_vector, WRONG),
        (spoil_vector, WRONG),
        (change_outcomes, WRONG),
        (change_configuration, WRONG),
        (unchanged, None),
    ],
)
def test_a_broken_promise_is_seen_by_its_kind(change: Callable[[Year], None], promise: str | None, tmp_path: Path) -> None:
    assert broken_by(change, tmp_path) == ({promise} if promise else set())


def test_a_file_that_is_not_the_manifests_is_seen(tmp_path: Path) -> None:
    assert broken_by(unchanged, tmp_path, damage=lambda data: data + b"x") == {INCOMPLETE}


def broken_by(change: Callable[[Year], None], folder: Path, damage: Callable[[bytes], bytes] = bytes) -> set[str]:
    """The promises that a year breaks that was changed before it was published, and whose file was damaged after."""
    for name, data in Year().publish().files.items():
        (folder / name).write_bytes(data)
    year, broken = Year(), Broken()
    change(year)
    year.publish()
    check_rows(broken, "here", [1], year.manifest, lambda name: damage(year.files[name]), Reference(folder))
    return {promise for promise, seen in broken.seen.items() if seen}
