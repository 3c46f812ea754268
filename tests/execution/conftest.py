"""One cluster for all tests of this process; drivers find it started and leave it alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.settings import Settings
from sweep.execution.cluster import Cluster, open_cluster
from sweep.records.ledger import Ledger
from tests.execution.plans import settings_in


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with open_cluster(address=None, cpus=2) as cluster:
        yield cluster


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with Ledger.open(settings.ledger_url) as ledger:
        yield ledger


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A start of Ray that failed on a busy machine and was repeated leaves `Popen`s uncollected."""
    reason = r"ignore:Exception ignored in. <function Popen.__del__"
    for item in items:
        if item.get_closest_marker("cluster") is not None:
            item.add_marker(
                pytest.mark.filterwarnings(f"{reason}:pytest.PytestUnraisableExceptionWarning")
            )
