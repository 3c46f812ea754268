"""What every object store must do."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.errors import InputError, MissingError, MissingObjectError
from infra.object_store import ObjectStore, open_store, require_writable
from infra.s3_parts import PART_BYTES

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\", exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=20,
).filter(lambda name: name not in (".", "..") and not name.startswith("."))


class ObjectStoreContract:
    """Subclasses give the `store`, empty or with other tests' objects in it."""

    def test_what_was_written_is_read(self, store: ObjectStore) -> None:
        store.write("read/one", b"first")
        store.write("read/one", b"second")

        assert store.read("read/one") == b"second"
        assert store.exists("read/one")

    def test_an_empty_object_is_an_object(self, store: ObjectStore) -> None:
        store.write("empty/one", b"")

        assert store.exists("empty/one")
        assert store.read("empty/one") == b""
        assert store.keys("empty/") == ["empty/one"]

    @settings(
        max_examples=10,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(parts=st.lists(NAMES, min_size=1, max_size=3), data=st.binary(max_size=100))
    def test_any_plain_name_holds_any_bytes(
        self, store: ObjectStore, parts: list[str], data: bytes
    ) -> None:
        key = "/".join(["any", *parts, "end"])

        store.write(key, data)

        assert store.read(key) == data
        assert key in store.keys("any/")

    def test_a_missing_key_is_named(self, store: ObjectStore, tmp_path: Path) -> None:
        with pytest.raises(MissingObjectError, match="no/such"):
            store.read("no/such")
        with pytest.raises(MissingObjectError, match="no/such"):
            store.download("no/such", tmp_path / "file")
        assert not store.exists("no/such")
        assert not (tmp_path / "file").exists()

    def test_a_folder_is_no_object(self, store: ObjectStore) -> None:
        store.write("folder/one", b"1")

        assert not store.exists("folder")
        with pytest.raises(MissingObjectError):
            store.read("folder")
        with pytest.raises(MissingObjectError):
            store.read("folder/one/deeper")

    def test_keys_are_listed_by_prefix_in_order(self, store: ObjectStore) -> None:
        names = ["list/b/2", "list/b/10", "list/a", "list/bc/1", "list/b.txt"]
        for name in names:
            store.write(name, b"x")

        assert store.keys("list/") == sorted(names)
        assert store.keys("list/b") == ["list/b.txt", "list/b/10", "list/b/2", "list/bc/1"]
        assert store.keys("list/b/") == ["list/b/10", "list/b/2"]
        assert store.keys("list/b/1") == ["list/b/10"]
        assert store.keys("list/nothing/") == []
        assert set(store.keys()) >= set(names)

    def test_a_deleted_key_is_gone_and_deleting_again_is_silent(self, store: ObjectStore) -> None:
        store.write("delete/one", b"x")

        store.delete("delete/one")
        store.delete("delete/one")
        store.delete("delete/never/was")

        assert not store.exists("delete/one")

    def test_a_store_that_takes_objects_is_tried_and_left_as_it_was(
        self, store: ObjectStore
    ) -> None:
        before = store.keys()

        require_writable(store)

        assert store.keys() == before

    @pytest.mark.parametrize("size", [0, 1, PART_BYTES + 3], ids=["empty", "byte", "in parts"])
    def test_a_file_goes_up_and_comes_down(
        self, store: ObjectStore, tmp_path: Path, size: int
    ) -> None:
        data = bytes(range(256)) * (size // 256 + 1)
        (tmp_path / "up").write_bytes(data[:size])

        store.upload(tmp_path / "up", f"files/{size}")
        store.download(f"files/{size}", tmp_path / "new folder" / "down")

        assert (tmp_path / "new folder" / "down").read_bytes() == data[:size]
        assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["down"]

    def test_a_file_that_is_not_there_is_the_callers_mistake(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        with pytest.raises(MissingError, match="there is no file"):
            store.upload(tmp_path / "none", "files/none")

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "/etc/passwd",
            "../up",
            "a/../../up",
            "a\\b",
            "a\0b",
            "a//b",
            "a/",
            "./a",
            "a/./b",
            ".",
        ],
    )
    def test_a_key_that_could_leave_the_store_is_refused(
        self, store: ObjectStore, tmp_path: Path, key: str
    ) -> None:
        (tmp_path / "up").touch()

        for attempt in (
            lambda: store.read(key),
            lambda: store.write(key, b"x"),
            lambda: store.exists(key),
            lambda: store.delete(key),
            lambda: store.upload(tmp_path / "up", key),
            lambda: store.download(key, tmp_path / "down"),
        ):
            with pytest.raises(InputError, match="object keys are relative names"):
                attempt()

    def test_its_address_opens_the_same_store(self, store: ObjectStore) -> None:
        store.write("again/one", b"x")

        again = open_store(store.uri)

        assert again.uri == store.uri
        assert again.read("again/one") == b"x"

    def test_a_reader_never_sees_half_an_object(self, store: ObjectStore) -> None:
        versions = [bytes([number]) * 200_000 for number in range(4)]
        store.write("race/one", versions[0])
        errors: list[BaseException] = []

        def write(data: bytes) -> None:
            try:
                for _ in range(5):
                    store.write("race/one", data)
            except BaseException as error:  # noqa: BLE001 -- shown by the test below
                errors.append(error)

        writers = [threading.Thread(target=write, args=(data,)) for data in versions]
        for writer in writers:
            writer.start()
        seen = []
        while any(writer.is_alive() for writer in writers):
            seen.append(store.read("race/one"))
        for writer in writers:
            writer.join()

        assert not errors
        assert all(data in versions for data in seen)
        assert store.keys("race/") == ["race/one"]
