"""An S3 bucket as an object store; the only module that imports boto3.

Credentials come from where boto3 looks for them (role, profile, environment) and are never kept
here. S3 itself shows an object whole or not at all, also one uploaded in parts. What is sent goes
with a CRC32 the server compares; what is fetched is compared with it here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3.session
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import InputError, MissingObjectError
from infra.object_store import checked_key, require_file, translated
from infra.s3_errors import as_ours, expired
from infra.s3_gets import Gets
from infra.s3_parts import PART_BYTES, PARTS_AT_ONCE, fetch
from infra.settings import Settings, load_settings


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
        settings = load_settings()
        endpoint = endpoint or settings.s3_endpoint
        self._encryption = _encryption(settings.s3_encryption)
        # A session of its own: boto3's shared one may not be used by two threads at once.
        with self._translated(""):
            self._client: Any = boto3.session.Session().client(
                "s3", endpoint_url=endpoint, config=_config(settings, own_server=bool(endpoint))
            )
        self._gets = Gets(self._client)

    @property
    def uri(self) -> str:
        """`s3://BUCKET/PREFIX`."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def read(self, key: str) -> bytes:
        """The object's bytes."""
        place = self._place(key)
        # Entered by itself, a body gives the bare stream, which compares nothing.
        with self._translated(key), closing(self._gets.get(place)["Body"]) as body:
            return bytes(body.read())

    def write(self, key: str, data: bytes) -> None:
        """Put the object in one request."""
        place = self._place(key)
        with self._translated(key):
            self._client.put_object(**place, Body=data, **self._encryption)

    def exists(self, key: str) -> bool:
        """Whether the bucket holds this key."""
        place = self._place(key)
        try:
            with self._translated(key):
                self._client.head_object(**place)
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
        place = self._place(key)
        with self._translated(key):
            self._client.delete_object(**place)

    def upload(self, path: Path, key: str) -> None:
        """Send a file: a small one in one request, a large one in parts, several at a time."""
        place = self._place(key)
        require_file(path)
        with self._translated(key):
            if path.stat().st_size <= PART_BYTES:
                # A transfer manager starts and ends threads for every file.
                with path.open("rb") as file:
                    self._client.put_object(**place, Body=file, **self._encryption)
            else:
                self._client.upload_file(
                    str(path),
                    place["Bucket"],
                    place["Key"],
                    Config=_transfer(),
                    ExtraArgs=self._encryption,
                )

    def download(self, key: str, path: Path) -> None:
        """Fetch an object aside, a large one in parts, then rename.

        Raises:
            CorruptObjectError: If what came is not what the server says it holds.
        """
        place = self._place(key)
        with self._translated(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            fetch(self._gets, place, path)

    def _place(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + checked_key(key)}

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        with translated(key):
            try:
                yield
            except (ClientError, BotoCoreError, Boto3Error) as error:  # some are OSErrors as well
                raise as_ours(error, uri=self.uri, bucket=self._bucket, key=key) from error
            except RuntimeError as error:  # botocore's, of credentials that renewing left expired
                if "credentials" not in str(error):
                    raise
                raise expired(self.uri, error) from error


def _config(settings: Settings, *, own_server: bool) -> Config:
    checksums = "when_supported" if settings.s3_checksums else "when_required"
    return Config(
        # botocore describes itself anew for every request, which takes a tenth of a small one.
        user_agent="rmsweep",
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=32,
        retries={"mode": "standard", "total_max_attempts": 4},
        s3={
            # Servers that are not Amazon's seldom serve a bucket as a host name of its own.
            "addressing_style": "path" if own_server else "auto",
            # TLS guards the way and the CRC32 the content. A SHA-256 of it as well costs 4 s of
            # processor time per GB where no instruction computes it (220 MB/s measured).
            **({"payload_signing_enabled": False} if settings.s3_checksums else {}),
        },
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
    )


def _encryption(setting: str | None) -> dict[str, str]:
    """What a write asks of the server: `AES256`, `aws:kms`, or a key of the latter."""
    if setting is None:
        return {}
    method, _, key = setting.partition("=")
    asked = {"ServerSideEncryption": method}
    return asked | {"SSEKMSKeyId": key} if key else asked


def _transfer() -> TransferConfig:
    return TransferConfig(
        multipart_threshold=PART_BYTES,
        multipart_chunksize=PART_BYTES,
        max_concurrency=PARTS_AT_ONCE,
    )
