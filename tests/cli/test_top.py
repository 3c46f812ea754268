"""`top` and what `status` says of submissions, from the ledger of a machine that runs nothing."""

from __future__ import annotations

import json
import socket

import pytest

from sweep.cli.submission_view import submission_note
from sweep.cli.top_view import UNPLACED, Overseer
from sweep.engine.fold import PLACED_KIND
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.submissions import GAVE_UP_KIND, SUBMITTED_KIND
from tests.analysis.made_sweeps import MadeSweep
from tests.cli.conftest import Command

NO_GPU = "Python is 3.11.7 on the submitting machine and 3.12.1 on the cluster"


def test_top_counts_open_sweeps_and_their_spend(rmsweep: Command, made: MadeSweep) -> None:
    seen = json.loads(rmsweep("top", "--json").out)

    (sweep,) = seen["sweeps"]
    assert sweep["sweep"] == made.sweep_id
    assert sweep["state"] == "interrupted"
    assert sweep["device_hours"] > 0
    assert seen["trials"] == []  # its driver is dead, so nothing runs
    assert seen["machines"] is None


def test_top_forgets_what_has_ended(rmsweep: Command, made: MadeSweep) -> None:
    made.ledger.set_sweep_state(made.sweep_id, SweepState.STOPPED, "enough")

    assert json.loads(rmsweep("top", "--json").out)["sweeps"] == []
    assert rmsweep("top").out.startswith("0 sweeps open, 0 trials running")


def test_top_shows_where_trials_run(
    rmsweep: Command, made: MadeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    (running,) = [v for v in made.ledger.trials(made.sweep_id) if v.state is TrialState.RUNNING]
    everybody = {attempt.driver for attempt in made.ledger.attempts([running.identity])}
    monkeypatch.setattr("sweep.records.holding.live_drivers", lambda *_: everybody)

    before = json.loads(rmsweep("top", "--json").out)
    placed = {"identity": running.identity, "node": "gpu-[red]7"}
    made.ledger.record_decision(made.sweep_id, PLACED_KIND, placed)
    after = rmsweep("top", "--once").out.splitlines()

    assert before["workers_by_place"] == {UNPLACED: 1}
    assert "gpu-[red]7: 1 workers" in after
    assert f"{made.sweep_id} head=b seed 1, 40%, on gpu-[red]7" in after


def test_a_second_look_sees_a_trial_at_its_new_place(
    made: MadeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    (running,) = [v for v in made.ledger.trials(made.sweep_id) if v.state is TrialState.RUNNING]
    everybody = {attempt.driver for attempt in made.ledger.attempts([running.identity])}
    monkeypatch.setattr("sweep.records.holding.live_drivers", lambda *_: everybody)
    overseer = Overseer(made.ledger, None)
    places = []

    for node in ("one", "two"):
        placed = {"identity": running.identity, "node": node}
        made.ledger.record_decision(made.sweep_id, PLACED_KIND, placed)
        places += [trial.place for trial in overseer.look().trials]
    places += [trial.place for trial in overseer.look().trials]

    assert places == ["one", "two", "two"]


def test_a_submission_that_ended_before_its_driver_tells_why_in_status(
    rmsweep: Command, made: MadeSweep
) -> None:
    place = {"address": "http://head:8265", "submission": "x-1"}
    made.ledger.record_decision(made.sweep_id, SUBMITTED_KIND, place)
    made.ledger.record_decision(made.sweep_id, GAVE_UP_KIND, {"reason": NO_GPU})

    last = rmsweep("status").out.splitlines()[-1]
    assert last.startswith(f"its submission ended: {NO_GPU}; `rmsweep resume {made.sweep_id} ")
    assert last.endswith("--cluster http://head:8265` goes on")
    assert NO_GPU in json.loads(rmsweep("status", "--json").out)["note"]


def test_a_head_that_is_gone_does_not_keep_status_from_answering(
    rmsweep: Command, made: MadeSweep
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        place = {"address": address, "submission": "x-1"}
        made.ledger.record_decision(made.sweep_id, SUBMITTED_KIND, place)

        answer = rmsweep("status")

    assert answer.code == 0
    assert f"submitted to {address} as x-1" in answer.out
    assert "no Ray head answers" in answer.out


def test_a_sweep_that_ended_has_no_submission_to_speak_of(made: MadeSweep) -> None:
    made.ledger.record_decision(made.sweep_id, GAVE_UP_KIND, {"reason": NO_GPU})
    made.ledger.set_sweep_state(made.sweep_id, SweepState.STOPPED, "enough")

    assert submission_note(made.ledger, made.ledger.sweep(made.sweep_id)) == ""
