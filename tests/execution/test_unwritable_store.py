"""A store that takes nothing: said before anything is started, and not by every trial in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import InputError
from infra.settings import Settings
from sweep.execution.runner import run_sweep
from sweep.records.ledger import Ledger
from sweep.records.submissions import GAVE_UP_KIND
from tests.execution.plans import plan_of
from tests.execution.scripted import SCRIPTED, script
from tests.infra.s3_answers import Answers, answering

S3 = "s3://rewards/sweeps"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with answering() as answers:
        monkeypatch.setenv("RMSWEEP_S3_ENDPOINT", answers.address)
        yield answers


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((404, "NoSuchBucket"), "there is no bucket 'rewards'; make it first"),
        ((403, "AccessDenied"), "a sweep needs to list the bucket, and to get, put and delete"),
        ((400, "ExpiredToken"), r"have expired \(ExpiredToken\); renew them"),
    ],
)
def test_no_cluster_is_started_and_no_attempt_begun(
    ledger: Ledger,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    answers: Answers,
    refusal: tuple[int, str],
    said: str,
) -> None:
    monkeypatch.setattr("sweep.execution.runner.open_cluster", None)
    answers.refuse(*refusal)
    plan = plan_of([script(seed=0)])

    with pytest.raises(InputError, match=f"nothing can be kept at {S3}: .*{said}") as caught:
        run_sweep(plan, ledger, settings.model_copy(update={"storage": S3}), execution=SCRIPTED)

    (trial,) = ledger.trials(plan.sweep_id)
    assert (trial.state, trial.attempts) == ("pending", 0)
    assert not ledger.sweep(plan.sweep_id).live
    assert "hush-hush" not in str(caught.value)


def test_a_supervisor_gives_up_and_the_ledger_tells_why(answers: Answers, tmp_path: Path) -> None:
    answers.refuse(404, "NoSuchBucket")
    file = tmp_path / "sweep.yaml"
    baseline = {"backbone": {"scale": "xs"}, "data": {"pairs": 32}}
    file.write_text(
        json.dumps({"name": "homeless", "baseline": baseline, "replicates": {"seeds": 1}})
    )
    home = tmp_path / "home"

    done = subprocess.run(
        [sys.executable, "-m", "sweep.cli.main", "supervise", str(file)],
        env={**os.environ, "RMSWEEP_HOME": str(home), "RMSWEEP_STORAGE": S3},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    with Ledger.open(f"sqlite:///{home}/ledger.db") as ledger:
        (row,) = ledger.sweeps()
        (told,) = [
            decision.payload["reason"]
            for decision in ledger.decisions(row.sweep_id)
            if decision.kind == GAVE_UP_KIND
        ]
    assert "there is no bucket 'rewards'; make it first" in told
