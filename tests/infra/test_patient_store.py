"""A store whose service is away for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import MissingObjectError, OutageError, StoreError
from infra.object_store import LocalStore
from infra.patient_store import LONGEST_WAIT_SECONDS, PatientStore
from tests.infra.object_store_contract import ObjectStoreContract


class Away(LocalStore):
    """A folder that is away until its clock says so."""

    def __init__(self, root: Path, *, until: float, hint: float | None = None) -> None:
        super().__init__(root)
        self.now = 0.0
        self.until = until
        self.hint = hint
        self.waits: list[float] = []
        self.error: type[StoreError] = OutageError

    def write(self, key: str, data: bytes) -> None:
        if self.now < self.until:
            if self.error is OutageError:
                raise OutageError("away", retry_after=self.hint)
            raise self.error("refused")
        super().write(key, data)

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def patient(store: Away, seconds: float) -> PatientStore:
    return PatientStore(
        store, seconds, clock=lambda: store.now, pause=store.pause, jitter=lambda: 1.0
    )


class TestPatientStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> PatientStore:
        return PatientStore(LocalStore(tmp_path / "store"), 5.0)


def test_an_outage_is_waited_for_with_growing_pauses(tmp_path: Path) -> None:
    store = Away(tmp_path, until=60.0)

    patient(store, 300.0).write("a", b"x")

    assert store.read("a") == b"x"
    assert store.waits == sorted(store.waits)
    assert max(store.waits) == LONGEST_WAIT_SECONDS
    assert len(store.waits) < 12


def test_an_outage_that_lasts_longer_is_told(tmp_path: Path) -> None:
    store = Away(tmp_path, until=1e9)

    with pytest.raises(OutageError, match="away"):
        patient(store, 300.0).write("a", b"x")
    assert 250 < sum(store.waits) <= 300


def test_the_services_own_hint_is_heeded(tmp_path: Path) -> None:
    store = Away(tmp_path, until=40.0, hint=40.0)

    patient(store, 300.0).write("a", b"x")

    assert store.waits == [40.0]


def test_a_refusal_is_not_asked_again(tmp_path: Path) -> None:
    store = Away(tmp_path, until=1e9)
    store.error = MissingObjectError

    with pytest.raises(MissingObjectError):
        patient(store, 300.0).write("a", b"x")
    assert store.waits == []
