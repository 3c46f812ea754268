"""`logs`: what a rank wrote, and following it from the ledger and the store alone."""

from __future__ import annotations

import pytest

from sweep.cli.following import LogFollower
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import Holder
from tests.analysis.made_sweeps import MadeSweep
from tests.cli.conftest import Command


def key_of(made: MadeSweep, arm: str, seed: int, attempt: int = 1, rank: int = 0) -> str:
    (view,) = [v for v in made.ledger.trials(made.sweep_id) if (v.arm, v.seed) == (arm, seed)]
    return f"trials/{view.identity}/logs/attempt-{attempt}/rank-{rank}.txt"


def follower(made: MadeSweep, ledger: Ledger, *, arm: str | None = None) -> LogFollower:
    identity = None
    if arm is not None:
        views = made.ledger.trials(made.sweep_id)
        identity = next(v.identity for v in views if (v.arm, v.seed) == (arm, 1))
    return LogFollower(ledger, made.sweep_id, lambda view: made.store, identity=identity)


def test_each_line_is_printed_once_and_attempts_follow_each_other(
    made: MadeSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger.open(f"sqlite:///{made.home}/ledger.db") as ledger:
        ledger.acquire_sweep(made.sweep_id, Holder.here(), 600)
        following = follower(made, ledger, arm="head=b")
        made.store.write(key_of(made, "head=b", 1), b"step 1\n")
        assert following.look()
        made.store.write(key_of(made, "head=b", 1), b"step 1\nstep 2\n")
        assert following.look()
        assert following.look()
        for attempt in range(2, 12):
            made.store.write(key_of(made, "head=b", 1, attempt), f"try {attempt}\n".encode())
            assert following.look()
        ledger.set_sweep_state(made.sweep_id, SweepState.STOPPED, "enough")
        made.store.write(key_of(made, "head=b", 1, 11), b"try 11\nlast words\n")

        assert not following.look()

    tries = "".join(f"try {attempt}\n" for attempt in range(2, 12))
    assert capsys.readouterr().out == f"step 1\nstep 2\n{tries}last words\n"


def test_following_a_whole_sweep_names_the_trial_of_each_line(
    made: MadeSweep, rmsweep: Command
) -> None:
    made.store.write(key_of(made, "head=b", 1), b"one\ntwo\n")
    made.store.write(key_of(made, "baseline", 2), b"[red]other[/red]\n")

    answer = rmsweep("logs", made.sweep_id, "-f")

    assert answer.code == 0
    lines = answer.out.splitlines()
    assert "head=b/1 | one" in lines
    assert "head=b/1 | two" in lines
    assert "baseline/2 | [red]other[/red]" in lines


def test_a_log_is_printed_whole_by_trial_rank_and_attempt(
    made: MadeSweep, rmsweep: Command
) -> None:
    made.store.write(key_of(made, "baseline", 2, rank=1), b"rank 1 said so\n")

    assert rmsweep("logs", made.sweep_id, "baseline/2", "--rank", "1").out == "rank 1 said so\n"
    missing = rmsweep("logs", made.sweep_id, "baseline/2")
    assert missing.code == 2
    assert "there is: attempt-1/rank-1.txt" in missing.err


def test_without_a_trial_there_is_only_following(made: MadeSweep, rmsweep: Command) -> None:
    answer = rmsweep("logs", made.sweep_id)

    assert answer.code == 2
    assert "expected a trial" in answer.err
    assert rmsweep("logs", made.sweep_id, "baseline/1", "-f", "--attempt", "1").code == 2


def test_a_sweep_whose_driver_is_gone_is_waited_for_a_while(
    made: MadeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.open(f"sqlite:///{made.home}/ledger.db") as ledger:
        holder = Holder.here()
        ledger.acquire_sweep(made.sweep_id, holder, 600)
        following = follower(made, ledger)
        assert following.look()
        ledger.release_sweep(made.sweep_id, holder)

        assert following.look()
        monkeypatch.setattr("sweep.cli.following.ORPHANED_SECONDS", 0.0)
        assert not following.look()
        assert not follower(made, ledger).look()


def test_an_attempt_that_never_began_does_not_hide_what_the_one_before_it_wrote(
    made: MadeSweep, rmsweep: Command
) -> None:
    made.store.write(key_of(made, "head=b", 1), b"step 1\n")
    with Ledger.open(f"sqlite:///{made.home}/ledger.db") as ledger:
        holder = Holder.here()
        ledger.acquire_sweep(made.sweep_id, holder, 600)
        (view,) = [v for v in ledger.trials(made.sweep_id) if (v.arm, v.seed) == ("head=b", 1)]
        attempt = ledger.claim(view.identity, made.sweep_id, holder, 600)
        assert attempt is not None
        assert attempt.number == 2
        ledger.finish_attempt(attempt.attempt_id, TrialState.PAUSED, error_message="not begun")

    answer = rmsweep("logs", made.sweep_id, "head=b/1")

    assert (answer.code, answer.out) == (0, "step 1\n")
    assert "the last log there is, attempt-1/rank-0.txt" in answer.err
    assert rmsweep("logs", made.sweep_id, "head=b/1", "--attempt", "2").code == 2
