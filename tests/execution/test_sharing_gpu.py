"""Small trainings share a GPU: as many at once as were asked for, each charged for its part."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.execution.scene import play

pytestmark = pytest.mark.cluster


def test_two_trials_run_on_one_gpu_at_once_and_a_third_waits(tmp_path: Path) -> None:
    told = play("tests.execution.sharing_gpu", tmp_path / "home", "2")

    assert told["state"] == "succeeded"
    first, second, third = sorted(told["ran"])
    assert second[0] < first[1], "two at once"
    assert third[0] >= min(first[1], second[1]), "the third has its place from one that ended"
    assert told["spent"] == pytest.approx(sum(end - begin for begin, end in told["ran"]) / 2)
