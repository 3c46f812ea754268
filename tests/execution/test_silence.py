"""Gangs and machines that fall silent, on a real cluster: limits hold and nobody waits for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.execution.scene import play

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.mark.parametrize("what", ["ranks", "machine"])
def test_a_gang_that_stands_still_costs_no_more_than_its_budget_a_tick_and_the_grace(
    tmp_path: Path, what: str
) -> None:
    told = play("tests.execution.silent_machine", tmp_path / "home", what)

    assert told["state"] == "stopped"
    assert "budget.gpu_hours" in told["reason"]
    assert len(told["attempts"]) == 1
    assert told["spent"] <= told["limit"] + told["overshoot"]
    if what == "ranks":  # on a machine that stands still nobody can end anything
        assert told["attempts"] == [["paused", None]]
        assert "its ranks were ended" in told["why"][0]
        assert told["left"] == []
