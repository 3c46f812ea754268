"""`status`: what an onlooker sees of a sweep that runs, ended, or was left by its driver."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.cli.watching import Onlooker
from sweep.engine.fold import DECISIONS_KIND
from sweep.engine.progress import Progress
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.publisher import UNPUBLISHED_KIND
from sweep.records.rows import Holder
from tests.analysis.made_sweeps import MadeArm, MadeSweep, Recipe, make_sweep
from tests.cli.conftest import Command

EVIL = "head=[red]x[/red]<b>"


@pytest.fixture
def made(home: Path) -> MadeSweep:
    home.mkdir()
    arms = [
        MadeArm(name="baseline", point={"head": "a"}),
        MadeArm(name=EVIL, point={"head": "b"}, ends={1: TrialState.FAILED}),
        MadeArm(name="head=c", point={"head": "c"}, ends={2: TrialState.RUNNING}),
    ]
    return make_sweep(home, Recipe(arms=arms, items=40, finish=None))


def test_without_a_terminal_status_is_plain_lines(rmsweep: Command, made: MadeSweep) -> None:
    answer = rmsweep("status")

    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == f"{made.sweep_id}  interrupted"
    assert "trials: 1 cut off with its driver  7 succeeded  1 failed" in lines
    assert any(line.startswith("best so far: baseline 0.") and "(SD)" in line for line in lines)
    assert "cut off with its driver: head=c seed 2, 40%" in lines
    assert f"failed: {EVIL} seed 1: out of memory: rank 0: <CUDA out of memory>" in answer.out
    assert lines[-1] == f"no driver is running it; `rmsweep resume {made.sweep_id}` goes on"
    assert "\x1b" not in answer.out
    assert "\N{BOX DRAWINGS LIGHT HORIZONTAL}" not in answer.out


def test_status_says_while_mlflow_does_not_show_the_sweep(
    rmsweep: Command, made: MadeSweep
) -> None:
    def notes() -> tuple[str, str]:
        asked = ("status", made.sweep_id)
        return rmsweep(*asked).out, json.loads(rmsweep(*asked, "--json").out)["note"]

    made.ledger.record_decision(made.sweep_id, UNPUBLISHED_KIND, {"reason": "no server at [x]"})
    down = notes()
    made.ledger.record_decision(made.sweep_id, UNPUBLISHED_KIND, {"reason": ""})

    told = "MLflow does not show everything yet, nothing is lost: no server at [x]"
    assert all(note.rstrip().endswith(f"goes on\n{told}") for note in down)
    assert all("MLflow" not in note for note in notes())


def test_status_for_programs_has_the_same(rmsweep: Command, made: MadeSweep) -> None:
    found = json.loads(rmsweep("status", made.sweep_id, "--json").out)

    assert found["state"] == "interrupted"
    assert [arm["arm"] for arm in found["leading"]] == ["baseline"]
    assert found["last_failures"][0]["arm"] == EVIL
    assert found["running"] == []
    assert found["cut_off"][0]["fraction"] == 0.4


def test_what_a_living_driver_runs_is_running(rmsweep: Command, made: MadeSweep) -> None:
    with Ledger.open(f"sqlite:///{made.home}/ledger.db") as ledger:
        ledger.acquire_sweep(made.sweep_id, Holder.here(), 600)

        found = json.loads(rmsweep("status", made.sweep_id, "--json").out)

    assert found["cut_off"] == []
    assert found["running"][0]["fraction"] == 0.4


def test_a_ledger_of_a_newer_version_is_refused_as_wrong_input(
    rmsweep: Command, made: MadeSweep
) -> None:
    with made.ledger.database.writing() as connection:
        connection.exec_driver_sql("UPDATE meta SET value = '99' WHERE key = 'schema_version'")

    answer = rmsweep("status")

    assert answer.code == 2
    assert "install the newer rmsweep or name another ledger" in " ".join(answer.err.split())


def test_the_time_of_a_sweep_that_nobody_drives_stands_still(
    rmsweep: Command, made: MadeSweep
) -> None:
    with Ledger.open(f"sqlite:///{made.home}/ledger.db") as ledger:
        last = max(event.time for event in ledger.events(0, None, sweep_id=made.sweep_id))
        first = ledger.sweep(made.sweep_id).created

    hours = json.loads(rmsweep("status", "--json").out)["spend"]["hours"]["spent"]

    assert 0 < 3600 * hours <= last - first


def test_the_time_left_is_that_on_the_devices_the_driver_has_and_not_on_this_machine(
    rmsweep: Command, home: Path
) -> None:
    home.mkdir()
    half_done = MadeArm(
        name="head=c", point={"head": "c"}, ends={1: TrialState.RUNNING, 2: TrialState.RUNNING}
    )
    arms = [MadeArm(name="baseline", point={"head": "a"}), half_done]
    made = make_sweep(home, Recipe(arms=arms, items=40, finish=None))

    def left(capacity: int) -> float:
        seen = {"observation": {"capacity": capacity}, "seen": 0, "decisions": []}
        made.ledger.record_decision(made.sweep_id, DECISIONS_KIND, seen)
        return float(json.loads(rmsweep("status", made.sweep_id, "--json").out)["seconds_left"])

    assert left(1) == pytest.approx(2 * left(64))


def test_watching_ends_with_the_sweep(
    rmsweep: Command, made: MadeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.cli.watching.PLAIN_SECONDS", 0.05)
    looks: list[Progress] = []

    class EndingOnlooker(Onlooker):
        """Ends the sweep after the first look."""

        def look(self) -> Progress:
            if looks:
                ledger.set_sweep_state(made.sweep_id, SweepState.STOPPED, "enough")
            looks.append(super().look())
            return looks[-1]

    monkeypatch.setattr("sweep.cli.watching.Onlooker", EndingOnlooker)
    with Ledger.open(f"sqlite:///{made.home}/ledger.db") as ledger:
        ledger.acquire_sweep(made.sweep_id, Holder.here(), 600)

        answer = rmsweep("status", made.sweep_id, "--watch")

    assert answer.code == 0
    assert len(looks) == 2
    assert f"{made.sweep_id}  running" in answer.out
    assert answer.out.rstrip().endswith("enough")


def test_watching_what_nobody_runs_says_so_and_returns(rmsweep: Command, made: MadeSweep) -> None:
    answer = rmsweep("status", made.sweep_id, "--watch")

    assert answer.code == 0
    assert answer.out.count("no driver is running it") == 1


def test_a_sweep_of_another_version_can_be_looked_at(rmsweep: Command, made: MadeSweep) -> None:
    with made.ledger.database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE sweeps SET spec = json_set(spec, '$.from_the_future', json('[1]'))"
        )

    answer = rmsweep("status", made.sweep_id)

    assert answer.code == 0
    assert "best so far: baseline" in answer.out


def test_watching_draws_and_does_not_speak_json(rmsweep: Command, made: MadeSweep) -> None:
    answer = rmsweep("status", made.sweep_id, "--watch", "--json")

    assert answer.code == 2
    assert "--watch draws for people" in answer.err
