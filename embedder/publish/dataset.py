"""Publish: finished runs go in, a data set comes out in a folder or bucket, object by object, each whole.

What was put is in the form's record at once, so that the same command goes on where another was stopped. The catalogue, the card and
the sums are made of the records alone, and come last.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, NotFoundError
from embedder.grid import COLUMN_COUNT, VERSIONS
from embedder.output.fields import parse_json
from embedder.publish import card, geoparquet, stac
from embedder.publish.quantise import recall, survey
from embedder.publish.record import FORMS, Part, Record, find_record, put_record, record_key
from embedder.publish.source import Column, FinishedYear
from embedder.publish.stac_check import fault
from embedder.recipes import Recipe
from embedder.storage import ANY, Storage

LEAST_RECALL = 0.99
"""Of int8 against float32, below which it is not published unasked."""
SUMS = "SHA256SUMS"
COLLECTION = "collection.json"


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Where a recipe's data set is made."""

    storage: Storage
    recipe: Recipe
    progress: Progress = field(repr=False)

    def check(self) -> None:
        """ConfigurationError where it can't be written, or another data set is there."""
        self.storage.check_writable()
        where = self.storage.where(COLLECTION)
        try:
            found = parse_json(self.storage.get(COLLECTION).data)["id"]
        except NotFoundError:
            return
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{where} is no STAC collection: publish to another place") from error
        if found != stac.collection_id(self.recipe):
            raise ConfigurationError(f"{where} is of another data set, {found!s:.100}: publish to another place")

    def publish(self, years: Sequence[FinishedYear], forms: Sequence[str], *, least_recall: float = LEAST_RECALL) -> list[Record]:
        """Put what is missing of these forms of these years, then what describes all that is there. The records of all that is there."""
        self.check()
        for year in years:
            if year.manifest.warning:
                self.progress.say(f"NOTE: {year.manifest.warning}")
            for form in forms:
                self._publish_form(year, form, least_recall)
            self._put_provenance(year)
        return self._describe()

    def _publish_form(self, year: FinishedYear, form: str, least_recall: float) -> None:
        before = find_record(self.storage, form, year.year)
        record = _begin(year, form)
        if form == "int8":
            record = replace(record, quantisation=self._quantisation(year, before, least_recall))
        maker = import_module(f"embedder.publish.{'stores' if form == 'zarr' else 'files'}")  # only the one needs Zarr
        plans = maker.plans(year, record)
        there = self._there(before) if before else {}
        kept = [plan.source for plan in plans if plan.source in there]
        record = replace(record, parts=tuple(part for source in kept for part in there[source]))
        missing = [plan for plan in plans if plan.source not in there]
        if kept:
            self.progress.say(f"{len(kept)} of {len(plans)} parts of {year.year} as {form} are there")
        with self.progress.task(f"publish {year.year} as {form}", columns=sum(len(plan.columns) for plan in missing)):
            for plan in missing:
                made = []
                for part, data in maker.make(year, record, plan, self._counted(year, plan.columns)):
                    self.storage.put(record.folder + part.file, data, replaces=ANY)
                    made.append(part)
                record = record.with_parts(made)
                put_record(self.storage, record)
        put_record(self.storage, record)

    def _there(self, before: Record) -> dict[str, list[Part]]:
        """By their source, the parts that the record names, of those whose objects are all there with their size."""
        listed = {each.key: each.size for each in self.storage.list(before.folder)}
        found: dict[str, list[Part]] = {}
        for part in before.parts:
            found.setdefault(part.source, []).append(part)
        return {
            source: parts for source, parts in found.items() if all(listed.get(before.folder + part.file) == part.bytes for part in parts)
        }

    def _quantisation(self, year: FinishedYear, before: Record | None, least_recall: float) -> dict[str, Any]:
        """Scale, offset and recall, as measured on all rows, or found in the record; ConfigurationError where it loses too much."""
        of, columns = year.digest([*year.rows]), [column for column, rows in year.rows.items() if rows]
        found = before.quantisation if before and before.quantisation and before.quantisation.get("of") == of else None
        if found is None:
            rows = sum(year.rows.values())
            with self.progress.task(f"measure {year.year} for int8", columns=2 * len(columns)):
                surveyed = survey((geoparquet.vectors_of(column.table) for column in self._counted(year, columns)), rows)
                measured = recall((geoparquet.vectors_of(column.table) for column in self._counted(year, columns)), surveyed)
            found = surveyed.quantisation.to_record() | {"recall": round(measured, 6), "queries": len(surveyed.queries), "of": of}
        if found["recall"] < least_recall:
            raise ConfigurationError(
                f"recall@10 of {year.year} in int8 is {found['recall']:.4f}, less than {least_recall}: nothing of it is published; "
                "leave out int8, or allow it with --least-recall"
            )
        self.progress.say(f"int8 of {year.year}: recall@10 {found['recall']:.4f} against float32, over {found['queries']} chips")
        return found

    def _counted(self, year: FinishedYear, columns: Sequence[int]) -> Iterator[Column]:
        for column in year.stream(columns):
            yield column
            self.progress.column_done()

    def _put_provenance(self, year: FinishedYear) -> None:
        """The run's own manifest and record, as they are."""
        self.storage.put(stac.provenance(year.year, "manifest"), year.manifest_json, replaces=ANY)
        try:
            data = year.place.storage.get(year.place.record_key).data
        except NotFoundError:
            return
        self.storage.put(stac.provenance(year.year, "run"), data, replaces=ANY)

    def _describe(self) -> list[Record]:
        """Put the items, the collection, the card and, last of all, the sums."""
        found = [find_record(self.storage, form, year) for form in FORMS for year in VERSIONS]
        records = [record for record in found if record and record.parts]
        years = sorted({record.year for record in records})
        works = stac.works(records, self.recipe)
        documents: dict[str, bytes] = {"LICENSE": card.license_text(works).encode(), "ATTRIBUTION": card.attribution(works).encode()}
        sums: dict[str, str] = {}
        for record in records:
            sums |= {record.folder + part.file: part.sha256 for part in record.parts}
            for part in stac.items_of(record):
                documents[stac.item_key(record, part)] = _stac(stac.item(record, part, self.recipe))
        documents["README.md"] = card.readme(records, self.recipe).encode()
        documents[COLLECTION] = _stac(stac.collection(records, self.recipe))
        for key, data in documents.items():
            self.storage.put(key, data, replaces=ANY)
        beside = [record_key(record.form, record.year) for record in records]
        for key in [*beside, *(stac.provenance(year, what) for year in years for what in ("manifest", "run"))]:
            try:
                documents[key] = self.storage.get(key).data
            except NotFoundError:
                continue
        sums |= {key: hashlib.sha256(data).hexdigest() for key, data in documents.items()}
        self.storage.put(SUMS, "".join(f"{sha256}  {key}\n" for key, sha256 in sorted(sums.items())).encode(), replaces=ANY)
        left = [each.key for each in self.storage.list() if each.key not in sums and each.key != SUMS]
        if left:
            advice = "remove them if nobody reads them"
            self.progress.say(f"NOTE: {len(left)} files there are no part of the data set, such as {left[0]}: {advice}")
        return records


def _begin(year: FinishedYear, form: str) -> Record:
    """A record without files."""
    manifest = year.manifest
    return Record(
        form=form,
        year=year.year,
        recipe=year.recipe.name,
        config_digest=manifest.config_digest,
        weights=manifest.weights,
        weights_sha256=manifest.weights_sha256,
        package_version=manifest.package_version,
        warning=manifest.warning,
        complete=len(manifest.columns) == COLUMN_COUNT and not manifest.area,
        chips=manifest.chips,
    )


def _stac(thing: dict[str, Any]) -> bytes:
    """Its JSON; an item that is not valid is a fault of this package."""
    if wrong := fault(thing):
        raise ValueError(f"{thing.get('id')}: {wrong}")
    return json.dumps(thing, indent=1).encode() + b"\n"
