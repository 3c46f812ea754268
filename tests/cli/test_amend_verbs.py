"""Verbs that change a registered sweep: what is there is kept, what is wrong is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.cli.changed_files import plan_to_resume
from sweep.cli.planning import plan_again, plan_file
from sweep.cli.workplace import Workplace, open_workplace
from sweep.execution.registration import register
from sweep.records.lifecycle import TrialState
from sweep.records.rows import Holder
from sweep.spec.load import load_sweep
from tests.cli.conftest import Command

SWEEP = """\
name: head
question: Does depth help?
baseline: basereward-tiny
axes:
  head.layers: [1, 2]
replicates: {seeds: 2}
budget: {hours: 1}
"""


@pytest.fixture
def registered(home: Path, tmp_path: Path) -> tuple[Path, Workplace]:
    """A sweep file and the ledger in which it is registered; nothing is trained."""
    path = tmp_path / "head.yaml"
    path.write_text(SWEEP, encoding="utf-8")
    workplace = open_workplace()
    plan, _ = plan_file(workplace, path)
    register(plan, workplace.ledger, workplace.settings)
    return path, workplace


def trials_of(workplace: Workplace) -> dict[tuple[str, int], str]:
    views = workplace.ledger.trials(workplace.ledger.sweep("head").sweep_id)
    return {(view.arm, view.seed): view.identity for view in views}


def test_more_seeds_and_levels_are_added_and_nothing_is_taken_away(
    rmsweep: Command, registered: tuple[Path, Workplace]
) -> None:
    _, workplace = registered
    before = trials_of(workplace)
    sweep_id = workplace.ledger.sweep("head").sweep_id

    tried = rmsweep("extend", "head", "--seeds", "3", "--dry-run")
    assert "would add 2 trials to 4, 2 of them to train" in tried.out
    assert trials_of(workplace) == before

    answer = rmsweep("extend", "head", "--seeds", "3", "--levels", "head.layers=3,4")

    after = trials_of(workplace)
    assert answer.code == 0, answer.err
    assert f"{sweep_id}: added 8 trials to 4" in answer.out
    assert after.items() >= before.items()
    assert set(after) == {
        (arm, seed)
        for arm in ("baseline", "head.layers=1", "head.layers=3", "head.layers=4")
        for seed in (0, 1, 2)
    }
    assert workplace.ledger.sweep("head").spec_json["replicates"]["seeds"] == 3
    assert "added 0 trials to 12" in rmsweep("extend", sweep_id, "--seeds", "3").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to add"),
        (("--seeds", "1"), "has 2 seeds per arm; 1 would take away"),
        (("--levels", "head.layer=3"), "did you mean 'head.layers'"),
        (("--levels", "head.layers=9"), "a number of at most 5, came the number 9"),
        (("--set", "axes.head.layers=[1]"), "holds head.layers=1"),
        (("--set", "set.data.pairs=64"), "was registered with other trainings"),
        (("--set", "replicats.seeds=3"), "did you mean 'replicates'"),
    ],
)
def test_an_extension_that_is_none_is_refused(
    rmsweep: Command,
    registered: tuple[Path, Workplace],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    _, workplace = registered
    before = trials_of(workplace)
    if message.startswith("holds"):
        arguments, message = ("--set", "axes.head.layers=[2, 3]"), "head.layers=1 seed 0"

    answer = rmsweep("extend", "head", *arguments)

    assert answer.code == 2
    assert message in answer.err
    assert trials_of(workplace) == before


def test_a_fork_is_a_file_that_reuses_what_still_fits(
    rmsweep: Command, registered: tuple[Path, Workplace], tmp_path: Path
) -> None:
    _, workplace = registered
    path = tmp_path / "deeper.yaml"

    answer = rmsweep(
        "fork", "head", "deeper", "--set", "axes.head.layers=[2, 3]", "--out", str(path)
    )

    assert answer.code == 0, answer.err
    assert "axes.head.layers.levels: [1, 2] -> [2, 3]" in answer.out
    assert load_sweep(path).name == "deeper"
    forked, _ = plan_file(workplace, path)
    known = set(trials_of(workplace).values())
    assert sum(trial.identity in known for trial in forked.trials) == 2
    again = rmsweep("fork", "head", "deeper", "--out", str(path))
    assert again.code == 2
    assert "is there already" in again.err
    nameless = rmsweep("fork", "head", "9" * 400)
    assert nameless.code == 2
    assert "at most 63 lower-case letters" in nameless.err


def test_two_sweeps_are_compared_by_what_they_ask_and_what_they_share(
    rmsweep: Command, registered: tuple[Path, Workplace], tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(SWEEP.replace("[1, 2]", "[2, 3]").replace("hours: 1", "hours: 2"))

    shown = rmsweep("diff", "head", str(other))
    listed = json.loads(rmsweep("diff", "head", str(other), "--json").out)

    assert "axes.head.layers.levels" in shown.out
    assert {change["path"] for change in listed["changes"]} == {
        "axes.head.layers.levels",
        "budget.hours",
    }
    trials = listed["trials"]
    assert [len(trials[key]) for key in ("both", "only_first", "only_second")] == [2, 2, 2]
    assert "both ask for the same" in rmsweep("diff", "head", "head").out
    assert rmsweep("diff", "head", "haed").code == 2


def test_a_budget_is_changed_and_said_as_an_event(
    rmsweep: Command, registered: tuple[Path, Workplace]
) -> None:
    _, workplace = registered

    answer = rmsweep("budget", "set", "head", "hours=3", "gpu_hours=2.5")

    row = workplace.ledger.sweep("head")
    assert answer.code == 0, answer.err
    assert (row.spec_json["budget"]["hours"], row.spec_json["budget"]["gpu_hours"]) == (3, 2.5)
    events = [event for event in workplace.ledger.events() if event.kind == "budget_set"]
    assert [event.payload["budget"]["hours"] for event in events] == [3]
    assert "per_arm.gpu_hours 0.5" in rmsweep("budget", "set", "head", "per_arm.gpu_hours=0.5").out
    rmsweep("budget", "set", "head", "hours=none")
    assert workplace.ledger.sweep("head").spec_json["budget"]["hours"] is None


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("hour=3", "did you mean 'hours'"),
        ("hours", "expected LIMIT=VALUE"),
        ("per_arm=3", "a budget has no 'per_arm'"),
        ("nonsense=3", "it has gpu_hours, usd_per_gpu_hour, usd, hours"),
        ("per_arm.gpu_hour=3", "did you mean 'per_arm.gpu_hours'"),
        ("hours=-1", "expected a number above 0"),
        ("usd=10", "needs a price"),
        ("per_arm.usd=10", "needs a price"),
        ("trials=many", "expected a whole number"),
        ("trials=1", "1 trials cannot hold one arm of 2 seeds"),
        ("per_arm.trials=1", "1 trials cannot hold an arm's 2 seeds"),
        ("warn_at=0.99", "lower budget.warn_at, or raise budget.drain_at"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(
    rmsweep: Command, registered: tuple[Path, Workplace], limit: str, message: str
) -> None:
    _, workplace = registered

    answer = rmsweep("budget", "set", "head", limit)

    assert answer.code == 2
    assert message in answer.err
    assert workplace.ledger.sweep("head").spec_json["budget"]["hours"] == 1
    plan_again(workplace, workplace.ledger.sweep("head"))


def test_an_arm_is_stopped_by_name(rmsweep: Command, registered: tuple[Path, Workplace]) -> None:
    _, workplace = registered

    answer = rmsweep("stop", "head", "--arm", "head.layers=1")
    wrong = rmsweep("stop", "head", "--arm", "head.layers=2")

    assert answer.code == 0
    events = [event for event in workplace.ledger.events() if event.kind == "arm_stop_requested"]
    assert [event.payload for event in events] == [{"arm": "head.layers=1"}]
    assert wrong.code == 2
    assert "has no arm 'head.layers=2'; did you mean 'head.layers=1'?" in wrong.err


def test_resuming_a_file_that_changed_shows_what_and_the_choices(
    rmsweep: Command, registered: tuple[Path, Workplace]
) -> None:
    path, workplace = registered
    sweep_id = workplace.ledger.sweep("head").sweep_id
    path.write_text(SWEEP.replace("[1, 2]", "[1, 2, 3]"), encoding="utf-8")

    answer = rmsweep("resume", str(path))

    assert answer.code == 2
    assert f"is not the sweep {sweep_id} any more" in answer.err
    assert "axes.head.layers.levels: [1, 2] -> [1, 2, 3]" in answer.err
    for choice in (f"rmsweep resume {sweep_id}", f"rmsweep extend {sweep_id}", "rmsweep run"):
        assert choice in answer.err


def test_a_file_whose_sweep_was_extended_since_is_not_run_as_if_it_were_not(
    rmsweep: Command, registered: tuple[Path, Workplace]
) -> None:
    path, _ = registered
    rmsweep("extend", "head", "--seeds", "3")

    for verb in ("run", "resume"):
        answer = rmsweep(verb, str(path))

        assert answer.code == 2
        assert "was extended since this file" in answer.err
        assert "replicates.seeds: 3 -> 2" in answer.err


def test_words_machines_and_notices_of_a_file_may_change_while_the_sweep_stays_the_same(
    registered: tuple[Path, Workplace],
) -> None:
    path, workplace = registered
    sweep_id = workplace.ledger.sweep("head").sweep_id
    workplace.ledger.set_budget(sweep_id, {"hours": 3.0})
    path.write_text(
        SWEEP.replace("help?", "help at all?").replace(
            "  head.layers: [1, 2]", "  head.layers: {levels: [1, 2], question: How deep}"
        )
        + "notify: {about: [finish]}\nset: {machine.workers: 2}\n",
        encoding="utf-8",
    )
    trained = workplace.ledger.trials(sweep_id)[0].identity
    attempt = workplace.ledger.claim(trained, sweep_id, Holder.here(), 60.0)
    assert attempt is not None
    workplace.ledger.finish_attempt(attempt.attempt_id, TrialState.SUCCEEDED)

    plan = plan_to_resume(workplace, str(path))
    register(plan, workplace.ledger, workplace.settings)

    row = workplace.ledger.sweep(sweep_id)
    assert row.spec_json["question"] == "Does depth help at all?"
    assert row.spec_json["axes"]["head.layers"]["question"] == "How deep"
    assert row.spec_json["notify"]["about"] == ["finish"]
    assert row.spec_json["budget"]["hours"] == 3.0
    workers = {view.identity: view.workers for view in workplace.ledger.trials(sweep_id)}
    assert workers.pop(trained) == 1  # it was trained so
    assert set(workers.values()) == {2}
    again = plan_again(workplace, row)
    assert {trial.workers for trial in again.trials} == {2}


def test_a_file_nobody_ran_cannot_be_resumed(rmsweep: Command, tmp_path: Path) -> None:
    path = tmp_path / "head.yaml"
    path.write_text(SWEEP, encoding="utf-8")

    assert "no sweep was started from" in rmsweep("resume", str(path)).err
