"""What design.md promises, checked on what a campaign wrote: at any moment, and row by row at the end."""

import hashlib
import io
import json
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError, ClientError

from embedder.output.column_file import FOOTER_KEY
from tests.e2e.bucket import Output

LOST, TWICE, WRONG, INCOMPLETE = "lost", "twice", "wrong", "published incomplete"
DISHONEST, NEVER = "ended with an untrue word", "not completed by an undisturbed resubmission"
PROMISES = (LOST, TWICE, WRONG, INCOMPLETE, DISHONEST, NEVER)
BESIDES = {"_run.json", "_manifest.json", "_coverage.png"}
"""What a year holds beside the columns' files."""
LIKE = 0.9999
"""The least cosine of two runs' vectors of one chip."""
LOOK_EVERY_S = 2
Manifest = dict[str, Any]
Read = Callable[[str], bytes]
"""A file of the year by its name; LookupError where it is not there."""


@dataclass
class Broken:
    """The promises that were broken, each with what was seen; the same is said once."""

    seen: dict[str, list[str]] = field(default_factory=lambda: {promise: [] for promise in PROMISES})

    def add(self, promise: str, *texts: str) -> None:
        for text in texts:
            if text not in self.seen[promise]:
                self.seen[promise].append(text)
                print(f"BROKEN: {promise}: {text}", flush=True)  # noqa: T201 - at the moment when it is seen

    def __bool__(self) -> bool:
        return any(self.seen.values())


@dataclass(frozen=True)
class Reference:
    """An undisturbed run with `--local`."""

    folder: Path
    """Of the year."""

    @classmethod
    def of(cls, output: Path, year: int, recipe: str) -> "Reference":
        return cls(output / recipe / str(year))

    @property
    def manifest(self) -> Manifest:
        found: Manifest = json.loads((self.folder / "_manifest.json").read_text())
        return found

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


def check_named(manifest: Manifest, read: Read) -> list[str]:
    """What of the manifest's files is not there, or not as the manifest says."""
    wrong = []
    for column, entry in manifest["columns"].items():
        try:
            data = read(entry["file"])
        except LookupError:
            wrong.append(f"column {column}: {entry['file']} is not there")
            continue
        if (len(data), hashlib.sha256(data).hexdigest()) != (entry["bytes"], entry["sha256"]):
            wrong.append(f"column {column}: {entry['file']} is not the file whose SHA-256 the manifest has")
    return wrong


def check_rows(broken: Broken, where: str, columns: Iterable[int], manifest: Manifest, read: Read, reference: Reference) -> None:
    """Compare what is published with the undisturbed run, row by row."""
    expected = reference.manifest
    named = {int(column) for column in manifest["columns"]}
    if lacks := set(columns) - named:
        broken.add(INCOMPLETE, f"{where}: the manifest lacks the columns {sorted(lacks)}")
    if more := named - set(columns):
        broken.add(WRONG, f"{where}: the manifest has the columns {sorted(more)}, which nobody asked for")
    for name in ("config_digest", "weights_sha256"):
        if manifest[name] != expected[name]:
            broken.add(WRONG, f"{where}: another {name} than the undisturbed run's")
    if wrong := check_named(manifest, read):
        broken.add(INCOMPLETE, *(f"{where}: {text}" for text in wrong))
        return
    for column in sorted(named & {int(column) for column in expected["columns"]}):
        entry, undisturbed = manifest["columns"][str(column)], expected["columns"][str(column)]
        mine, other = (pq.read_table(io.BytesIO(data)) for data in (read(entry["file"]), reference.read(undisturbed["file"])))
        _compare(broken, f"{where}, column {column}", mine, other)
        if entry["rows"] != len(mine):
            broken.add(WRONG, f"{where}, column {column}: {len(mine)} rows, and not the manifest's {entry['rows']}")


