"""The page on the Python API: every example runs, in a notebook's order, on a recorded sweep."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from analysis import show
from tests.analysis.made_sweeps import Recipe, make_sweep, one_axis

PAGE = Path(__file__).resolve().parents[2] / "docs" / "analysis.md"


def test_the_examples_of_the_page_run_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_sweep(tmp_path / "home", Recipe(arms=one_axis({"a": 1.0, "b": 0.2}), items=80))
    theirs = tmp_path / "their-scores" / "theirs" / "seed-0" / "scores.parquet"
    theirs.parent.mkdir(parents=True)
    shutil.copy(next((made.home / "store").rglob("scores/test.parquet")), theirs)
    monkeypatch.setenv("RMSWEEP_HOME", str(made.home))
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, object] = {}

    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)

    printed = capsys.readouterr().out
    assert len(examples) == 5
    assert re.search(r"^head=b is .* head=a", printed, flags=re.MULTILINE)
    assert "3 seeds, 80 items in 40 groups; ties are wrong" in printed
    assert set(names["accuracy"].index.names) == {"arm", "seed"}  # type: ignore[attr-defined]
    assert names["outcomes"].arms == ["theirs"]  # type: ignore[attr-defined]


def test_every_section_that_is_offered_is_a_section_or_makes_one() -> None:
    assert all(callable(getattr(show, name)) for name in show.__all__)
