"""The tests' bucket: the outputs of their runs, and sources that anyone may read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from mypy_boto3_s3 import S3Client
from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

from embedder.storage.s3 import WRITE_ID
from tests.e2e.settings import Settings
from tests.s3_server import PUBLIC_BUCKET

YEAR = 2020
RECIPE = "clay-v0.1"


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One for the session. All of its name, also in the public bucket, is its own."""

    name: str
    endpoint: str
    client: S3Client

    @classmethod
    def create(cls, name: str, settings: Settings) -> "Bucket":
        client = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            region_name=settings.region,
        )
        client.create_bucket(Bucket=name)
        return cls(name=name, endpoint=settings.s3_endpoint, client=client)

    def remove(self) -> None:
        """With all that is in it."""
        self._delete_objects(PUBLIC_BUCKET, f"{self.name}/")
        self._delete_objects(self.name, "")
        self.client.delete_bucket(Bucket=self.name)

    def remove_below(self, prefix: str) -> None:
        """What is below a prefix."""
        self._delete_objects(self.name, f"{prefix}/")

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix."""
        return self._keys(self.name, prefix)

    def new_output(self, year: int = YEAR, recipe: str = RECIPE) -> "Output":
        """An empty place."""
        return Output(bucket=self, prefix=f"output-{uuid4().hex[:8]}", year=year, recipe=recipe)

    def upload(self, path: Path) -> str:
        """The address of a copy of a file."""
        self.client.upload_file(str(path), self.name, path.name)
        return f"s3://{self.name}/{path.name}"

    def upload_source(self, folder: Path) -> str:
        """The address of a source with the folder's tiles."""
        prefix = f"{self.name}/{uuid4().hex[:8]}"
        for path in folder.rglob("*.tif"):
            self.client.upload_file(str(path), PUBLIC_BUCKET, f"{prefix}/{path.relative_to(folder).as_posix()}")
        return f"{self.endpoint}/{PUBLIC_BUCKET}/{prefix}"

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return (found["Key"] for page in pages for found in page.get("Contents", []))

    def _delete_objects(self, bucket: str, prefix: str) -> None:
        keys: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in self._keys(bucket, prefix)]
        for start in range(0, len(keys), 1000):
            self.client.delete_objects(Bucket=bucket, Delete={"Objects": keys[start : start + 1000]})


@dataclass(frozen=True, kw_only=True)
class Output:
    """A place for embeddings."""

    bucket: Bucket
    prefix: str
    year: int = YEAR
    recipe: str = RECIPE

    @property
    def url(self) -> str:
        return f"s3://{self.bucket.name}/{self.prefix}"

    @property
    def folder(self) -> str:
        """What the keys of the year's files begin with."""
        return f"{self.prefix}/{self.recipe}/{self.year}/"

    def names(self) -> set[str]:
        """All files of the year."""
        return {key.removeprefix(self.folder) for key in self.bucket.keys(self.folder)}

    def writes(self) -> dict[int, str]:
        """The columns that are there, each with the id of the one write that its file comes from."""
        columns = {int(name[-12:-8]): self.folder + name for name in self.names() if name.endswith(".parquet")}
        head = self.bucket.client.head_object
        return {column: head(Bucket=self.bucket.name, Key=key)["Metadata"][WRITE_ID] for column, key in sorted(columns.items())}

    def read(self, file: str | int) -> bytes:
        """A file of the year; a number is a column's."""
        return self.bucket.client.get_object(Bucket=self.bucket.name, Key=self._key(file))["Body"].read()

    def write(self, file: str | int, data: bytes) -> str:
        """The name of the file that holds the data from now on."""
        self.bucket.client.put_object(Bucket=self.bucket.name, Key=self._key(file), Body=data)
        return self._key(file).removeprefix(self.folder)

    def remove(self, *files: str | int) -> None:
        for file in files:
            self.bucket.client.delete_object(Bucket=self.bucket.name, Key=self._key(file))

    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads(self.read("_manifest.json"))
        return manifest

    def copy(self, *, planned_only: bool = False) -> "Output":
        """The same run at a place of its own; one that is only planned has neither columns nor a manifest yet."""
        copy = self.bucket.new_output(self.year, self.recipe)
        for key in self.bucket.keys(self.prefix):
            if not planned_only or "/_weights/" in key or key.endswith("/_run.json"):
                target = copy.prefix + key.removeprefix(self.prefix)
                self.bucket.client.copy_object(Bucket=self.bucket.name, Key=target, CopySource={"Bucket": self.bucket.name, "Key": key})
        return copy

    def _key(self, file: str | int) -> str:
        return self.folder + (file if isinstance(file, str) else f"worldcover_embeddings_{self.year}_{file:04d}.parquet")