def _compare(broken: Broken, where: str, mine: pa.Table, other: pa.Table) -> None:
    counts, expected = (Counter(table["chip_id"].to_pylist()) for table in (mine, other))
    broken.add(LOST, *(f"{where}: {chip}" for chip in expected - counts if chip not in counts))
    broken.add(TWICE, *(f"{where}: {chip}" for chip, count in counts.items() if count > 1))
    broken.add(WRONG, *(f"{where}: {chip} is none of the undisturbed run's" for chip in counts if chip not in expected))
    outcomes = [json.loads(table.schema.metadata[FOOTER_KEY])["outcomes"] for table in (mine, other)]
    if outcomes[0] != outcomes[1]:
        broken.add(WRONG, f"{where}: other outcomes")
    if counts != expected or not expected:
        return
    if not mine.drop(["embeddings"]).equals(other.drop(["embeddings"])):
        broken.add(WRONG, f"{where}: other ids, boxes or dates")
    vectors = [np.array(table["embeddings"].to_pylist(), np.float64).reshape(len(table), -1) for table in (mine, other)]
    lengths = [np.linalg.norm(each, axis=1) for each in vectors]
    cosines = (vectors[0] * vectors[1]).sum(axis=1) / lengths[0] / lengths[1]
    broken.add(WRONG, *(f"{where}: row {row} has another vector" for row in np.flatnonzero(~(cosines >= LIKE))))


def check_names(broken: Broken, output: Output, *, is_forced: bool) -> None:
    """That a column has one file, the one that the manifest names; where columns were forced, what they were before stays."""
    named = {entry["file"] for entry in output.manifest()["columns"].values()}
    others = output.names() - named - BESIDES
    if is_forced:
        columns = {_stem(name) for name in named}
        others = {name for name in others if _stem(name) not in columns}
    broken.add(TWICE, *(f"{output.url}: {name} beside the named files" for name in sorted(others)))


def _stem(name: str) -> str:
    """What a column's files have in common."""
    return re.sub(r"^(forced/)?(\w+_\d{4}_\d{4})(_\w+)?\.parquet$", r"\2", name)


class Witness:
    """Reads all that is published, again and again, past the proxy: at any moment it must be whole and what the manifest says."""

    def __init__(self, broken: Broken) -> None:
        self.broken = broken
        self.looks = 0
        self._outputs: dict[str, Output] = {}
        self._last: dict[str, Manifest] = {}
        self._versions: dict[str, set[str]] = defaultdict(set)
        self._looking = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="witness")

    def watch(self, output: Output) -> None:
        """From now on."""
        self._outputs[output.url] = output

    def release(self, output: Output) -> None:
        """Look a last time, and no more."""
        with self._looking:
            self._look(self._outputs.pop(output.url))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            for url in list(self._outputs):
                with self._looking:
                    if output := self._outputs.get(url):  # which may have been released since
                        self._look(output)

    def _look(self, output: Output) -> None:
        try:
            manifest, again = published(output), None
            wrong = check_named(manifest, lambda name: read(output, name)) if manifest else []
            if wrong:  # unless another has taken its place meanwhile
                again = published(output)
            listed = versions(output)
        except (BotoCoreError, ClientError) as error:
            print(f"the witness could not read: {error}", flush=True)  # noqa: T201
            return
        except (ValueError, KeyError, TypeError) as error:
            self.broken.add(INCOMPLETE, f"{output.url}: the manifest is none: {error!r}")
            return
        self.looks += 1
        if again == manifest:
            self.broken.add(INCOMPLETE, *(f"{output.url}: {text}" for text in wrong))
        self._compare_with_before(output, manifest)
        for name, version in listed.items():
            found = self._versions[f"{output.url}/{name}"]
            found.add(version)
            if len(found) > 1:
                self.broken.add(TWICE, f"{output.url}: {name} was written again")

    def _compare_with_before(self, output: Output, manifest: Manifest | None) -> None:
        before = self._last.get(output.url)
        if manifest:
            self._last[output.url] = manifest
        if not before:
            return
        if not manifest:
            self.broken.add(LOST, f"{output.url}: the manifest is gone")
            return
        if gone := before["columns"].keys() - manifest["columns"].keys():
            self.broken.add(LOST, f"{output.url}: the manifest no longer has the columns {sorted(gone)}")
        if before["config_digest"] != manifest["config_digest"]:
            self.broken.add(WRONG, f"{output.url}: another config_digest than before")


def published(output: Output) -> Manifest | None:
    try:
        return output.manifest()
    except output.bucket.client.exceptions.NoSuchKey:
        return None


def read(output: Output, name: str) -> bytes:
    """As check_named wants it."""
    try:
        return output.read(name)
    except output.bucket.client.exceptions.NoSuchKey as error:
        raise LookupError(name) from error


def versions(output: Output) -> dict[str, str]:
    """The columns' files, each with what its next write would change."""
    client = output.bucket.client
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=output.bucket.name, Prefix=output.folder)
    found = (each for page in pages for each in page.get("Contents", []) if each["Key"].endswith(".parquet"))
    return {each["Key"].removeprefix(output.folder): f"{each['ETag']} of {each['LastModified']}" for each in found}
