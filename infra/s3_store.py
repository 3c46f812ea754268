"""An S3 bucket as an object store; the only module that imports boto3.

Credentials come from where boto3 looks for them (role, file, environment) and are never kept here.
S3 itself shows an object whole or not at all, also one uploaded in parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3.session
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from infra.errors import InputError, MissingObjectError, StoreError
from infra.object_store import checked_key, require_file, translated
from infra.settings import load_settings

PART_BYTES = 16 * 2**20
"""Larger files go up and come down in parts of this size, four at a time."""
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


class S3Store:
    """Objects below a prefix of a bucket."""

    def __init__(self, uri: str, *, endpoint: str | None = None) -> None:
        """Prepare; nothing is sent yet.

        Args:
            uri: `s3://BUCKET` or `s3://BUCKET/PREFIX`.
            endpoint: Address of the server; by default the machine's `RMSWEEP_S3_ENDPOINT`, else
                what boto3 is told (`AWS_ENDPOINT_URL_S3`), else Amazon's.

        Raises:
            InputError: If the address names no bucket.
        """
        parts = urlsplit(uri)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise InputError(f"storage on S3 is s3://BUCKET/PREFIX, got {uri!r}")
        self._bucket = parts.netloc
        self._prefix = parts.path.strip("/")
        if self._prefix:
            checked_key(self._prefix)
            self._prefix += "/"
        endpoint = endpoint or load_settings().s3_endpoint
        # A session of its own: boto3's shared one may not be used by two threads at once.
        with self._translated(""):
            self._client: Any = boto3.session.Session().client(
                "s3", endpoint_url=endpoint, config=_config(path_style=endpoint is not None)
            )

    @property
    def uri(self) -> str:
        """`s3://BUCKET/PREFIX`."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def read(self, key: str) -> bytes:
        """The object's bytes."""
        name = self._name(key)
        with self._translated(key):
            body = self._client.get_object(Bucket=self._bucket, Key=name)["Body"]
            with body:
                return bytes(body.read())

    def write(self, key: str, data: bytes) -> None:
        """Put the object in one request."""
        name = self._name(key)
        with self._translated(key):
            self._client.put_object(Bucket=self._bucket, Key=name, Body=data)

    def exists(self, key: str) -> bool:
        """Whether the bucket holds this key."""
        name = self._name(key)
        try:
            with self._translated(key):
                self._client.head_object(Bucket=self._bucket, Key=name)
        except MissingObjectError:
            return False
        return True

    def keys(self, prefix: str = "") -> list[str]:
        """All keys that start with the prefix, sorted; a thousand per request."""
        pages = self._client.get_paginator("list_objects_v2")
        found: list[str] = []
        with self._translated(prefix):
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                found += [entry["Key"] for entry in page.get("Contents", ())]
        return sorted(name.removeprefix(self._prefix) for name in found)

    def delete(self, key: str) -> None:
        """Remove the object; S3 is silent when there is none."""
        name = self._name(key)
        with self._translated(key):
            self._client.delete_object(Bucket=self._bucket, Key=name)

    def upload(self, path: Path, key: str) -> None:
        """Send a file, a large one in parts."""
        name = self._name(key)
        require_file(path)
        with self._translated(key):
            self._client.upload_file(str(path), self._bucket, name, Config=_transfer())

    def download(self, key: str, path: Path) -> None:
        """Fetch an object aside, then rename."""
        name = self._name(key)
        with self._translated(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._client.download_file(self._bucket, name, str(path), Config=_transfer())

    def _name(self, key: str) -> str:
        return self._prefix + checked_key(key)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            with translated(key):
                yield
        except ClientError as error:
            answer = error.response.get("Error", {})
            code, text = str(answer.get("Code", "")), answer.get("Message", "")
            if code in _MISSING:
                raise MissingObjectError(f"{self.uri} holds no object {key!r}") from error
            if code == "NoSuchBucket":
                raise StoreError(f"there is no bucket {self._bucket!r}; make it first") from error
            raise StoreError(f"{self.uri} refused {key!r}: {code} {text}".rstrip()) from error
        except NoCredentialsError as error:
            raise StoreError(
                f"no credentials for {self.uri}; give this machine a role, a credentials file, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from error
        except (BotoCoreError, Boto3Error) as error:
            raise StoreError(f"{self.uri} failed on {key!r}: {error}") from error


def _config(*, path_style: bool) -> Config:
    return Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": 4},
        # Servers that are not Amazon's seldom serve a bucket as a host name of its own, and many
        # do not know the checksums boto3 adds since 1.36.
        s3={"addressing_style": "path" if path_style else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _transfer() -> TransferConfig:
    return TransferConfig(
        multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4
    )
