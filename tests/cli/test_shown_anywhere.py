"""What is printed can be read in pipes, in narrow terminals and where only ASCII is shown."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from infra.errors import MissingError
from sweep.cli import console
from sweep.cli.look_verbs import find_trial
from tests.analysis.made_sweeps import MadeSweep
from tests.cli.conftest import Command

ARM = "data_mix=scenes+digits+text,strategy=zero_coefficient"
COLUMNS = ("arm", "state", "accuracy", "memory", "identity", "note")
ROWS = [(ARM, "succeeded", "0.7400", "818 MiB", "c148c3b8", "reused")]


def _printed(*, terminal: bool, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    drawn = Console(force_terminal=terminal, width=width, record=True, file=io.StringIO())
    monkeypatch.setattr(console, "out", drawn)
    console.print_table("", COLUMNS, ROWS)
    return drawn.export_text()


def test_in_a_pipe_a_row_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _printed(terminal=False, width=40, monkeypatch=monkeypatch).splitlines()

    assert len(lines) == 2
    assert lines[1].split() == [*ROWS[0][:3], "818", "MiB", "c148c3b8", "reused"]


def test_a_terminal_narrower_than_a_table_still_shows_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = _printed(terminal=True, width=40, monkeypatch=monkeypatch)

    assert max(len(line) for line in text.splitlines()) <= 40
    unfolded = "".join(text.split())
    assert all(cell.replace(" ", "") in unfolded for cell in ROWS[0])


def test_a_terminal_that_knows_only_ascii_gets_an_answer(made: MadeSweep) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "sweep.cli.main", "status"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (answer.returncode, answer.stderr) == (0, "")
    assert "(SD)" in answer.stdout


def test_a_place_that_cannot_be_written_is_named_without_a_traceback(
    rmsweep: Command, made: MadeSweep
) -> None:
    answer = rmsweep("fork", made.sweep_id, "other", "--out", "long" * 100)

    assert answer.code == 1
    assert "File name too long; expected a place that can be written to" in answer.err


def test_of_several_trials_that_fit_those_are_named(made: MadeSweep) -> None:
    trials = [
        replace(view, identity=identity)
        for view, identity in zip(
            made.ledger.trials(made.sweep_id), ("b0", "ab1", "ab2"), strict=False
        )
    ]

    with pytest.raises(MissingError) as told:
        find_trial(trials, "ab")

    meant = ", ".join(f"{view.arm}/{view.seed} ({view.identity})" for view in trials[1:])
    assert str(told.value) == f"2 trials are named 'ab'; expected one of {meant}"


def test_a_question_with_brackets_is_shown_as_it_was_written(
    rmsweep: Command, tmp_path: Path
) -> None:
    question = "Which head [a-c], and [/why]?"
    file = tmp_path / "sweep.yaml"
    asked = {"name": "asked", "question": question, "axes": {"head.layers": [1, 2]}}
    file.write_text(yaml.safe_dump({**asked, "baseline": "basereward-tiny"}))

    answer = rmsweep("check", str(file))

    assert answer.code == 0
    assert question in answer.out
