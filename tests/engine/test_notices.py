"""What is worth telling, and that it is told once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.engine.notices import NoticeBook
from sweep.engine.progress import ArmResult, FailedTrial, Progress, Spend
from sweep.records.lifecycle import SweepState, TrialState
from sweep.spec.notify_spec import NotifySpec

START = Progress(
    trials=6,
    by_state={TrialState.SUCCEEDED: 2, TrialState.RUNNING: 4},
    running=(),
    abandoned=(),
    retried=0,
    reused=0,
    done=0.4,
    best=ArmResult(arm="deep", mean=0.75, seeds=3, spread=0.01),
    leading=(),
    complete_arms=1,
    arms=2,
    failed_attempts=0,
    last_failures=(),
    spend=(
        Spend(name="gpu_hours", spent=1.0, limit=10.0),
        Spend(name="hours", spent=1, limit=None),
    ),
    seconds_left=None,
)


def failed(number: int, message: str = "out of memory: no room") -> Progress:
    trials = tuple(
        FailedTrial(
            identity=f"t{k}", arm="deep", seed=k, message=message, given_up=True, settled=True
        )
        for k in reversed(range(number))
    )
    return replace(START, failed_attempts=number, last_failures=trials)


def spent(hours: float) -> Progress:
    return replace(START, spend=(Spend(name="gpu_hours", spent=hours, limit=10.0),))


def test_nothing_new_is_told_nothing() -> None:
    book = NoticeBook(NotifySpec())

    assert [book.see(START, now=second) for second in range(5)] == [[]] * 5


def test_a_failure_is_told_once_and_further_ones_together_a_minute_later() -> None:
    book = NoticeBook(NotifySpec())
    book.see(START, now=0)

    first = book.see(failed(1), now=1)
    quiet = [book.see(failed(number), now=number) for number in range(2, 6)]
    later = book.see(failed(5), now=62)
    after = book.see(failed(5), now=200)

    assert "1 attempt failed: deep seed 0: out of memory: no room" in first[0].text
    assert quiet == [[]] * 4
    assert "4 attempts failed" in later[0].text
    assert after == []


def test_a_limit_is_told_when_it_comes_near_and_once() -> None:
    book = NoticeBook(NotifySpec(budget_at=0.5))
    book.see(START, now=0)

    told = [
        notice for hours in (4.9, 5.0, 6.0, 11.0) for notice in book.see(spent(hours), now=hours)
    ]

    assert [notice.occasion for notice in told] == ["budget"]
    assert "50% of gpu hours are spent: 5 of 10; 40% of the training is done" in told[0].text


def test_what_happened_before_a_driver_came_is_not_told_again() -> None:
    book = NoticeBook(NotifySpec())

    assert book.see(replace(failed(3), spend=spent(9.0).spend), now=0) == []


def test_the_end_is_told_with_the_best_arm() -> None:
    (notice,) = NoticeBook(NotifySpec()).ended(SweepState.STOPPED, "gpu_hours spent", START)

    said = "stopped, gpu_hours spent. Of 6 trials 2 succeeded, 4 running; "
    assert notice.text.startswith(said)
    assert "best deep 0.7500 on validation" in notice.text
    assert notice.facts["trials"] == {"succeeded": 2, "running": 4}


@pytest.mark.parametrize("occasion", ["finish", "failure", "budget"])
def test_only_what_the_file_asks_for_is_told(occasion: str) -> None:
    book = NoticeBook(NotifySpec.model_validate({"about": [occasion]}))
    book.see(START, now=0)

    told = book.see(replace(failed(1), spend=spent(9.0).spend), now=100)
    told += book.ended(SweepState.SUCCEEDED, "", None)

    assert [notice.occasion for notice in told] == [occasion]


def test_a_hostile_arm_mentions_nobody_and_stays_short() -> None:
    book = NoticeBook(NotifySpec())
    book.see(START, now=0)

    (notice,) = book.see(failed(1, "<!channel> & " + "x" * 10_000_000), now=1)
    message = notice.to_json("demo-1", time=1.0)

    assert message["text"].startswith("rmsweep demo-1: 1 attempt failed")
    assert "&lt;!channel&gt; &amp;" in message["text"]
    assert len(str(message)) < 3000
