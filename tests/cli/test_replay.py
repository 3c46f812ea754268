"""`rmsweep replay`: a sweep file on recorded curves, and what is said of what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.cli.main import run

CURVES = "name,epoch,seconds,accuracy\n" + "".join(
    f"c{config},{epoch},{epoch},{epoch * config / 90}\n"
    for config in range(9)
    for epoch in range(1, 10)
)
TABLE = """
curves: curves.csv
columns: {configuration: name, step: epoch, seconds: seconds, metric: accuracy}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "curves.csv").write_text(CURVES)
    table, sweep = tmp_path / "table.yaml", tmp_path / "sweep.yaml"
    table.write_text(TABLE)
    sweep.write_text("name: made\nreplicates: {seeds: 1}\nscheduler: {kind: asha, first: 1/9}\n")
    return str(sweep), str(table)


def test_a_replay_tells_regret_and_what_was_saved(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, table = files

    code = run(["replay", sweep, "--curves", table, "--workers", "2", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["best_configuration"] == "c8"
    assert told["regret"] == 0
    assert told["finished"] + told["stopped_early"] == 9
    assert told["device_seconds"] < told["full_device_seconds"] == 81
    assert told["early_stopping"].startswith("paid")


def test_a_replay_whose_arms_all_diverge_says_so_in_words_and_in_json(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, table = files
    curves = Path(table).with_name("curves.csv")
    curves.write_text(CURVES.replace("c1,9,9,0.1\n", "c1,9,9,nan\n"))
    asked = ["replay", sweep, "--curves", table, "--set", "axes={name: [c1]}"]

    assert run([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert run(asked) == 0

    assert (told["best_in_sweep"], told["regret"]) == (None, None)
    assert "of this sweep: none" in capsys.readouterr().out


def test_a_replay_is_the_same_again(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, table = files
    told = []
    for _ in range(2):
        assert run(["replay", sweep, "--curves", table]) == 0
        told.append(capsys.readouterr().out)

    assert told[0] == told[1]
    assert "stopping early paid" in told[0]


def test_a_sweep_the_curves_cannot_answer_is_refused_with_every_reason(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, table = files
    text = "replicates.seeds=3", "objective={mode: min}", "axes={nam: [c1]}"

    code = run(["replay", sweep, "--curves", table, *(f"--set={each}" for each in text)])

    said = capsys.readouterr().err
    assert code == 2
    assert "1 seed" in said
    assert "mode is max" in said
    assert "no column 'nam'" in said
