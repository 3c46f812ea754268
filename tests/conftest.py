"""What tests of several folders share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One MLflow database for all tests, each with experiments of its own: tables take seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/new folder/mlflow.db"
