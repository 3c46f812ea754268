"""Gangs larger than any machine, on a real cluster of two machines of one CPU each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.execution.scene import play
from tests.execution.two_machines import CONFIG
from trainer.config import TrainerConfig
from trainer.gangs.ranks import run_trial
from trainer.identity import active_settings, digest
from trainer.reporting import Answer, TrialReport

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


class GoOn:
    def report(self, report: TrialReport) -> Answer:
        return "continue"


def run(home: Path, *arguments: str) -> dict[str, Any]:
    return play("tests.execution.two_machines", home, *arguments)


def test_a_gang_on_two_machines_trains_the_model_it_trains_on_one(tmp_path: Path) -> None:
    config = TrainerConfig.model_validate(CONFIG)
    alone = run_trial(
        config,
        store_uri=f"file:{tmp_path}/alone",
        identity=digest(active_settings(config)),
        reporter=GoOn(),
    )

    told = run(tmp_path / "home")

    assert told["state"] == "succeeded", told["why"]
    assert told["actors"] == 2
    assert told["model"] == alone.model_digest
    logs = {path.name for path in (tmp_path / "home").rglob("rank-*.txt")}
    assert logs == {"rank-0.txt", "rank-1.txt"}


def test_a_rank_killed_on_the_other_machine_ends_the_gang_and_the_trial_is_taken_up_again(
    tmp_path: Path,
) -> None:
    told = run(tmp_path / "home", "kill")

    assert told["state"] == "succeeded", told["why"]
    assert told["attempts"] == [["failed", "communication"], ["succeeded", None]]
    assert "rank 1 was killed (signal 9)" in told["why"][0]
