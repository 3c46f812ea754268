"""Verbs are called as a user calls them: arguments in, exit code and text out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweep.cli import main
from sweep.records.lifecycle import TrialState
from tests.analysis.made_sweeps import MadeArm, MadeSweep, Recipe, make_sweep


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of its own: ledger, store and MLflow in a fresh folder."""
    folder = tmp_path / "home"
    for name in ("LEDGER_URL", "STORAGE", "TRACKING_URI", "ARTIFACT_URI", "RAY_ADDRESS", "CPUS"):
        monkeypatch.delenv(f"RMSWEEP_{name}", raising=False)
    monkeypatch.setenv("RMSWEEP_HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "200")
    return folder


@pytest.fixture
def made(home: Path) -> MadeSweep:
    """A sweep without an end, one of whose trials was at work when its driver died."""
    home.mkdir()
    arms = [
        MadeArm(name="baseline", point={"head": "a"}),
        MadeArm(name="head=b", point={"head": "b"}, ends={1: TrialState.RUNNING}),
    ]
    return make_sweep(home, Recipe(arms=arms, items=10, finish=None))


@pytest.fixture
def rmsweep(home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Call `rmsweep` with arguments, on a machine of its own."""

    def command(*arguments: str) -> Answer:
        capsys.readouterr()
        code = main.run(list(arguments))
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return command
