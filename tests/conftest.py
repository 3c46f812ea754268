"""What tests of several folders share."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# Tests share their machine with trainings; how long an example took says nothing of our code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


SLOWER_LAST = ("trainer", "cli", "execution")
"""Folders whose tests train models or start Ray; a mistake elsewhere shows before they begin."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast folders first, what starts Ray last."""

    def place(item: pytest.Item) -> tuple[bool, int]:
        folder = item.path.relative_to(item.config.rootpath / "tests").parts[0]
        slow = SLOWER_LAST.index(folder) + 1 if folder in SLOWER_LAST else 0
        return item.get_closest_marker("cluster") is not None, slow

    items.sort(key=place)


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One MLflow database for all tests, each with experiments of its own: tables take seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/new folder/mlflow.db"
