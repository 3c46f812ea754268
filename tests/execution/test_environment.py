"""What a cluster lacks, and what is installed there then."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from infra.clusters import ClusterEntry
from infra.errors import StoreError
from sweep.execution.environment import (
    _LISTING,
    Found,
    _understood,
    missing_from,
    pinned_packages,
)

ENTRY = ClusterEntry(address="http://head:8265", ledger="sqlite:////mnt/ledger.db")
ON_POSTGRESQL = ENTRY.model_copy(update={"ledger": "postgresql://rmsweep@db/rmsweep"})
HERE = Found(
    python="3.11.7",
    packages=frozenset(
        one.metadata["Name"].lower().replace("_", "-") for one in importlib.metadata.distributions()
    ),
)


def without(*names: str) -> Found:
    return HERE.model_copy(update={"packages": HERE.packages - set(names)})


def test_the_pinned_environment_names_every_dependency_once_with_this_version() -> None:
    pins = [Requirement(pin) for pin in pinned_packages()]

    assert {"torch", "ray", "deepspeed", "mlflow"} < {pin.name for pin in pins}
    assert next(pin.extras for pin in pins if pin.name == "ray") == {"default", "tune"}
    assert len({pin.name for pin in pins}) == len(pins)
    for pin in pins:
        assert pin.specifier.contains(importlib.metadata.version(pin.name)), str(pin)


def test_a_pin_has_no_label_of_a_build_that_no_index_offers() -> None:
    # torch here is 2.x+cpu where it came from PyTorch's own index.
    assert not [pin for pin in pinned_packages() if "+" in pin]


def test_optional_packages_that_are_here_are_pinned_too() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")

    assert any(pin.startswith("psycopg[binary]==") for pin in pinned_packages())


def test_a_machine_like_this_one_lacks_nothing() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")

    assert missing_from(HERE, ON_POSTGRESQL) == []


def test_what_a_sweep_needs_there_is_missed_and_what_it_may_do_without_is_not() -> None:
    assert missing_from(without("torch", "scikit-learn"), ENTRY) == ["scikit-learn", "torch"]
    assert missing_from(without("peft", "flask-wtf", "datasets"), ENTRY) == []


def test_postgresqls_driver_is_needed_where_the_ledger_is_there() -> None:
    assert missing_from(without("psycopg"), ENTRY) == []
    assert missing_from(without("psycopg"), ON_POSTGRESQL) == ["psycopg"]


def test_what_an_installation_broken_off_has_left_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "~orch-2.0.0.dist-info").mkdir()
    listed = subprocess.run(
        [sys.executable, "-c", _LISTING],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "torch" in _understood(listed.stdout, ENTRY).packages


@pytest.mark.parametrize("said", ["", "Killed", "[]", '{"python": "3.11.7"}', '{"packages": [1]}'])
def test_an_answer_that_is_no_list_of_packages_says_what_else_to_do(said: str) -> None:
    with pytest.raises(StoreError, match="environment: image"):
        _understood(said, ENTRY)
