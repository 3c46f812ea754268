"""Sweeps, and models trained elsewhere, side by side in one report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis.report.page import SweepPage, build_page
from analysis.report.writing import ReportResult, write_report
from analysis.sweep_comparison import compare_sweeps
from analysis.tables import read_sweep
from infra.errors import InputError
from tests.analysis.made_reports import report_of
from tests.analysis.made_sweeps import MadeArm, MadeSweep, Recipe, make_sweep, one_axis
from trainer.scores import score_key


def _both(made: MadeSweep, *others: MadeSweep) -> ReportResult:
    return report_of(made, *others, formats=["html", "markdown"])


def _scored_elsewhere(home: Path, abilities: dict[str, float]) -> Path:
    """Models with four seeds each, known by their score tables alone, on a made sweep's items."""
    arms = [MadeArm(name=name, point={"m": name}, ability=a) for name, a in abilities.items()]
    made = make_sweep(home / "elsewhere", Recipe(name="other", arms=arms, items=80, seeds=4))
    tables = read_sweep(made.ledger, made.sweep_id, store=made.store)
    folder = home / "theirs"
    for trial in tables.succeeded():
        for name in ("validation", "test"):
            path = folder / trial.arm / f"seed-{trial.seed}" / f"{name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made.store.read(score_key(trial.identity, name)))
    return folder


def _page(made: MadeSweep) -> SweepPage:
    return build_page(read_sweep(made.ledger, made.sweep_id, store=made.store))


def test_several_sweeps_are_compared_on_the_items_they_share(tmp_path: Path) -> None:
    first = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.2}), items=80))
    second = make_sweep(
        tmp_path,
        Recipe(name="scale", arms=one_axis({"s": 1.0, "m": 1.4}, axis="scale"), items=60),
        ledger=first.ledger,
    )

    result = _both(first, second)

    markdown = result.paths[1].read_text()
    assert re.search(r"All arms on the \d+ pairs that all were scored on, \d+ that some", markdown)
    assert f"| {second.sweep_id} | scale=m |" in markdown
    assert len(result.headline.splitlines()) == 2
    for made in (first, second):
        files = first.ledger.publications(made.sweep_id)[-1].payload["files"]
        assert files["report.html"] == f"reports/{first.sweep_id}.html"
        assert files["effects.png"] == f"reports/{made.sweep_id}-effects.png"
        assert first.store.exists(files["effects.png"])


def test_trainings_that_several_sweeps_share_are_compared_once(tmp_path: Path) -> None:
    arms = one_axis({"a": 1.0, "b": 0.2})
    first = make_sweep(tmp_path, Recipe(arms=arms, items=80, seeds=3))
    again = Recipe(arms=arms, items=80, seeds=3, question="Again?")
    second = make_sweep(tmp_path, again, ledger=first.ledger)
    assert first.sweep_id != second.sweep_id

    pages = [_page(first), _page(second)]
    found = compare_sweeps(pages)

    assert [(arm.sweep, arm.also, arm.arm) for arm in found.arms] == [
        (first.sweep_id, (second.sweep_id,), "baseline"),
        (first.sweep_id, (second.sweep_id,), "head=b"),
    ]


def test_models_trained_elsewhere_stand_beside_a_sweeps_arms(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), items=80, seeds=4))
    theirs = _scored_elsewhere(tmp_path, {"strong": 2.0, "weak": -0.2})
    path = tmp_path / "r.html"

    result = write_report(
        made.ledger, made.store, [made.sweep_id], path, formats=["markdown"], scores=theirs
    )

    said = path.read_text()
    assert "All arms on the 80 pairs that all were scored on" in said
    row = next(line for line in said.splitlines() if "| weak |" in line and "theirs" in line)
    assert "worse in general" in row
    assert "## Models trained elsewhere" in said
    assert result.headline == _page(made).answer


def test_models_trained_elsewhere_are_compared_without_any_sweep(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=40, seeds=1))
    theirs = _scored_elsewhere(tmp_path, {"strong": 2.0, "weak": -0.2, "strong too": 2.0})

    result = write_report(made.ledger, made.store, [], tmp_path / "r.html", scores=theirs)

    assert result.headline.startswith("On 80 pairs of test, against strong")
    assert result.headline.endswith("worse in general: weak.")
    assert not made.ledger.publications(made.sweep_id)


def test_a_folder_without_test_items_cannot_be_compared(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=40, seeds=1))
    theirs = _scored_elsewhere(tmp_path, {"strong": 2.0})
    for path in theirs.rglob("test.parquet"):
        path.unlink()

    with pytest.raises(InputError, match="no test benchmark to compare on, only validation"):
        write_report(made.ledger, made.store, [], tmp_path / "r.html", scores=theirs)


def test_sweeps_that_share_no_item_are_not_compared(tmp_path: Path) -> None:
    first = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.2}), items=40))
    second = make_sweep(
        tmp_path,
        Recipe(name="scale", arms=[], seeds=1),
        ledger=first.ledger,
    )

    result = _both(first, second)

    assert "no trials planned" in result.headline
