"""Machines that are taken away and clusters that are shared, with real drivers on a real Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.execution.scene import play

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


def scene(name: str, home: Path) -> dict[str, Any]:
    return play("tests.execution.sharing_machines", name, home)


def test_what_runs_on_a_machine_that_leaves_checkpoints_and_goes_on_elsewhere(
    tmp_path: Path,
) -> None:
    told = scene("taken_back", tmp_path / "home")

    assert told["left"] == "nothing runs here any more"
    assert told["state"] == "succeeded", told["why"]
    assert told["leaving"] == 1
    broken_off = [name for name, state, _ in told["attempts"] if state == "paused"]
    assert len(broken_off) == 1
    (further,) = [step for name, state, step in told["attempts"][2:] if name == broken_off[0]]
    assert further > 2
    assert sorted(state for _, state, _ in told["attempts"]) == ["paused", "succeeded", "succeeded"]


def test_a_sweep_of_higher_priority_is_made_room_for_and_the_other_goes_on_after_it(
    tmp_path: Path,
) -> None:
    told = scene("priorities", tmp_path / "home")

    assert told["urgent"]["state"] == told["usual"]["state"] == "succeeded", told
    assert told["urgent"]["ended"] < told["usual"]["ended"]
    states = [state for _, state, _ in told["usual"]["attempts"]]
    assert states.count("paused") >= 2
    assert states.count("succeeded") == 2
    assert all(step > 2 for _, _, step in told["usual"]["attempts"][2:])


def test_a_trial_whose_machine_failed_it_is_tried_on_the_other_one(tmp_path: Path) -> None:
    told = scene("bad_machine", tmp_path / "home")

    assert told["state"] == "succeeded", told["why"]
    assert [state for _, state, _ in told["attempts"]] == ["failed", "succeeded"]
