"""A local folder as an object store."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import InputError, StoreError
from infra.object_store import LocalStore, open_store
from tests.infra.object_store_contract import ObjectStoreContract

FILL_THE_DISK = """
import sys
from collections.abc import Iterator
from pathlib import Path
from infra.errors import DiskFullError
from infra.object_store import LocalStore
store = LocalStore(Path(sys.argv[1]))
store.write("small", b"kept")
big = Path(sys.argv[2]); big.write_bytes(bytes(2_000_000))
for attempt in (lambda: store.write("big", bytes(2_000_000)), lambda: store.upload(big, "big")):
    try:
        attempt()
    except DiskFullError as error:
        assert "no space left while writing 'big'" in str(error)
    else:
        raise SystemExit("nothing was refused")
    assert store.keys() == ["small"], store.keys()
    assert [path.name for path in Path(sys.argv[1]).iterdir()] == ["small"]
store.write("other", b"fits")
"""


class TestLocalStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path / "store")

    def test_a_folder_linked_out_of_the_store_is_not_followed(
        self, store: LocalStore, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_text("hush")
        store.write("in/one", b"x")
        (store.root / "in" / "out").symlink_to(outside)
        (store.root / "in" / "file").symlink_to(outside / "secret")

        for key in ("in/out/secret", "in/file"):
            with pytest.raises(InputError, match="leads out of the store"):
                store.read(key)
            with pytest.raises(InputError, match="leads out of the store"):
                store.write(key, b"y")
        assert store.keys("in/o") == ["in/one"]
        assert (outside / "secret").read_text() == "hush"

    def test_the_root_itself_may_be_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "disk").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "disk")

        LocalStore(tmp_path / "link").write("a/b", b"x")

        assert (tmp_path / "disk" / "a" / "b").read_bytes() == b"x"

    def test_files_being_written_are_not_listed(self, store: LocalStore) -> None:
        store.write("a/one", b"x")
        (store.root / "a" / ".aside-1234").write_bytes(b"half")

        assert store.keys() == ["a/one"]
        with pytest.raises(InputError, match="the store's own"):
            store.read("a/.aside-1234")

    def test_a_listing_looks_only_where_the_prefix_leads(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(20):
            store.write(f"trials/{number:02}/logs/rank-0.txt", b"x")
        scanned: list[str] = []
        scandir = os.scandir

        def noting(path: str) -> Iterator[os.DirEntry[str]]:
            scanned.append(path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", noting)

        assert store.keys("trials/07/") == ["trials/07/logs/rank-0.txt"]
        assert len(scanned) == 2
        assert len(store.keys("trials/1")) == 10
        assert len(scanned) == 2 + 1 + 20

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_without_permission_is_a_store_error(self, store: LocalStore) -> None:
        store.write("a/one", b"x")
        (store.root / "a").chmod(0o500)

        with pytest.raises(StoreError, match="Permission denied"):
            store.write("a/two", b"x")
        (store.root / "a").chmod(0o700)

    def test_a_file_where_a_folder_should_be_is_a_store_error(self, store: LocalStore) -> None:
        store.write("a", b"x")

        with pytest.raises(StoreError, match="a/b"):
            store.write("a/b", b"x")

    def test_a_full_disk_is_named_and_leaves_no_half_object(self, tmp_path: Path) -> None:
        if shutil.which("unshare") is None:
            pytest.skip("no unshare to mount a small disk with")
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = f"mount -t tmpfs -o size=1m tmpfs {disk}"
        probe = subprocess.run(
            ["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False
        )
        if probe.returncode != 0:
            pytest.skip("this user may not mount a small disk")

        done = subprocess.run(
            [
                *("unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable),
                *("-c", FILL_THE_DISK, str(disk), str(tmp_path / "big")),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stderr


def test_an_address_is_a_folder_or_a_bucket(tmp_path: Path) -> None:
    assert open_store(f"file:{tmp_path}").uri == f"file:{tmp_path}"
    assert open_store(f"file://{tmp_path}").uri == f"file:{tmp_path}"
    assert open_store(str(tmp_path)).uri == f"file:{tmp_path}"
    with pytest.raises(InputError, match="storage must be file:FOLDER or s3://BUCKET/PREFIX"):
        open_store("gs://bucket")
